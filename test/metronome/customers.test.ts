import type Metronome from '@metronome/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { metronomeFor, startTestEngine, type TestEngine } from '../support/engine.js';
import { failure } from './failure.js';

let engine: TestEngine;
let metronome: Metronome;

beforeAll(async () => {
  engine = await startTestEngine();
  ({ metronome } = engine);
});
afterAll(() => engine.stop());

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${engine.baseUrl}/metronome${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${engine.apiKey}`, 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

describe('customers', () => {
  it('are made, found by every name and listed page by page', async () => {
    const { data: made } = await metronome.v1.customers.create({
      name: 'Acme',
      ingest_aliases: ['acme@example.com', 'acme-2'],
      custom_fields: { tier: 'gold' },
    });
    expect(made).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      name: 'Acme',
      external_id: 'acme@example.com',
      ingest_aliases: ['acme@example.com', 'acme-2'],
      custom_fields: { tier: 'gold' },
    });
    const { data: read } = await metronome.v1.customers.retrieve({ customer_id: made.id });
    expect(read).toMatchObject({
      ...made,
      customer_config: { salesforce_account_id: null },
      archived_at: null,
    });
    expect(Date.parse(read.created_at)).not.toBeNaN();

    const byAlias = await metronome.v1.customers.list({ ingest_alias: 'acme-2' });
    expect(byAlias.data.map((one) => one.id)).toEqual([made.id]);
    const second = await metronome.v1.customers.create({ name: 'Second' });
    const third = await metronome.v1.customers.create({ name: 'Third' });
    const ids = [];
    for await (const one of metronome.v1.customers.list({ limit: 1 })) ids.push(one.id);
    expect(ids).toEqual([third.data.id, second.data.id, made.id]);
    const some = await metronome.v1.customers.list({ customer_ids: [made.id, third.data.id] });
    expect(some.data.map((one) => one.id)).toEqual([third.data.id, made.id]);
    expect(some.hasNextPage()).toBe(false);
  });

  it('are the same ones in both dialects', async () => {
    const clock = await engine.stripe.testHelpers.testClocks.create({
      frozen_time: Date.parse('2030-01-01T00:00:00Z') / 1000,
    });
    const stripe = await engine.stripe.customers.create({ name: 'Both', test_clock: clock.id });
    const [found] = (await metronome.v1.customers.list({ ingest_alias: stripe.id })).data;
    expect(found).toMatchObject({ name: 'Both', ingest_aliases: [stripe.id], external_id: stripe.id });
    await metronome.v1.customers.setIngestAliases({ customer_id: found?.id ?? '', ingest_aliases: ['both'] });
    const [again] = (await metronome.v1.customers.list({ ingest_alias: stripe.id })).data;
    expect(again).toMatchObject({ id: found?.id, ingest_aliases: ['both', stripe.id] });
    const renamed = await metronome.v1.customers.setName({ customer_id: stripe.id, name: 'Renamed' });
    expect(renamed.data.name).toBe('Renamed');
    expect((await engine.stripe.customers.retrieve(stripe.id)) as { name?: string }).toMatchObject({
      name: 'Renamed',
    });

    const { data: made } = await metronome.v1.customers.create({ name: 'Made through Metronome' });
    const listed = await engine.stripe.customers.list({ limit: 100 });
    const twin = listed.data.find(({ name }) => name === 'Made through Metronome');
    expect((await metronome.v1.customers.list({ ingest_alias: twin?.id ?? '' })).data[0]?.id).toBe(made.id);
  });

  it('keep their aliases to themselves', async () => {
    const first = await metronome.v1.customers.create({ name: 'First', ingest_aliases: ['taken'] });
    const second = await metronome.v1.customers.create({ name: 'Second' });
    const refused = await failure(metronome.v1.customers.create({ name: 'Late', ingest_aliases: ['taken'] }));
    expect(refused.status).toBe(409);
    expect(refused.headers?.get('x-should-retry')).toBe('false');
    expect(refused.error).toEqual({ message: expect.stringContaining("'taken'") as string });
    expect((await metronome.v1.customers.list({ limit: 100 })).data.map(({ name }) => name)).not.toContain(
      'Late',
    );
    const set = (id: string, aliases: string[]) =>
      metronome.v1.customers.setIngestAliases({ customer_id: id, ingest_aliases: aliases });
    expect((await failure(set(second.data.id, ['taken']))).status).toBe(409);
    expect((await failure(set(second.data.id, [first.data.id]))).status).toBe(409);
    await set(first.data.id, []);
    const answer = await set(second.data.id, ['taken', 'taken']).asResponse();
    expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([200, null, '']);
    const found = await metronome.v1.customers.list({ ingest_alias: 'taken' });
    expect(found.data[0]).toMatchObject({ id: second.data.id, ingest_aliases: ['taken'] });
  });

  it('are archived for good, and their aliases stay taken', async () => {
    const { data } = await metronome.v1.customers.create({ name: 'Gone', ingest_aliases: ['gone'] });
    await metronome.v1.customers.updateConfig({ customer_id: data.id, salesforce_account_id: 'sf-1' });
    expect((await metronome.v1.customers.archive({ id: data.id })).data.id).toBe(data.id);
    const read = await metronome.v1.customers.retrieve({ customer_id: data.id });
    expect(read.data.archived_at).toEqual(expect.any(String));
    expect(read.data.customer_config.salesforce_account_id).toBe('sf-1');
    const archived = await metronome.v1.customers.list({ only_archived: true });
    expect(archived.data.map(({ id }) => id)).toEqual([data.id]);
    expect(
      (await failure(metronome.v1.customers.create({ name: 'X', ingest_aliases: ['gone'] }))).status,
    ).toBe(409);
  });
});

it('a customer keeps how its invoices are collected', async () => {
  const stripe = { billing_provider: 'stripe' as const, configuration: { stripe_customer_id: 'cus_1' } };
  const { data } = await metronome.v1.customers.create({
    name: 'Collected',
    customer_billing_provider_configurations: [stripe],
  });
  const set = await metronome.v1.customers.setBillingConfigurations({
    data: [{ customer_id: data.id, billing_provider: 'aws_marketplace', delivery_method: 'aws_sqs' }],
  });
  const read = async (include_archived: boolean) => {
    const found = await metronome.v1.customers.retrieveBillingConfigurations({
      customer_id: data.id,
      include_archived,
    });
    return found.data;
  };
  const [first, second] = await read(false);
  expect(first).toMatchObject({
    ...stripe,
    customer_id: data.id,
    delivery_method: 'direct_to_billing_provider',
  });
  expect(second?.id).toBe(set.data[0]?.id);
  const archive = (id: string) =>
    metronome.v1.customers.archiveBillingConfigurations({
      customer_id: data.id,
      customer_billing_provider_configuration_ids: [id],
    });
  await archive(first?.id ?? '');
  expect((await read(false)).map(({ id }) => id)).toEqual([second?.id]);
  expect(await read(true)).toHaveLength(2);
  expect((await failure(archive(crypto.randomUUID()))).status).toBe(404);
});

describe('requests', () => {
  it('are refused in the words of the dialect', async () => {
    const unknown = await failure(metronome.v1.customers.retrieve({ customer_id: crypto.randomUUID() }));
    expect([unknown.status, Object.keys(unknown.error as object)]).toEqual([404, ['message']]);
    const odd = await failure(
      metronome.v1.customers.create({ name: 'X', colour: 'red' } as { name: string }),
    );
    expect([odd.status, odd.error]).toEqual([400, { message: "Unknown field 'colour'." }]);
    const missing = await failure(metronome.v1.customers.create({} as { name: string }));
    expect(missing.error).toEqual({ message: "Invalid 'name': is required." });
    const strange = metronomeFor(engine.baseUrl, 'sk_test_nobody');
    expect((await failure(strange.v1.customers.list())).status).toBe(401);
    expect((await post('/v1/nothing', {})).status).toBe(404);
    expect((await post('/v1/customers/a%00b/setName', { name: 'x' })).status).toBe(404);
    expect((await post('/v1/customers/%ff/setName', { name: 'x' })).status).toBe(400);
    expect((await post('/v1/customers', '{"name":')).status).toBe(400);
    expect((await post('/v1/customers', '{"name":"a\\u0000b"}')).status).toBe(400);
    expect((await post('/v1/customers', '"text"')).status).toBe(400);
    expect((await failure(metronome.v1.customers.list({ next_page: 'nonsense' }))).status).toBe(400);
    expect((await failure(metronome.v1.customers.list({ limit: 101 }))).status).toBe(400);
  });

  it('run once under an idempotency key, and another body under it is a conflict', async () => {
    const headers = { 'Idempotency-Key': 'once' };
    const first = await metronome.v1.customers.create({ name: 'Once' }, { headers });
    const second = await metronome.v1.customers.create({ name: 'Once' }, { headers });
    expect(second).toEqual(first);
    const other = await failure(metronome.v1.customers.create({ name: 'Twice' }, { headers }));
    expect(other.status).toBe(409);
    expect(other.headers?.get('x-should-retry')).toBe('false');
  });
});

describe('custom fields', () => {
  it('have keys, values and uniqueness', async () => {
    const fields = metronome.v1.customFields;
    await fields.addKey({ entity: 'customer', key: 'crm', enforce_uniqueness: true });
    expect(
      (await failure(fields.addKey({ entity: 'customer', key: 'crm', enforce_uniqueness: false }))).status,
    ).toBe(409);
    await fields.addKey({ entity: 'rate_card', key: 'owner', enforce_uniqueness: false });
    const keys = [];
    for await (const key of fields.listKeys({ entities: ['customer'] })) keys.push(key);
    expect(keys).toEqual([{ entity: 'customer', key: 'crm', enforce_uniqueness: true }]);

    const first = await metronome.v1.customers.create({ name: 'F', custom_fields: { crm: '1', note: 'a' } });
    const second = await metronome.v1.customers.create({ name: 'G' });
    const set = (id: string, custom_fields: Record<string, string>) =>
      fields.setValues({ entity: 'customer', entity_id: id, custom_fields });
    expect((await failure(set(second.data.id, { crm: '1' }))).status).toBe(409);
    await set(first.data.id, { crm: '1', more: 'b' });
    await fields.deleteValues({ entity: 'customer', entity_id: first.data.id, keys: ['note'] });
    const read = await metronome.v1.customers.retrieve({ customer_id: first.data.id });
    expect(read.data.custom_fields).toEqual({ crm: '1', more: 'b' });
    expect((await failure(set(crypto.randomUUID(), { a: 'b' }))).status).toBe(404);
    await fields.removeKey({ entity: 'customer', key: 'crm' });
    expect((await failure(fields.removeKey({ entity: 'customer', key: 'crm' }))).status).toBe(404);
  });
});
