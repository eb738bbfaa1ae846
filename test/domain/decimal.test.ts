import { Decimal as Oracle } from 'decimal.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  add,
  compare,
  type Decimal,
  DecimalFormatError,
  decimalFromBigint,
  divide,
  divideToInteger,
  isZero,
  max,
  min,
  multiply,
  negate,
  parseDecimal,
  type RoundingMode,
  roundToInteger,
  roundToScale,
  sign,
  subtract,
  toText,
  ZERO,
} from '../../src/domain/decimal.js';
import { dec, RUNS, SEED } from './builders.js';

const Exact = Oracle.clone({ precision: 400, toExpNeg: -400, toExpPos: 400 });

function reasonFor(text: string, limits = {}): string {
  try {
    return `accepted as ${toText(parseDecimal(text, limits))}`;
  } catch (error) {
    if (error instanceof DecimalFormatError) return error.reason;
    throw error;
  }
}

describe('reading a decimal', () => {
  it.each([
    ['0', '0'],
    ['-0', '0'],
    ['-0.000', '0'],
    ['0e999999', '0'],
    ['+7', '7'],
    ['007.50', '7.5'],
    ['.5', '0.5'],
    ['-1.230', '-1.23'],
    ['1000', '1000'],
    ['1e3', '1000'],
    ['1.5E+2', '150'],
    ['12.5e-3', '0.0125'],
    ['100e-2', '1'],
    ['1e-0000000050', `0.${'0'.repeat(49)}1`],
    ['0.000000000001', '0.000000000001'],
    ['1000000000000000000000000000000', '1000000000000000000000000000000'],
  ])('%j is %s', (text, canonical) => {
    expect(toText(parseDecimal(text))).toBe(canonical);
  });

  it.each([
    '',
    ' ',
    ' 1',
    '1 ',
    '1\n',
    'NaN',
    'Infinity',
    '-Infinity',
    '0x1',
    '1_000',
    '1,000',
    '+-1',
    '--1',
    '5.',
    '.',
    '-',
    'e5',
    '1e',
    '1e1.5',
    '1n',
    '١',
    'null',
  ])('%j is not a number', (text) => {
    expect(reasonFor(text)).toBe('syntax');
  });

  it.each([
    ['1e400', {}, 'too_many_digits'],
    ['1e99999999999999999999', {}, 'too_many_digits'],
    ['1e-400', {}, 'too_many_fraction_digits'],
    ['1e-99999999999999999999', {}, 'too_many_fraction_digits'],
    [`1${'0'.repeat(40)}`, {}, 'too_many_digits'],
    [`0.${'0'.repeat(50)}1`, {}, 'too_many_fraction_digits'],
    ['9'.repeat(1_000_000), {}, 'too_many_digits'],
    ['0.0000000000001', { maxFractionDigits: 12 }, 'too_many_fraction_digits'],
    ['1e-13', { maxFractionDigits: 12 }, 'too_many_fraction_digits'],
    ['0.1234567890120', { maxFractionDigits: 12 }, 'accepted as 0.123456789012'],
    ['1234567890123456', { maxSignificantDigits: 15 }, 'too_many_digits'],
    ['0.1234567890123456', { maxSignificantDigits: 15 }, 'too_many_digits'],
    ['123456789012345000', { maxSignificantDigits: 15 }, 'accepted as 123456789012345000'],
    ['1000', { maxIntegerDigits: 3 }, 'too_many_digits'],
    ['999.5', { maxIntegerDigits: 3 }, 'accepted as 999.5'],
  ])('limits: case %#', (text, limits, outcome) => {
    expect(reasonFor(text, limits)).toBe(outcome);
  });

  it('does not repeat a hostile text at length in its message', () => {
    expect(() => parseDecimal('x'.repeat(300))).toThrow(/^Not a decimal number: 'x{60}…'$/);
  });
});

