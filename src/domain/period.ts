import { Temporal } from 'temporal-polyfill';
import { invalid } from './errors.js';

/** A point in time: integer epoch milliseconds, UTC. */
export type Instant = number;

/** A half-open span `[start, end)`: an event exactly on a boundary belongs to the later period. */
export interface Period {
  start: Instant;
  end: Instant;
}

export type IntervalUnit = 'day' | 'week' | 'month' | 'year';

/** `count` whole units, for example every 3 months; count is an integer ≥ 1. */
export interface BillingInterval {
  unit: IntervalUnit;
  count: number;
}

/** A period with its place on the anchor's line: it starts at `boundary(anchor, interval, index)`. */
export interface IndexedPeriod extends Period {
  index: number;
}

/**
 * The period that a subscription starts with; `full` is the whole interval that ends with it, for
 * proration.
 */
export interface FirstPeriod extends IndexedPeriod {
  full: Period;
}

/**
 * Stripe's `billing_cycle_anchor_config`: a recurring day (31 = the last day of the month) and a UTC time
 * of day.
 */
export interface AnchorConfig {
  day_of_month: number;
  month?: number | null;
  hour?: number | null;
  minute?: number | null;
  second?: number | null;
}

const DAY_MS = 86_400_000;
const MAX_INSTANT = 8_640_000_000_000_000;
const DAYS_IN_400_YEARS = 146_097;
const MONTHS_IN_400_YEARS = 4_800;
const ANCHOR_RANGES: Record<keyof AnchorConfig, readonly [number, number]> = {
  day_of_month: [1, 31],
  month: [1, 12],
  hour: [0, 23],
  minute: [0, 59],
  second: [0, 59],
};

/** Enough intervals to meet a 31-day month or a leap year on any line that has one. */
const LOOK_AHEAD = 96;
const MONTH_NAMES = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

/**
 * The index-th period boundary: anchor + index × interval in UTC, counted from the anchor and never from
 * the previous boundary, so that a month end is clamped without sticking (31 Jan → 28 Feb → 31 Mar;
 * docs.stripe.com/billing/subscriptions/billing-cycle). The index may be negative. Throws RangeError on a bad
 * interval or beyond ±271,821 years.
 */
export function boundary(anchor: Instant, interval: BillingInterval, index: number): Instant {
  checkInstant(anchor);
  if (!Number.isSafeInteger(index)) throw new RangeError(`Period index must be an integer: ${index}`);
  const months = monthsIn(interval);
  if (months === null) return checkInstant(anchor + index * fixedLength(interval));
  return utc(anchor).add({ months: months * index }).epochMilliseconds;
}

/** The largest n with `boundary(anchor, interval, n) ≤ at`: the index of the period that contains `at`. */
export function periodIndexAt(anchor: Instant, interval: BillingInterval, at: Instant): number {
  checkInstant(anchor);
  checkInstant(at);
  const from = utc(anchor);
  const to = utc(at);
  const months = monthsIn(interval);
  const estimate =
    months === null
      ? Math.floor((at - anchor) / fixedLength(interval))
      : Math.floor(((to.year - from.year) * 12 + (to.month - from.month)) / months);
  // The estimate is never too low; it is one too high when its boundary comes later in the month than `at`.
  return boundary(anchor, interval, estimate) > at ? estimate - 1 : estimate;
}

/** The period of the anchor's line that contains `at`. */
export function periodAt(anchor: Instant, interval: BillingInterval, at: Instant): IndexedPeriod {
  const index = periodIndexAt(anchor, interval, at);
  return {
    start: boundary(anchor, interval, index),
    end: boundary(anchor, interval, index + 1),
    index,
  };
}

/**
 * The first service period of something that starts at `start`. With the anchor at or before the start it
 * is the anchor's period around the start; with a later anchor it is the stub from the start to the first
 * boundary after it, counted back from the anchor, and `full` is the whole interval which that boundary
 * ends.
 */
export function firstPeriod(start: Instant, anchor: Instant, interval: BillingInterval): FirstPeriod {
  const { index, ...full } = periodAt(anchor, interval, start);
  return { start: anchor <= start ? full.start : start, end: full.end, index, full };
}

/**
 * The billing cycle anchor for a subscription that starts at `start`: the next instant at or after it on
 * the configured day and time, where an unset hour, minute or second is the start's own, and an unset month
 * is any month.
 *
 * A boundary is counted from its anchor, so an anchor in a month too short for the day would lose the day
 * for good (28 Feb → 28 Mar). Then the anchor returned is the first boundary *of the same line* that falls
 * on the full day (31 Mar for 31 and a start in February); `firstPeriod` counts back from it, so that first
 * boundary is still 28 Feb.
 *
 * Throws BillingError `invalid` on a day or week interval and on fields out of range
 * (docs.stripe.com/billing/subscriptions/billing-cycle).
 */
