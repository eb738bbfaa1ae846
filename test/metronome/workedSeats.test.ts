import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import {
  advance,
  contractAt,
  fixedProduct,
  netBalance,
  rateCard,
  segment,
  send,
  sumProduct,
  unlimitedClocks,
} from './world.js';

let engine: TestEngine;
let fixed: string;

beforeAll(async () => {
  engine = await startTestEngine();
  await unlimitedClocks(engine);
  fixed = await fixedProduct(engine.metronome, 'Commit');
});
afterAll(() => engine.stop());

const LONG = ['2024-01-01T00:00:00Z', '2030-01-01T00:00:00Z'] as const;

describe('worked examples of seats and breakdowns', () => {
  it('6.47, 6.13 and 6.55: seats with a pool of credits', async () => {
    const { metronome } = engine;
    const seat = await metronome.v1.contracts.products.create({ name: 'Seat', type: 'SUBSCRIPTION' });
    const card = await rateCard(metronome, [
      { product_id: seat.data.id, rate_type: 'FLAT', price: 10_000, billing_frequency: 'ANNUAL' },
    ]);
    const start = '2025-07-01T00:00:00Z';
    const customer = await contractAt(engine, start, {
      starting_at: start,
      rate_card_id: card,
      subscriptions: [
        {
          temporary_id: 'seats',
          subscription_rate: { product_id: seat.data.id, billing_frequency: 'ANNUAL' },
          collection_schedule: 'ADVANCE',
          proration: { is_prorated: true, invoice_behavior: 'BILL_IMMEDIATELY' },
          initial_quantity: 4,
        },
      ],
      recurring_credits: [
        {
          product_id: fixed,
          name: 'AI credits',
          priority: 1,
          access_amount: { credit_type_id: '2714e483-4ff1-48e4-9e25-ac732e8f24f2', unit_price: 100 },
          commit_duration: { value: 1, unit: 'PERIODS' },
          recurrence_frequency: 'MONTHLY',
          starting_at: start,
          subscription_config: {
            subscription_id: 'seats',
            allocation: 'POOLED',
            apply_seat_increase_config: { is_prorated: true },
          },
        },
      ],
    });
    expect(await netBalance(engine, customer.id)).toBe(400);
    await expect
      .poll(async () => {
        const { data } = await metronome.v1.customers.invoices.list({
          customer_id: customer.id,
          status: 'FINALIZED',
        });
        return data.map(({ total }) => total);
      })
      .toEqual([40_000]);
    await advance(engine, customer.clockId, '2025-07-03T00:00:00Z');
    const params = { customer_id: customer.id, contract_id: customer.contractId };
    const { data } = await metronome.v2.contracts.retrieve(params);
    const subscription = data.subscriptions?.[0];
    await metronome.v2.contracts.edit({
      ...params,
      update_subscriptions: [
        {
          subscription_id: subscription?.id ?? '',
          quantity_updates: [
            { starting_at: '2025-07-03T00:00:00Z', quantity: 6 },
            { starting_at: '2025-07-03T00:00:00Z', quantity_delta: -1 },
          ],
        },
      ],
    });
    // 29 of July's 31 days for one seat more, on whole cents.
    expect(await netBalance(engine, customer.id)).toBe(400 + 94);
    const edited = await metronome.v2.contracts.retrieve(params);
    expect(edited.data.subscriptions?.[0]?.quantity_schedule.map(({ quantity }) => quantity)).toEqual([4, 5]);
    await advance(engine, customer.clockId, '2025-08-01T00:00:00Z');
    expect(await netBalance(engine, customer.id)).toBe(500);
  });

  it('6.53: daily breakdowns of three regions, and of one under a commit', async () => {
    const { metronome } = engine;
    const sold = await sumProduct(metronome, 'Requests', { pricing: ['region'] });
    const card = await rateCard(
      metronome,
      ['a', 'b', 'c'].map((region) => ({
        product_id: sold.productId,
        rate_type: 'FLAT' as const,
        price: 100,
        pricing_group_values: { region },
      })),
    );
    const terms = { starting_at: '2024-10-01T00:00:00Z', rate_card_id: card };
    const customer = await contractAt(engine, '2024-10-15T00:00:00Z', terms);
    const at = '2024-10-01T09:00:00Z';
    await send(engine, customer.id, sold.eventType, [
      { at, properties: { amount: '37', region: 'a' } },
      { at, properties: { amount: '24', region: 'b' } },
      { at, properties: { amount: '12', region: 'c' } },
    ]);
    const range = { starting_on: '2024-10-01T00:00:00Z', ending_before: '2024-10-05T00:00:00Z' };
    const { data } = await metronome.v1.customers.invoices.listBreakdowns({
      customer_id: customer.id,
      ...range,
    });
    expect(data).toHaveLength(1);
    expect(data[0]).toMatchObject({
      status: 'DRAFT',
      total: 7300,
      breakdown_start_timestamp: '2024-10-01T00:00:00Z',
      breakdown_end_timestamp: '2024-10-02T00:00:00Z',
    });
    expect(data[0]?.line_items.map(({ total }) => total).sort()).toEqual([1200, 2400, 3700]);
    expect(data[0]?.line_items[0]).toMatchObject({
      starting_at: '2024-10-01T00:00:00Z',
      ending_before: '2024-11-01T00:00:00Z',
    });

    const paid = await contractAt(engine, '2024-10-15T00:00:00Z', {
      ...terms,
      commits: [{ type: 'PREPAID', product_id: fixed, access_schedule: segment(20_000, ...LONG) }],
    });
    await send(engine, paid.id, sold.eventType, [{ at, properties: { amount: '37', region: 'a' } }]);
    const under = await metronome.v1.customers.invoices.listBreakdowns({ customer_id: paid.id, ...range });
    expect(under.data[0]?.total).toBe(0);
    expect(under.data[0]?.line_items).toMatchObject([
      { total: 3700, commit_id: expect.any(String) as string },
      { total: -3700 },
    ]);
    await advance(engine, paid.clockId, '2024-11-03T00:00:00Z');
    const final = await metronome.v1.customers.invoices.listBreakdowns({ customer_id: paid.id, ...range });
    expect(final.data).toMatchObject([{ status: 'FINALIZED', total: 0 }]);
  });

  it('6.58: proration is rounded half up on whole dollars', async () => {
    const { metronome } = engine;
    const seat = await metronome.v1.contracts.products.create({ name: 'Plan', type: 'SUBSCRIPTION' });
    const card = await rateCard(metronome, [
      { product_id: seat.data.id, rate_type: 'FLAT', price: 2500, billing_frequency: 'MONTHLY' },
    ]);
    const start = '2024-06-16T00:00:00Z';
    const customer = await contractAt(engine, start, {
      starting_at: start,
      rate_card_id: card,
      subscriptions: [
        {
          subscription_rate: { product_id: seat.data.id, billing_frequency: 'MONTHLY' },
          collection_schedule: 'ADVANCE',
          proration: {
            is_prorated: true,
            rounding: { rounding_method: 'HALF_UP', decimal_places: -2 },
          } as never,
          initial_quantity: 1,
        },
      ],
    });
    // Half of June costs 1,250 cents: 1,300.
    await expect
      .poll(async () => {
        const { data } = await metronome.v1.customers.invoices.list({
          customer_id: customer.id,
          status: 'FINALIZED',
        });
        return data.map(({ total }) => total);
      })
      .toEqual([1300]);
  });
});
