import { createHash } from 'node:crypto';
import type Metronome from '@metronome/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAccount, newSecretKey } from '../../src/storage/accounts.js';
import type { Database } from '../../src/storage/db.js';
import { metronomeFor, startTestEngine, type TestEngine } from '../support/engine.js';
import { failure } from './failure.js';
import { fingerprints, quiet } from './fingerprints.js';
import { fixedProduct, monthStart, rateCard, segment, sumProduct, unique } from './world.js';

/** Whatever is refused is refused as `{message}`, names what is wrong, and leaves no trace in any table. */

let engine: TestEngine;
let metronome: Metronome;
let stranger: Metronome;
let before: Map<string, string>;

const NOW = Date.now();
const HOUR = 3_600_000;
const START = monthStart(0, -2);
const LATER = monthStart(0, 12);
const at = (ms: number) => new Date(NOW + ms).toISOString();

interface Sold {
  customer: string;
  fixed: string;
  usage: string;
  metric: string;
  eventType: string;
  card: string;
  contract: string;
  commit: string;
  finalItem: string;
  finalInvoice: string;
}
let own: Sold;
let foreign: Sold;
const CONTRACT_KEY = unique('contract');
const COMMIT_KEY = unique('commit');
const ALERT_KEY = unique('alert');

beforeAll(async () => {
  engine = await startTestEngine();
  ({ metronome } = engine);
  stranger = metronomeFor(engine.baseUrl, await secondAccount(engine.db));
  own = await sold(metronome);
  foreign = await sold(stranger);
  await metronome.v1.contracts.create({ ...contractOf(own), uniqueness_key: CONTRACT_KEY });
  await metronome.v1.customers.commits.create({ ...commitOf(own), uniqueness_key: COMMIT_KEY });
  await metronome.v1.alerts.create({
    alert_type: 'spend_threshold_reached',
    name: 'Spend',
    threshold: 100_000,
    uniqueness_key: ALERT_KEY,
    customer_id: own.customer,
  });
  await metronome.v1.customers.setIngestAliases({ customer_id: own.customer, ingest_aliases: ['own'] });
  before = await quiet(engine.db);
});
afterAll(() => engine.stop());

async function secondAccount(db: Database): Promise<string> {
  const secret = newSecretKey();
  await db.transaction(async (tx) => {
    const accountId = await createAccount(tx, 'Stranger', NOW);
    await tx.query(
      `insert into api_keys (id, account_id, type, livemode, name, secret_sha256, last4, created_at)
       values ('key_stranger', $1, 'secret', false, 'stranger', $2, $3, now())`,
      [accountId, createHash('sha256').update(secret).digest(), secret.slice(-4)],
    );
  });
  return secret;
}

