import {
  type Decimal,
  decimalFromBigint,
  divide,
  isZero,
  multiply,
  ONE,
  subtract,
  ZERO,
  add,
} from '../decimal.js';
import { invalid } from '../errors.js';
import { type BillingInterval, boundary, type Instant } from '../period.js';
import { DIVISION_PLACES } from './quantity.js';
import type { ScheduleItem } from './balanceTerms.js';

export type ScheduleFrequency = 'WEEKLY' | 'MONTHLY' | 'QUARTERLY' | 'SEMI_ANNUAL' | 'ANNUAL';

/** `recurring_schedule` of an invoice or charge schedule. The amount is unit price × quantity. */
export interface RecurringSchedule {
  startingAt: Instant;
  endingBefore: Instant;
  frequency: ScheduleFrequency;
  unitPrice: Decimal;
  quantity: Decimal;
  /** EACH date has the amount, or the dates share it: exactly, or in whole cents. */
  distribution: 'DIVIDED' | 'DIVIDED_ROUNDED' | 'EACH';
}

const INTERVALS: Record<ScheduleFrequency, BillingInterval> = {
  WEEKLY: { unit: 'week', count: 1 },
  MONTHLY: { unit: 'month', count: 1 },
  QUARTERLY: { unit: 'month', count: 3 },
  SEMI_ANNUAL: { unit: 'month', count: 6 },
  ANNUAL: { unit: 'year', count: 1 },
};

/** More dates than this are a mistake in the request. */
const MAX_ITEMS = 1_200;

/** An item before the storage gives it an id. */
export type PlannedItem = Omit<ScheduleItem, 'id'>;

/**
 * The dates and amounts of a recurring schedule: on its start and then every interval while before its end.
 * Shares are equal (DIVIDED to 20 places, DIVIDED_ROUNDED to `places` of the stored unit, half up) and the
 * last one takes what rounding left, so they add up to the amount. Throws BillingError `invalid` on an
 * empty or endless span.
 */
export function expandSchedule(schedule: RecurringSchedule, places: number): PlannedItem[] {
  const dates = datesOf(schedule);
  const amount = multiply(schedule.unitPrice, schedule.quantity);
  if (schedule.distribution === 'EACH') {
    const { unitPrice, quantity } = schedule;
    return dates.map((timestamp) => ({ timestamp, amount, unitPrice, quantity }));
  }
  const kept = schedule.distribution === 'DIVIDED' ? DIVISION_PLACES : places;
  const share = divide(amount, decimalFromBigint(BigInt(dates.length)), kept, 'half_away_from_zero');
  const earlier = multiply(share, decimalFromBigint(BigInt(dates.length - 1)));
  const last = subtract(amount, earlier);
  return dates.map((timestamp, index) => {
    const part = index === dates.length - 1 ? last : share;
    return { timestamp, amount: part, unitPrice: part, quantity: ONE };
  });
}

function datesOf({ startingAt, endingBefore, frequency }: RecurringSchedule): Instant[] {
  const dates: Instant[] = [];
  for (let index = 0; ; index += 1) {
    const date = boundary(startingAt, INTERVALS[frequency], index);
    if (date >= endingBefore) break;
    if (index >= MAX_ITEMS) throw invalid(`A recurring schedule may have at most ${MAX_ITEMS} dates.`);
    dates.push(date);
  }
  if (dates.length === 0) throw invalid('A recurring schedule must end after it starts.');
  return dates;
}

/** The whole of a schedule; what a balance cost its customer, where nothing says that it is not invoiced. */
export function scheduledTotal(
  schedule: { items: readonly ScheduleItem[]; doNotInvoice: boolean } | null,
): Decimal {
  if (schedule === null || schedule.doNotInvoice) return ZERO;
  return schedule.items.reduce((sum, { amount }) => add(sum, amount), ZERO);
}

/** Whether nobody pays for the balance: no cost basis. */
export function isFreeOfCost(
  schedule: { items: readonly ScheduleItem[]; doNotInvoice: boolean } | null,
): boolean {
  return isZero(scheduledTotal(schedule));
}
