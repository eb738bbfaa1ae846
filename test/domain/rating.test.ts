import { describe, expect, it } from 'vitest';
import { toText } from '../../src/domain/decimal.js';
import type { Price } from '../../src/domain/price.js';
import { rate, ratedTotal } from '../../src/domain/rating/rate.js';
import { dec, packagePrice, perUnitPrice, tier, tieredPrice } from './builders.js';

const total = (price: Price, quantity: string) => ratedTotal(rate(price, dec(quantity)));

/** Each part as "tier kind quantity × unit = amount", easy to compare and to read. */
function shown(price: Price, quantity: string): string[] {
  return rate(price, dec(quantity)).map(
    (part) =>
      `${part.tier} ${part.kind} ${toText(part.quantity)} × ${toText(part.unitAmount)} = ${part.amount}`,
  );
}

/** docs.stripe.com/subscriptions/pricing-models/tiered-pricing */
const docTiers = [tier('5', '700'), tier('10', '650'), tier(null, '600')];

describe('per unit', () => {
  it.each([
    ['1000', '3', 3000n],
    ['3.6', '31', 112n],
    ['1000', '0', 0n],
    ['1000', '-15', 0n],
    ['100', '2.5', 250n],
    ['1', '0.5', 1n],
    ['1', '0.4999999999', 0n],
    ['0.5', '3', 2n],
    ['2.5', '1', 3n],
    ['0.000000000001', '499999999999', 0n],
    ['0.000000000001', '500000000000', 1n],
    ['0.123456789012', '1000000000000', 123456789012n],
    ['1.5', '1000000000000000000000000000001', 1500000000000000000000000000002n],
  ])('at %s, %s cost %s', (unit, quantity, amount) => {
    expect(total(perUnitPrice(unit), quantity)).toBe(amount);
  });

  it('shows the exact amount beside the rounded one', () => {
    const [part] = rate(perUnitPrice('3.6'), dec('31'));
    expect(part).toEqual({
      kind: 'unit',
      tier: null,
      quantity: dec('31'),
      sourceQuantity: dec('31'),
      unitAmount: dec('3.6'),
      exactAmount: dec('111.6'),
      amount: 112n,
    });
  });

  it('needs a price that was validated', () => {
    expect(() => rate(perUnitPrice('1', { unitAmount: null }), dec('1'))).toThrow(
      /price_unit has no unit amount/,
    );
    expect(() => rate(tieredPrice('volume', [], { tiers: null }), dec('1'))).toThrow(
      /price_tiers has no tiers/,
    );
  });
});

describe('package', () => {
  it.each([
    ['up', '150', '3', 3000n],
    ['down', '150', '2', 2000n],
    ['up', '120', '2', 2000n],
    ['down', '120', '2', 2000n],
    ['up', '0', '0', 0n],
    ['up', '0.001', '1', 1000n],
    ['up', '60.000000000001', '2', 2000n],
    ['down', '59.999999999999', '0', 0n],
    ['up', '-3', '0', 0n],
  ] as const)('by 60 rounded %s, %s are %s packages', (round, quantity, packages, amount) => {
    const [part] = rate(packagePrice('1000', 60n, round), dec(quantity));
    expect(toText(part?.quantity ?? dec('-1'))).toBe(packages);
    expect(part?.amount).toBe(amount);
  });

  it('keeps the usage beside the number of packages', () => {
    const [part] = rate(packagePrice('1000', 60n, 'up'), dec('150'));
    expect(part).toMatchObject({ quantity: dec('3'), sourceQuantity: dec('150') });
  });
});

