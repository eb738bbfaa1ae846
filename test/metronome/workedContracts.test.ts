import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestEngine } from '../support/engine.js';
import {
  advance,
  contractAt,
  draftLines,
  draftTotal,
  finalTotals,
  fixedProduct,
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

const use = (customer: { id: string; eventType: string }, amount: string, at = '2024-10-10T05:00:00Z') =>
  send(engine, customer.id, customer.eventType, [{ at, properties: { amount } }]);

describe('worked examples of whole contracts', () => {
  it('6.12: an upsell raises a segment and bills the past-dated item at once', async () => {
    const { metronome } = engine;
    const sold = await sumProduct(metronome, 'Data Storage');
    const card = await rateCard(metronome, [{ product_id: sold.productId, rate_type: 'FLAT', price: 100 }]);
    const customer = await contractAt(engine, '2025-07-01T00:00:00Z', {
      starting_at: '2025-01-01T00:00:00Z',
      ending_before: '2027-01-01T00:00:00Z',
      rate_card_id: card,
      commits: [
        {
          type: 'PREPAID',
          product_id: fixed,
          name: 'Commit',
          access_schedule: segment(10_000_000, '2025-01-01T00:00:00Z', '2026-01-01T00:00:00Z'),
          invoice_schedule: { schedule_items: [{ amount: 10_000_000, timestamp: '2025-01-01T00:00:00Z' }] },
        },
      ],
    });
    await use({ ...customer, ...sold }, '90000', '2025-06-30T23:00:00Z');
    expect(await netBalance(engine, customer.id)).toBe(1_000_000);
    const params = { customer_id: customer.id, contract_id: customer.contractId };
    const before = await metronome.v2.contracts.retrieve(params);
    const commit = before.data.commits[0];
    await metronome.v2.contracts.edit({
      ...params,
      update_commits: [
        {
          commit_id: commit?.id ?? '',
          access_schedule: {
            update_schedule_items: [
              {
                id: commit?.access_schedule?.schedule_items[0]?.id ?? '',
                amount: 20_000_000,
                ending_before: '2027-01-01T00:00:00Z',
              },
            ],
          },
          invoice_schedule: {
            add_schedule_items: [{ amount: 10_000_000, timestamp: '2025-07-01T00:00:00Z' }],
          },
        },
      ],
    });
    expect(await netBalance(engine, customer.id)).toBe(11_000_000);
    await expect
      .poll(() => finalTotals(engine, customer.id, 'SCHEDULED'), { timeout: 5000 })
      .toEqual([
        ['2025-01-01', 10_000_000],
        ['2025-07-01', 10_000_000],
      ]);
    const history = await metronome.v2.contracts.getEditHistory(params);
    expect(history.data).toHaveLength(1);
    const after = await metronome.v2.contracts.retrieve(params);
    expect(after.data.commits[0]?.access_schedule?.schedule_items).toMatchObject([
      { amount: 20_000_000, ending_before: '2027-01-01T00:00:00Z' },
    ]);
    // The second year draws on the longer segment, and only the usage beyond it costs anything.
    await advance(engine, customer.clockId, '2026-02-10T00:00:00Z');
    await use({ ...customer, ...sold }, '115000', '2026-02-05T00:00:00Z');
    expect(await netBalance(engine, customer.id)).toBe(0);
    expect(await draftTotal(engine, customer.id)).toBe(500_000);
  });

  it('6.27: ten thousand of access for eight: the discount is in the purchase, not in the lines', async () => {
    const customer = await storageContract(engine, 100, {
      commits: [
        {
          type: 'PREPAID',
          product_id: fixed,
          name: 'Commit',
          access_schedule: segment(1_000_000, '2024-10-01T00:00:00Z', '2025-10-01T00:00:00Z'),
          invoice_schedule: { schedule_items: [{ amount: 800_000, timestamp: '2024-10-01T00:00:00Z' }] },
        },
      ],
    });
    await expect
      .poll(() => finalTotals(engine, customer.id), { timeout: 5000 })
      .toEqual([['2024-10-01', 800_000]]);
    expect(await netBalance(engine, customer.id)).toBe(1_000_000);
    await use(customer, '10500');
    expect(await draftLines(engine, customer.id)).toEqual([
      ['Data Storage', 10_000, 100, 1_000_000],
      ['Commit', undefined, undefined, -1_000_000],
      ['Data Storage', 500, 100, 50_000],
    ]);
    expect(await netBalance(engine, customer.id)).toBe(0);
  });

  it('6.49: a backdated upgrade takes over the open period, and its commit costs what was not paid', async () => {
    const { metronome } = engine;
    const monthly = (amount: number, paid: number, from: string, due = from) => ({
      type: 'PREPAID' as const,
      product_id: fixed,
      name: `${amount}`,
      access_schedule: segment(amount, from, '2024-12-01T00:00:00Z'),
      invoice_schedule: { schedule_items: [{ amount: paid, timestamp: due }] },
    });
    const old = await storageContract(engine, 100, {
      commits: [monthly(10_000, 10_000, '2024-11-01T00:00:00Z')],
    });
    await use(old, '30');
    await advance(engine, old.clockId, '2024-11-16T00:00:00Z');
    await use(old, '70', '2024-11-05T00:00:00Z');
    expect(await finalTotals(engine, old.id)).toEqual([
      ['2024-11-01', 10_000],
      ['2024-11-02', 3000],
    ]);
    expect(await draftTotal(engine, old.id)).toBe(0);
    // The larger plan costs 300 dollars a month; 100 are paid, so 200 are due on the day of the upgrade.
    const upgraded = await metronome.v1.contracts.create({
      customer_id: old.id,
      starting_at: '2024-11-01T00:00:00Z',
      rate_card_id: old.card,
      transition: { type: 'RENEWAL', from_contract_id: old.contractId },
      commits: [monthly(30_000, 20_000, '2024-11-01T00:00:00Z', '2024-11-16T00:00:00Z')],
    });
    const { data: ended } = await metronome.v2.contracts.retrieve({
      customer_id: old.id,
      contract_id: old.contractId,
    });
    expect(ended.ending_before).toBe('2024-11-01T00:00:00Z');
    const [draft, ...others] = await usageDrafts(engine, old.id);
    expect(others).toEqual([]);
    expect(draft?.contract_id).toBe(upgraded.data.id);
    expect(draft?.line_items.map(({ name, total }) => [name, total])).toEqual([
      ['Data Storage', 7000],
      ['30000', -7000],
    ]);
    await expect
      .poll(() => finalTotals(engine, old.id, 'SCHEDULED'), { timeout: 5000 })
      .toEqual([
        ['2024-11-01', 10_000],
        ['2024-11-16', 20_000],
      ]);
    await advance(engine, old.clockId, '2024-12-03T00:00:00Z');
    expect(await finalTotals(engine, old.id, 'USAGE')).toEqual([
      ['2024-11-02', 3000],
      ['2024-12-02', 0],
    ]);
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
