import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestEngine } from '../support/engine.js';
import { refusal } from './failure.js';
import { contractAt, rateCard, segment, send, startWorld, unique, usageDrafts } from './world.js';

let engine: TestEngine;
let fixed: string;

beforeAll(async () => {
  ({ engine, fixed } = await startWorld());
});
afterAll(() => engine.stop());

const START = '2024-03-01T00:00:00Z';
const SWAP = '2024-03-15T00:00:00Z';

/** The average of the events of a type of its own. */
async function average(): Promise<{ metricId: string; eventType: string }> {
  const eventType = unique('level');
  const { data } = await engine.metronome.v1.billableMetrics.create({
    name: eventType,
    sql: `SELECT AVG(properties.value) AS value FROM events WHERE event_type = '${eventType}'`,
  });
  return { metricId: data.id, eventType };
}

/** A product on the average A, at one dollar, and two from the tenth of March on. */
async function world(granularity: 'HOUR' | 'SERVICE_PERIOD') {
  const { metronome } = engine;
  const [a, b] = [await average(), await average()];
  const product = await metronome.v1.contracts.products.create({
    name: 'Average',
    type: 'USAGE',
    billable_metric_id: a.metricId,
    sql_breakdown_granularity: granularity,
  });
  const rate = { product_id: product.data.id, rate_type: 'FLAT' as const };
  const card = await rateCard(metronome, [
    { ...rate, price: 100 },
    { ...rate, price: 200, starting_at: '2024-03-10T00:00:00Z' },
  ]);
  const customer = await contractAt(engine, '2024-03-20T00:00:00Z', {
    starting_at: START,
    rate_card_id: card,
    credits: [{ product_id: fixed, access_schedule: segment(100_000, START, '2024-03-20T00:00:00Z') }],
  });
  const measure = (type: { eventType: string }, at: string, value: string) =>
    send(engine, customer.id, type.eventType, [{ at, properties: { value } }]);
  await measure(a, '2024-03-01T05:00:00Z', '4');
  await measure(a, '2024-03-02T05:00:00Z', '6');
  return { ...customer, a, b, measure, productId: product.data.id };
}

const swap = (productId: string, metricId: string) =>
  engine.metronome.v1.contracts.products.update({
    product_id: productId,
    starting_at: SWAP,
    billable_metric_id: metricId,
  });

async function lines(customerId: string) {
  const [draft] = await usageDrafts(engine, customerId);
  return draft?.line_items.map(({ quantity, unit_price: price, total }) => [quantity, price, total]);
}

describe('a product that swaps its metric in the midst of a period', () => {
  it('6.41: bills the increments 4, +1, +10, +1', async () => {
    const { id, productId, b, measure } = await world('HOUR');
    await measure(b, '2024-03-15T05:00:00Z', '10');
    await measure(b, '2024-03-16T05:00:00Z', '12');
    expect(await lines(id)).toEqual([
      [5, 100, 500],
      [undefined, undefined, -500],
    ]);
    await swap(productId, b.metricId);
    const days = await engine.metronome.v1.customers.invoices.listBreakdowns({
      customer_id: id,
      starting_on: START,
      ending_before: '2024-03-20T00:00:00Z',
    });
    expect(
      days.data.map(({ breakdown_start_timestamp: day, line_items: [line] }) => [
        day.slice(5, 10),
        line?.quantity,
      ]),
    ).toEqual([
      ['03-01', 4],
      ['03-02', 1],
      ['03-15', 10],
      ['03-16', 1],
    ]);
    expect(await lines(id)).toEqual([
      [5, 100, 500],
      [undefined, undefined, -500],
      [11, 200, 2200],
      [undefined, undefined, -2200],
    ]);
    await measure(b, '2024-03-10T00:00:00Z', '2');
    // B of the period is (2 + 10 + 12) / 3, A to the swap 5, B to the swap 2: 8 + 5 − 2 in all.
    const swapped = await usageDrafts(engine, id);
    const quantities = swapped[0]?.line_items.map(({ quantity }) => quantity ?? 0) ?? [];
    expect(quantities.reduce((sum, one) => sum + one, 0)).toBe(8 + 5 - 2);
  });

  it('with a granularity of the service period puts all of it into the last instant', async () => {
    const { id, productId, b, measure } = await world('SERVICE_PERIOD');
    await measure(b, '2024-03-15T05:00:00Z', '10');
    expect(await lines(id)).toEqual([[5, 200, 1000]]);
    await swap(productId, b.metricId);
    // At the last rate; the credit ended before the last instant.
    expect(await lines(id)).toEqual([[15, 200, 3000]]);
  });

  it('refuses one that lacks its group keys, and an instant off the hour', async () => {
    const { metronome } = engine;
    const { productId, b } = await world('HOUR');
    const update = (change: object) =>
      refusal(
        metronome.v1.contracts.products.update({
          product_id: productId,
          starting_at: SWAP,
          billable_metric_id: b.metricId,
          ...change,
        }),
      );
    expect(await update({ pricing_group_key: ['region'] })).toMatch(/^400 Invalid 'pricing_group_key'/);
    expect(await update({ starting_at: '2024-03-15T00:30:00Z' })).toMatch(/^400 Invalid 'starting_at'/);
    expect(await update({ billable_metric_id: crypto.randomUUID() })).toMatch(/^404 /);
  });
});
