import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  availableBySegment,
  balanceAt,
  ledgerAt,
  ledgerSum,
  remainingOf,
  voidEntries,
  withDeductions,
} from '../../../src/domain/contract/balance.js';
import { breakDown } from '../../../src/domain/contract/breakdown.js';
import { computeUsageInvoice, cutInstants, type DraftInvoice } from '../../../src/domain/contract/draft.js';
import type { Balance } from '../../../src/domain/contract/balanceTerms.js';
import type { RateSegment, UsageSlice } from '../../../src/domain/contract/terms.js';
import { slicesBetween, scheduleOf } from '../../../src/domain/contract/tiers.js';
import {
  add,
  compare,
  type Decimal,
  isZero,
  multiply,
  negate,
  sign,
  subtract,
} from '../../../src/domain/decimal.js';
import { RUNS, SEED } from '../builders.js';
import {
  balanceOf,
  dec,
  flat,
  inputOf,
  invoiced,
  multiplierOf,
  rateOf,
  segmentOf,
  tiered,
  usageProduct,
  used,
  utc,
  ZERO,
} from './builders.js';

const DAYS = ['2024-09-01', '2024-09-08', '2024-09-15', '2024-09-22', '2024-10-01'];
const PRODUCTS = ['A', 'B', 'C'];
const EPSILON = dec('0.00000000000000001');

const prices = fc.constantFrom('0', '0.7', '1', '3', '12.5', '99.999');
const amounts = fc.integer({ min: 0, max: 40_000 }).map((cents) => String(cents / 100));
const rates = fc
  .tuple(
    fc.constantFrom(...PRODUCTS),
    prices,
    prices,
    fc.boolean(),
    fc.constantFrom(...DAYS),
    fc.option(prices),
  )
  .map(([product, first, second, isTiered, from, commit]): RateSegment => {
    const rate = isTiered ? tiered(['10', first], [null, second]) : flat(first);
    const commitRate =
      commit === null ? null : isTiered ? tiered(['4', commit], [null, first]) : flat(commit);
    return rateOf(product, rate, { startingAt: utc(from), commitRate });
  });
const slices = fc
  .tuple(
    fc.constantFrom(...PRODUCTS),
    fc.constantFrom(...DAYS.slice(0, 4)),
    fc.integer({ min: -300, max: 3000 }),
  )
  .map(([product, day, tenths]): UsageSlice => used(product, day, String(tenths / 10)));
const balances = fc
  .tuple(
    fc.constantFrom('PREPAID' as const, 'POSTPAID' as const, 'CREDIT' as const),
    amounts,
    fc.integer({ min: 0, max: 3 }),
    fc.integer({ min: 1, max: 4 }),
    fc.constantFrom('LIST_RATE' as const, 'COMMIT_RATE' as const),
    fc.constantFrom([], ['A'], ['A', 'B']),
    fc.boolean(),
  )
  .map(([type, amount, from, length, rateType, productIds, paid]) => ({
    type,
    rateType,
    access: segmentOf(amount, DAYS[from] ?? '', DAYS[Math.min(from + length, 4)] ?? '', 'x'),
    applicability: { productIds, productTags: [], specifiers: [] },
    ...(paid && type === 'PREPAID' ? invoiced(amount) : {}),
  }));
const overrides = fc.option(
  fc.constantFrom('0', '0.5', '0.9', '1.3').map((by) => multiplierOf(by, { isCommitSpecific: true })),
);

const scenarios = fc
  .record({
    rates: fc.array(rates, { maxLength: 6 }),
    usage: fc.array(slices, { maxLength: 12 }),
    grants: fc.array(balances, { maxLength: 6 }),
    override: overrides,
  })
  .map(({ rates: extra, usage, grants, override }) => ({
    products: PRODUCTS.map((id) => usageProduct(id)),
    rates: [...PRODUCTS.map((id) => rateOf(id, '2')), ...extra],
    usage: usage.toSorted((a, b) => a.start - b.start),
    balances: grants.map(({ access, ...grant }, index): Balance => {
      const id = `balance ${index}`;
      return balanceOf(id, '0', { ...grant, access: [{ ...access, id: `segment ${index}` }] });
    }),
    terms: override === null ? {} : { overrides: [override] },
  }));

const sum = (values: Decimal[]) => values.reduce(add, ZERO);
const close = (a: Decimal, b: Decimal) => {
  const difference = subtract(a, b);
  return compare(sign(difference) < 0 ? negate(difference) : difference, EPSILON) <= 0;
};
const usageLines = (invoice: DraftInvoice) => invoice.lines.filter(({ type }) => type === 'usage');