describe('rounding', () => {
  const modes: RoundingMode[] = [
    'half_away_from_zero',
    'half_even',
    'half_toward_negative',
    'ceiling',
    'floor',
    'toward_zero',
  ];
  it.each([
    ['2.5', [3n, 2n, 2n, 3n, 2n, 2n]],
    ['3.5', [4n, 4n, 3n, 4n, 3n, 3n]],
    ['-2.5', [-3n, -2n, -3n, -2n, -3n, -2n]],
    ['-3.5', [-4n, -4n, -4n, -3n, -4n, -3n]],
    ['0.5', [1n, 0n, 0n, 1n, 0n, 0n]],
    ['-0.5', [-1n, 0n, -1n, 0n, -1n, 0n]],
    ['2.4999999999999', [2n, 2n, 2n, 3n, 2n, 2n]],
    ['2.5000000000001', [3n, 3n, 3n, 3n, 2n, 2n]],
    ['-2.4999999999999', [-2n, -2n, -2n, -2n, -3n, -2n]],
    ['-2.5000000000001', [-3n, -3n, -3n, -2n, -3n, -2n]],
    ['7', [7n, 7n, 7n, 7n, 7n, 7n]],
  ] as const)('%s to an integer in every mode', (text, expected) => {
    expect(modes.map((mode) => roundToInteger(dec(text), mode))).toEqual(expected);
  });

  it('rounds to a scale and divides to a scale', () => {
    expect(toText(roundToScale(dec('1.005'), 2, 'half_away_from_zero'))).toBe('1.01');
    expect(toText(roundToScale(dec('0.999'), 2, 'half_even'))).toBe('1');
    expect(toText(divide(dec('1'), dec('3'), 5, 'half_even'))).toBe('0.33333');
    expect(toText(divide(dec('-2'), dec('0.3'), 2, 'half_even'))).toBe('-6.67');
    expect(toText(divide(dec('2'), dec('-0.0004'), 0, 'floor'))).toBe('-5000');
  });

  it('refuses a division by zero', () => {
    expect(() => divideToInteger(1n, 0n, 'floor')).toThrow(RangeError);
    expect(() => divide(dec('1'), ZERO, 2, 'floor')).toThrow(RangeError);
  });
});

describe(`decimals against decimal.js (seed ${SEED})`, () => {
  const decimals = fc
    .record({
      digits: fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }),
      places: fc.integer({ min: 0, max: 20 }),
    })
    .map(({ digits, places }) => `${digits}e-${places}`);

  const same = (mine: Decimal, theirs: Oracle) => expect(toText(mine)).toBe(theirs.toFixed());

  it('parse and toText are inverse, and every value has one representation', () => {
    fc.assert(
      fc.property(decimals, (text) => {
        const value = parseDecimal(text);
        same(value, new Exact(text));
        expect(parseDecimal(toText(value))).toEqual(value);
        expect(parseDecimal(`${toText(add(value, dec('0.5')))}0`.replace(/^(-?\d+)0$/, '$1'))).toEqual(
          add(value, dec('0.5')),
        );
      }),
      RUNS,
    );
  });

  it('arithmetic and order agree', () => {
    fc.assert(
      fc.property(decimals, decimals, (left, right) => {
        const [a, b] = [parseDecimal(left), parseDecimal(right)];
        const [x, y] = [new Exact(left), new Exact(right)];
        same(add(a, b), x.plus(y));
        same(subtract(a, b), x.minus(y));
        same(multiply(a, b), x.times(y));
        same(max(a, b), Exact.max(x, y));
        same(min(a, b), Exact.min(x, y));
        expect(compare(a, b)).toBe(x.comparedTo(y));
        expect(subtract(a, a)).toEqual(ZERO);
        expect(add(a, negate(a))).toEqual(ZERO);
        expect(isZero(a)).toBe(x.isZero());
        expect(sign(a)).toBe(x.isZero() ? 0 : x.s);
      }),
      RUNS,
    );
  });

  it('rounding and division agree in every mode that decimal.js has', () => {
    const modes = fc.constantFrom<[RoundingMode, Oracle.Rounding]>(
      ['half_away_from_zero', Exact.ROUND_HALF_UP],
      ['half_even', Exact.ROUND_HALF_EVEN],
      ['half_toward_negative', Exact.ROUND_HALF_FLOOR],
      ['ceiling', Exact.ROUND_CEIL],
      ['floor', Exact.ROUND_FLOOR],
      ['toward_zero', Exact.ROUND_DOWN],
    );
    fc.assert(
      fc.property(decimals, fc.integer({ min: 0, max: 12 }), modes, (text, scale, [mode, theirs]) => {
        const rounded = new Exact(text).toDecimalPlaces(scale, theirs);
        same(roundToScale(parseDecimal(text), scale, mode), rounded.isZero() ? new Exact(0) : rounded);
        const half = divide(parseDecimal(text), dec('8'), scale, mode);
        const expected = new Exact(text).dividedBy(8).toDecimalPlaces(scale, theirs);
        same(half, expected.isZero() ? new Exact(0) : expected);
      }),
      RUNS,
    );
  });

  it('a bigint is its own decimal', () => {
    expect(toText(decimalFromBigint(-(10n ** 30n)))).toBe(`-1${'0'.repeat(30)}`);
  });
});
