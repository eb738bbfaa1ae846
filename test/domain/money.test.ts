import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatMoney,
  formatUnitAmount,
  isSupportedCurrency,
  minorUnitExponent,
} from '../../src/domain/currency.js';
import { allocateByWeights, sumMinor } from '../../src/domain/money.js';
import { dec, RUNS, SEED } from './builders.js';

describe('currencies', () => {
  it.each([
    ['usd', 2],
    ['jpy', 0],
    ['JPY', 0],
    ['krw', 0],
    ['clp', 0],
    ['kwd', 3],
    ['tnd', 3],
    // Without a minor unit in the world, with one in Stripe's API.
    ['isk', 2],
    ['ugx', 2],
    // Three decimals in ISO, two in Stripe's API.
    ['iqd', 2],
  ])('%s has %i digits below its major unit', (currency, digits) => {
    expect(minorUnitExponent(currency)).toBe(digits);
  });

  it('knows ISO codes in lower case only', () => {
    expect(['usd', 'eur', 'jpy', 'kwd'].filter(isSupportedCurrency)).toHaveLength(4);
    expect(['USD', 'xxq', '', 'us', 'usdd', 'btc'].filter(isSupportedCurrency)).toEqual([]);
  });

  it.each([
    [1250n, 'usd', '$12.50'],
    [-1n, 'usd', '-$0.01'],
    [0n, 'usd', '$0.00'],
    [500n, 'jpy', '¥500'],
    [-1234567n, 'kwd', '-KWD 1,234.567'.replace(' ', '\u00a0')],
    [12345678901234567890123456789012n, 'usd', '$123,456,789,012,345,678,901,234,567,890.12'],
  ])('%s of %s reads %s', (amount, currency, text) => {
    expect(formatMoney(amount, currency)).toBe(text);
  });

  it('speaks other locales', () => {
    expect(formatMoney(123456n, 'eur', 'de-DE')).toBe('1.234,56\u00a0€');
  });

  it.each([
    ['0.05', 'usd', '$0.0005'],
    ['3.6', 'usd', '$0.036'],
    ['900', 'usd', '$9.00'],
    ['0', 'usd', '$0.00'],
    ['0.000000000001', 'usd', '$0.00000000000001'],
    ['0.000000000001', 'jpy', '¥0.000000000001'],
    ['-111.6', 'usd', '-$1.116'],
    [`0.${'0'.repeat(22)}12`, 'usd', `$0.${'0'.repeat(24)}12`],
    [`-1234500.${'0'.repeat(22)}12`, 'usd', `-$12,345.${'0'.repeat(24)}12`],
  ])('a unit price of %s minor units of %s reads %s', (amount, currency, text) => {
    expect(formatUnitAmount(dec(amount), currency)).toBe(text);
  });
});

describe('allocation', () => {
  it.each([
    [500n, [1000n, 2000n], [167n, 333n]],
    [100n, [1n, 1n, 1n], [34n, 33n, 33n]],
    [-100n, [1n, 1n, 1n], [-34n, -33n, -33n]],
    [1n, [0n, 1n, 0n], [0n, 1n, 0n]],
    [2n, [5n, 5n, 90n], [0n, 0n, 2n]],
    [0n, [0n, 0n], [0n, 0n]],
    [0n, [], []],
    [7n, [3n], [7n]],
  ])('splits %s: case %#', (total, weights, shares) => {
    expect(allocateByWeights(total, weights)).toEqual(shares);
  });

  it('refuses to lose money or to weigh negatively', () => {
    expect(() => allocateByWeights(1n, [0n, 0n])).toThrow(RangeError);
    expect(() => allocateByWeights(1n, [])).toThrow(RangeError);
    expect(() => allocateByWeights(10n, [3n, -1n])).toThrow(RangeError);
  });

  it(`loses nothing and stays within one unit of the exact share (seed ${SEED})`, () => {
    const totals = fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n });
    const weightLists = fc.array(fc.bigInt({ min: 0n, max: 10n ** 20n }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(totals, weightLists, (total, weights) => {
        const whole = sumMinor(weights);
        fc.pre(whole > 0n);
        const shares = allocateByWeights(total, weights);
        expect(sumMinor(shares)).toBe(total);
        shares.forEach((share, index) => {
          const off = share * whole - total * (weights[index] ?? 0n);
          expect(off < whole && off > -whole).toBe(true);
        });
      }),
      RUNS,
    );
  });
});
