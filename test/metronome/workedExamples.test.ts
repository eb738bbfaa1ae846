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
  storageContract,
  sumProduct,
  usageDrafts,
} from './world.js';

let engine: TestEngine;
let fixed: string;

beforeAll(async () => {
  ({ engine, fixed } = await startWorld());
});
afterAll(() => engine.stop());

const YEAR = ['2024-01-01T00:00:00Z', '2026-01-01T00:00:00Z'] as const;

/** One product at one price, a contract from the first of October 2024. */
const simple = (price: number, terms: Parameters<typeof storageContract>[2] = {}) =>
  storageContract(engine, price, terms);

const use = (customer: { id: string; eventType: string }, amount: string, at = '2024-10-10T05:00:00Z') =>
  send(engine, customer.id, customer.eventType, [{ at, properties: { amount } }]);

describe('worked examples of the published guides', () => {
  it('6.2: ten units and four dollars of a commit left', async () => {
    const customer = await simple(100, {
      commits: [{ type: 'PREPAID', product_id: fixed, access_schedule: segment(400, ...YEAR) }],
    });
    await use(customer, '10');
    expect((await draftLines(engine, customer.id)).map(([, , , total]) => total)).toEqual([400, -400, 600]);
    expect(await draftTotal(engine, customer.id)).toBe(600);
  });

  it('6.5: of two lines with the same dates the one with the higher price is paid first', async () => {
    const { metronome } = engine;
    const storage = await sumProduct(metronome, 'Data Storage');
    const reads = await sumProduct(metronome, 'Data Reads');
    const card = await rateCard(metronome, [
      { product_id: storage.productId, rate_type: 'FLAT', price: 100 },
      { product_id: reads.productId, rate_type: 'FLAT', price: 260 },
    ]);
    const customer = await contractAt(engine, '2024-10-15T00:00:00Z', {
      starting_at: '2024-10-01T00:00:00Z',
      rate_card_id: card,
      commits: [{ type: 'PREPAID', product_id: fixed, access_schedule: segment(260, ...YEAR) }],
    });
    await use({ ...customer, ...storage }, '1');
    await use({ ...customer, ...reads }, '1');
    expect(await draftLines(engine, customer.id)).toEqual([
      ['Data Reads', 1, 260, 260],
      ['Commit', undefined, undefined, -260],
      ['Data Storage', 1, 100, 100],
    ]);
  });

  it('6.6: six commits burn in the order A to F', async () => {
    const { metronome } = engine;
    const sold = await sumProduct(metronome, 'Tokens', { pricing: ['region'] });
    const card = await rateCard(metronome, [
      { product_id: sold.productId, rate_type: 'FLAT', price: 100, pricing_group_values: { region: 'eu' } },
    ]);
    const invoiced = { schedule_items: [{ amount: 1_000_000, timestamp: '2024-10-01T00:00:00Z' }] };
    const until = (end: string) => segment(1_000_000, '2024-10-01T00:00:00Z', end);
    const specifiers = [
      { product_id: sold.productId, pricing_group_values: { region: 'eu' } },
      { pricing_group_values: { region: 'eu' } },
    ];
    const base = { type: 'PREPAID' as const, product_id: fixed };
    const later = '2026-10-01T00:00:00Z';
    const soon = '2025-10-01T00:00:00Z';
    const commits = [
      { ...base, name: 'F', priority: 100, access_schedule: until(soon), invoice_schedule: invoiced },
      {
        ...base,
        name: 'E',
        priority: 100,
        access_schedule: until(later),
        invoice_schedule: invoiced,
        specifiers,
      },
      {
        ...base,
        name: 'D',
        priority: 100,
        access_schedule: until(soon),
        invoice_schedule: invoiced,
        specifiers,
      },
      {
        ...base,
        name: 'C',
        priority: 100,
        access_schedule: until(later),
        invoice_schedule: invoiced,
        applicable_product_ids: [sold.productId],
      },
      { ...base, name: 'B', priority: 100, access_schedule: until(later) },
      { ...base, name: 'A', priority: 50, access_schedule: until(later), invoice_schedule: invoiced },
    ];
    const customer = await contractAt(engine, '2024-10-15T00:00:00Z', {
      starting_at: '2024-10-01T00:00:00Z',
      rate_card_id: card,
      commits,
    });
    await send(engine, customer.id, sold.eventType, [
      { at: '2024-10-10T00:00:00Z', properties: { amount: '55000', region: 'eu' } },
    ]);
    const lines = await draftLines(engine, customer.id);
    const applied = lines
      .filter(([, quantity]) => quantity === undefined)
      .map(([name, , , total]) => [name, total]);
    expect(applied).toEqual([
      ['A', -1_000_000],
      ['B', -1_000_000],
      ['C', -1_000_000],
      ['D', -1_000_000],
      ['E', -1_000_000],
      ['F', -500_000],
    ]);
  });

  it('6.7: a preview merges five events into ninety-nine of a hundred free units', async () => {
    const { metronome } = engine;
    const sold = await sumProduct(metronome, 'Calls');
    const card = await rateCard(metronome, [
      {
        product_id: sold.productId,
        rate_type: 'TIERED',
        tiers: [{ size: 100, price: 0 }, { price: 4900 }],
      },
    ]);
    const customer = await contractAt(engine, '2024-10-15T00:00:00Z', {
      starting_at: '2024-10-01T00:00:00Z',
      rate_card_id: card,
    });
    await use({ ...customer, ...sold }, '99');
    const events = Array.from({ length: 5 }, () => ({
      event_type: sold.eventType,
      properties: { amount: '1' },
    }));
    const merged = await metronome.v1.customers.previewEvents({
      customer_id: customer.id,
      events,
      mode: 'merge',
    });
    expect(merged.data.map(({ total }) => total)).toEqual([4 * 4900]);
    const tiers = merged.data[0]?.line_items.map(({ tier, quantity, total }) => [
      tier?.level,
      quantity,
      total,
    ]);
    expect(tiers?.sort()).toEqual([
      [1, 100, 0],
      [2, 4, 19_600],
    ]);
    const alone = await metronome.v1.customers.previewEvents({ customer_id: customer.id, events });
    expect(alone.data.map(({ total }) => total)).toEqual([0]);
    expect(await draftTotal(engine, customer.id)).toBe(0);
  });

  it('6.8 and 6.20: monthly segments of a credit expire alone, and a ledger adds up to zero', async () => {
    const month = (index: number) => new Date(Date.UTC(2024, 9 + index, 1)).toISOString();
    const customer = await simple(100, {
      credits: [
        {
          product_id: fixed,
          access_schedule: {
            schedule_items: [0, 1, 2].map((index) => ({
              amount: 1000,
              starting_at: month(index),
              ending_before: month(index + 1),
            })),
          },
        },
      ],
    });
    await use(customer, '6.3');
    expect(await netBalance(engine, customer.id)).toBe(370);
    await advance(engine, customer.clockId, '2024-11-05T00:00:00Z');
    expect(await netBalance(engine, customer.id)).toBe(1000);
    const { data } = await engine.metronome.v1.contracts.listBalances({
      customer_id: customer.id,
      include_contract_balances: true,
      include_ledgers: true,
    });
    const ledger = data[0]?.ledger ?? [];
    expect(ledger.map(({ type, amount, timestamp }) => [type, amount, timestamp])).toEqual([
      ['CREDIT_SEGMENT_START', 1000, '2024-10-01T00:00:00Z'],
      ['CREDIT_SEGMENT_START', 1000, '2024-11-01T00:00:00Z'],
      ['CREDIT_AUTOMATED_INVOICE_DEDUCTION', -630, '2024-11-01T00:00:00Z'],
      ['CREDIT_EXPIRATION', -370, '2024-11-01T00:00:00Z'],
    ]);
  });

  it('6.9: tiers count for each project by itself', async () => {
    const { metronome } = engine;
    const sold = await sumProduct(metronome, 'Builds', { presentation: ['project_id'] });
    const tiers = [{ size: 5, price: 0 }, { size: 5, price: 100 }, { price: 150 }];
    const card = await rateCard(metronome, [{ product_id: sold.productId, rate_type: 'TIERED', tiers }]);
    const customer = await contractAt(engine, '2024-10-15T00:00:00Z', {
      starting_at: '2024-10-01T00:00:00Z',
      rate_card_id: card,
    });
    await send(engine, customer.id, sold.eventType, [
      { at: '2024-10-10T00:00:00Z', properties: { amount: '12', project_id: 'A' } },
      { at: '2024-10-10T00:00:00Z', properties: { amount: '4', project_id: 'B' } },
    ]);
    const [draft] = await usageDrafts(engine, customer.id);
    expect(draft?.total).toBe(800);
    const lines = draft?.line_items.map(({ presentation_group_values: values, tier, total }) => [
      values?.['project_id'],
      tier?.level,
      total,
    ]);
    expect(lines).toHaveLength(4);
    expect(new Set(lines?.map((line) => JSON.stringify(line)))).toEqual(
      new Set(['["A",1,0]', '["A",2,500]', '["A",3,300]', '["B",1,0]']),
    );
  });

  it('6.10 and 6.10b: graduated storage, and a tiered override', async () => {
    const { metronome } = engine;
    const sold = await sumProduct(metronome, 'Gigabytes');
    const card = await rateCard(metronome, [
      { product_id: sold.productId, rate_type: 'TIERED', tiers: [{ size: 1000, price: 10 }, { price: 9 }] },
    ]);
    const customer = await contractAt(engine, '2024-10-15T00:00:00Z', {
      starting_at: '2024-10-01T00:00:00Z',
      rate_card_id: card,
    });
    await use({ ...customer, ...sold }, '1500');
    expect(await draftTotal(engine, customer.id)).toBe(14_500);

    const other = await simple(100, {
      multiplier_override_prioritization: 'EXPLICIT',
      overrides: [
        {
          type: 'TIERED',
          priority: 1,
          starting_at: '2024-10-01T00:00:00Z',
          tiers: [
            { size: 10, multiplier: 0.8 },
            { size: 10, multiplier: 0.7 },
          ],
        },
      ],
    });
    await use(other, '10');
    expect(await draftTotal(engine, other.id)).toBe(800);
    await use(other, '10');
    expect(await draftTotal(engine, other.id)).toBe(1500);
  });

  it('6.10e: usage before and after a price change is on lines of its own', async () => {
    const { metronome } = engine;
    const sold = await sumProduct(metronome, 'Instances', { pricing: ['region'] });
    const rate = (region: string, price: number, from: string) => ({
      product_id: sold.productId,
      rate_type: 'FLAT' as const,
      price,
      starting_at: from,
      pricing_group_values: { region },
    });
    const card = await rateCard(metronome, [
      rate('us-west-2', 100, '2020-01-01T00:00:00Z'),
      rate('us-east-2', 120, '2020-01-01T00:00:00Z'),
      rate('us-west-2', 120, '2024-10-16T00:00:00Z'),
      rate('us-east-2', 140, '2024-10-16T00:00:00Z'),
    ]);
    const customer = await contractAt(engine, '2024-10-20T00:00:00Z', {
      starting_at: '2024-10-01T00:00:00Z',
      rate_card_id: card,
    });
    await send(
      engine,
      customer.id,
      sold.eventType,
      ['us-west-2', 'us-east-2'].flatMap((region) => [
        { at: '2024-10-15T23:59:59Z', properties: { amount: '1', region } },
        { at: '2024-10-16T00:00:00Z', properties: { amount: '2', region } },
      ]),
    );
    const lines = await draftLines(engine, customer.id);
    expect(lines.map(([, quantity, price]) => [quantity, price])).toEqual(
      expect.arrayContaining([
        [1, 100],
        [1, 120],
        [2, 120],
        [2, 140],
      ]),
    );
    expect(await draftTotal(engine, customer.id)).toBe(100 + 120 + 240 + 280);
  });
});
