import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BillingInterval,
  boundary,
  compareIntervals,
  firstPeriod,
  formatDay,
  type IntervalUnit,
  periodAt,
  periodIndexAt,
} from '../../src/domain/period.js';
import { RUNS, SEED, utc } from './builders.js';

const every = (count: number, unit: IntervalUnit): BillingInterval => ({ unit, count });
const iso = (instant: number) => new Date(instant).toISOString().replace('.000Z', 'Z');
const days = (instants: number[]) => instants.map((instant) => iso(instant).slice(0, 10));

describe('boundaries', () => {
  it.each([
    ['2026-01-31', every(1, 'month'), ['2026-01-31', '2026-02-28', '2026-03-31', '2026-04-30', '2026-05-31']],
    ['2028-01-31', every(1, 'month'), ['2028-01-31', '2028-02-29', '2028-03-31', '2028-04-30']],
    ['2026-01-30', every(1, 'month'), ['2026-01-30', '2026-02-28', '2026-03-30', '2026-04-30']],
    ['2027-12-29', every(1, 'month'), ['2027-12-29', '2028-01-29', '2028-02-29', '2028-03-29']],
    ['2025-11-30', every(3, 'month'), ['2025-11-30', '2026-02-28', '2026-05-30', '2026-08-30']],
    ['2025-08-31', every(6, 'month'), ['2025-08-31', '2026-02-28', '2026-08-31', '2027-02-28', '2027-08-31']],
    ['2028-02-29', every(1, 'year'), ['2028-02-29', '2029-02-28', '2030-02-28', '2031-02-28', '2032-02-29']],
    ['2096-02-29', every(4, 'year'), ['2096-02-29', '2100-02-28', '2104-02-29']],
    ['2026-02-28', every(1, 'month'), ['2026-02-28', '2026-03-28', '2026-04-28']],
    ['2028-02-27', every(1, 'day'), ['2028-02-27', '2028-02-28', '2028-02-29', '2028-03-01']],
    ['2026-12-20', every(2, 'week'), ['2026-12-20', '2027-01-03', '2027-01-17']],
  ])('from %s, %j', (anchor, interval, expected) => {
    expect(days(expected.map((_, index) => boundary(utc(anchor), interval, index)))).toEqual(expected);
  });

  it('go back from the anchor as well as forward', () => {
    const anchor = utc('2026-03-31');
    expect(days([-3, -2, -1, 0].map((n) => boundary(anchor, every(1, 'month'), n)))).toEqual([
      '2025-12-31',
      '2026-01-31',
      '2026-02-28',
      '2026-03-31',
    ]);
    expect(days([boundary(anchor, every(1, 'year'), -1), boundary(anchor, every(1, 'week'), -1)])).toEqual([
      '2025-03-31',
      '2026-03-24',
    ]);
  });

  it('keep the time of day, milliseconds included', () => {
    const anchor = utc('2026-01-31T23:59:59.123Z');
    expect(iso(boundary(anchor, every(1, 'month'), 2))).toBe('2026-03-31T23:59:59.123Z');
    expect(iso(boundary(anchor, every(60, 'day'), 1))).toBe('2026-04-01T23:59:59.123Z');
  });

  it('refuse nonsense', () => {
    const anchor = utc('2026-01-01');
    expect(() => boundary(anchor, every(0, 'month'), 1)).toThrow(RangeError);
    expect(() => boundary(anchor, every(1.5, 'day'), 1)).toThrow(RangeError);
    expect(() => boundary(anchor, every(1, 'month'), 0.5)).toThrow(RangeError);
    expect(() => boundary(0.5, every(1, 'month'), 1)).toThrow(RangeError);
    expect(() => boundary(Number.NaN, every(1, 'day'), 1)).toThrow(RangeError);
    expect(() => boundary(anchor, every(1, 'year'), 300_000)).toThrow(RangeError);
    expect(() => boundary(anchor, every(1, 'day'), 200_000_000)).toThrow(RangeError);
  });
});

describe('the period that contains an instant', () => {
  it('starts with its boundary: the instant on it belongs to the later period', () => {
    const anchor = utc('2026-01-31');
    const march = utc('2026-03-31');
    expect(periodIndexAt(anchor, every(1, 'month'), march - 1)).toBe(1);
    expect(periodIndexAt(anchor, every(1, 'month'), march)).toBe(2);
    expect(periodAt(anchor, every(1, 'month'), march)).toEqual({
      start: march,
      end: utc('2026-04-30'),
      index: 2,
    });
    expect(periodAt(anchor, every(1, 'month'), utc('2026-02-28T12:00:00Z'))).toEqual({
      start: utc('2026-02-28'),
      end: march,
      index: 1,
    });
  });

  it('is right far away and before the anchor', () => {
    const anchor = utc('2026-01-31');
    expect(periodIndexAt(anchor, every(1, 'month'), utc('9999-12-31'))).toBe((9999 - 2026) * 12 + 11);
    expect(periodIndexAt(anchor, every(1, 'day'), utc('9999-12-31') - 1)).toBe(2_912_411);
    expect(periodIndexAt(anchor, every(1, 'day'), utc('9999-12-31'))).toBe(2_912_412);
    expect(periodIndexAt(anchor, every(1, 'month'), utc('2025-12-31') - 1)).toBe(-2);
    expect(periodIndexAt(anchor, every(1, 'week'), anchor - 1)).toBe(-1);
  });
});

