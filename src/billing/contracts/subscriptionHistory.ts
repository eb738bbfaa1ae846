import { termsOf } from '../../domain/contract/contract.js';
import type { StoredSubscription } from '../../domain/contract/contract.js';
import { feeCharges } from '../../domain/contract/feeCharges.js';
import { seatCount } from '../../domain/contract/seatChanges.js';
import { billingPeriods, quantityAt } from '../../domain/contract/subscriptions.js';
import type { PricingUnit, Product } from '../../domain/contract/terms.js';
import { compare, type Decimal, isZero, multiply, ONE, ZERO } from '../../domain/decimal.js';
import type { Instant } from '../../domain/period.js';
import type { OpenContract } from './state.js';

/** A quantity and its price from an instant on; several parts where the price has tiers. */
export interface PricedQuantity {
  startingAt: Instant;
  parts: { quantity: Decimal; unitPrice: Decimal; total: Decimal }[];
}

/**
 * The quantities of a subscription and what a whole billing period of each costs, up to an instant: an entry for
 * every change of the one or the other. A billing period keeps the price of its start. No parts where the product has
 * no entitled rate (docs.metronome.com/api-reference, getSubscriptionQuantityHistory).
 */
export function quantityHistory(
  { contract, rates }: OpenContract,
  subscription: StoredSubscription,
  products: ReadonlyMap<string, Product>,
  units: ReadonlyMap<string, PricingUnit>,
  at: Instant,
): PricedQuantity[] {
  const terms = termsOf(contract);
  const periods = billingPeriods(
    subscription,
    terms,
    Math.max(subscription.startingAt, terms.startingAt),
    at + 1,
  );
  const history: PricedQuantity[] = [];
  for (const { start, end } of periods) {
    const changes = subscription.quantities
      .map(({ startingAt }) => startingAt)
      .filter((instant) => start < instant && instant < end && instant <= at);
    for (const startingAt of [start, ...changes]) {
      const quantity = quantityAt(subscription.quantities, startingAt);
      const period = { start, end };
      const fee = { key: '', subscription, period, quantity: isZero(quantity) ? ONE : quantity, share: null };
      const charges = feeCharges({ terms, rates, products }, units, {
        ...fee,
        rateAt: start,
        billedAt: start,
      });
      const parts = charges.map(({ slice }) => {
        const of = isZero(quantity) ? ZERO : slice.quantity;
        return { quantity: of, unitPrice: slice.unitPrice, total: multiply(of, slice.unitPrice) };
      });
      const before = history.at(-1);
      if (before === undefined || !sameParts(before.parts, parts)) history.push({ startingAt, parts });
    }
  }
  return history;
}

function sameParts(a: PricedQuantity['parts'], b: PricedQuantity['parts']): boolean {
  return (
    a.length === b.length &&
    a.every(({ quantity, unitPrice }, index) => {
      const other = b[index];
      return (
        other !== undefined &&
        compare(quantity, other.quantity) === 0 &&
        compare(unitPrice, other.unitPrice) === 0
      );
    })
  );
}

/** Who sits where: the seats from an instant to the next change. */
export interface SeatPeriod {
  startingAt: Instant;
  endingBefore: Instant | null;
  seatIds: readonly string[];
  quantity: Decimal;
}

/** The seats of a subscription over time, planned changes too. */
export function seatPeriods(
  { seats, endingBefore: ownEnd }: StoredSubscription,
  contractEnd: Instant | null,
): SeatPeriod[] {
  const ends = [ownEnd, contractEnd].filter((end) => end !== null);
  const last = ends.length === 0 ? null : Math.min(...ends);
  return seats
    .map((change, index): SeatPeriod => {
      const next = seats[index + 1]?.startingAt ?? null;
      const endingBefore = next === null ? last : Math.min(next, last ?? next);
      return {
        startingAt: change.startingAt,
        endingBefore,
        seatIds: change.seatIds,
        quantity: seatCount(change),
      };
    })
    .filter(({ startingAt, endingBefore }) => endingBefore === null || startingAt < endingBefore);
}
