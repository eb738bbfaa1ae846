import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { advance, contractAt, fixedProduct, rateCard, send, sumProduct, unlimitedClocks } from './world.js';

let engine: TestEngine;

beforeAll(async () => {
  engine = await startTestEngine();
  await unlimitedClocks(engine);
});
afterAll(() => engine.stop());

const month = (index: number): string => new Date(Date.UTC(2024, index, 1)).toISOString();

/** Units of compute in each month: enough to overrun some years and to leave something in others. */
const computeIn = (index: number): number => 700 + ((index * 37) % 11) * 60 + Math.floor(index / 12) * 500;
/** Support hours in each month of the first year, around the minimum. */
const supportIn = (index: number): number => 3 + ((index * 5) % 4);

const SEGMENTS = [1_000_000, 1_500_000, 2_500_000];
const PRICES = [95, 90, 85];
const UPSELL = 300_000;
const UPSELL_MONTH = 13;
const MINIMUM = 50_000;
const SUPPORT_PRICE = 10_000;
const ROLLOVER = 0.5;

interface Expected {
  usage: number[];
  trueUps: number[];
  rolledOver: number;
  firstRenewalMonth: number;
  rolloverLeft: number;
}

/** The same agreement in whole cents, by hand: no code of the engine. */
function byHand(): Expected {
  const usage: number[] = [];
  const trueUps: number[] = [];
  const left = [...SEGMENTS];
  let upsell = 0;
  for (let index = 0; index < 36; index += 1) {
    const year = Math.floor(index / 12);
    if (index === UPSELL_MONTH) upsell = UPSELL;
    if (index === 24) upsell = 0;
    const price = PRICES[year] ?? 0;
    let due = computeIn(index) * price;
    const fromUpsell = Math.min(upsell, due);
    upsell -= fromUpsell;
    due -= fromUpsell;
    const fromCommit = Math.min(left[year] ?? 0, due);
    left[year] = (left[year] ?? 0) - fromCommit;
    due -= fromCommit;
    const support = index < 12 ? supportIn(index) * SUPPORT_PRICE : 0;
    usage.push(due + support);
    if (index < 12) trueUps.push(Math.max(MINIMUM - support, 0));
  }
  const rolledOver = Math.min(left[2] ?? 0, (SEGMENTS[2] ?? 0) * ROLLOVER);
  const renewal = 900 * 100;
  return {
    usage,
    trueUps: trueUps.filter((amount) => amount > 0),
    rolledOver,
    firstRenewalMonth: Math.max(renewal - rolledOver, 0),
    rolloverLeft: Math.max(rolledOver - renewal, 0),
  };
}

