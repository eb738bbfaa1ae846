import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import {
  advance,
  contractAt,
  draftLines,
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

/** One product at one price, a contract from the first of October 2024. */
async function simple(price: number, terms: Parameters<typeof contractAt>[2] | object = {}, tags?: string[]) {
  const { metronome } = engine;
  const sold = await sumProduct(metronome, 'Data Storage', tags === undefined ? {} : { tags });
  const card = await rateCard(metronome, [{ product_id: sold.productId, rate_type: 'FLAT', price }]);
  const customer = await contractAt(engine, '2024-10-15T00:00:00Z', {
    starting_at: '2024-10-01T00:00:00Z',
    rate_card_id: card,
    ...terms,
  });
  return { ...sold, ...customer, card };
}

const use = (customer: { id: string; eventType: string }, amount: string, at = '2024-10-10T05:00:00Z') =>
  send(engine, customer.id, customer.eventType, [{ at, properties: { amount } }]);

describe('worked examples of whole contracts', () => {
  it('6.12: an upsell raises a segment and bills the past-dated item at once', async () => {
    const customer = await simple(100, {
      ending_before: '2026-10-01T00:00:00Z',
      commits: [
        {
          type: 'PREPAID',
          product_id: fixed,
          name: 'Commit',
          access_schedule: segment(10_000_000, '2024-10-01T00:00:00Z', '2025-10-01T00:00:00Z'),
          invoice_schedule: { schedule_items: [{ amount: 10_000_000, timestamp: '2024-10-01T00:00:00Z' }] },
        },
      ],
    });
    await use(customer, '90000');
    expect(await netBalance(engine, customer.id)).toBe(1_000_000);
    const params = { customer_id: customer.id, contract_id: customer.contractId };
    const before = await engine.metronome.v2.contracts.retrieve(params);
    const commit = before.data.commits[0];
    await engine.metronome.v2.contracts.edit({
      ...params,
      update_commits: [
        {
          commit_id: commit?.id ?? '',
          access_schedule: {
            update_schedule_items: [
              {
                id: commit?.access_schedule?.schedule_items[0]?.id ?? '',
                amount: 20_000_000,
                ending_before: '2026-10-01T00:00:00Z',
              },
            ],
          },
          invoice_schedule: {
            add_schedule_items: [{ amount: 10_000_000, timestamp: '2024-10-15T00:00:00Z' }],
          },
        },
      ],
    });
    expect(await netBalance(engine, customer.id)).toBe(11_000_000);
    await expect
      .poll(
        async () => {
          const { data } = await engine.metronome.v1.customers.invoices.list({
            customer_id: customer.id,
            status: 'FINALIZED',
          });
          return data.map(({ total, issued_at: at }) => [at, total]);
        },
        { timeout: 5000 },
      )
      .toEqual([
        ['2024-10-01T00:00:00Z', 10_000_000],
        ['2024-10-15T00:00:00Z', 10_000_000],
      ]);
    const history = await engine.metronome.v2.contracts.getEditHistory(params);
    expect(history.data).toHaveLength(1);
    const asOf = await engine.metronome.v2.contracts.retrieve({
      ...params,
      as_of_date: '2024-10-14T00:00:00Z',
    });
    expect(asOf.data.id).toBe(customer.contractId);
  });

  it('6.16: a product is invisible until an override entitles it', async () => {
    const { metronome } = engine;
    const a = await sumProduct(metronome, 'Product A');
    const b = await sumProduct(metronome, 'Product B');
    const card = await rateCard(metronome, [
      { product_id: a.productId, rate_type: 'FLAT', price: 100 },
      { product_id: b.productId, rate_type: 'FLAT', price: 100, entitled: false },
    ]);
    const customer = await contractAt(engine, '2025-09-20T00:00:00Z', {
      starting_at: '2025-09-01T00:00:00Z',
      rate_card_id: card,
      overrides: [
        {
          product_id: b.productId,
          starting_at: '2025-10-01T00:00:00Z',
          entitled: true,
          type: 'MULTIPLIER',
          multiplier: 0.8,
        },
      ],
      commits: [
        {
          type: 'PREPAID',
          product_id: fixed,
          name: 'B only',
          applicable_product_ids: [b.productId],
          access_schedule: segment(1_000_000, '2025-10-01T00:00:00Z', '2026-10-01T00:00:00Z'),
        },
      ],
    });
    await use({ ...customer, ...b }, '5', '2025-09-10T00:00:00Z');
    expect((await draftLines(engine, customer.id)).map(([name]) => name)).toEqual(['Product A']);
    await advance(engine, customer.clockId, '2025-10-03T00:00:00Z');
    await use({ ...customer, ...b }, '5', '2025-10-02T00:00:00Z');
    const lines = await draftLines(engine, customer.id);
    expect(lines).toContainEqual(['Product B', 5, 80, 400]);
    expect(lines).toContainEqual(['B only', undefined, undefined, -400]);
  });

  it('6.17: a prepaid commit, a quarterly fee of a thousand dollars each, and five per cent off', async () => {
    const { metronome } = engine;
    const fee = await fixedProduct(metronome, 'Platform fee');
    const cloud = await sumProduct(metronome, 'Cloud', { tags: ['cloud'] });
    const card = await rateCard(metronome, [{ product_id: cloud.productId, rate_type: 'FLAT', price: 100 }]);
    const customer = await contractAt(engine, '2024-11-01T00:00:00Z', {
      starting_at: '2024-11-01T00:00:00Z',
      ending_before: '2025-11-01T00:00:00Z',
      rate_card_id: card,
      commits: [
        {
          type: 'PREPAID',
          product_id: fixed,
          access_schedule: segment(1_000_000, '2024-11-01T00:00:00Z', '2025-11-01T00:00:00Z'),
          invoice_schedule: { schedule_items: [{ amount: 1_000_000, timestamp: '2024-11-01T00:00:00Z' }] },
        },
      ],
      scheduled_charges: [
        {
          product_id: fee,
          schedule: {
            recurring_schedule: {
              starting_at: '2024-11-01T00:00:00Z',
              ending_before: '2025-11-01T00:00:00Z',
              frequency: 'QUARTERLY',
              amount: 100_000,
              amount_distribution: 'EACH',
            },
          },
        },
      ],
      overrides: [
        {
          starting_at: '2024-11-01T00:00:00Z',
          type: 'MULTIPLIER',
          multiplier: 0.95,
          applicable_product_tags: ['cloud'],
        },
      ],
    });
    const scheduled = await metronome.v1.customers.invoices.list({
      customer_id: customer.id,
      type: 'SCHEDULED',
    });
    expect(scheduled.data.map(({ issued_at: at, total }) => [at, total])).toEqual([
      ['2024-11-01T00:00:00Z', 1_100_000],
      ['2025-02-01T00:00:00Z', 100_000],
      ['2025-05-01T00:00:00Z', 100_000],
      ['2025-08-01T00:00:00Z', 100_000],
    ]);
    await advance(engine, customer.clockId, '2024-11-10T00:00:00Z');
    await use({ ...customer, ...cloud }, '10', '2024-11-05T00:00:00Z');
    expect(await draftLines(engine, customer.id)).toEqual([
      ['Cloud', 10, 95, 950],
      ['Commit', undefined, undefined, -950],
    ]);
    const rates = await metronome.v1.contracts.retrieveRateSchedule({
      customer_id: customer.id,
      contract_id: customer.contractId,
    });
    expect(rates.data).toMatchObject([{ list_rate: { price: 100 }, override_rate: { price: 95 } }]);
  });

  it('6.19: with an anchor before the contract the first statement is short', async () => {
    const { metronome } = engine;
    const sold = await sumProduct(metronome, 'Anchored');
    const card = await rateCard(metronome, [{ product_id: sold.productId, rate_type: 'FLAT', price: 100 }]);
    const customer = await contractAt(engine, '2024-10-20T00:00:00Z', {
      starting_at: '2024-09-15T00:00:00Z',
      rate_card_id: card,
      usage_statement_schedule: {
        frequency: 'MONTHLY',
        day: 'CUSTOM_DATE',
        billing_anchor_date: '2024-09-10T00:00:00Z',
      },
    });
    await expect
      .poll(
        async () => {
          const { data } = await metronome.v1.customers.invoices.list({ customer_id: customer.id });
          return data.map(({ status, start_timestamp: start, end_timestamp: end }) => [status, start, end]);
        },
        { timeout: 5000 },
      )
      .toEqual([
        ['FINALIZED', '2024-09-15T00:00:00Z', '2024-10-10T00:00:00Z'],
        ['DRAFT', '2024-10-10T00:00:00Z', '2024-11-10T00:00:00Z'],
      ]);
  });
});
