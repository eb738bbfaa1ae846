import type { UsageEvent } from './client.js';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from './dates.js';

/** On the last day of a month before a leap day: month ends of 28 (29), 30 and 31 days all come up. */
export const YEAR_START = Date.UTC(2028, 0, 31, 9);
export const MONTHS = 12;

const CALLS_A_MONTH = 40;
const TOKEN_EVENTS_A_MONTH = 24;
const STORAGE_EVENTS_A_MONTH = 4;

/** The month after whose invoice an event of it turns up. */
export const FORGOTTEN_MONTH = 5;

/** Boundary n of a subscription that began on the 31st: the last day of the n-th month after. */
export function boundary(index: number): number {
  const start = new Date(YEAR_START);
  return Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + index + 1, 0, start.getUTCHours());
}

export interface CustomerIds {
  /** Of the hybrid plan. */
  readonly acme: string;
  /** Of the pay-as-you-go plan. */
  readonly nimbus: string;
}

/**
 * The usage of month `month` (1 to 12) that arrives in time, the same in every run but for its identifiers, which
 * begin with `run`.
 */
export function usageOfMonth(month: number, customers: CustomerIds, run: string): UsageEvent[] {
  const start = boundary(month - 1);
  const end = boundary(month) - HOUR_MS;
  const random = pseudoRandom(month);
  const events = (count: number, customerId: string, eventName: string, value: () => string): UsageEvent[] =>
    Array.from({ length: count }, (_, index) => ({
      eventName,
      customerId,
      value: value(),
      time: start + Math.floor((random() * (end - start)) / SECOND_MS) * SECOND_MS,
      identifier: `${run}-${eventName}-${month}-${index}`,
    }));
  return [
    ...events(CALLS_A_MONTH, customers.acme, 'demo_api_calls', () => whole(random, 600 * (month + 2))),
    ...events(TOKEN_EVENTS_A_MONTH, customers.nimbus, 'demo_tokens', () => whole(random, 60_000)),
    // Readings of a gauge: where two come at the same second it is their order of arrival that counts, so none do.
    ...Array.from({ length: STORAGE_EVENTS_A_MONTH }, (_, index) => ({
      eventName: 'demo_storage_gb',
      customerId: customers.nimbus,
      value: `${whole(random, 400)}.${whole(random, 100).padStart(2, '0')}`,
      time: start + (index * 7 + 1) * DAY_MS - index * MINUTE_MS,
      identifier: `${run}-storage-${month}-${index}`,
    })),
  ];
}

/** Usage of the last seconds of the month that arrives when its invoice is a draft already. */
export function lateUsageOfMonth(month: number, customers: CustomerIds, run: string): UsageEvent {
  return {
    eventName: 'demo_api_calls',
    customerId: customers.acme,
    value: String(1000 + month),
    time: boundary(month) - 30 * SECOND_MS,
    identifier: `${run}-late-${month}`,
  };
}

/** Usage that turns up when the month's invoice has been finalized. */
export function forgottenUsage(customers: CustomerIds, run: string): UsageEvent {
  return {
    eventName: 'demo_api_calls',
    customerId: customers.acme,
    value: '7500',
    time: boundary(FORGOTTEN_MONTH) - 2 * DAY_MS,
    identifier: `${run}-forgotten`,
  };
}

/** Usage at the very instant of a boundary: it belongs to the month that begins. */
export function boundaryUsage(month: number, customers: CustomerIds, run: string): UsageEvent {
  return {
    eventName: 'demo_tokens',
    customerId: customers.nimbus,
    value: '1',
    time: boundary(month),
    identifier: `${run}-boundary-${month}`,
  };
}

function whole(random: () => number, below: number): string {
  return String(1 + Math.floor(random() * below));
}

/** A linear congruential generator (Numerical Recipes): the same numbers in every run. */
function pseudoRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
