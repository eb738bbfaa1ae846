import {
  type BillingInterval,
  boundary,
  type Instant,
  type Period,
  periodIndexAt,
  startOfMonth,
} from '../period.js';
import type { BillingFrequency, ContractTerms, GrantFrequency } from './terms.js';

const INTERVALS: Record<GrantFrequency, BillingInterval> = {
  DAILY: { unit: 'day', count: 1 },
  WEEKLY: { unit: 'week', count: 1 },
  MONTHLY: { unit: 'month', count: 1 },
  QUARTERLY: { unit: 'month', count: 3 },
  ANNUAL: { unit: 'year', count: 1 },
};

/** The calendar interval of a frequency. */
export function intervalOf(frequency: GrantFrequency): BillingInterval {
  return INTERVALS[frequency];
}

/** A period as it counts, and the whole interval around it, of which a first or last one may be a part. */
export interface CutPeriod extends Period {
  full: Period;
  /** On the anchor's line. */
  index: number;
}

/**
 * Where the statements of a contract are counted from. FIRST_OF_MONTH is midnight UTC on the first of the
 * month in which the contract starts (docs.metronome.com/api-reference/contracts,
 * usage_statement_schedule).
 */
export function statementAnchor(terms: Pick<ContractTerms, 'startingAt' | 'statements'>): Instant {
  const { day, anchor } = terms.statements;
  if (day === 'CONTRACT_START') return terms.startingAt;
  if (day === 'CUSTOM_DATE') {
    if (anchor === null) throw new RangeError('CUSTOM_DATE needs an anchor');
    return anchor;
  }
  return startOfMonth(terms.startingAt);
}

/**
 * The usage statement that contains the instant; null outside the contract. The first one begins with the
 * contract and the last one ends with it, whatever the anchor's line says.
 */
export function statementAt(
  terms: Pick<ContractTerms, 'startingAt' | 'endingBefore' | 'statements'>,
  at: Instant,
): CutPeriod | null {
  return cutPeriodAt(statementAnchor(terms), terms.statements.frequency, terms, at);
}

/** The statements that overlap `[from, to)` and that the schedule wants made, in order. */
export function statementsBetween(
  terms: Pick<ContractTerms, 'startingAt' | 'endingBefore' | 'statements'>,
  from: Instant,
  to: Instant,
): CutPeriod[] {
  const generated = terms.statements.generationStartingAt ?? Number.NEGATIVE_INFINITY;
  return cutPeriodsBetween(statementAnchor(terms), terms.statements.frequency, terms, from, to).filter(
    ({ end }) => end > generated,
  );
}

/**
 * The period of an anchor's line around an instant, cut to the span; null when the instant is outside the
 * span.
 */
export function cutPeriodAt(
  anchor: Instant,
  frequency: GrantFrequency | BillingFrequency,
  span: { startingAt: Instant; endingBefore: Instant | null },
  at: Instant,
): CutPeriod | null {
  const last = span.endingBefore ?? Number.POSITIVE_INFINITY;
  if (at < span.startingAt || at >= last) return null;
  const interval = intervalOf(frequency);
  const index = periodIndexAt(anchor, interval, at);
  const full = { start: boundary(anchor, interval, index), end: boundary(anchor, interval, index + 1) };
  return {
    start: Math.max(full.start, span.startingAt),
    end: Math.min(full.end, last),
    full,
    index,
  };
}

/** The cut periods that overlap `[from, to)`, in order. */
export function cutPeriodsBetween(
  anchor: Instant,
  frequency: GrantFrequency,
  span: { startingAt: Instant; endingBefore: Instant | null },
  from: Instant,
  to: Instant,
): CutPeriod[] {
  const periods: CutPeriod[] = [];
  let at = Math.max(from, span.startingAt);
  while (at < to) {
    const period = cutPeriodAt(anchor, frequency, span, at);
    if (period === null) break;
    periods.push(period);
    at = period.end;
  }
  return periods;
}
