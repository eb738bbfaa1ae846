import { compare, type Decimal, sign, subtract, ZERO } from '../decimal.js';
import type { Instant, Period } from '../period.js';
import { type Fraction, isWhole, prorationFactor } from '../proration.js';
import { type CutPeriod, cutPeriodsBetween, statementAnchor, statementAt } from './statement.js';
import type { ContractTerms, QuantityChange, Subscription } from './terms.js';

/** A fee of one billing period of a subscription, or of seats added in its midst; not priced yet. */
export interface SubscriptionFee {
  key: string;
  subscription: Subscription;
  /** The time that is paid for. */
  period: Period;
  quantity: Decimal;
  /** The share of the period's price; null is all of it. */
  share: Fraction | null;
  /** The billing period keeps the rate of its first instant. */
  rateAt: Instant;
  /** The date of the invoice that collects the fee. */
  billedAt: Instant;
}

/** The quantity in force, from the changes in ascending order; zero before the first. */
export function quantityAt(changes: readonly QuantityChange[], at: Instant): Decimal {
  return changes.findLast(({ startingAt }) => startingAt <= at)?.quantity ?? ZERO;
}

/**
 * Rises above the highest quantity since the period's start, which is what was paid for; falls wait for the
 * next.
 */
export function increasesWithin(
  changes: readonly QuantityChange[],
  period: Period,
): { at: Instant; quantity: Decimal }[] {
  let paid = quantityAt(changes, period.start);
  const increases: { at: Instant; quantity: Decimal }[] = [];
  for (const change of changes) {
    if (change.startingAt <= period.start || change.startingAt >= period.end) continue;
    if (compare(change.quantity, paid) <= 0) continue;
    increases.push({ at: change.startingAt, quantity: subtract(change.quantity, paid) });
    paid = change.quantity;
  }
  return increases;
}

/** The billing periods of a subscription that overlap `[from, to)`, cut to its and the contract's life. */
export function billingPeriods(
  subscription: Subscription,
  terms: ContractTerms,
  from: Instant,
  to: Instant,
): CutPeriod[] {
  const anchor = subscription.anchor ?? statementAnchor(terms);
  return cutPeriodsBetween(anchor, subscription.frequency, lifeOf(subscription, terms), from, to);
}

function lifeOf(subscription: Subscription, terms: ContractTerms) {
  const ends = [subscription.endingBefore, terms.endingBefore].filter((end) => end !== null);
  return {
    startingAt: Math.max(subscription.startingAt, terms.startingAt),
    endingBefore: ends.length === 0 ? null : Math.min(...ends),
  };
}

/**
 * All fees of the billing periods that overlap `[from, to)`. A period costs its first instant's quantity; a
 * prorated subscription pays the exact share of a cut period and, for seats added in its midst, the share
 * that remains. Without proration added seats are free until the next period, and a cut period costs all of
 * it (docs.metronome.com, "manage seats"; proration is for increases only).
 */
export function subscriptionFees(
  subscription: Subscription,
  terms: ContractTerms,
  from: Instant,
  to: Instant,
): SubscriptionFee[] {
  return billingPeriods(subscription, terms, from, to).flatMap((period) => feesOf(subscription, period));
}

function feesOf(subscription: Subscription, period: CutPeriod): SubscriptionFee[] {
  const { isProrated, behavior } = subscription.proration;
  const advance = subscription.collection === 'ADVANCE';
  const { start, end } = period;
  const fee = (at: Instant, quantity: Decimal, billedAt: Instant): SubscriptionFee => {
    const part = { start: at, end };
    const share = isProrated ? prorationFactor(part, period.full) : null;
    return {
      key: `subscription/${subscription.id}/${start}${at === start ? '' : `/${at}`}`,
      subscription,
      period: part,
      quantity,
      share: share !== null && isWhole(share) ? null : share,
      rateAt: start,
      billedAt,
    };
  };
  const fees = [fee(start, quantityAt(subscription.quantities, start), advance ? start : end)];
  if (!isProrated) return fees;
  for (const { at, quantity } of increasesWithin(subscription.quantities, period)) {
    fees.push(fee(at, quantity, advance && behavior === 'BILL_IMMEDIATELY' ? at : end));
  }
  return fees.filter((one, index) => index === 0 || sign(one.quantity) > 0);
}

/**
 * Whether the usage statement collects the fee: the one that ends on the billing date, or for arrears the
 * one in which that date falls. Other fees, such as the first of a contract in advance, get a scheduled
 * invoice of that date (docs.metronome.com, "provision your customer": the usage invoice with the matching
 * billing date).
 */
export function isOnStatement(fee: SubscriptionFee, terms: ContractTerms, statement: Period): boolean {
  if (fee.subscription.placement === 'ON_SCHEDULED_INVOICE') return false;
  if (fee.subscription.collection === 'ADVANCE')
    return fee.billedAt === statement.end && hasStatement(terms, fee);
  return statement.start < fee.billedAt && fee.billedAt <= statement.end;
}

/** Whether some usage statement of the contract collects the fee. */
export function hasStatement(terms: ContractTerms, fee: SubscriptionFee): boolean {
  if (fee.subscription.placement === 'ON_SCHEDULED_INVOICE') return false;
  const before = statementAt(terms, fee.billedAt - 1);
  if (before === null) return false;
  return fee.subscription.collection === 'ARREARS' || before.end === fee.billedAt;
}
