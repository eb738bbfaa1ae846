import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestApi } from '../support/api.js';
import { startTestApi } from '../support/api.js';
import { assertStripeShape } from '../support/stripeSchemas.js';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(async () => {
  await api.stop();
});

/** Every field of a recorded new customer of Stripe's. */
const FIELDS = [
  'id',
  'object',
  'address',
  'balance',
  'created',
  'currency',
  'customer_account',
  'default_source',
  'delinquent',
  'description',
  'discount',
  'email',
  'invoice_prefix',
  'invoice_settings',
  'livemode',
  'metadata',
  'name',
  'next_invoice_sequence',
  'phone',
  'preferred_locales',
  'shipping',
  'tax_exempt',
  'test_clock',
];

describe('customers', () => {
  it('creates one with nothing said, with every field that Stripe has', async () => {
    const customer = await api.stripe.customers.create();
    assertStripeShape('customer', customer);
    expect(
      Object.keys(customer)
        .filter((key) => key !== 'lastResponse')
        .sort(),
    ).toEqual([...FIELDS].sort());
    expect(customer.id).toMatch(/^cus_[0-9A-Za-z]{14,}$/);
    expect(customer.invoice_prefix).toMatch(/^[A-Z0-9]{8}$/);
    expect(customer).toMatchObject({
      balance: 0,
      next_invoice_sequence: 1,
      tax_exempt: 'none',
      livemode: false,
    });
  });

  it('creates one with everything, reads it back, and tells the event log', async () => {
    const address = { line1: '1 Main St', city: 'Berlin', country: 'DE', postal_code: '10115' };
    const created = await api.stripe.customers.create({
      name: 'Ada Lovelace',
      email: 'ada@example.com',
      phone: '+49 30 1',
      description: 'first',
      address,
      shipping: { name: 'Ada', address },
      balance: -2500,
      preferred_locales: ['de', 'en'],
      tax_exempt: 'reverse',
      invoice_prefix: 'ADA1815',
      next_invoice_sequence: 7,
      invoice_settings: { footer: 'Thanks', custom_fields: [{ name: 'PO', value: '42' }] },
      metadata: { plan: 'gold', empty: '' },
    });
    const read = await api.stripe.customers.retrieve(created.id);
    expect(JSON.parse(JSON.stringify(read))).toEqual(JSON.parse(JSON.stringify(created)));
    assertStripeShape('customer', read);
    expect(created).toMatchObject({
      balance: -2500,
      invoice_prefix: 'ADA1815',
      next_invoice_sequence: 7,
      metadata: { plan: 'gold' },
      address: { ...address, line2: null, state: null },
      invoice_settings: {
        footer: 'Thanks',
        custom_fields: [{ name: 'PO', value: '42' }],
        rendering_options: null,
      },
    });
    const events = await api.stripe.events.list({ type: 'customer.created', limit: 1 });
    assertStripeShape('list of event', events);
    expect(events.data[0]?.data.object).toMatchObject({ id: created.id, name: 'Ada Lovelace' });
    expect(events.data[0]?.request?.id).toBe(created.lastResponse.requestId);
  });

  it('updates only what is sent; an empty string unsets; metadata keys merge and vanish', async () => {
    const { id } = await api.stripe.customers.create({
      name: 'Before',
      email: 'b@example.com',
      metadata: { a: '1', b: '2' },
      invoice_settings: { footer: 'keep', custom_fields: [{ name: 'x', value: 'y' }] },
    });
    const updated = await api.stripe.customers.update(id, {
      name: 'After',
      email: '',
      metadata: { b: '', c: '3' },
      invoice_settings: { custom_fields: '' },
    });
    expect(updated).toMatchObject({ name: 'After', email: null, metadata: { a: '1', c: '3' } });
    expect(updated.metadata).not.toHaveProperty('b');
    expect(updated.invoice_settings).toMatchObject({ footer: 'keep', custom_fields: null });
    const cleared = await api.stripe.customers.update(id, { metadata: '' });
    expect(cleared.metadata).toEqual({});
    const [event] = (await api.stripe.events.list({ type: 'customer.updated', limit: 2 })).data.slice(1);
    expect(event?.data.previous_attributes).toEqual({
      name: 'Before',
      email: 'b@example.com',
      metadata: { b: '2', c: null },
      invoice_settings: { custom_fields: [{ name: 'x', value: 'y' }] },
    });
    const count = async () => (await api.db.query('select 1 from events where object_id = $1', [id])).length;
    const before = await count();
    await api.stripe.customers.update(id, { name: 'After' });
    expect(await count()).toBe(before);
  });

  it('never gives an invoice number twice: prefixes are unique and the sequence does not go back', async () => {
    await api.stripe.customers.create({ invoice_prefix: 'UNIQ1', next_invoice_sequence: 5 });
    await expect(api.stripe.customers.create({ invoice_prefix: 'UNIQ1' })).rejects.toMatchObject({
      statusCode: 400,
      param: 'invoice_prefix',
    });
    const other = await api.stripe.customers.create({ next_invoice_sequence: 9 });
    await expect(api.stripe.customers.update(other.id, { invoice_prefix: 'UNIQ1' })).rejects.toMatchObject({
      param: 'invoice_prefix',
    });
    await expect(api.stripe.customers.update(other.id, { next_invoice_sequence: 8 })).rejects.toMatchObject({
      param: 'next_invoice_sequence',
    });
    await expect(api.stripe.customers.create({ invoice_prefix: 'no' })).rejects.toMatchObject({
      statusCode: 400,
    });
  });

  it('deletes one: a stub remains, lists leave it out, changes find nothing', async () => {
    const { id } = await api.stripe.customers.create({ email: 'gone@example.com' });
    const deleted = await api.stripe.customers.del(id);
    assertStripeShape('deleted_customer', deleted);
    expect(JSON.parse(JSON.stringify(await api.stripe.customers.retrieve(id)))).toEqual({
      id,
      object: 'customer',
      deleted: true,
    });
    expect((await api.stripe.customers.list({ email: 'gone@example.com' })).data).toEqual([]);
    const missing = { statusCode: 404, code: 'resource_missing', message: `No such customer: '${id}'` };
    await expect(api.stripe.customers.update(id, { name: 'x' })).rejects.toMatchObject(missing);
    await expect(api.stripe.customers.del(id)).rejects.toMatchObject(missing);
  });

  it('refuses an unknown one by name', async () => {
    await expect(api.stripe.customers.retrieve('cus_nope')).rejects.toMatchObject({
      type: 'StripeInvalidRequestError',
      statusCode: 404,
      code: 'resource_missing',
      param: 'id',
      message: "No such customer: 'cus_nope'",
    });
    await expect(api.stripe.customers.create({ email: 'not an address' })).rejects.toMatchObject({
      code: 'email_invalid',
      param: 'email',
    });
  });

  it('keeps metadata within Stripe’s limits', async () => {
    const many = Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`k${index}`, 'v']));
    await expect(api.stripe.customers.create({ metadata: many })).rejects.toMatchObject({
      param: 'metadata',
    });
    await expect(api.stripe.customers.create({ metadata: { ['k'.repeat(41)]: 'v' } })).rejects.toMatchObject({
      statusCode: 400,
    });
    await expect(api.stripe.customers.create({ metadata: { k: 'v'.repeat(501) } })).rejects.toMatchObject({
      param: 'metadata[k]',
    });
    const full = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`k${index}`, 'v'.repeat(500)]));
    const { id } = await api.stripe.customers.create({ metadata: full });
    await expect(api.stripe.customers.update(id, { metadata: { more: 'v' } })).rejects.toMatchObject({
      param: 'metadata',
    });
  });
});