/** A customer whose contract has a finalized statement and a finalized purchase. */
async function sold(client: Metronome): Promise<Sold> {
  const { productId: usage, metricId: metric, eventType } = await sumProduct(client, 'Units');
  const fixed = await fixedProduct(client, 'Credits');
  const card = await rateCard(client, [{ product_id: usage, rate_type: 'FLAT', price: 100 }]);
  const { data: customer } = await client.v1.customers.create({ name: unique('Customer') });
  const { data: contract } = await client.v1.contracts.create({
    customer_id: customer.id,
    rate_card_id: card,
    starting_at: START,
    commits: [
      {
        type: 'PREPAID',
        product_id: fixed,
        access_schedule: segment(1000, START, LATER),
        invoice_schedule: { schedule_items: [{ amount: 1000, timestamp: START }] },
      },
    ],
  });
  const params = { customer_id: customer.id, contract_id: contract.id };
  for (const deadline = Date.now() + 20_000; ; ) {
    const { data } = await client.v2.contracts.retrieve(params);
    const [commit] = data.commits;
    const item = commit?.invoice_schedule?.schedule_items?.[0];
    const { data: invoices } = await client.v1.customers.invoices.list({
      customer_id: customer.id,
      status: 'FINALIZED',
    });
    const statement = invoices.find(({ type }) => type === 'USAGE');
    if (item?.invoice_id != null && statement !== undefined && invoices.length >= 2) {
      const finals = { commit: commit?.id ?? '', finalItem: item.id, finalInvoice: statement.id };
      return {
        customer: customer.id,
        contract: contract.id,
        fixed,
        usage,
        metric,
        eventType,
        card,
        ...finals,
      };
    }
    if (Date.now() > deadline) throw new Error('the past of the contract did not become final');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const contractOf = ({ customer, card }: Sold, more: object = {}) => ({
  customer_id: customer,
  rate_card_id: card,
  starting_at: START,
  ...more,
});

const commitOf = ({ customer, fixed }: Sold, more: object = {}) => ({
  customer_id: customer,
  type: 'PREPAID' as const,
  product_id: fixed,
  priority: 1,
  access_schedule: segment(500, START, LATER),
  ...more,
});

/** Parameters that the SDK's types rightly forbid. */
const wrong = (params: object): never => params as never;

async function refused(call: PromiseLike<unknown>, status: number, says: RegExp): Promise<void> {
  const error = await failure(call);
  expect(Object.keys(error.error as object)).toEqual(['message']);
  expect(`${error.status} ${(error.error as { message: string }).message}`).toMatch(
    new RegExp(`^${status} .*${says.source}`, 's'),
  );
  if (status === 409) expect(error.headers?.get('x-should-retry')).toBe('false');
  expect(await fingerprints(engine.db)).toEqual(before);
}

/** The same without the client, whose retries and typed errors could hide something. */
async function refusedRaw(path: string, body: unknown, status: number, says: RegExp): Promise<void> {
  const answer = await fetch(`${engine.baseUrl}/metronome${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${engine.apiKey}`, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const said = (await answer.json()) as { message: string };
  expect([answer.status, Object.keys(said)]).toEqual([status, ['message']]);
  expect(said.message).toMatch(says);
  expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
  if (status === 409) expect(answer.headers.get('x-should-retry')).toBe('false');
  expect(await fingerprints(engine.db)).toEqual(before);
}

const create = (more: object) => metronome.v1.contracts.create(wrong(contractOf(own, more)));
const commit = (more: object) => metronome.v1.customers.commits.create(wrong(commitOf(own, more)));
const edit = (more: object) =>
  metronome.v2.contracts.edit(wrong({ customer_id: own.customer, contract_id: own.contract, ...more }));

describe('what was used before', () => {
  it('is a conflict that the client does not repeat', async () => {
    const start = Date.now();
    await refused(create({ uniqueness_key: CONTRACT_KEY }), 409, /uniqueness_key/);
    await refused(commit({ uniqueness_key: COMMIT_KEY }), 409, /uniqueness_key/);
    await refused(
      metronome.v1.alerts.create({
        alert_type: 'spend_threshold_reached',
        name: 'Again',
        threshold: 1,
        uniqueness_key: ALERT_KEY,
      }),
      409,
      /uniqueness_key/,
    );
    await refused(
      metronome.v1.customers.create({ name: 'Other', ingest_aliases: ['new', 'own'] }),
      409,
      /alias/,
    );
    await refusedRaw(
      '/v1/contracts/create',
      contractOf(own, { uniqueness_key: CONTRACT_KEY }),
      409,
      /uniqueness/,
    );
    expect(Date.now() - start).toBeLessThan(10_000);
  });
});

describe("another account's things", () => {
  it('are not there', async () => {
    const { v1, v2 } = metronome;
    await refused(v1.customers.retrieve({ customer_id: foreign.customer }), 404, /customer/);
    await refused(v1.contracts.create(contractOf({ ...own, customer: foreign.customer })), 404, /customer/);
    await refused(create({ rate_card_id: foreign.card }), 404, /rate card/);
    await refused(
      create({ transition: { type: 'RENEWAL', from_contract_id: foreign.contract } }),
      400,
      /contract/,
    );
    await refused(commit({ customer_id: foreign.customer }), 404, /customer/);
    await refused(commit({ applicable_contract_ids: [foreign.contract] }), 404, /contract/);
    await refused(
      v2.contracts.retrieve({ customer_id: own.customer, contract_id: foreign.contract }),
      404,
      /contract/,
    );
    await refused(edit({ contract_id: foreign.contract, update_contract_name: 'Mine' }), 404, /contract/);
    await refused(v1.invoices.void({ id: foreign.finalInvoice }), 404, /invoice/);
    await refused(v1.contracts.products.retrieve({ id: foreign.usage }), 404, /product/);
    await refused(v1.contracts.products.archive({ product_id: foreign.usage }), 404, /product/);
    await refused(v1.contracts.rateCards.retrieve({ id: foreign.card }), 404, /rate card/);
    await refused(
      v1.contracts.rateCards.update({ rate_card_id: foreign.card, name: 'Mine' }),
      404,
      /rate card/,
    );
    await refused(v1.billableMetrics.retrieve({ billable_metric_id: foreign.metric }), 404, /metric/);
    await refused(v1.contracts.getNetBalance({ customer_id: foreign.customer }), 404, /customer/);
  });

  it('cannot be sold', async () => {
    const { rateCards, products } = metronome.v1.contracts;
    const rate = { starting_at: START, entitled: true, rate_type: 'FLAT' as const, price: 1 };
    await refused(
      rateCards.rates.add({ rate_card_id: own.card, product_id: foreign.usage, ...rate }),
      404,
      /product/,
    );
    await refused(
      rateCards.rates.add({ rate_card_id: foreign.card, product_id: own.usage, ...rate }),
      404,
      /rate card/,
    );
    await refused(
      products.create({ name: 'Mine', type: 'USAGE', billable_metric_id: foreign.metric }),
      404,
      /metric/,
    );
    await refused(commit({ product_id: foreign.fixed }), 400, /product_id.*no such product/);
  });
});

describe('a schedule', () => {
  it('off the hour is refused by the name of its field', async () => {
    const half = '2024-01-01T00:30:00Z';
    const off = /must be on a whole hour/;
    const naming = (field: string) => new RegExp(`${field}.*${off.source}`);
    await refused(create({ starting_at: half }), 400, naming('starting_at'));
    await refused(create({ ending_before: '2030-01-01T00:00:01Z' }), 400, naming('ending_before'));
    await refused(
      commit({ access_schedule: segment(1, half, LATER) }),
      400,
      naming(String.raw`access_schedule\.schedule_items\[0\]\.starting_at`),
    );
    await refused(
      metronome.v1.contracts.rateCards.rates.add({
        rate_card_id: own.card,
        product_id: own.usage,
        starting_at: half,
        entitled: true,
        rate_type: 'FLAT',
        price: 1,
      }),
      400,
      naming('starting_at'),
    );
    await refused(edit({ update_contract_end_date: '2030-01-01T00:00:00.001Z' }), 400, off);
    await refused(
      metronome.v1.usage.list({
        starting_on: half,
        ending_before: '2024-01-02T00:00:00Z',
        window_size: 'HOUR',
      }),
      400,
      /whole hour/,
    );
  });

  it('that would change what is final is refused', async () => {
    const item = { id: own.finalItem };
    const schedule = (change: object) => ({
      update_commits: [{ commit_id: own.commit, invoice_schedule: change }],
    });
    await refused(edit(schedule({ remove_schedule_items: [item] })), 400, /finalized/);
    await refused(edit(schedule({ update_schedule_items: [{ ...item, amount: 1 }] })), 400, /finalized/);
    await refused(edit({ archive_commits: [{ id: own.commit }] }), 400, /finalized/);
    const end = monthStart(3, -2);
    await refused(edit({ update_contract_end_date: end }), 400, /finalized invoice/);
    await refused(
      metronome.v1.contracts.updateEndDate({
        customer_id: own.customer,
        contract_id: own.contract,
        ending_before: end,
      }),
      400,
      /finalized invoice/,
    );
  });
});

describe('terms that make no sense', () => {
  it('are refused in commits', async () => {
    const nobody = '00000000-0000-4000-8000-000000000000';
    await refused(commit({ product_id: nobody }), 400, /product_id.*no such product/);
    await refused(commit({ product_id: own.usage }), 400, /FIXED/);
    await refused(commit({ access_schedule: segment(-1, START, LATER) }), 400, /amount/);
    await refused(commit({ access_schedule: segment(1, LATER, START) }), 400, /ending_before/);
    await refused(commit({ access_schedule: { schedule_items: [] } }), 400, /schedule_items/);
    await refused(commit({ colour: 'red' }), 400, /Unknown field 'colour'/);
    await refused(create({ commits: [{ ...commitOf(own), shade: 1 }] }), 400, /Unknown field.*commits\[0\]/);
    await refusedRaw('/v1/contracts/create', contractOf(own, { colour: 1 }), 400, /Unknown field 'colour'/);
    await refusedRaw('/v1/contracts/create', '{"customer_id":', 400, /JSON/);
    await refusedRaw('/v1/contracts/create', [], 400, /./);
  });

  it('are refused in rates', async () => {
    const rate = (more: object) =>
      metronome.v1.contracts.rateCards.rates.add(
        wrong({
          rate_card_id: own.card,
          product_id: own.usage,
          starting_at: START,
          entitled: true,
          rate_type: 'TIERED',
          ...more,
        }),
      );
    const closed = { size: 10, price: 1 };
    await refused(rate({ tiers: [closed] }), 400, /tiers/);
    await refused(rate({ tiers: [closed, closed] }), 400, /tiers/);
    await refused(rate({ tiers: [{ price: 1 }, closed] }), 400, /tiers/);
    await refused(rate({ tiers: [] }), 400, /tiers/);
    await refused(rate({ tiers: [{ size: -1, price: 1 }, { price: 2 }] }), 400, /tiers/);
    await refused(rate({ rate_type: 'FLAT' }), 400, /price/);
    await refused(rate({ rate_type: 'FLAT', price: 'ten' }), 400, /price/);
    const custom = /rate_type': CUSTOM is not supported/;
    await refused(rate({ rate_type: 'CUSTOM', custom_rate: { per: 'call' } }), 400, custom);
    await refused(rate({ rate_type: 'custom' }), 400, custom);
    await refused(rate({ price: 1, rate_type: 'FLAT', commit_rate: { rate_type: 'CUSTOM' } }), 400, custom);
    await refused(rate({ price: 1, rate_type: 'FLAT', custom_rate: {} }), 400, /custom_rate'.*not supported/);
  });
});

describe('usage', () => {
  const event = (more: object = {}) => ({
    transaction_id: unique('tx'),
    customer_id: own.customer,
    event_type: own.eventType,
    timestamp: at(0),
    properties: { amount: '1' },
    ...more,
  });
  const ingest = (usage: object[]) => metronome.v1.usage.ingest(wrong({ usage }));

  it('is refused whole: too many, too old, too far ahead, incomplete', async () => {
    const many = Array.from({ length: 101 }, () => event());
    await refused(ingest(many), 400, /100/);
    await refused(ingest([event(), event({ timestamp: at(-34 * 24 * HOUR - 60_000) })]), 400, /34 days|past/);
    await refused(ingest([event(), event({ timestamp: at(24 * HOUR + 600_000) })]), 400, /24 hours|future/);
    await refused(ingest([event(), event({ customer_id: undefined })]), 400, /customer_id/);
    await refused(ingest([event(), event({ timestamp: 'yesterday' })]), 400, /timestamp/);
    await refused(ingest([event(), event({ colour: 1 })]), 400, /Unknown field.*colour/);
    await refused(ingest([]), 400, /at least 1/);
    await refusedRaw('/v1/ingest', many, 400, /100/);
    await refusedRaw('/v1/ingest', [event(), event({ timestamp: at(-35 * 24 * HOUR) })], 400, /34 days|past/);
  });

  it('is not even read without a key that is known', async () => {
    const nobody = metronomeFor(engine.baseUrl, newSecretKey());
    await refused(nobody.v1.usage.ingest({ usage: [event()] }), 401, /./);
    await refused(nobody.v1.customers.list().then(), 401, /./);
  });
});
