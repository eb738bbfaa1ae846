import type Metronome from '@metronome/sdk';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { refusal } from './failure.js';
import {
  advance,
  contractAt,
  fixedProduct,
  rateCard,
  segment,
  send,
  sumProduct,
  unlimitedClocks,
} from './world.js';

let engine: TestEngine;
let metronome: Metronome;

beforeAll(async () => {
  engine = await startTestEngine();
  ({ metronome } = engine);
  await unlimitedClocks(engine);
});
afterAll(() => engine.stop());

interface Spend {
  data: {
    status: string;
    breakdown_start_timestamp: string;
    totals: { total: number }[];
    line_items: {
      name: string;
      group_values: Record<string, string | null>;
      quantity: number;
      total: number;
      list_prices?: { price?: number }[];
    }[];
  }[];
  next_page: string | null;
}

/** The call is not in the official client, which still makes it: with its key, its retries and its errors. */
const spend = (customerId: string, body: object, query: Record<string, boolean> = {}): Promise<Spend> =>
  metronome.post<Spend>(`/v1/customers/${customerId}/invoices/spend-breakdowns`, { body, query });

const shown = ({ data }: Spend) =>
  data.map((row) => [
    row.breakdown_start_timestamp.slice(0, 10),
    row.status,
    row.totals.map(({ total }) => total),
    row.line_items
      .map((line) => [line.name, line.group_values, line.quantity, line.total])
      .sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b))),
  ]);

/** Calls cost 2 dollars each for the first ten of a month, then one; they know their team and region. */
async function spender() {
  const { productId, eventType } = await sumProduct(metronome, 'Calls', { presentation: ['region'] });
  const fixed = await fixedProduct(metronome, 'Prepaid');
  const card = await rateCard(metronome, [
    {
      product_id: productId,
      rate_type: 'TIERED',
      tiers: [{ size: 10, price: 200 }, { price: 100 }],
    },
  ]);
  const customer = await contractAt(engine, '2026-03-01T00:00:00Z', {
    starting_at: '2026-03-01T00:00:00Z',
    rate_card_id: card,
    commits: [
      {
        type: 'PREPAID',
        product_id: fixed,
        priority: 1,
        access_schedule: segment(1500, '2026-03-01T00:00:00Z', '2026-05-01T00:00:00Z'),
      },
    ],
  });
  const use = (at: string, amount: number, team: string, region: string) =>
    send(engine, customer.id, eventType, [{ at, properties: { amount: String(amount), team, region } }]);
  return { ...customer, use };
}

it('spend is shown before commits, by any keys of the events, for open and final invoices', async () => {
  const customer = await spender();
  await customer.use('2026-03-01T05:00:00Z', 8, 'red', 'eu');
  await customer.use('2026-03-01T06:00:00Z', 4, 'blue', 'eu');
  await advance(engine, customer.clockId, '2026-03-02T12:00:00Z');
  await customer.use('2026-03-02T05:00:00Z', 6, 'red', 'eu');
  await customer.use('2026-03-02T07:00:00Z', 1, 'red', 'us');
  const range = { starting_on: '2026-03-01T00:00:00Z', ending_before: '2026-04-01T00:00:00Z' };
  // In all of the EU 18 calls: 10 x 2 + 8 x 1; one in the US. The 15 dollars that are prepaid take nothing off.
  const whole = { ...range, window_size: 'none' };
  expect(shown(await spend(customer.id, whole))).toEqual([
    ['2026-03-01', 'DRAFT', [3000], [['Calls', {}, 19, 3000]]],
  ]);
  // Each team of each region has ten calls at 2 dollars: red in the EU 14 calls, blue 4, red in the US 1.
  const byTeam = { ...whole, group_keys: ['team'] };
  expect(shown(await spend(customer.id, byTeam))).toEqual([
    [
      '2026-03-01',
      'DRAFT',
      [3400],
      [
        ['Calls', { team: 'blue' }, 4, 800],
        ['Calls', { team: 'red' }, 15, 2600],
      ],
    ],
  ]);
  const byDay = [
    ['2026-03-01', 'DRAFT', [1600], [['Calls', { team: 'red', region: 'eu' }, 8, 1600]]],
    ['2026-03-02', 'DRAFT', [800], [['Calls', { team: 'red', region: 'eu' }, 6, 800]]],
  ];
  const red = { ...range, group_keys: ['team', 'region'], group_filters: { team: ['red'], region: ['eu'] } };
  expect(shown(await spend(customer.id, red))).toEqual(byDay);
  expect(shown(await spend(customer.id, { ...red, sort: 'date_desc' }))).toEqual([...byDay].reverse());
  const first = await spend(customer.id, { ...red, limit: 1 });
  expect(shown(first)).toEqual(byDay.slice(0, 1));
  const next = await spend(customer.id, { ...red, limit: 1, next_page: first.next_page });
  expect([shown(next), next.next_page]).toEqual([byDay.slice(1), null]);
  expect((await spend(customer.id, whole)).data[0]?.line_items[0]).not.toHaveProperty('list_prices');
  const priced = await spend(customer.id, whole, { include_list_prices: true });
  expect(priced.data[0]?.line_items[0]?.list_prices).toMatchObject([{ rate_type: 'TIERED' }]);

  await advance(engine, customer.clockId, '2026-04-03T00:00:00Z');
  const final = byDay.map(([day, , ...rest]) => [day, 'FINALIZED', ...rest]);
  expect(shown(await spend(customer.id, red))).toEqual(final);
  const days = { starting_on: '2026-03-02T00:00:00Z', ending_before: '2026-03-03T00:00:00Z' };
  expect(shown(await spend(customer.id, { ...byTeam, ...days }))).toEqual([
    ['2026-03-02', 'FINALIZED', [1000], [['Calls', { team: 'red' }, 7, 1000]]],
  ]);
});

it('a spend breakdown is refused where it makes no sense', async () => {
  const { id } = await spender();
  const ask = (more: object) =>
    spend(id, { starting_on: '2026-03-01T00:00:00Z', ending_before: '2026-03-02T00:00:00Z', ...more });
  const refused: [() => PromiseLike<unknown>, string][] = [
    [() => ask({ starting_on: undefined }), 'starting_on'],
    [() => ask({ starting_on: '2026-03-01T01:00:00Z' }), 'starting_on'],
    [() => ask({ ending_before: '2026-03-01T00:00:00Z' }), 'ending_before'],
    [() => ask({ ending_before: '2026-04-06T00:00:00Z' }), 'ending_before'],
    [() => ask({ window_size: 'hour' }), 'window_size'],
    [() => ask({ group_filters: { team: ['red'] } }), 'group_filters.team'],
    [() => ask({ group_keys: ['team'], group_filters: { team: [] } }), 'group_filters.team'],
    [() => ask({ unknown: 1 }), 'unknown'],
    [() => spend('nobody', { starting_on: '2026-03-01', ending_before: '2026-03-02' }), '404'],
  ];
  for (const [call, words] of refused) expect(await refusal(call())).toContain(words);
});
