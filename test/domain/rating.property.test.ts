import { Decimal as Oracle } from 'decimal.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toText } from '../../src/domain/decimal.js';
import type { Price } from '../../src/domain/price.js';
import { rate, ratedTotal } from '../../src/domain/rating/rate.js';
import { dec, packagePrice, perUnitPrice, RUNS, SEED, tier, tieredPrice } from './builders.js';

const Exact = Oracle.clone({ precision: 300, rounding: Oracle.ROUND_HALF_UP, toExpNeg: -300, toExpPos: 300 });

interface TierTexts {
  upTo: string | null;
  unit: string | null;
  flat: string | null;
}

/** Amounts with up to 12 decimals, quantities with up to 6, both often right on a tie or a tier's edge. */
const amounts = fc.oneof(
  fc.constantFrom('0', '0.5', '1.5', '2.5', '100', '0.000000000001'),
  fc
    .tuple(fc.bigInt({ min: 0n, max: 10n ** 15n }), fc.integer({ min: 0, max: 12 }))
    .map(([n, e]) => `${n}e-${e}`),
);
const quantities = fc.oneof(
  fc.bigInt({ min: -50n, max: 400n }).map(String),
  fc
    .tuple(fc.bigInt({ min: -(10n ** 9n), max: 10n ** 24n }), fc.integer({ min: 0, max: 6 }))
    .map(([n, e]) => `${n}e-${e}`),
);
const tierLists = fc
  .tuple(
    fc.uniqueArray(fc.integer({ min: 1, max: 300 }), { maxLength: 4 }),
    fc.array(fc.tuple(amounts, fc.option(amounts), fc.boolean()), { minLength: 5, maxLength: 5 }),
  )
  .map(([ends, terms]): TierTexts[] =>
    [...ends.toSorted((a, b) => a - b).map(String), null].map((upTo, index) => {
      const [unit, flat, flatOnly] = terms[index] ?? ['0', null, false];
      return { upTo, unit: flatOnly && flat !== null ? null : unit, flat };
    }),
  );

const priceOf = (mode: 'graduated' | 'volume', list: TierTexts[]): Price =>
  tieredPrice(
    mode,
    list.map(({ upTo, unit, flat }) => tier(upTo, normal(unit), normal(flat))),
  );
const normal = (text: string | null) => (text === null ? null : new Exact(text).toFixed());
const roundedText = (value: Oracle) => value.toDecimalPlaces(0).toFixed();
const billed = (quantity: string) => Exact.max(0, new Exact(quantity));

function check(price: Price, quantity: string, expected: Oracle[]): void {
  const parts = rate(price, dec(quantity));
  const rounded = expected.map(roundedText);
  expect(parts.map((part) => toText(part.exactAmount))).toEqual(expected.map((value) => value.toFixed()));
  expect(parts.map((part) => String(part.amount))).toEqual(rounded);
  const sum = rounded.reduce((total, value) => total.plus(value), new Exact(0));
  expect(String(ratedTotal(parts))).toBe(sum.toFixed());
}

describe(`rating against decimal.js (seed ${SEED})`, () => {
  it('per unit', () => {
    fc.assert(
      fc.property(amounts, quantities, (unit, quantity) => {
        check(perUnitPrice(unit), quantity, [billed(quantity).times(unit)]);
      }),
      RUNS,
    );
  });

  it('package', () => {
    const sizes = fc.integer({ min: 1, max: 1000 });
    fc.assert(
      fc.property(amounts, quantities, sizes, fc.boolean(), (unit, quantity, size, up) => {
        const count = billed(quantity).dividedBy(size);
        const packages = up ? count.ceil() : count.floor();
        check(packagePrice(unit, BigInt(size), up ? 'up' : 'down'), quantity, [packages.times(unit)]);
      }),
      RUNS,
    );
  });

  it('volume: all units at the last tier whose lower end is below the quantity', () => {
    fc.assert(
      fc.property(tierLists, quantities, (list, quantity) => {
        const q = billed(quantity);
        const below = list.filter((_, index) => q.greaterThan(list[index - 1]?.upTo ?? '-1'));
        const { unit, flat } = below.at(-1) ?? { unit: null, flat: null };
        const expected = [q.times(unit ?? 0), ...(flat === null ? [] : [new Exact(flat)])];
        check(priceOf('volume', list), quantity, expected);
      }),
      RUNS,
    );
  });

  it('graduated: what lies between two ends costs the price between them', () => {
    fc.assert(
      fc.property(tierLists, quantities, (list, quantity) => {
        const q = billed(quantity);
        const expected = list.flatMap(({ upTo, unit, flat }, index) => {
          const from = list[index - 1]?.upTo ?? '0';
          if (index > 0 && q.lessThanOrEqualTo(from)) return [];
          const slice = q.minus(from).minus(Exact.max(0, q.minus(upTo ?? 'Infinity')));
          return [slice.times(unit ?? 0), ...(flat === null ? [] : [new Exact(flat)])];
        });
        check(priceOf('graduated', list), quantity, expected);
      }),
      RUNS,
    );
  });

  it('graduated parts cover the quantity exactly, and more usage never costs less', () => {
    fc.assert(
      fc.property(tierLists, quantities, quantities, (list, one, other) => {
        const price = priceOf('graduated', list);
        const covered = rate(price, dec(one)).reduce(
          (sum, part) => sum.plus(toText(part.quantity)),
          new Exact(0),
        );
        expect(covered.toFixed()).toBe(billed(one).toFixed());
        const [less, more] = billed(one).lessThan(billed(other)) ? [one, other] : [other, one];
        expect(ratedTotal(rate(price, dec(less))) <= ratedTotal(rate(price, dec(more)))).toBe(true);
      }),
      RUNS,
    );
  });
});
