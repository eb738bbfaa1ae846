import { Decimal as Oracle } from 'decimal.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { negate } from '../../src/domain/decimal.js';
import { isWhole, prorate, prorationFactor } from '../../src/domain/proration.js';
import { dec, RUNS, SEED, utc } from './builders.js';

describe('the share of a period', () => {
  it('is exact: the recorded change ten days before the end of a thirty-day period is a third', () => {
    const full = { start: 1790019909_000, end: 1792611909_000 };
    const factor = prorationFactor({ start: 1791747909_000, end: full.end }, full);
    expect(factor.numerator * 3n).toBe(factor.denominator);
    const credit = prorate(dec('-2000'), factor);
    const debit = prorate(dec('60000'), factor);
    expect([credit, debit, credit + debit]).toEqual([-667n, 20000n, 19333n]);
  });

  it('is whole for the whole and nothing for nothing', () => {
    const full = { start: utc('2026-01-01'), end: utc('2026-02-01') };
    expect(isWhole(prorationFactor(full, full))).toBe(true);
    const empty = prorationFactor({ start: full.end, end: full.end }, full);
    expect(isWhole(empty)).toBe(false);
    expect(prorate(dec('1000'), empty)).toBe(0n);
  });

  it('must lie inside a period that is not empty', () => {
    const full = { start: 1000, end: 2000 };
    expect(() => prorationFactor({ start: 999, end: 1500 }, full)).toThrow(RangeError);
    expect(() => prorationFactor({ start: 1500, end: 2001 }, full)).toThrow(RangeError);
    expect(() => prorationFactor({ start: 1600, end: 1500 }, full)).toThrow(RangeError);
    expect(() => prorationFactor({ start: 1000, end: 1000 }, { start: 1000, end: 1000 })).toThrow(RangeError);
  });
});

describe('the prorated amount: nearest, ties toward minus infinity', () => {
  it.each([
    // Monthly 1000 → 2000 exactly half way.
    ['-1000', 1n, 2n, -500n],
    ['2000', 1n, 2n, 1000n],
    // A recorded tie: −2.5 and 4.5.
    ['-1000', 1n, 400n, -3n],
    ['1800', 1n, 400n, 4n],
    ['3000', 1n, 400n, 7n],
    // Stripe's documented example: −166.35 and 540.96.
    ['-166.35', 1n, 1n, -166n],
    ['540.96', 1n, 1n, 541n],
    ['1000', 1n, 3n, 333n],
    ['-1000', 5n, 12n, -417n],
    ['0.5', 1n, 1n, 0n],
    ['-0.5', 1n, 1n, -1n],
    ['1000000000000000000000000000000.5', 1n, 2n, 500000000000000000000000000000n],
  ])('%s × %s/%s is %s', (amount, numerator, denominator, expected) => {
    expect(prorate(dec(amount), { numerator, denominator })).toBe(expected);
  });

  it(`agrees with decimal.js, and two parts of a period are within a unit of the whole (seed ${SEED})`, () => {
    const Exact = Oracle.clone({ precision: 300, rounding: Oracle.ROUND_HALF_FLOOR });
    const cents = fc.tuple(
      fc.bigInt({ min: -(10n ** 14n), max: 10n ** 14n }),
      fc.integer({ min: 0, max: 12 }),
    );
    const fractions = fc
      .tuple(fc.bigInt({ min: 0n, max: 10n ** 10n }), fc.bigInt({ min: 1n, max: 10n ** 10n }))
      .map(([part, rest]) => ({ part, whole: part + rest }));
    fc.assert(
      fc.property(cents, fractions, ([digits, places], { part, whole }) => {
        const text = new Exact(`${digits}e-${places}`).toFixed();
        const amount = dec(text);
        const share = prorate(amount, { numerator: part, denominator: whole });
        const exact = new Exact(text).times(String(part)).dividedBy(String(whole));
        expect(String(share)).toBe(exact.toDecimalPlaces(0).plus(0).toFixed().replace(/^-0$/, '0'));
        const rest = prorate(amount, { numerator: whole - part, denominator: whole });
        expect(new Exact(String(share + rest)).minus(text).abs().lessThanOrEqualTo(1)).toBe(true);
        const back = prorate(negate(amount), { numerator: part, denominator: whole });
        expect(share + back === 0n || share + back === -1n).toBe(true);
      }),
      RUNS,
    );
  });
});
