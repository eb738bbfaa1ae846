import { type Decimal, divideToInteger } from './decimal.js';
import type { Period } from './period.js';

/** An exact share, for example 10 of 31 days; the denominator is above zero. */
export interface Fraction {
  numerator: bigint;
  denominator: bigint;
}

/**
 * The share of `full` that `part` covers, in milliseconds. Throws RangeError when `full` is empty or `part`
 * is not inside it.
 */
export function prorationFactor(part: Period, full: Period): Fraction {
  if (full.end <= full.start) throw new RangeError('A proration needs a full period that is not empty');
  if (part.start < full.start || part.end > full.end || part.end < part.start) {
    throw new RangeError('The prorated part must lie inside its full period');
  }
  return { numerator: BigInt(part.end - part.start), denominator: BigInt(full.end - full.start) };
}

/**
 * The share of an amount in whole minor units: to the nearest, ties toward −∞, which is what Stripe's
 * published and recorded prorations do (docs.stripe.com/billing/subscriptions/prorations: −2.5 becomes −3,
 * 4.5 becomes 4).
 */
export function prorate(amount: Decimal, factor: Fraction): bigint {
  const numerator = amount.coefficient * factor.numerator;
  const denominator = 10n ** BigInt(amount.scale) * factor.denominator;
  return divideToInteger(numerator, denominator, 'half_toward_negative');
}

/** Whether the fraction is the whole, so that nothing is prorated. */
export function isWhole(factor: Fraction): boolean {
  return factor.numerator === factor.denominator;
}
