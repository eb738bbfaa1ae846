import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestEngine } from '../support/engine.js';
import {
  advance,
  contractAt,
  draftLines,
  draftTotal,
  netBalance,
  rateCard,
  segment,
  send,
  startWorld,
  sumProduct,
  unique,
  usageDrafts,
} from './world.js';

let engine: TestEngine;
let fixed: string;

beforeAll(async () => {
  ({ engine, fixed } = await startWorld());
});
afterAll(() => engine.stop());

const START = '2024-01-01T00:00:00Z';
const LONG = ['2024-01-01T00:00:00Z', '2030-01-01T00:00:00Z'] as const;

const use = (customer: { id: string; eventType: string }, amount: string, at = '2024-01-10T05:00:00Z') =>
  send(engine, customer.id, customer.eventType, [{ at, properties: { amount } }]);

describe('worked examples of pricing', () => {
  it('6.22: a free credit for half a month leaves 459 dollars', async () => {
    const { metronome } = engine;
    const compute = await sumProduct(metronome, 'CloudCompute');
    const storage = await sumProduct(metronome, 'CloudStorage');
    const card = await rateCard(metronome, [
      { product_id: compute.productId, rate_type: 'FLAT', price: 100 },
      { product_id: storage.productId, rate_type: 'FLAT', price: 50 },
    ]);
    const customer = await contractAt(engine, '2024-01-30T00:00:00Z', {
      starting_at: START,
      rate_card_id: card,
      credits: [{ product_id: fixed, access_schedule: segment(50_000, START, '2024-01-16T00:00:00Z') }],
    });
    await use({ ...customer, ...compute }, '360', '2024-01-10T00:00:00Z');
    await use({ ...customer, ...storage }, '100', '2024-01-10T00:00:00Z');
    await use({ ...customer, ...compute }, '384', '2024-01-20T00:00:00Z');
    await use({ ...customer, ...storage }, '150', '2024-01-20T00:00:00Z');
    const lines = await draftLines(engine, customer.id);
    expect(lines.map(([, quantity, , total]) => [quantity, total])).toEqual([
      [360, 36_000],
      [100, 5_000],
      [undefined, -36_000],
      [undefined, -5_000],
      [384, 38_400],
      [150, 7_500],
    ]);
    expect(await draftTotal(engine, customer.id)).toBe(45_900);
    await advance(engine, customer.clockId, '2024-02-02T00:00:00Z');
    const { data } = await metronome.v1.contracts.listBalances({
      customer_id: customer.id,
      include_contract_balances: true,
      include_ledgers: true,
    });
    // Published in the order +500, −410, −90; the segment ended before the statement, so the expiry comes first.
    expect(data[0]?.ledger?.map(({ amount }) => amount).sort()).toEqual([-41_000, -9_000, 50_000].sort());
  });

  it('6.28: contract and commit-specific multipliers', async () => {
    const { metronome } = engine;
    const text = await sumProduct(metronome, 'Text');
    const audio = await sumProduct(metronome, 'Audio', { tags: ['audio'] });
    const card = await rateCard(metronome, [
      { product_id: text.productId, rate_type: 'FLAT', price: 100 },
      { product_id: audio.productId, rate_type: 'FLAT', price: 200 },
    ]);
    const customer = await contractAt(engine, '2024-01-15T00:00:00Z', {
      starting_at: START,
      rate_card_id: card,
      commits: [
        {
          type: 'PREPAID',
          product_id: fixed,
          temporary_id: 'A',
          access_schedule: segment(240, ...LONG),
        },
      ],
      overrides: [
        { starting_at: START, type: 'MULTIPLIER', multiplier: 0.95 },
        {
          starting_at: START,
          type: 'MULTIPLIER',
          multiplier: 0.8,
          is_commit_specific: true,
          override_specifiers: [{ commit_ids: ['A'] }],
        },
      ],
    });
    await use({ ...customer, ...text }, '2');
    await use({ ...customer, ...audio }, '2');
    const lines = await draftLines(engine, customer.id);
    expect(lines.filter(([, quantity]) => quantity !== undefined)).toEqual([
      ['Audio', 1.5, 160, 240],
      ['Audio', 0.5, 190, 95],
      ['Text', 2, 95, 190],
    ]);
  });

  it('6.29: overwrites for any balance keep tenths of a cent; without one the list price holds', async () => {
    const { metronome } = engine;
    const a = await sumProduct(metronome, 'A');
    const b = await sumProduct(metronome, 'B');
    const card = await rateCard(
      metronome,
      [a, b].map(({ productId }) => ({ product_id: productId, rate_type: 'FLAT' as const, price: 100 })),
    );
    const overwrite = ({ productId }: typeof a, price: number) => ({
      starting_at: START,
      type: 'OVERWRITE' as const,
      overwrite_rate: { rate_type: 'FLAT' as const, price },
      is_commit_specific: true,
      override_specifiers: [{ product_id: productId }],
    });
    const terms = {
      starting_at: START,
      rate_card_id: card,
      overrides: [overwrite(a, 75), overwrite(b, 88.9)],
    };
    const access = (amount: number) => ({ product_id: fixed, access_schedule: segment(amount, ...LONG) });
    const customer = await contractAt(engine, '2024-01-15T00:00:00Z', {
      ...terms,
      commits: [
        { ...access(75 + 88.9), type: 'PREPAID', applicable_product_ids: [a.productId, b.productId] },
      ],
      credits: [{ ...access(2 * 88.9), name: 'Credit', priority: 2, applicable_product_ids: [b.productId] }],
    });
    await use({ ...customer, ...a }, '1');
    await use({ ...customer, ...b }, '4');
    // Of lines that start together the higher list price, then the name, is paid first: A and one B by the commit.
    const lines = await draftLines(engine, customer.id);
    expect(lines.filter(([, quantity]) => quantity !== undefined).sort()).toEqual([
      ['A', 1, 75, 75],
      ['B', 1, 100, 100],
      ['B', 1, 88.9, 88.9],
      ['B', 2, 88.9, 177.8],
    ]);
    expect(await draftTotal(engine, customer.id)).toBe(100);
    expect(await netBalance(engine, customer.id)).toBe(0);
    const without = await contractAt(engine, '2024-01-15T00:00:00Z', terms);
    await use({ ...without, ...a }, '1');
    await use({ ...without, ...b }, '1');
    expect((await draftLines(engine, without.id)).map(([name, , price]) => [name, price])).toEqual([
      ['A', 100],
      ['B', 100],
    ]);
  });

  it('6.30: a balance at commit rate, and the rest at list', async () => {
    const { metronome } = engine;
    const b = await sumProduct(metronome, 'B');
    const card = await rateCard(metronome, [
      {
        product_id: b.productId,
        rate_type: 'FLAT',
        price: 1000,
        commit_rate: { rate_type: 'FLAT', price: 800 },
      },
    ]);
    const onCommitRate = await contractAt(engine, '2024-01-15T00:00:00Z', {
      starting_at: START,
      rate_card_id: card,
      commits: [
        {
          type: 'PREPAID',
          product_id: fixed,
          rate_type: 'COMMIT_RATE',
          access_schedule: segment(10_000, ...LONG),
        },
      ],
    });
    await use({ ...onCommitRate, ...b }, '20');
    const second = await draftLines(engine, onCommitRate.id);
    expect(second.filter(([name, quantity]) => name === 'B' && quantity !== undefined)).toEqual([
      ['B', 12.5, 800, 10_000],
      ['B', 7.5, 1000, 7500],
    ]);
    expect(await draftTotal(engine, onCommitRate.id)).toBe(7500);
  });

  it('6.32: zero overages: list price nothing, a price for the commit alone', async () => {
    const { metronome } = engine;
    const sold = await sumProduct(metronome, 'Calls');
    const card = await rateCard(metronome, [{ product_id: sold.productId, rate_type: 'FLAT', price: 0 }]);
    const customer = await contractAt(engine, '2024-01-15T00:00:00Z', {
      starting_at: START,
      rate_card_id: card,
      commits: [{ type: 'PREPAID', product_id: fixed, access_schedule: segment(10_000, ...LONG) }],
      overrides: [
        {
          starting_at: START,
          type: 'OVERWRITE',
          overwrite_rate: { rate_type: 'FLAT', price: 100 },
          is_commit_specific: true,
          override_specifiers: [{ product_id: sold.productId }],
        },
      ],
    });
    await use({ ...customer, ...sold }, '150');
    const lines = await draftLines(engine, customer.id);
    expect(lines.filter(([, quantity]) => quantity !== undefined)).toEqual([
      ['Calls', 100, 100, 10_000],
      ['Calls', 50, 0, 0],
    ]);
    expect(await draftTotal(engine, customer.id)).toBe(0);
    expect(await netBalance(engine, customer.id)).toBe(0);
  });

  it('6.33: a trial week at nothing, then the list price', async () => {
    const { metronome } = engine;
    const sold = await sumProduct(metronome, 'Trial');
    const card = await rateCard(metronome, [{ product_id: sold.productId, rate_type: 'FLAT', price: 100 }]);
    const customer = await contractAt(engine, '2024-01-15T00:00:00Z', {
      starting_at: START,
      rate_card_id: card,
      overrides: [
        { starting_at: START, ending_before: '2024-01-08T00:00:00Z', type: 'MULTIPLIER', multiplier: 0 },
      ],
    });
    await use({ ...customer, ...sold }, '5', '2024-01-03T00:00:00Z');
    await use({ ...customer, ...sold }, '7', '2024-01-10T00:00:00Z');
    expect(await draftTotal(engine, customer.id)).toBe(700);
  });

  it('6.34 to 6.37: the latest value is billed by its increments', async () => {
    const { metronome } = engine;
    const latest = async (
      rates: { price: number; starting_at: string }[],
      values: number[],
      credit?: string,
    ) => {
      const eventType = unique('seats');
      const metric = await metronome.v1.billableMetrics.create({
        name: eventType,
        aggregation_type: 'LATEST',
        aggregation_key: 'value',
        event_type_filter: { in_values: [eventType] },
        property_filters: [{ name: 'value', exists: true }],
      });
      const product = await metronome.v1.contracts.products.create({
        name: 'Level',
        type: 'USAGE',
        billable_metric_id: metric.data.id,
      });
      const card = await rateCard(
        metronome,
        rates.map((rate) => ({ product_id: product.data.id, rate_type: 'FLAT' as const, ...rate })),
      );
      const customer = await contractAt(engine, '2024-01-15T00:00:00Z', {
        starting_at: START,
        rate_card_id: card,
        ...(credit === undefined
          ? {}
          : { credits: [{ product_id: fixed, access_schedule: segment(100_000, credit, LONG[1]) }] }),
      });
      await send(
        engine,
        customer.id,
        eventType,
        values.map((value, day) => ({
          at: new Date(Date.parse(START) + day * 86_400_000 + 3_600_000).toISOString(),
          properties: { value: String(value) },
        })),
      );
      return customer;
    };
    const list = [{ price: 300, starting_at: '2020-01-01T00:00:00Z' }];
    const changed = [...list, { price: 400, starting_at: '2024-01-02T00:00:00Z' }];
    const plain = await latest(list, [7, 9, 10, 5]);
    const days = await metronome.v1.customers.invoices.listBreakdowns({
      customer_id: plain.id,
      starting_on: START,
      ending_before: '2024-01-05T00:00:00Z',
    });
    expect(days.data.map(({ line_items: lines }) => lines[0]?.quantity)).toEqual([7, 2, 1, -5]);
    const covered = await latest(changed, [7, 9], '2024-01-02T00:00:00Z');
    expect(await netBalance(engine, covered.id)).toBe(100_000 - 2 * 400);
    expect(await draftTotal(engine, (await latest(changed, [7, 9])).id)).toBe(2900);
    expect(await draftTotal(engine, (await latest(changed, [40, 30])).id)).toBe(8000);
  });

  it('6.46: tokens burn first, and the rest is converted into money', async () => {
    const { metronome } = engine;
    const unit = await fetch(`${engine.baseUrl}/live/v1/pricing_units`, {
      method: 'POST',
      headers: { authorization: `Bearer ${engine.apiKey}` },
      body: new URLSearchParams({ name: unique('Tokens') }),
    });
    const { id: tokens } = (await unit.json()) as { id: string };
    const sold = await sumProduct(metronome, 'Generations');
    const card = await rateCard(
      metronome,
      [{ product_id: sold.productId, rate_type: 'FLAT', price: 1, credit_type_id: tokens }],
      { credit_type_conversions: [{ custom_credit_type_id: tokens, fiat_per_custom_credit: 10 }] },
    );
    const customer = await contractAt(engine, '2024-01-15T00:00:00Z', {
      starting_at: START,
      rate_card_id: card,
      commits: [
        {
          type: 'PREPAID',
          product_id: fixed,
          access_schedule: { ...segment(100, ...LONG), credit_type_id: tokens },
        },
      ],
    });
    await use({ ...customer, ...sold }, '450');
    const [draft] = await usageDrafts(engine, customer.id);
    expect(draft?.total).toBe(3500);
    expect(draft?.line_items.at(-1)).toMatchObject({
      type: 'cpu_conversion',
      quantity: 350,
      unit_price: 10,
      total: 3500,
    });
  });
});
