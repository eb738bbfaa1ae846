import { afterAll, beforeAll, expect, it } from 'vitest';
import { lookAtCustomer } from '../../src/billing/watch.js';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import {
  advance,
  contractAt,
  fixedProduct,
  rateCard,
  segment,
  sumProduct,
  unlimitedClocks,
} from './world.js';

let engine: TestEngine;
let fixed: string;

beforeAll(async () => {
  engine = await startTestEngine();
  await unlimitedClocks(engine);
  fixed = await fixedProduct(engine.metronome, 'Fixed');
});
afterAll(() => engine.stop());

const NOW = '2024-01-15T00:00:00Z';

interface Told {
  type: string;
  timestamp: string;
  customer_id: string;
  contract_id?: string;
  commit_id?: string;
  credit_id?: string;
  segment_index?: number;
  segment_count?: number;
  invoice_total?: number;
}

/** What was told of about a customer, in the order of its happening. */
async function told(customerId: string, noun: string): Promise<Told[]> {
  const rows = await engine.db.query<{ type: string; object: Omit<Told, 'type'> }>(
    `select type, data->'object' as object from events
     where data->'object'->>'customer_id' = $1 and type like $2`,
    [customerId, `${noun}.%`],
  );
  return rows
    .map(({ type, object }) => ({ ...object, type }))
    .sort((a, b) => a.timestamp.localeCompare(b.timestamp) || a.type.localeCompare(b.type));
}

const shown = (events: Told[]) => events.map(({ type, timestamp }) => `${type} ${timestamp.slice(0, 16)}`);

async function sold(terms: Partial<Parameters<typeof contractAt>[2]> = {}) {
  const product = await sumProduct(engine.metronome, 'Units');
  const card = await rateCard(engine.metronome, [
    { product_id: product.productId, price: 100, rate_type: 'FLAT' },
  ]);
  return contractAt(engine, NOW, { starting_at: '2024-02-01T00:00:00Z', rate_card_id: card, ...terms });
}

it('contracts tell of their life, each thing once and at its own time', async () => {
  const { id, contractId, clockId } = await sold({ ending_before: '2024-04-01T00:00:00Z' });
  await engine.metronome.v2.contracts.edit({
    customer_id: id,
    contract_id: contractId,
    update_contract_name: 'Renamed',
  });
  await advance(engine, clockId, '2024-03-03T00:00:00Z');
  const until = [
    'contract.create 2024-01-15T00:00',
    'contract.edit 2024-01-15T00:00',
    'contract.start 2024-02-01T00:00',
  ];
  expect(shown(await told(id, 'contract'))).toEqual(until);
  await advance(engine, clockId, '2024-04-10T00:00:00Z');
  const events = await told(id, 'contract');
  expect(shown(events)).toEqual([...until, 'contract.end 2024-04-01T00:00']);
  expect(events.every((one) => one.contract_id === contractId)).toBe(true);
  expect(shown(await told(id, 'invoice'))).toEqual([
    'invoice.finalized 2024-03-02T00:00',
    'invoice.finalized 2024-04-02T00:00',
  ]);
  const listed = await engine.stripe.events.list({ type: 'contract.end' });
  expect(listed.data.map(({ data }) => (data.object as unknown as Told).contract_id)).toContain(contractId);
});

it('commits and credits tell of their segments, recurring ones of each grant, archived ones of no more', async () => {
  const { id, contractId, clockId } = await sold({
    starting_at: '2024-01-01T00:00:00Z',
    commits: [
      {
        type: 'PREPAID',
        product_id: fixed,
        access_schedule: {
          schedule_items: [
            { amount: 5, starting_at: '2024-01-10T00:00:00Z', ending_before: '2024-02-10T00:00:00Z' },
            { amount: 5, starting_at: '2024-03-01T00:00:00Z', ending_before: '2024-04-01T00:00:00Z' },
          ],
        },
      },
    ],
    recurring_credits: [
      {
        product_id: fixed,
        priority: 1,
        access_amount: {
          unit_price: 10,
          quantity: 1,
          credit_type_id: '2714e483-4ff1-48e4-9e25-ac732e8f24f2',
        },
        commit_duration: { value: 1, unit: 'PERIODS' },
        starting_at: '2024-01-01T00:00:00Z',
        ending_before: '2024-03-01T00:00:00Z',
      },
    ],
  });
  await advance(engine, clockId, '2024-03-05T00:00:00Z');
  const before = [
    'commit.segment.start 2024-01-10T00:00',
    'commit.create 2024-01-15T00:00',
    'commit.segment.end 2024-02-10T00:00',
    'commit.segment.start 2024-03-01T00:00',
  ];
  const commits = await told(id, 'commit');
  expect(shown(commits)).toEqual(before);
  expect(commits.map((one) => one.segment_index)).toEqual([0, undefined, 0, 1]);
  expect(commits.at(-1)?.segment_count).toBe(2);
  expect(shown(await told(id, 'credit'))).toEqual([
    'credit.create 2024-01-01T00:00',
    'credit.segment.start 2024-01-01T00:00',
    'credit.create 2024-02-01T00:00',
    'credit.segment.end 2024-02-01T00:00',
    'credit.segment.start 2024-02-01T00:00',
    'credit.segment.end 2024-03-01T00:00',
  ]);
  const commitId = commits[0]?.commit_id ?? '';
  const edit = { customer_id: id, contract_id: contractId };
  await engine.metronome.v2.contracts.edit({
    ...edit,
    update_commits: [{ commit_id: commitId, priority: 7 }],
  });
  await engine.metronome.v2.contracts.edit({ ...edit, archive_commits: [{ id: commitId }] });
  await advance(engine, clockId, '2024-05-05T00:00:00Z');
  expect(shown(await told(id, 'commit'))).toEqual([
    ...before,
    'commit.archive 2024-03-05T00:00',
    'commit.edit 2024-03-05T00:00',
  ]);
});

it('a look that is made again, or by two at once, tells nothing again', async () => {
  const { id, stripeId } = await sold({
    starting_at: '2024-01-01T00:00:00Z',
    credits: [
      { product_id: fixed, access_schedule: segment(5, '2024-01-10T00:00:00Z', '2024-02-10T00:00:00Z') },
    ],
  });
  await expect.poll(() => told(id, 'credit'), { timeout: 20_000 }).toHaveLength(2);
  const { accountId } = engine;
  await engine.db.query(
    `update customer_checks set next_look_at = '2020-01-01' where account_id = $1 and customer_id = $2`,
    [accountId, stripeId],
  );
  const check = { accountId, customerId: stripeId, requests: 1_000_000n };
  await Promise.all([lookAtCustomer(engine.core, check), lookAtCustomer(engine.core, check)]);
  expect(shown(await told(id, 'credit'))).toEqual([
    'credit.segment.start 2024-01-10T00:00',
    'credit.create 2024-01-15T00:00',
  ]);
  expect(await told(id, 'contract')).toHaveLength(2);
});

it('on wall time what begins is told of within seconds', async () => {
  const customer = await engine.metronome.v1.customers.create({ name: 'Wall' });
  const hour = new Date(Math.floor(Date.now() / 3_600_000) * 3_600_000).toISOString();
  await engine.metronome.v1.contracts.create({ customer_id: customer.data.id, starting_at: hour });
  await expect
    .poll(async () => (await told(customer.data.id, 'contract')).map(({ type }) => type), { timeout: 20_000 })
    .toEqual(['contract.start', 'contract.create']);
});
