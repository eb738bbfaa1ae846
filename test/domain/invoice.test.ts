import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toText } from '../../src/domain/decimal.js';
import { type BillableItem, computeInvoice, INVOICE_STEPS } from '../../src/domain/invoice.js';
import { sumMinor } from '../../src/domain/money.js';
import { firstPeriod } from '../../src/domain/period.js';
import { prorationFactor } from '../../src/domain/proration.js';
import {
  billable,
  dec,
  licensedPrice,
  packagePrice,
  perUnitPrice,
  RUNS,
  SEED,
  tier,
  tieredPrice,
  utc,
} from './builders.js';

const invoiceOf = (items: BillableItem[], customerBalance = 0n) =>
  computeInvoice({ currency: 'usd', items, customerBalance });

const graduated = tieredPrice('graduated', [tier('1000', '0', '900'), tier(null, '3.6', '0')]);

it('goes through its steps in the documented order', () => {
  expect(INVOICE_STEPS.map((step) => step.name)).toEqual([
    'usage',
    'quantity',
    'price',
    'discounts',
    'commits and credits',
    'minimums',
    'tax',
    'customer balance',
  ]);
});

describe('lines', () => {
  it('of a hybrid plan: the elapsed usage per tier and the coming licence', () => {
    const coming = { start: utc('2026-11-14'), end: utc('2026-12-14') };
    const seats = billable(licensedPrice('2500'), '3', { subscriptionItemId: 'si_2', period: coming });
    const invoice = invoiceOf([billable(graduated, '1031'), seats]);

    expect(invoice.lines.map((line) => [line.description, line.amount])).toEqual([
      ['1000 × API (Tier 1 at $0.00 / month)', 0n],
      ['API (Tier 1 at $9.00 / month)', 900n],
      ['31 × API (Tier 2 at $0.036 / month)', 112n],
      ['API (Tier 2 at $0.00 / month)', 0n],
      ['3 × Seat (at $25.00 / month)', 7500n],
    ]);
    expect(invoice).toMatchObject({ subtotal: 8512n, total: 8512n, amountDue: 8512n });
    expect(invoice.lines[2]).toEqual({
      subscriptionItemId: 'si_1',
      priceId: 'price_tiers',
      productId: 'prod_api',
      meterId: 'mtr_calls',
      description: '31 × API (Tier 2 at $0.036 / month)',
      quantity: dec('31'),
      sourceQuantity: dec('31'),
      unitAmount: dec('3.6'),
      amount: 112n,
      period: { start: utc('2026-10-14'), end: utc('2026-11-14') },
      proration: false,
      tier: 2,
      kind: 'usage',
    });
    expect(invoice.lines[4]).toMatchObject({ kind: 'licensed', meterId: null, tier: null, period: coming });
  });

  it('have a unit amount only where there is one price per unit', () => {
    const flatOnly = tieredPrice('graduated', [tier('5', null, '1000'), tier(null, '100')]);
    const { lines } = invoiceOf([billable(flatOnly, '7'), billable(packagePrice('1000', 60n, 'up'), '150')]);
    expect(lines.map((line) => line.unitAmount && toText(line.unitAmount))).toEqual([
      null,
      null,
      '100',
      '1000',
    ]);
    expect(lines.at(-1)).toMatchObject({ quantity: dec('3'), sourceQuantity: dec('150'), amount: 3000n });
  });

  it('show a period without usage, and bill corrections below zero as zero', () => {
    const { lines, total } = invoiceOf([
      billable(perUnitPrice('100'), '0'),
      billable(perUnitPrice('100'), '-15'),
    ]);
    expect(lines.map((line) => [toText(line.quantity), line.amount])).toEqual([
      ['0', 0n],
      ['0', 0n],
    ]);
    expect(total).toBe(0n);
  });

  it('prorate a licence over the whole interval that ends at the anchor', () => {
    const period = firstPeriod(utc('2026-01-15'), utc('2026-02-01'), { unit: 'month', count: 1 });
    const proration = prorationFactor(period, period.full);
    const { lines, total } = invoiceOf([billable(licensedPrice('1000'), '3', { period, proration })]);
    expect(total).toBe(1645n); // 3000 × 17/31 = 1645.16
    expect(lines[0]).toMatchObject({
      proration: true,
      quantity: dec('3'),
      unitAmount: null,
      description: 'Remaining time on 3 × Seat after 15 Jan 2026',
    });
  });

  it('round a proration once, from the exact amount, ties down', () => {
    const half = { numerator: 1n, denominator: 2n };
    const prorated = (unit: string) =>
      invoiceOf([billable(licensedPrice(unit), '1', { proration: half })]).total;
    expect(prorated('9')).toBe(4n);
    expect(prorated('9.4')).toBe(5n); // 4.7, not half of 9
  });

  it('are not prorations when the share is the whole', () => {
    const whole = { numerator: 31n, denominator: 31n };
    const { lines } = invoiceOf([billable(licensedPrice('2.5'), '1', { proration: whole })]);
    expect(lines[0]).toMatchObject({ proration: false, amount: 3n, unitAmount: dec('2.5') });
  });

  it('refuse what contradicts itself', () => {
    const half = { numerator: 1n, denominator: 2n };
    const billed = { amount: 0n, quantity: dec('0') };
    expect(() => invoiceOf([billable(perUnitPrice('1'), '1', { proration: half })])).toThrow(
      /never prorated/,
    );
    expect(() => invoiceOf([billable(licensedPrice('1'), '1', { alreadyBilled: billed })])).toThrow(
      /only usage/,
    );
    expect(() => invoiceOf([billable(perUnitPrice('1', { currency: 'eur' }), '1')])).toThrow(
      /price_unit is in eur, the invoice in usd/,
    );
  });
});

