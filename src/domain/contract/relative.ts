import { boundary, type Instant, type IntervalUnit, type Period } from '../period.js';

/** Times of a package, which are counted from the start of a contract that is made from it. */

export const RELATIVE_UNITS = ['DAYS', 'WEEKS', 'MONTHS', 'YEARS'] as const;

/** So many whole days, weeks, months or years of the UTC calendar. */
export interface RelativeTime {
  unit: (typeof RELATIVE_UNITS)[number];
  value: number;
}

const UNITS: Readonly<Record<RelativeTime['unit'], IntervalUnit>> = {
  DAYS: 'day',
  WEEKS: 'week',
  MONTHS: 'month',
  YEARS: 'year',
};

/**
 * The instant that lies so far after `start`. A day that a month does not have is its last one: a month after
 * 31 January is 28 February, two are 31 March.
 */
export function instantAfter(start: Instant, { unit, value }: RelativeTime): Instant {
  return boundary(start, { unit: UNITS[unit], count: 1 }, value);
}

/**
 * The span that begins `offset` after `start` and lasts `duration`. Where both count in months or years, its end is
 * counted from `start` as well, like the boundaries of billing periods, so that neighbouring spans of a contract that
 * starts on the 31st meet: [1 month, 1 month) ends where [2 months, 1 month) begins.
 */
export function spanAfter(start: Instant, offset: RelativeTime, duration: RelativeTime): Period {
  const begin = instantAfter(start, offset);
  const [skipped, lasting] = [monthsOf(offset), monthsOf(duration)];
  const end =
    skipped === null || lasting === null
      ? instantAfter(begin, duration)
      : instantAfter(start, { unit: 'MONTHS', value: skipped + lasting });
  return { start: begin, end };
}

/** Null for days and weeks, whose length is fixed. No offset at all fits either. */
function monthsOf({ unit, value }: RelativeTime): number | null {
  if (value === 0) return 0;
  if (unit === 'MONTHS') return value;
  return unit === 'YEARS' ? value * 12 : null;
}
