import type { SubscriptionRef } from '../core.js';
import type { Instant } from '../domain/period.js';
import type { JsonObject } from '../json.js';
import type { Queryable, Transaction } from '../storage/db.js';
import { findPriceRecords } from '../storage/prices.js';
import { findSubscriptionItems, type SubscriptionRecord } from '../storage/subscriptions.js';
import { subscriptionObject } from '../stripe/subscription.js';
import { type EventRequest, emitEvent } from './events.js';
import { lockSubscription } from './subscriptionPlan.js';

/** Subscriptions in Stripe's shape, with their items and prices, in the order given. */
export async function renderSubscriptions(
  q: Queryable,
  accountId: string,
  subscriptions: readonly SubscriptionRecord[],
): Promise<JsonObject[]> {
  const items = await findSubscriptionItems(
    q,
    accountId,
    subscriptions.map((subscription) => subscription.id),
  );
  const prices = await findPriceRecords(q, accountId, [...new Set(items.map((item) => item.priceId))]);
  const pricesById = new Map(prices.map((price) => [price.id, price]));
  return subscriptions.map((subscription) =>
    subscriptionObject(
      subscription,
      items.filter((item) => item.subscriptionId === subscription.id),
      pricesById,
    ),
  );
}

/** Emits one of the `customer.subscription.*` events with the subscription as it is now in the transaction. */
export async function emitSubscriptionEvent(
  tx: Transaction,
  ref: SubscriptionRef,
  type: string,
  at: Instant,
  request: EventRequest | null,
): Promise<void> {
  const { subscription } = await lockSubscription(tx, ref);
  const [object] = await renderSubscriptions(tx, ref.accountId, [subscription]);
  if (object === undefined) throw new Error('a rendered subscription is missing');
  await emitEvent(tx, {
    accountId: ref.accountId,
    livemode: subscription.livemode,
    type,
    object,
    at,
    request,
  });
}