describe(`any invoice (seed ${SEED})`, () => {
  it('has the sum of its counting lines as total', () => {
    fc.assert(
      fc.property(scenarios, (scenario) => {
        const invoice = computeUsageInvoice(inputOf(scenario));
        const counted = invoice.lines.filter(({ isInTotal }) => isInTotal);
        expect(invoice.total).toEqual(sum(counted.map(({ total }) => total)));
      }),
      RUNS,
    );
  });

  it('neither loses nor doubles a unit: covered and remainder make the usage of each product', () => {
    fc.assert(
      fc.property(scenarios, (scenario) => {
        const invoice = computeUsageInvoice(inputOf(scenario));
        for (const id of PRODUCTS) {
          const metered = sum(
            scenario.usage.filter(({ productId }) => productId === id).map(({ quantity }) => quantity),
          );
          const lines = usageLines(invoice).filter(({ productId }) => productId === id);
          expect(sum(lines.map(({ quantity }) => quantity ?? ZERO))).toEqual(metered);
        }
      }),
      RUNS,
    );
  });

  it('burns no segment beyond its grant or outside its time, and applies exactly what it deducts', () => {
    fc.assert(
      fc.property(scenarios, (scenario) => {
        const invoice = computeUsageInvoice(inputOf(scenario));
        const available = availableBySegment(scenario.balances);
        const segments = new Map(
          scenario.balances.flatMap(({ access }) => access.map((one) => [one.id, one])),
        );
        for (const { segmentId, amount } of invoice.deductions) {
          expect(compare(amount, available.get(segmentId) ?? ZERO)).toBeLessThanOrEqual(0);
          const lines = invoice.lines.filter(({ balance }) => balance?.segmentId === segmentId);
          const applied = lines.filter(({ type }) => type === 'applied_commit_or_credit');
          const covered = lines.filter(({ type }) => type === 'usage');
          expect(negate(sum(applied.map(({ total }) => total)))).toEqual(amount);
          expect(sum(covered.map(({ total }) => total))).toEqual(amount);
          const segment = segments.get(segmentId);
          for (const { period } of lines) {
            expect(period?.start).toBeGreaterThanOrEqual(segment?.startingAt ?? Number.NaN);
            expect(period?.end).toBeLessThanOrEqual(Math.max(segment?.endingBefore ?? Number.NaN));
          }
        }
      }),
      RUNS,
    );
  });

  it('shows quantity × price on every line, to 10⁻¹⁷', () => {
    fc.assert(
      fc.property(scenarios, (scenario) => {
        for (const { quantity, unitPrice, total } of usageLines(computeUsageInvoice(inputOf(scenario)))) {
          if (quantity === null || unitPrice === null)
            throw new Error('a usage line has a quantity and a price');
          expect(close(multiply(quantity, unitPrice), total)).toBe(true);
        }
      }),
      RUNS,
    );
  });

  it('leaves every ledger equal to its balance, and a void gives everything back', () => {
    fc.assert(
      fc.property(scenarios, fc.constantFrom(...DAYS), (scenario, day) => {
        const { deductions } = computeUsageInvoice(inputOf(scenario));
        for (const balance of scenario.balances) {
          const after = withDeductions(balance, deductions);
          const at = utc(day) + 1;
          expect(ledgerSum(ledgerAt(after, at)).coefficient >= 0n).toBe(true);
          if (balance.type !== 'POSTPAID')
            expect(ledgerSum(ledgerAt(after, at))).toEqual(balanceAt(after, at));
          const restored = { ...after, entries: [...after.entries, ...voidEntries(after, 'invoice', at)] };
          for (const segment of balance.access) {
            expect(remainingOf(restored, segment)).toEqual(remainingOf(balance, segment));
          }
        }
      }),
      RUNS,
    );
  });

  it('is the same for usage added up between the cut instants as for every slice by itself', () => {
    fc.assert(
      fc.property(scenarios, (scenario) => {
        const input = inputOf(scenario);
        const starts = [input.period.start, ...cutInstants(input)];
        const merged = new Map<string, UsageSlice>();
        for (const slice of scenario.usage) {
          const start = starts.findLast((instant) => instant <= slice.start) ?? slice.start;
          const key = `${slice.productId} ${start}`;
          const known = merged.get(key);
          const quantity = known === undefined ? slice.quantity : add(known.quantity, slice.quantity);
          merged.set(key, { ...slice, start, quantity });
        }
        const usage = [...merged.values()];
        expect(computeUsageInvoice({ ...input, usage }).lines).toEqual(computeUsageInvoice(input).lines);
      }),
      RUNS,
    );
  });

  it('has the sum of its days as total where prices are the same whoever pays', () => {
    fc.assert(
      fc.property(scenarios, (scenario) => {
        const plain = scenario.rates.map((rate) => ({ ...rate, commitRate: null, rate: flat('2') }));
        const usage = scenario.usage.filter(({ quantity }) => sign(quantity) > 0);
        const everyone = scenario.balances.map((balance) => ({
          ...balance,
          applicability: { productIds: [], productTags: [], specifiers: [] },
          access: balance.access.map((segment) => ({ ...segment, endingBefore: utc('2024-10-01') })),
        }));
        const input = inputOf({ ...scenario, usage, rates: plain, balances: everyone, terms: {} });
        const days = breakDown(input, 'DAY').map(({ invoice }) => invoice.total);
        const whole = computeUsageInvoice(input);
        expect(close(sum(days), whole.total)).toBe(true);
      }),
      RUNS,
    );
  });
});

describe(`tiers (seed ${SEED})`, () => {
  const schedule = scheduleOf(tiered(['5', '3'], ['7.5', '2'], [null, '1']));
  const positions = fc.integer({ min: -50, max: 300 }).map((tenths) => dec(String(tenths / 10)));

  it('going there and back costs nothing, and slices make up the way', () => {
    fc.assert(
      fc.property(positions, positions, (from, to) => {
        const there = slicesBetween(schedule, from, to);
        const back = slicesBetween(schedule, to, from);
        const cost = sum([...there, ...back].map(({ quantity, unitPrice }) => multiply(quantity, unitPrice)));
        expect(isZero(cost)).toBe(true);
        expect(sum(there.map(({ quantity }) => quantity))).toEqual(subtract(to, from));
        expect([there[0]?.from, there.at(-1)?.to]).toEqual([from, to]);
      }),
      RUNS,
    );
  });
});
