import { type Decimal, toText } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';

const MILLIS = 1000;

/** An instant as Stripe writes it: Unix seconds, the fraction cut off. */
export function unixSeconds(instant: Instant): number {
  return Math.floor(instant / MILLIS);
}

/** The same for what may not have happened. */
export function unixSecondsOrNull(instant: Instant | null): number | null {
  return instant === null ? null : unixSeconds(instant);
}

/** The integer twin of a `…_decimal` amount: null when there's no amount or it isn't whole. */
export function wholeAmount(amount: Decimal | null): bigint | null {
  return amount === null || amount.scale !== 0 ? null : amount.coefficient;
}

/** The `…_decimal` form of an amount. */
export function decimalText(amount: Decimal | null): string | null {
  return amount === null ? null : toText(amount);
}

/** The stub that stands for a deleted object: exactly these three fields. */
export function deletedObject(object: string, id: string): { id: string; object: string; deleted: true } {
  return { id, object, deleted: true };
}