describe('a three-year enterprise contract', () => {
  it('bills every month, true-up, upsell and renewal as calculated by hand', {
    timeout: 240_000,
  }, async () => {
    const { metronome } = engine;
    const compute = await sumProduct(metronome, 'Compute');
    const support = await sumProduct(metronome, 'Support');
    const commitProduct = await fixedProduct(metronome, 'Platform commit');
    const card = await rateCard(metronome, [
      { product_id: compute.productId, rate_type: 'FLAT', price: 100 },
      { product_id: support.productId, rate_type: 'FLAT', price: SUPPORT_PRICE },
    ]);
    const customer = await contractAt(engine, month(0), {
      starting_at: month(0),
      ending_before: month(36),
      rate_card_id: card,
      commits: [
        {
          type: 'PREPAID',
          product_id: commitProduct,
          name: 'Ramp',
          priority: 50,
          rollover_fraction: ROLLOVER,
          applicable_product_ids: [compute.productId],
          access_schedule: {
            schedule_items: SEGMENTS.map((amount, year) => ({
              amount,
              starting_at: month(12 * year),
              ending_before: month(12 * year + 12),
            })),
          },
          invoice_schedule: {
            schedule_items: SEGMENTS.map((amount, year) => ({
              amount: amount * 0.9,
              timestamp: month(12 * year),
            })),
          },
        },
        ...Array.from({ length: 12 }, (_, index) => ({
          type: 'POSTPAID' as const,
          product_id: commitProduct,
          name: 'Monthly minimum',
          applicable_product_ids: [support.productId],
          access_schedule: {
            schedule_items: [{ amount: MINIMUM, starting_at: month(index), ending_before: month(index + 1) }],
          },
          invoice_schedule: { schedule_items: [{ amount: MINIMUM, timestamp: month(index + 1) }] },
        })),
      ],
      overrides: PRICES.map((price, year) => ({
        type: 'MULTIPLIER' as const,
        multiplier: price / 100,
        starting_at: month(12 * year),
        ending_before: month(12 * year + 12),
        product_id: compute.productId,
      })),
    });

    for (let index = 0; index < 36; index += 1) {
      if (index > 0) await advance(engine, customer.clockId, month(index));
      if (index === UPSELL_MONTH) {
        await metronome.v2.contracts.edit({
          customer_id: customer.id,
          contract_id: customer.contractId,
          add_commits: [
            {
              type: 'PREPAID',
              product_id: commitProduct,
              name: 'Upsell',
              priority: 1,
              applicable_product_ids: [compute.productId],
              access_schedule: {
                schedule_items: [
                  { amount: UPSELL, starting_at: month(UPSELL_MONTH), ending_before: month(24) },
                ],
              },
              invoice_schedule: { schedule_items: [{ amount: UPSELL, timestamp: month(UPSELL_MONTH) }] },
            },
          ],
        });
      }
      const at = new Date(Date.parse(month(index)) + 3_600_000).toISOString();
      await send(engine, customer.id, compute.eventType, [
        { at, properties: { amount: String(computeIn(index)) } },
      ]);
      if (index < 12) {
        await send(engine, customer.id, support.eventType, [
          { at, properties: { amount: String(supportIn(index)) } },
        ]);
      }
    }
    const renewal = await metronome.v1.contracts.create({
      customer_id: customer.id,
      starting_at: month(36),
      ending_before: month(48),
      rate_card_id: card,
      transition: { type: 'RENEWAL', from_contract_id: customer.contractId },
    });
    await advance(engine, customer.clockId, month(36));
    await send(engine, customer.id, compute.eventType, [
      { at: new Date(Date.parse(month(36)) + 3_600_000).toISOString(), properties: { amount: '900' } },
    ]);
    const beforeFinal = await metronome.v1.contracts.getNetBalance({ customer_id: customer.id });
    await advance(engine, customer.clockId, month(38));

    const expected = byHand();
    const invoices = [];
    for await (const invoice of metronome.v1.customers.invoices.list({
      customer_id: customer.id,
      status: 'FINALIZED',
    })) {
      invoices.push(invoice);
    }
    const own = invoices.filter(({ contract_id: id }) => id === customer.contractId);
    const usage = own.filter(({ type }) => type === 'USAGE').map(({ total }) => total);
    expect(usage).toEqual(expected.usage);
    const scheduled = own.filter(({ type }) => type === 'SCHEDULED');
    const trueUps = scheduled.filter(({ line_items: lines }) => lines[0]?.commit_type === 'PostpaidCommit');
    expect(trueUps.map(({ total }) => total)).toEqual(expected.trueUps);
    const purchases = scheduled.filter(({ line_items: lines }) => lines[0]?.commit_type !== 'PostpaidCommit');
    expect(purchases.map(({ total, issued_at: at }) => [at, total])).toEqual([
      ['2024-01-01T00:00:00Z', 900_000],
      ['2025-01-01T00:00:00Z', 1_350_000],
      ['2025-02-01T00:00:00Z', UPSELL],
      ['2026-01-01T00:00:00Z', 2_250_000],
    ]);

    expect(expected.rolledOver).toBeGreaterThan(0);
    expect(beforeFinal.data.balance).toBe(expected.rolloverLeft);
    const renewed = invoices.filter(
      ({ contract_id: id, type }) => id === renewal.data.id && type === 'USAGE',
    );
    expect(renewed.map(({ total }) => total)).toEqual([expected.firstRenewalMonth]);
    const { data } = await metronome.v2.contracts.retrieve({
      customer_id: customer.id,
      contract_id: renewal.data.id,
      include_balance: true,
    });
    expect(data.commits).toMatchObject([
      {
        name: 'Ramp',
        balance: expected.rolloverLeft,
        access_schedule: { schedule_items: [{ amount: expected.rolledOver }] },
        rolled_over_from: { contract_id: customer.contractId },
      },
    ]);
    expect(data.transitions).toEqual([
      { type: 'RENEWAL', from_contract_id: customer.contractId, to_contract_id: renewal.data.id },
    ]);
  });
});
