import { describe, expect, test } from 'vitest';
import { exact, expectedAmount, plain, type Terms } from '../../src/demo/check.js';
import { parsePrice } from '../../src/demo/priceSpec.js';

describe("the demo's own arithmetic", () => {
  test('decimal text is exact and comes back in its shortest form', () => {
    expect(plain(exact('0.1') + exact('0.2'))).toBe('0.3');
    expect(plain(exact('-12.500'))).toBe('-12.5');
    expect(plain(exact('1.5e3'))).toBe('1500');
    expect(plain(exact('.5'))).toBe('0.5');
    expect(plain(exact('000'))).toBe('0');
  });

  test.each(['', '.', 'abc', '1,000', '1e400', 'NaN', '0x10', '1e-31'])('%j is not a number', (text) => {
    expect(() => exact(text)).toThrow(RangeError);
  });

  const graduated: Terms = {
    model: 'graduated',
    tiers: [
      { upTo: '5', unit: '700', flat: null },
      { upTo: '10', unit: '650', flat: null },
      { upTo: null, unit: '600', flat: null },
    ],
  };

  // docs.stripe.com/subscriptions/pricing-models/tiered-pricing
  test.each([
    ['1', 700n],
    ['5', 3500n],
    ['6', 4150n],
    ['20', 12_750n],
    ['25', 15_750n],
  ])('%s graduated', (quantity, amount) => {
    expect(expectedAmount(graduated, exact(quantity))).toBe(amount);
  });

  test.each([
    ['1', 700n],
    ['5', 3500n],
    ['6', 3900n],
    ['20', 12_000n],
    ['25', 15_000n],
  ])('%s by volume', (quantity, amount) => {
    expect(expectedAmount({ ...graduated, model: 'volume' }, exact(quantity))).toBe(amount);
  });

  test('a begun package is a package', () => {
    const terms: Terms = { model: 'package', size: '60', unit: '1000' };
    expect(expectedAmount(terms, exact('150'))).toBe(3000n);
    expect(expectedAmount(terms, exact('120'))).toBe(2000n);
    expect(expectedAmount(terms, exact('120.000001'))).toBe(3000n);
    expect(expectedAmount(terms, 0n)).toBe(0n);
  });

  test('every line is rounded once, half away from zero; a flat fee is a line', () => {
    expect(expectedAmount({ model: 'per_unit', unit: '0.5' }, exact('1'))).toBe(1n);
    expect(expectedAmount({ model: 'per_unit', unit: '0.5' }, exact('0.98'))).toBe(0n);
    const withFee: Terms = {
      model: 'graduated',
      tiers: [
        { upTo: '1000', unit: '0', flat: '900' },
        { upTo: null, unit: '3.6', flat: '0' },
      ],
    };
    expect(expectedAmount(withFee, exact('1031'))).toBe(1012n);
  });

  test('more corrections than usage cost nothing', () => {
    expect(expectedAmount({ model: 'per_unit', unit: '10' }, exact('-15'))).toBe(0n);
  });
});

describe('a price on the command line', () => {
  test('is in the main unit of its currency', () => {
    expect(parsePrice('per_unit:0.002', 'usd')).toEqual({ model: 'per_unit', unit: '0.2' });
    expect(parsePrice('per_unit:3', 'jpy')).toEqual({ model: 'per_unit', unit: '3' });
    expect(parsePrice('package:1000=0.03', 'usd')).toEqual({ model: 'package', size: '1000', unit: '3' });
  });

  test('has tiers with ends and, where asked, flat fees', () => {
    expect(parsePrice('graduated:10000=0+5,inf=0.0012', 'usd')).toEqual({
      model: 'graduated',
      tiers: [
        { upTo: '10000', unit: '0', flat: '500' },
        { upTo: null, unit: '0.12', flat: null },
      ],
    });
  });

  test.each([
    ['free', 'none of per_unit'],
    ['per_unit:', 'not an amount'],
    ['per_unit:-1', 'not an amount'],
    ['per_unit:0.000000000000001', 'too many decimal places'],
    ['package:0=1', 'whole number'],
    ['package:1000', 'UNITS=AMOUNT'],
    ['graduated:10=1', 'ends at inf'],
    ['graduated:inf=1,inf=2', 'ends at inf'],
    ['graduated:10=1,5=1,inf=1', 'ascending'],
    ['volume:ten=1,inf=1', 'whole number'],
  ])('%s is refused', (text, message) => {
    expect(() => parsePrice(text, 'usd')).toThrow(message);
  });
});
