import type { SubscriptionRef } from '../core.js';
import type { InvoiceRecipe, RecipeItem } from '../domain/invoiceRecipe.js';
import type { Instant } from '../domain/period.js';
import type { Price } from '../domain/price.js';
import { findCustomer } from '../storage/customers.js';
import type { Queryable, Transaction } from '../storage/db.js';
import { findInvoiceByStep } from '../storage/invoices.js';
import { loadPrices } from '../storage/prices.js';
import { type AccountSettings, readSettings } from '../storage/settings.js';
import { type SubscriptionItemRecord, setItemPeriod, updateSubscription } from '../storage/subscriptions.js';
import { createDraft, finalizationInstant } from './invoicing.js';
import { itemPeriod } from './itemPeriods.js';
import {
  type ItemUsage,
  LATE_USAGE_REACH_MS,
  licensedItem,
  meteredItem,
  priceOf,
  readItemUsage,
} from './recipe.js';
import { emitSubscriptionEvent } from './subscriptionEvents.js';
import {
  loadSubscription,
  lockSubscription,
  recordNextDue,
  type SubscriptionWithItems,
} from './subscriptionPlan.js';

/** One period end of a subscription: every item whose period ends at `boundary`. */
export interface PeriodEnd extends SubscriptionRef {
  boundary: Instant;
}

/** The name of a period end's invoice within its subscription. */
export function cycleStep(boundary: Instant): string {
  return `cycle:${String(boundary)}`;
}

/** The metered quantities of the periods that end at this boundary, as known now. Reads only. */
export async function aggregateUsage(q: Queryable, end: PeriodEnd): Promise<ItemUsage[]> {
  const loaded = await loadSubscription(q, end);
  if (loaded === null) return [];
  const items = endingItems(loaded.items, end.boundary);
  const prices = await loadItemPrices(q, end.accountId, items);
  const periods = items.map((item) => ({ ...item, subscriptionItemId: item.id }));
  return readItemUsage(q, end.accountId, loaded.subscription.customerId, periods, prices);
}

/**
 * The draft invoice of a period end: usage of the periods that end, licences of the periods that begin, and usage of
 * older periods that came too late for their own invoice. Made once however often it is called; null when there is
 * nothing to bill.
 */
export async function createCycleInvoice(
  tx: Transaction,
  end: PeriodEnd,
  usage: readonly ItemUsage[],
): Promise<{ invoiceId: string; finalizesAt: Instant | null } | null> {
  const { accountId, boundary } = end;
  const loaded = await lockSubscription(tx, end);
  const { subscription } = loaded;
  const existing = await findInvoiceByStep(tx, accountId, subscription.id, cycleStep(boundary));
  if (existing !== null) return { invoiceId: existing.id, finalizesAt: existing.finalizesAt };
  const items = endingItems(loaded.items, boundary);
  if (items.length === 0 || subscription.endedAt !== null) return null;
  const settings = await readSettings(tx, accountId);
  const prices = await loadItemPrices(tx, accountId, items);
  const recipe = cycleRecipe(loaded, items, prices, boundary, settings);
  if (recipe.items.length === 0) return null;
  const customer = await findCustomer(tx, accountId, subscription.customerId);
  if (customer === null)
    throw new Error(`customer ${subscription.customerId} of a subscription does not exist`);
  const invoice = await createDraft(tx, accountId, {
    subscription,
    customer,
    step: cycleStep(boundary),
    billingReason: 'subscription_cycle',
    at: boundary,
    period: { start: Math.min(...items.map((item) => item.period.start)), end: boundary },
    recipe,
    finalizesAt: finalizationInstant(boundary, settings),
    usage,
    request: null,
  });
  await updateSubscription(tx, accountId, { ...subscription, latestInvoiceId: invoice.id });
  return { invoiceId: invoice.id, finalizesAt: invoice.finalizesAt };
}

/**
 * Opens the next period of every item whose period ends at the boundary, or ends the subscription if it was to be
 * canceled by then. Repeating it changes nothing: an item that has moved on no longer ends at the boundary.
 */
export async function openNextPeriod(tx: Transaction, end: PeriodEnd): Promise<void> {
  const { accountId, boundary } = end;
  const loaded = await lockSubscription(tx, end);
  const { subscription } = loaded;
  const items = endingItems(loaded.items, boundary);
  if (subscription.endedAt !== null || items.length === 0) return;
  if (endsAt(loaded, boundary)) {
    const canceled = {
      ...subscription,
      status: 'canceled' as const,
      endedAt: boundary,
      canceledAt: subscription.canceledAt ?? boundary,
    };
    await updateSubscription(tx, accountId, canceled);
    await recordNextDue(tx, end);
    await emitSubscriptionEvent(tx, end, 'customer.subscription.deleted', boundary, null);
    return;
  }
  const prices = await loadItemPrices(tx, accountId, items);
  for (const item of items) {
    const { start, end: periodEnd } = nextItemPeriod(loaded, item, prices, boundary);
    await setItemPeriod(tx, accountId, item.id, { start, end: periodEnd });
  }
  await recordNextDue(tx, end);
  await emitSubscriptionEvent(tx, end, 'customer.subscription.updated', boundary, null);
}

/**
 * What the invoice of a boundary bills. Also the recipe of a preview: the upcoming invoice is the one that this makes
 * at the next boundary.
 */
export function cycleRecipe(
  loaded: SubscriptionWithItems,
  items: readonly SubscriptionItemRecord[],
  prices: ReadonlyMap<string, Price>,
  boundary: Instant,
  settings: AccountSettings,
): InvoiceRecipe {
  const ends = endsAt(loaded, boundary);
  const recipeItems = items.flatMap((item): RecipeItem[] => {
    const metered = priceOf(prices, item.priceId).recurring?.usageType === 'metered';
    if (metered) return [meteredItem(item, item.period)];
    if (ends) return [];
    const { proration, start, end } = nextItemPeriod(loaded, item, prices, boundary);
    return [licensedItem(item, { start, end }, proration)];
  });
  const starts = items.map((item) => item.period.start);
  return {
    customerId: loaded.subscription.customerId,
    currency: loaded.subscription.currency,
    items: recipeItems,
    lateUsageSince: settings.lateUsage === 'bill' ? Math.min(...starts) - LATE_USAGE_REACH_MS : null,
  };
}

/** The items whose open period ends at the boundary. */
export function endingItems(
  items: readonly SubscriptionItemRecord[],
  boundary: Instant,
): SubscriptionItemRecord[] {
  return items.filter((item) => item.period.end === boundary);
}

export function loadItemPrices(
  q: Queryable,
  accountId: string,
  items: readonly { priceId: string }[],
): Promise<Map<string, Price>> {
  return loadPrices(q, accountId, [...new Set(items.map((item) => item.priceId))]);
}

function endsAt({ subscription }: SubscriptionWithItems, boundary: Instant): boolean {
  return subscription.cancelAt !== null && subscription.cancelAt <= boundary;
}

function nextItemPeriod(
  { subscription }: SubscriptionWithItems,
  item: SubscriptionItemRecord,
  prices: ReadonlyMap<string, Price>,
  boundary: Instant,
) {
  const interval = priceOf(prices, item.priceId).recurring?.interval;
  if (interval === undefined)
    throw new Error(`price ${item.priceId} of a subscription item is not recurring`);
  return itemPeriod(boundary, subscription.anchor, interval, subscription.cancelAt);
}
