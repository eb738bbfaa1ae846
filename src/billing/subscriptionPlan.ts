import type { SubscriptionRef } from '../core.js';
import type { Instant } from '../domain/period.js';
import { findCustomer } from '../storage/customers.js';
import type { Queryable, Transaction } from '../storage/db.js';
import { findNextFinalization } from '../storage/invoices.js';
import { loadPrices } from '../storage/prices.js';
import { setNextDue } from '../storage/schedule.js';
import {
  findSubscription,
  findSubscriptionItems,
  type SubscriptionItemRecord,
  type SubscriptionRecord,
} from '../storage/subscriptions.js';
import { findTestClock } from '../storage/testClocks.js';
import type { DueStep, SubscriptionPlan } from '../../workflows/messages.js';
import { priceOf } from './recipe.js';

/** A subscription with its items, as nearly everything that touches it needs them. */
export interface SubscriptionWithItems {
  subscription: SubscriptionRecord;
  items: SubscriptionItemRecord[];
}

/** Reads a subscription and its items; with `lock` the subscription's row is held. Null when there is none. */
export async function loadSubscription(
  q: Queryable,
  ref: SubscriptionRef,
  lock = false,
): Promise<SubscriptionWithItems | null> {
  const subscription = await findSubscription(q, ref.accountId, ref.subscriptionId, lock);
  if (subscription === null) return null;
  return { subscription, items: await findSubscriptionItems(q, ref.accountId, [subscription.id]) };
}

/** Reads and locks a subscription that must exist because something refers to it. */
export async function lockSubscription(q: Queryable, ref: SubscriptionRef): Promise<SubscriptionWithItems> {
  const loaded = await loadSubscription(q, ref, true);
  if (loaded === null) throw new Error(`subscription ${ref.subscriptionId} does not exist`);
  return loaded;
}

/** The earliest end of an open period; null once the subscription has ended. */
export function nextBoundary({ subscription, items }: SubscriptionWithItems): Instant | null {
  if (subscription.endedAt !== null || items.length === 0) return null;
  return Math.min(...items.map((item) => item.period.end));
}

/**
 * What the subscription has to do next: the earliest of its next period end and its next finalization. An invoice
 * that finalizes at the very instant of a period end goes first, since it bills the older period.
 */
export async function nextStep(
  q: Queryable,
  accountId: string,
  loaded: SubscriptionWithItems,
): Promise<DueStep | null> {
  const boundary = nextBoundary(loaded);
  const finalization = await findNextFinalization(q, accountId, loaded.subscription.id);
  if (finalization !== null && (boundary === null || finalization.at <= boundary)) {
    return { kind: 'finalize', at: finalization.at, invoiceId: finalization.invoiceId };
  }
  return boundary === null ? null : { kind: 'period_end', at: boundary };
}

/**
 * Notes in the subscription's row when it has work next. Called at the end of whatever changes that; reconcile and test
 * clocks go by it. The caller holds the row.
 */
export async function recordNextDue(tx: Transaction, ref: SubscriptionRef): Promise<void> {
  const loaded = await lockSubscription(tx, ref);
  const next = await nextStep(tx, ref.accountId, loaded);
  await setNextDue(tx, ref, next?.at ?? null);
}

/** The workflow's picture of the subscription, read from the database. Null when the subscription is gone. */
export async function loadPlan(
  q: Queryable,
  ref: SubscriptionRef,
  spreadMs: number,
): Promise<SubscriptionPlan | null> {
  const loaded = await loadSubscription(q, ref);
  if (loaded === null) return null;
  const { subscription, items } = loaded;
  const { accountId } = ref;
  const customer = await findCustomer(q, accountId, subscription.customerId);
  const prices = await loadPrices(q, accountId, [...new Set(items.map((item) => item.priceId))]);
  const clock =
    subscription.testClockId === null ? null : await findTestClock(q, accountId, subscription.testClockId);
  return {
    customerId: subscription.customerId,
    customerName: customer?.name ?? null,
    status: subscription.status,
    priceIds: [...prices.keys()],
    items: items.map((item) => {
      const price = priceOf(prices, item.priceId);
      return {
        label: price.productName,
        meterId: price.recurring?.meterId ?? null,
        periodStart: item.period.start,
        periodEnd: item.period.end,
      };
    }),
    periodEnd: nextBoundary(loaded),
    next: await nextStep(q, accountId, loaded),
    clockNow: subscription.testClockId === null ? null : (clock?.frozenTime ?? 0),
    spreadMs: subscription.testClockId === null ? spreadMs : 0,
  };
}
