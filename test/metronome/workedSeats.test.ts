import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { live } from '../live/world.js';
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
  unique,
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
  it('6.13: a quantity is set, then lowered by one on the same day, and the pool of credits follows', async () => {
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
    // An edit stores the month's credit as it is; what its seats have added stays.
    const [pool] = edited.data.credits ?? [];
    await metronome.v2.contracts.editCredit({
      customer_id: customer.id,
      credit_id: pool?.id ?? '',
      name: 'July',
    });
    expect(await netBalance(engine, customer.id)).toBe(400 + 94);
    expect(edited.data.subscriptions?.[0]?.quantity_schedule.map(({ quantity }) => quantity)).toEqual([4, 5]);
    await advance(engine, customer.clockId, '2025-08-01T00:00:00Z');
    expect(await netBalance(engine, customer.id)).toBe(500);
  });

  it('6.47: seats a year ahead, a pool of credits each month, one seat more, a top-up, and what is beyond', async () => {
    const { metronome } = engine;
    const { body: unit } = await live(engine, 'POST', 'pricing_units', { name: unique('AI credit') });
    const credit = unit.id;
    const seat = (await metronome.v1.contracts.products.create({ name: 'Seat', type: 'SUBSCRIPTION' })).data
      .id;
    const [chat, image, search] = [
      await sumProduct(metronome, 'Chat'),
      await sumProduct(metronome, 'Image'),
      await sumProduct(metronome, 'Search'),
    ];
    const priced = (product: typeof chat, price: number) => ({
      product_id: product.productId,
      rate_type: 'FLAT' as const,
      price,
      credit_type_id: credit,
    });
    const card = await rateCard(
      metronome,
      [
        priced(chat, 12),
        priced(image, 5),
        priced(search, 7),
        { product_id: seat, rate_type: 'FLAT', price: 1_000, billing_frequency: 'MONTHLY' },
        { product_id: seat, rate_type: 'FLAT', price: 10_000, billing_frequency: 'ANNUAL' },
      ],
      { credit_type_conversions: [{ custom_credit_type_id: credit, fiat_per_custom_credit: 100 }] },
    );
    const start = '2025-07-01T00:00:00Z';
    const customer = await contractAt(engine, start, {
      starting_at: start,
      rate_card_id: card,
      subscriptions: [
        {
          temporary_id: 'seats',
          subscription_rate: { product_id: seat, billing_frequency: 'ANNUAL' },
          collection_schedule: 'ADVANCE',
          proration: { is_prorated: true, invoice_behavior: 'BILL_IMMEDIATELY' },
          initial_quantity: 4,
        },
      ],
      recurring_credits: [
        {
          product_id: fixed,
          name: 'Pool',
          priority: 1,
          access_amount: { credit_type_id: credit, unit_price: 100 },
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
    const params = { customer_id: customer.id, contract_id: customer.contractId };
    const left = async () =>
      (await metronome.v1.contracts.getNetBalance({ customer_id: customer.id, credit_type_id: credit })).data
        .balance;
    const finals = async () =>
      (
        await metronome.v1.customers.invoices.list({ customer_id: customer.id, status: 'FINALIZED' })
      ).data.map(({ type, total }) => `${type} ${total}`);
    expect(await left()).toBe(400);
    await expect.poll(finals).toEqual(['SCHEDULED 40000']);

    await advance(engine, customer.clockId, '2025-07-03T00:00:00Z');
    const { data } = await metronome.v2.contracts.retrieve(params);
    await metronome.v2.contracts.edit({
      ...params,
      update_subscriptions: [
        {
          subscription_id: data.subscriptions?.[0]?.id ?? '',
          quantity_updates: [{ starting_at: '2025-07-03T00:00:00Z', quantity_delta: 1 }],
        },
      ],
    });
    // 29 of 31 days of 100 credits, and 363 of 365 days of 100 dollars.
    expect(await left()).toBe(493.55);
    await expect.poll(finals).toEqual(['SCHEDULED 40000', 'SCHEDULED 9945']);

    await advance(engine, customer.clockId, '2025-07-10T00:00:00Z');
    await metronome.v2.contracts.edit({
      ...params,
      add_commits: [
        {
          type: 'PREPAID',
          product_id: fixed,
          name: 'Top-up',
          priority: 100,
          access_schedule: {
            credit_type_id: credit,
            ...segment(1_000, '2025-07-10T00:00:00Z', '2026-07-10T00:00:00Z'),
          },
          invoice_schedule: { schedule_items: [{ amount: 8_000, timestamp: '2025-07-10T00:00:00Z' }] },
        },
      ],
    });
    const use = (product: typeof chat, at: string, amount: string) =>
      send(engine, customer.id, product.eventType, [{ at, properties: { amount } }]);
    await use(chat, '2025-07-10T00:00:00Z', '20');
    await use(image, '2025-07-10T00:00:00Z', '30');
    await use(search, '2025-07-10T00:00:00Z', '20');
    // 240 + 150 + 140 = 530 credits: the pool of the month first, then 36.45 of the top-up.
    expect(await left()).toBe(963.55);

    await advance(engine, customer.clockId, '2025-08-03T00:00:00Z');
    expect(await left()).toBe(500 + 963.55);
    await use(chat, '2025-08-02T00:00:00Z', '10');
    await advance(engine, customer.clockId, '2025-09-03T00:00:00Z');
    expect(await left()).toBe(500 + 963.55);
    await use(chat, '2025-09-02T00:00:00Z', '200');
    // 2,400 credits of which 1,463.55 are paid; the others cost a dollar each.
    expect(await left()).toBe(0);
    await advance(engine, customer.clockId, '2025-10-03T00:00:00Z');
    expect(await finals()).toEqual([
      'SCHEDULED 40000',
      'SCHEDULED 9945',
      'SCHEDULED 8000',
      'USAGE 0',
      'USAGE 0',
      'USAGE 93645',
    ]);
    const balances = await metronome.v1.contracts.listBalances({
      customer_id: customer.id,
      include_contract_balances: true,
      include_ledgers: true,
    });
    const ledgers = balances.data
      .filter(({ access_schedule: access }) => (access?.schedule_items[0]?.starting_at ?? '') < '2025-09-01')
      .map(({ ledger }) =>
        (ledger ?? []).map(({ type, amount }) => `${type.replace(/CREDIT_|PREPAID_COMMIT_/, '')} ${amount}`),
      );
    expect(ledgers).toEqual([
      ['SEGMENT_START 1000', 'AUTOMATED_INVOICE_DEDUCTION -36.45', 'AUTOMATED_INVOICE_DEDUCTION -963.55'],
      ['SEGMENT_START 400', 'SEAT_BASED_ADJUSTMENT 93.55', 'AUTOMATED_INVOICE_DEDUCTION -493.55'],
      ['SEGMENT_START 500', 'AUTOMATED_INVOICE_DEDUCTION -120', 'EXPIRATION -380'],
    ]);
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