export function anchorFromConfig(start: Instant, interval: BillingInterval, config: AnchorConfig): Instant {
  const months = monthsIn(interval);
  if (months === null) {
    throw invalid('`billing_cycle_anchor_config` needs a price with a month or year interval.', {
      param: 'billing_cycle_anchor_config',
    });
  }
  checkRanges(config);
  const first = nextConfigured(start, config);
  let best = first;
  for (let index = 1; index <= LOOK_AHEAD && dayOf(best) < config.day_of_month; index += 1) {
    const month = utc(boundary(first, interval, index));
    const candidate = onConfiguredDay(month.year, month.month, utc(first).toPlainTime(), config);
    if (dayOf(candidate) > dayOf(best)) best = candidate;
  }
  return best;
}

/** The instant of an exact number of epoch milliseconds. Throws RangeError beyond ±271,821 years. */
export function instantFrom(epochMilliseconds: bigint): Instant {
  return checkInstant(Number(epochMilliseconds));
}

/** Midnight UTC on the first day of the month that contains the instant. */
export function startOfMonth(instant: Instant): Instant {
  return utc(checkInstant(instant)).with({ day: 1 }).startOfDay().epochMilliseconds;
}

/**
 * Negative, zero or positive as a is shorter than, as long as or longer than b on the calendar's average
 * (400 years = 4,800 months = 146,097 days), so that 12 months equal a year and a month is longer than 4
 * weeks.
 */
export function compareIntervals(a: BillingInterval, b: BillingInterval): number {
  return averageLength(a) - averageLength(b);
}

/** The UTC day as invoices print it: "14 Nov 2026", "05 Apr 2024". */
export function formatDay(instant: Instant): string {
  const date = utc(checkInstant(instant));
  return `${String(date.day).padStart(2, '0')} ${MONTH_NAMES[date.month - 1] ?? ''} ${date.year}`;
}

/** Whole months of a month or year interval; null for days and weeks, whose length in UTC is fixed. */
function monthsIn(interval: BillingInterval): number | null {
  if (!Number.isSafeInteger(interval.count) || interval.count < 1) {
    throw new RangeError(`Interval count must be a positive integer: ${interval.count}`);
  }
  if (interval.unit === 'month') return interval.count;
  return interval.unit === 'year' ? interval.count * 12 : null;
}

function fixedLength(interval: BillingInterval): number {
  return interval.count * (interval.unit === 'week' ? 7 : 1) * DAY_MS;
}

function averageLength(interval: BillingInterval): number {
  const months = monthsIn(interval);
  if (months !== null) return months * DAYS_IN_400_YEARS;
  return (fixedLength(interval) / DAY_MS) * MONTHS_IN_400_YEARS;
}

function utc(instant: Instant): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(instant).toZonedDateTimeISO('UTC');
}

function checkInstant(instant: Instant): Instant {
  if (!Number.isSafeInteger(instant) || Math.abs(instant) > MAX_INSTANT) {
    throw new RangeError(`Not an instant in whole milliseconds: ${instant}`);
  }
  return instant;
}

function nextConfigured(start: Instant, config: AnchorConfig): Instant {
  const from = utc(start);
  const second = config.second ?? from.second;
  const time = Temporal.PlainTime.from({
    hour: config.hour ?? from.hour,
    minute: config.minute ?? from.minute,
    second,
    millisecond: config.second == null ? from.millisecond : 0,
  });
  const step = config.month == null ? { months: 1 } : { years: 1 };
  let month = Temporal.PlainYearMonth.from({ year: from.year, month: config.month ?? from.month });
  let candidate = onConfiguredDay(month.year, month.month, time, config);
  while (candidate < start) {
    month = month.add(step);
    candidate = onConfiguredDay(month.year, month.month, time, config);
  }
  return candidate;
}

function onConfiguredDay(
  year: number,
  month: number,
  time: Temporal.PlainTime,
  config: AnchorConfig,
): Instant {
  const date = Temporal.PlainDate.from({ year, month, day: config.day_of_month }, { overflow: 'constrain' });
  return date.toZonedDateTime({ timeZone: 'UTC', plainTime: time }).epochMilliseconds;
}

function checkRanges(config: AnchorConfig): void {
  for (const [name, [lowest, highest]] of Object.entries(ANCHOR_RANGES)) {
    const value = config[name as keyof AnchorConfig];
    if (value == null && name !== 'day_of_month') continue;
    if (value == null || !Number.isInteger(value) || value < lowest || value > highest) {
      throw invalid(`Invalid ${name}: must be an integer from ${lowest} to ${highest}.`, {
        param: `billing_cycle_anchor_config[${name}]`,
      });
    }
  }
}

function dayOf(instant: Instant): number {
  return utc(instant).day;
}
