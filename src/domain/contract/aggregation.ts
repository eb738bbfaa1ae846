import {
  add,
  compare,
  type Decimal,
  decimalFromBigint,
  divide,
  max,
  multiply,
  roundToInteger,
  subtract,
  ZERO,
} from '../decimal.js';
import type { Instant, Period } from '../period.js';
import { DIVISION_PLACES } from './quantity.js';

/** `percent` is above 0 and at most 100: 99.9 for p99.9. */
export type Aggregation =
  | { type: 'COUNT' | 'SUM' | 'MAX' | 'LATEST' | 'UNIQUE' | 'TIME_WEIGHTED_SUM' }
  | { type: 'PERCENTILE'; percent: Decimal };

/** The level from an instant on. */
export interface LevelChange {
  at: Instant;
  value: Decimal;
}

/** What was metered in one window; each aggregation reads its own part. */
export interface WindowReading extends Period {
  count: bigint;
  sum: Decimal;
  /** Null without events, as `last`. */
  max: Decimal | null;
  last: Decimal | null;
  /** The distinct texts, for UNIQUE. */
  texts: readonly string[];
  /** Every value with how often it came, for PERCENTILE. */
  values: readonly { value: Decimal; count: bigint }[];
  /** By time, then by order of arrival, for TIME_WEIGHTED_SUM. */
  levels: readonly LevelChange[];
}

/** A running aggregate: takes windows in time order and gives the reading so far. */
type Running = (window: WindowReading) => Decimal;

const HOUR_MS = decimalFromBigint(3_600_000n);
const HUNDRED = decimalFromBigint(100n);

/**
 * The quantity that each window adds, in time order from the start of the statement; the sum of a prefix is
 * the aggregate of everything up to there, so drafts, cuts and breakdowns all add up:
 *
 * - COUNT, SUM: the window's own.
 * - MAX: the rise of the highest value so far; a maximum below zero counts as it is.
 * - LATEST: the latest value less the one before, from zero; may be negative (docs.metronome.com, "non-
 *   monotonic metrics": 7, 9, 10, 5 are billed as 7, 2, 1, −5).
 * - UNIQUE: the texts not seen before.
 * - TIME_WEIGHTED_SUM: ∫ level dt in value-hours. The level is that of the latest event; `levelBefore`
 *   holds from the statement's start to the first one. The running integral in value-milliseconds is exact
 *   and divided once.
 * - PERCENTILE p: nearest rank over all values so far, the ⌈p/100 × n⌉-th smallest of n; may fall.
 */
export function increments(
  aggregation: Aggregation,
  windows: readonly WindowReading[],
  levelBefore: Decimal = ZERO,
): Decimal[] {
  const running = runningFor(aggregation, levelBefore);
  return differences(windows.map((window) => running(window)));
}

/** Each reading less the one before it, the first from zero. */
export function differences(readings: readonly Decimal[]): Decimal[] {
  return readings.map((reading, index) => subtract(reading, readings[index - 1] ?? ZERO));
}

/**
 * Increments of a statement in whose midst a product changed its metric: the old metric's up to the swap,
 * the new one's after it, both run from the statement's start, so that the total is B(all) + A(to the swap)
 * − B(to the swap) (docs.metronome.com, "SQL metrics": swapping a metric).
 */
export function swappedIncrements(
  windows: readonly Period[],
  before: readonly Decimal[],
  after: readonly Decimal[],
  swapAt: Instant,
): Decimal[] {
  return windows.map(({ start }, index) => (start < swapAt ? before[index] : after[index]) ?? ZERO);
}

function runningFor(aggregation: Aggregation, levelBefore: Decimal): Running {
  switch (aggregation.type) {
    case 'COUNT':
      return summing(({ count }) => decimalFromBigint(count));
    case 'SUM':
      return summing(({ sum }) => sum);
    case 'MAX':
      return keeping((highest, { max: value }) =>
        highest === null || value === null ? (value ?? highest) : max(highest, value),
      );
    case 'LATEST':
      return keeping((latest, { last }) => last ?? latest);
    case 'UNIQUE':
      return runningUnique();
    case 'TIME_WEIGHTED_SUM':
      return runningIntegral(levelBefore);
    case 'PERCENTILE':
      return runningPercentile(aggregation.percent);
  }
}

function summing(part: (window: WindowReading) => Decimal): Running {
  let total = ZERO;
  return (window) => {
    total = add(total, part(window));
    return total;
  };
}

function keeping(next: (kept: Decimal | null, window: WindowReading) => Decimal | null): Running {
  let kept: Decimal | null = null;
  return (window) => {
    kept = next(kept, window);
    return kept ?? ZERO;
  };
}

function runningUnique(): Running {
  const seen = new Set<string>();
  return ({ texts }) => {
    for (const text of texts) seen.add(text);
    return decimalFromBigint(BigInt(seen.size));
  };
}

function runningIntegral(levelBefore: Decimal): Running {
  let level = levelBefore;
  let area = ZERO;
  return ({ start, end, levels }) => {
    let from = start;
    const advance = (to: Instant) => {
      area = add(area, multiply(level, decimalFromBigint(BigInt(to - from))));
      from = to;
    };
    for (const { at, value } of levels) {
      advance(at);
      level = value;
    }
    advance(end);
    return divide(area, HOUR_MS, DIVISION_PLACES, 'half_away_from_zero');
  };
}

function runningPercentile(percent: Decimal): Running {
  if (compare(percent, ZERO) <= 0 || compare(percent, HUNDRED) > 0) {
    throw new RangeError('A percentile is above 0 and at most 100');
  }
  const seen: { value: Decimal; count: bigint }[] = [];
  let total = 0n;
  return ({ values }) => {
    for (const one of values) {
      seen.push(one);
      total += one.count;
    }
    if (total === 0n) return ZERO;
    seen.sort((a, b) => compare(a.value, b.value));
    const rank = roundToInteger(
      divide(multiply(percent, decimalFromBigint(total)), HUNDRED, 30, 'ceiling'),
      'ceiling',
    );
    let passed = 0n;
    for (const { value, count } of seen) {
      passed += count;
      if (passed >= rank) return value;
    }
    return ZERO;
  };
}

/** The reading of a window from the values of its events, in order of time and then of arrival. */
export function readWindow(
  window: Period,
  events: readonly { at: Instant; value: Decimal | string }[],
): WindowReading {
  const numbers = events.flatMap(({ at, value }) => (typeof value === 'string' ? [] : [{ at, value }]));
  return {
    ...window,
    count: BigInt(events.length),
    sum: numbers.reduce((sum, { value }) => add(sum, value), ZERO),
    max: numbers.reduce<Decimal | null>(
      (most, { value }) => (most === null ? value : max(most, value)),
      null,
    ),
    last: numbers.at(-1)?.value ?? null,
    texts: [...new Set(events.flatMap(({ value }) => (typeof value === 'string' ? [value] : [])))],
    values: numbers.map(({ value }) => ({ value, count: 1n })),
    levels: numbers,
  };
}
