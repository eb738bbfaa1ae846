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
import { evaluateNumber, type Formula } from './formula.js';
import { DIVISION_PLACES } from './quantity.js';

/** `percent` is above 0 and at most 100: 99.9 for p99.9. */
export type Aggregation =
  | { type: 'COUNT' | 'SUM' | 'MAX' | 'LATEST' | 'UNIQUE' | 'TIME_WEIGHTED_SUM' }
  | { type: 'PERCENTILE'; percent: Decimal }
  | FormulaAggregation;

/** What a SQL metric makes of one or more aggregates; `value` refers to them by index. */
export interface FormulaAggregation {
  type: 'FORMULA';
  parts: readonly FormulaPart[];
  value: Formula;
}

/** An aggregate of an expression over each event; without one events are counted. */
export interface FormulaPart {
  type: 'COUNT' | 'SUM' | 'MAX' | 'EARLIEST' | 'LATEST' | 'UNIQUE';
  argument: Formula | null;
}

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
  /** For FORMULA, by part; without them every part reads the window itself. */
  parts?: readonly WindowReading[];
}

/** A running aggregate: takes windows in time order and gives the reading so far; null before there is any. */
type Running = (window: WindowReading) => Decimal | null;

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
 * - FORMULA: its value over the running aggregates, those without events being null; zero where it is null; may fall.
 */
export function increments(
  aggregation: Aggregation,
  windows: readonly WindowReading[],
  levelBefore: Decimal = ZERO,
): Decimal[] {
  const running = runningFor(aggregation, levelBefore);
  return differences(windows.map((window) => running(window) ?? ZERO));
}

/**
 * What all parts of a formula take of an event, where that is one number, so that one row of sums serves them all; null
 * where it is the event itself. Undefined where they take different things, or need more than sums.
 */
export function sharedArgument({ parts }: FormulaAggregation): Formula | null | undefined {
  const [first] = parts;
  if (first === undefined) return undefined;
  const isLatest = first.type === 'LATEST';
  const text = JSON.stringify(first.argument);
  const isShared = parts.every(
    ({ type, argument }) =>
      (isLatest ? type === 'LATEST' : ['COUNT', 'SUM', 'MAX'].includes(type)) &&
      JSON.stringify(argument) === text,
  );
  return isShared ? first.argument : undefined;
}

/** Each reading less the one before it, the first from zero. */
function differences(readings: readonly Decimal[]): Decimal[] {
  return readings.map((reading, index) => subtract(reading, readings[index - 1] ?? ZERO));
}

function runningFor(aggregation: Aggregation, levelBefore: Decimal = ZERO): Running {
  switch (aggregation.type) {
    case 'COUNT':
      return summing(({ count }) => decimalFromBigint(count), ZERO);
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
    case 'FORMULA':
      return runningFormula(aggregation);
  }
}

function runningFormula({ parts, value }: FormulaAggregation): Running {
  const all = parts.map(({ type }) =>
    type === 'EARLIEST'
      ? keeping((first, { levels }) => first ?? levels[0]?.value ?? null)
      : runningFor({ type }),
  );
  return (window) => {
    const aggregates = all.map((running, index) => running(window.parts?.[index] ?? window));
    return evaluateNumber(value, { aggregates });
  };
}

function summing(part: (window: WindowReading) => Decimal, empty: Decimal | null = null): Running {
  let total = empty;
  return (window) => {
    if (window.count > 0n) total = add(total ?? ZERO, part(window));
    return total;
  };
}

function keeping(next: (kept: Decimal | null, window: WindowReading) => Decimal | null): Running {
  let kept: Decimal | null = null;
  return (window) => {
    kept = next(kept, window);
    return kept;
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