describe('volume', () => {
  it.each([
    ['1', 700n],
    ['5', 3500n],
    ['6', 3900n],
    ['20', 12000n],
    ['25', 15000n],
    ['0', 0n],
    ['-4', 0n],
    ['10', 6500n],
    ['11', 6600n],
    ['5.5', 3575n],
    ['5.000000000001', 3250n],
  ])('of Stripe’s example, %s cost %s', (quantity, amount) => {
    expect(total(tieredPrice('volume', docTiers), quantity)).toBe(amount);
  });

  it('adds the flat fee of the one tier reached', () => {
    const price = tieredPrice('volume', [
      tier('5', '700', '1000'),
      tier('10', null, '2000'),
      tier(null, '600'),
    ]);
    expect(shown(price, '0')).toEqual(['1 unit 0 × 700 = 0', '1 flat 0 × 1000 = 1000']);
    expect(shown(price, '5')).toEqual(['1 unit 5 × 700 = 3500', '1 flat 0 × 1000 = 1000']);
    expect(shown(price, '6')).toEqual(['2 unit 6 × 0 = 0', '2 flat 0 × 2000 = 2000']);
    expect(shown(price, '11')).toEqual(['3 unit 11 × 600 = 6600']);
  });

  it('refuses a quantity beyond tiers that have an end', () => {
    expect(() => rate(tieredPrice('volume', [tier('5', '1')]), dec('6'))).toThrow(RangeError);
  });
});

describe('graduated', () => {
  it.each([
    ['1', 700n],
    ['5', 3500n],
    ['6', 4150n],
    ['20', 12750n],
    ['25', 15750n],
    ['0', 0n],
    ['-4', 0n],
    ['10', 6750n],
    ['11', 7350n],
    ['5.5', 3825n],
  ])('of Stripe’s example, %s cost %s', (quantity, amount) => {
    expect(total(tieredPrice('graduated', docTiers), quantity)).toBe(amount);
  });

  it('bills a real invoice line by line: unit and flat of every tier reached', () => {
    const price = tieredPrice('graduated', [tier('1000', '0', '900'), tier(null, '3.6', '0')]);
    expect(shown(price, '1031')).toEqual([
      '1 unit 1000 × 0 = 0',
      '1 flat 0 × 900 = 900',
      '2 unit 31 × 3.6 = 112',
      '2 flat 0 × 0 = 0',
    ]);
    expect(total(price, '1031')).toBe(1012n);
  });

  it('reaches a tier only above the end of the one before it; quantity 0 is in the first', () => {
    const price = tieredPrice('graduated', [tier('1000', '0', '900'), tier(null, '3.6', '50')]);
    expect(shown(price, '0')).toEqual(['1 unit 0 × 0 = 0', '1 flat 0 × 900 = 900']);
    expect(shown(price, '1000')).toEqual(['1 unit 1000 × 0 = 0', '1 flat 0 × 900 = 900']);
    expect(shown(price, '1000.5').slice(2)).toEqual(['2 unit 0.5 × 3.6 = 2', '2 flat 0 × 50 = 50']);
  });

  it('shows the quantity of a tier that has a flat fee only', () => {
    const price = tieredPrice('graduated', [tier('5', null, '1000'), tier(null, '100')]);
    expect(shown(price, '7')).toEqual(['1 unit 5 × 0 = 0', '1 flat 0 × 1000 = 1000', '2 unit 2 × 100 = 200']);
  });

  it('rounds each tier on its own, so the total is the sum of what is shown', () => {
    const price = tieredPrice('graduated', [tier('1', '0.5'), tier('2', '0.5'), tier(null, '0.5')]);
    expect(total(price, '3')).toBe(3n);
    expect(total(perUnitPrice('0.5'), '3')).toBe(2n);
  });

  it('is exact far past any machine number', () => {
    const price = tieredPrice('graduated', [
      tier('1000000000000000000000', '0.000000000001'),
      tier(null, '2'),
    ]);
    expect(total(price, '1000000000000000000000000000000')).toBe(
      1_000_000_000n + 2n * (10n ** 30n - 10n ** 21n),
    );
  });

  it('refuses a quantity beyond tiers that have an end', () => {
    expect(() => rate(tieredPrice('graduated', [tier('5', '1')]), dec('6'))).toThrow(RangeError);
  });
});
