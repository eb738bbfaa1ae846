import type { Decimal } from 'decimal.js';

/** A recurring credit as it is agreed. */
export interface ModelRecurring {
  name: string;
  contract: string;
  unit: string;
  amount: Decimal;
  priority: number;
  product: string | null;
  fraction: Decimal | null;
  start: number;
  end: number | null;
  /** Null follows the contract's statements, which are months of the calendar. */
  every: 'WEEKLY' | 'MONTHLY' | null;
  /** In periods. */
  lasts: number;
  /** Of the stored unit. */
  places: number;
  born: number;
}

interface GrantedPeriod {
  start: number;
  end: number;
  amount: Decimal;
}

const WEEK = 7 * 86_400_000;

/**
 * What a recurring credit has granted by `now`. A period that its beginning or end cuts grants the exact share of it,
 * rounded half up; periods of its own begin whole, and are agreed to end whole.
 */
export function periodsOf(
  { start: wanted, end, every, lasts, amount, places }: ModelRecurring,
  contract: { start: number; end: number | null },
  now: number,
): GrantedPeriod[] {
  const from = Math.max(wanted, contract.start);
  const to = Math.min(end ?? Number.MAX_SAFE_INTEGER, contract.end ?? Number.MAX_SAFE_INTEGER);
  const anchor = every === null ? monthOf(from) : wanted;
  const granted: GrantedPeriod[] = [];
  for (let index = 0; ; index += 1) {
    const full = { start: edge(anchor, every, index), end: edge(anchor, every, index + 1) };
    if (full.end <= from) continue;
    const period = { start: Math.max(full.start, from), end: Math.min(full.end, to) };
    if (period.start > now || period.start >= to) return granted;
    const whole = every !== null;
    const share = whole ? amount : amount.times(period.end - period.start).dividedBy(full.end - full.start);
    const until = lasts === 1 ? period.end : edge(anchor, every, index + lasts);
    granted.push({
      start: period.start,
      end: Math.min(until, contract.end ?? until),
      amount: share.toDecimalPlaces(places, 4),
    });
  }
}

function edge(anchor: number, every: ModelRecurring['every'], index: number): number {
  if (every === 'WEEKLY') return anchor + index * WEEK;
  const date = new Date(anchor);
  const first = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + index, 1);
  const days = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + index + 1, 0)).getUTCDate();
  const day = Math.min(date.getUTCDate(), days);
  return first + (day - 1) * 86_400_000 + (anchor % 86_400_000);
}

function monthOf(at: number): number {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
}