describe('customers on a test clock', () => {
  const frozen = Date.UTC(2031, 0, 31, 12) / 1000;

  it('are born at the clock’s time and are left out of lists that do not ask for the clock', async () => {
    const clock = await api.stripe.testHelpers.testClocks.create({ frozen_time: frozen });
    const customer = await api.stripe.customers.create({
      test_clock: clock.id,
      email: 'clocked@example.com',
    });
    assertStripeShape('customer', customer);
    expect(customer).toMatchObject({ created: frozen, test_clock: clock.id });
    expect((await api.stripe.customers.list({ email: 'clocked@example.com' })).data).toEqual([]);
    const scoped = await api.stripe.customers.list({ test_clock: clock.id });
    expect(scoped.data.map(({ id }) => id)).toEqual([customer.id]);
    const [event] = (await api.stripe.events.list({ type: 'customer.created', created: frozen })).data;
    expect(event?.data.object).toMatchObject({ id: customer.id });
  });

  it('are counted by one request at a time', async () => {
    const clock = await api.stripe.testHelpers.testClocks.create({ frozen_time: frozen });
    const waits = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    const joining = await api.db.transaction(async (tx) => {
      // What another request that has just counted holds, at the least.
      await tx.query('select 1 from test_clocks where id = $1 for share', [clock.id]);
      const joined = api.stripe.customers.create({ test_clock: clock.id });
      await expect.poll(async () => (await api.db.query(waits)).length).toBe(1);
      return { joined };
    });
    expect((await joining.joined).test_clock).toBe(clock.id);
  });

  it('are at most three, and only on a clock that exists', async () => {
    const clock = await api.stripe.testHelpers.testClocks.create({ frozen_time: frozen });
    const join = () => api.stripe.customers.create({ test_clock: clock.id });
    const results = await Promise.allSettled([join(), join(), join(), join()]);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    await expect(join()).rejects.toMatchObject({ statusCode: 400, param: 'test_clock' });
    const unknown = { statusCode: 400, code: 'resource_missing', param: 'test_clock' };
    await expect(api.stripe.customers.create({ test_clock: 'clock_nope' })).rejects.toMatchObject(unknown);
    await expect(api.stripe.customers.list({ test_clock: 'clock_nope' })).rejects.toMatchObject(unknown);
  });
});