describe('late usage', () => {
  const late = (price: BillableItem['price'], now: string, amount: bigint, before: string) =>
    invoiceOf([billable(price, now, { alreadyBilled: { amount, quantity: dec(before) } })]);

  it('is one line for the difference, at the tier the whole period has reached', () => {
    const { lines, total } = late(graduated, '1041', 1012n, '1031');
    expect(total).toBe(36n); // 41 × 3.6 = 147.6 → 148, less the 112 already billed
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      kind: 'late_usage',
      description: 'Late usage for 14 Oct 2026 – 14 Nov 2026: 10 × API',
      quantity: dec('10'),
      sourceQuantity: dec('10'),
      unitAmount: null,
      tier: null,
      proration: false,
      period: { start: utc('2026-10-14'), end: utc('2026-11-14') },
    });
  });

  it('reaches the same sum as usage that came in time, whatever the pieces', () => {
    const inTime = invoiceOf([billable(graduated, '1041')]).total;
    const first = invoiceOf([billable(graduated, '999')]).total;
    const second = late(graduated, '1003', first, '999').total;
    const third = late(graduated, '1041', first + second, '1003').total;
    expect(first + second + third).toBe(inTime);
  });

  it('is shown when it costs nothing, and left out when nothing came', () => {
    expect(late(graduated, '20', 900n, '10').lines).toMatchObject([{ amount: 0n, quantity: dec('10') }]);
    expect(late(graduated, '10', 900n, '10').lines).toEqual([]);
    expect(late(perUnitPrice('1'), '-3', 0n, '-8').lines).toEqual([]);
  });

  it('takes a correction back as a negative line that becomes credit', () => {
    const invoice = late(perUnitPrice('100'), '4', 1000n, '10');
    expect(invoice.lines).toMatchObject([{ amount: -600n, quantity: dec('-6'), unitAmount: dec('100') }]);
    expect(invoice).toMatchObject({ total: -600n, amountDue: 0n, endingBalance: -600n });
  });

  it('can turn negative when more volume makes all units cheaper', () => {
    const volume = tieredPrice('volume', [tier('5', '700'), tier('10', '650'), tier(null, '600')]);
    expect(late(volume, '11', 6500n, '10').total).toBe(100n);
    expect(late(volume, '6', 3500n, '5').total).toBe(400n);
    const steep = tieredPrice('volume', [tier('5', '700'), tier(null, '100')]);
    expect(late(steep, '6', 3500n, '5').total).toBe(-2900n);
  });

  it('of packages counts the units of usage, not the packages', () => {
    const { lines } = late(packagePrice('1000', 60n, 'up'), '150', 2000n, '100');
    expect(lines).toMatchObject([{ amount: 1000n, quantity: dec('50'), unitAmount: null }]);
  });
});

describe('the customer’s balance', () => {
  it.each([
    // total, starting, due, ending
    ['1000', 0n, 1000n, 0n],
    ['1000', -400n, 600n, 0n],
    ['1000', -1000n, 0n, 0n],
    ['1000', -1400n, 0n, -400n],
    ['1000', 250n, 1250n, 0n],
    ['0', 0n, 0n, 0n],
    ['0', -400n, 0n, -400n],
    ['0', 250n, 250n, 0n],
  ])(
    'a total of %s with a balance of %s leaves %s due and a balance of %s',
    (total, starting, due, ending) => {
      const invoice = invoiceOf([billable(licensedPrice(total), '1')], starting);
      expect(invoice).toMatchObject({ startingBalance: starting, amountDue: due, endingBalance: ending });
      expect(invoice.total).toBe(BigInt(total));
    },
  );

  it.each([
    [0n, -334n],
    [-100n, -434n],
    [1000n, 666n],
  ])('a total of −334 with a balance of %s leaves nothing due and a balance of %s', (starting, ending) => {
    const alreadyBilled = { amount: 334n, quantity: dec('334') };
    const invoice = invoiceOf([billable(perUnitPrice('1'), '0', { alreadyBilled })], starting);
    expect(invoice).toMatchObject({ total: -334n, amountDue: 0n, endingBalance: ending });
  });
});

describe(`invoices in general (seed ${SEED})`, () => {
  const items = fc.array(
    fc
      .tuple(fc.constantFrom('0.5', '3.6', '700', '0.000000000001'), fc.integer({ min: -5, max: 5000 }))
      .map(([unit, quantity]) => billable(perUnitPrice(unit), String(quantity))),
    { maxLength: 8 },
  );
  const balances = fc.bigInt({ min: -(10n ** 7n), max: 10n ** 7n });

  it('totals are the sum of the lines shown, and no money appears or disappears', () => {
    fc.assert(
      fc.property(items, balances, (list, balance) => {
        const invoice = invoiceOf(list, balance);
        expect(invoice.subtotal).toBe(sumMinor(invoice.lines.map((line) => line.amount)));
        expect(invoice.total).toBe(invoice.subtotal);
        expect(invoice.amountDue + invoice.endingBalance).toBe(invoice.total + balance);
        expect(invoice.amountDue >= 0n).toBe(true);
      }),
      RUNS,
    );
  });
});