describe('the first period', () => {
  it('is a full one when the anchor is the start', () => {
    const start = utc('2026-01-31');
    const end = utc('2026-02-28');
    expect(firstPeriod(start, start, every(1, 'month'))).toEqual({
      start,
      end,
      index: 0,
      full: { start, end },
    });
  });

  it('is the anchor’s period around the start when the anchor is earlier', () => {
    const full = { start: utc('2026-02-28'), end: utc('2026-03-31') };
    const found = firstPeriod(utc('2026-03-05'), utc('2026-01-31'), every(1, 'month'));
    expect(found).toEqual({ ...full, index: 1, full });
  });

  it('is a stub when the anchor is later, with the whole interval for its proration', () => {
    expect(firstPeriod(utc('2026-01-15'), utc('2026-02-01'), every(1, 'month'))).toEqual({
      start: utc('2026-01-15'),
      end: utc('2026-02-01'),
      index: -1,
      full: { start: utc('2026-01-01'), end: utc('2026-02-01') },
    });
  });

  it('ends with the first boundary after the start, even if the anchor is several intervals away', () => {
    expect(firstPeriod(utc('2026-02-10'), utc('2026-05-31'), every(1, 'month'))).toEqual({
      start: utc('2026-02-10'),
      end: utc('2026-02-28'),
      index: -4,
      full: { start: utc('2026-01-31'), end: utc('2026-02-28') },
    });
  });
});

it('orders intervals by their length on the calendar', () => {
  const shortestFirst = [
    every(1, 'day'),
    every(1, 'week'),
    every(4, 'week'),
    every(30, 'day'),
    every(1, 'month'),
    every(31, 'day'),
    every(52, 'week'),
    every(365, 'day'),
    every(1, 'year'),
    every(366, 'day'),
    every(13, 'month'),
  ];
  expect(shortestFirst.toReversed().toSorted(compareIntervals)).toEqual(shortestFirst);
  expect(compareIntervals(every(12, 'month'), every(1, 'year'))).toBe(0);
  expect(compareIntervals(every(7, 'day'), every(1, 'week'))).toBe(0);
});

it.each([
  ['2026-11-14T23:59:59.999Z', '14 Nov 2026'],
  ['2024-04-05', '05 Apr 2024'],
  ['2028-02-29', '29 Feb 2028'],
])('prints %s as %s', (instant, text) => {
  expect(formatDay(utc(instant))).toBe(text);
});

describe(`periods in general (seed ${SEED})`, () => {
  const instants = fc.integer({ min: Date.UTC(1970, 0, 1), max: Date.UTC(2200, 0, 1) });
  const intervals = fc.record<BillingInterval>({
    unit: fc.constantFrom<IntervalUnit>('day', 'week', 'month', 'year'),
    count: fc.integer({ min: 1, max: 36 }),
  });
  const indexes = fc.integer({ min: -500, max: 500 });

  /** The same rule said independently: JavaScript's own calendar, the day cut to the length of the month. */
  function oracle(anchor: number, { unit, count }: BillingInterval, index: number): number {
    const date = new Date(anchor);
    if (unit === 'day' || unit === 'week') {
      return date.setUTCDate(date.getUTCDate() + index * count * (unit === 'week' ? 7 : 1));
    }
    const day = date.getUTCDate();
    date.setUTCDate(1);
    date.setUTCMonth(date.getUTCMonth() + index * count * (unit === 'year' ? 12 : 1));
    const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
    return date.setUTCDate(Math.min(day, last));
  }

  it('boundaries agree with JavaScript’s calendar and strictly increase', () => {
    fc.assert(
      fc.property(instants, intervals, indexes, (anchor, interval, index) => {
        const here = boundary(anchor, interval, index);
        expect(iso(here)).toBe(iso(oracle(anchor, interval, index)));
        expect(boundary(anchor, interval, index + 1)).toBeGreaterThan(here);
      }),
      RUNS,
    );
  });

  it('the period at an instant contains it, and meets its neighbours', () => {
    fc.assert(
      fc.property(instants, intervals, instants, (anchor, interval, at) => {
        const { start, end, index } = periodAt(anchor, interval, at);
        expect(start <= at && at < end).toBe(true);
        expect(periodIndexAt(anchor, interval, start)).toBe(index);
        expect(periodIndexAt(anchor, interval, end - 1)).toBe(index);
        expect(periodAt(anchor, interval, end)).toMatchObject({ start: end, index: index + 1 });
      }),
      RUNS,
    );
  });

  it('a first period starts where it should and is continued by the anchor’s line', () => {
    fc.assert(
      fc.property(instants, intervals, fc.integer({ min: 1, max: 10 ** 11 }), (start, interval, wait) => {
        const first = firstPeriod(start, start + wait, interval);
        expect(first.start).toBe(start);
        expect(first.end).toBe(first.full.end);
        expect(first.full.start <= start && start < first.end).toBe(true);
        expect(first.end).toBeLessThanOrEqual(start + wait);
        expect(periodAt(start + wait, interval, first.end).start).toBe(first.end);
      }),
      RUNS,
    );
  });
});
