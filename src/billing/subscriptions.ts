import type { Core, SubscriptionRef } from '../core.js';
import { invalid, notFound } from '../domain/errors.js';
import type { RecipeItem } from '../domain/invoiceRecipe.js';
import { type AnchorConfig, anchorFromConfig, boundary, type Instant } from '../domain/period.js';
import type { Price } from '../domain/price.js';
import { newId } from '../ids.js';
import { type CustomerRecord, findCustomer, setCustomerCurrency } from '../storage/customers.js';
import type { Queryable, Transaction } from '../storage/db.js';
import { findInactivePrices, loadPrices } from '../storage/prices.js';
import { readSettings } from '../storage/settings.js';
import {
  countOpenSubscriptions,
  insertSubscription,
  insertSubscriptionItem,
  type SubscriptionItemRecord,
  type SubscriptionRecord,
  updateSubscription,
} from '../storage/subscriptions.js';
import { customerNowForChange } from './clock.js';
import type { EventRequest } from './events.js';
import { finalizeInvoice } from './finalization.js';
import { createDraft } from './invoicing.js';
import { type ItemPeriod, itemPeriod } from './itemPeriods.js';
import { licensedItem, priceOf } from './recipe.js';
import { emitSubscriptionEvent } from './subscriptionEvents.js';
import { lockSubscription, recordNextDue } from './subscriptionPlan.js';

export interface NewSubscriptionItem {
  priceId: string;
  /** Null where the caller gave none: 1 of a licensed price, and the only choice for a metered one. */
  quantity: bigint | null;
  metadata: Record<string, string>;
  /** The price was made for this item alone and is not for sale, so it may be inactive. */
  isInline?: boolean;
}

export interface NewSubscription {
  livemode: boolean;
  customerId: string;
  items: readonly NewSubscriptionItem[];
  currency: string | null;
  anchor: Instant | null;
  anchorConfig: AnchorConfig | null;
  /** Whether a first period shortened by the anchor is billed by its share, or is free. */
  prorationBehavior: 'create_prorations' | 'none';
  collectionMethod: 'charge_automatically' | 'send_invoice';
  daysUntilDue: number | null;
  cancelAtPeriodEnd: boolean;
  description: string | null;
  metadata: Record<string, string>;
}

/** Stripe's limits (docs.stripe.com/billing/testing/test-clocks and the API reference of subscriptions). */
const SUBSCRIPTIONS_PER_CUSTOMER_MAX = 500;
const SUBSCRIPTIONS_PER_CLOCKED_CUSTOMER_MAX = 3;
const ITEMS_MAX = 20;

/** A subscription that has been thought through but not written: what a preview and a creation have in common. */
export interface SubscriptionDraft {
  subscription: SubscriptionRecord;
  items: SubscriptionItemRecord[];
  customer: CustomerRecord;
  prices: ReadonlyMap<string, Price>;
  /** What the first invoice bills: the licences of the first period. Empty when there is nothing to bill yet. */
  firstInvoiceItems: RecipeItem[];
  at: Instant;
}

/**
 * Works out a new subscription at the customer's time: its anchor, each item's first period and the first invoice's
 * items. Writes nothing. Throws BillingError with the parameter at fault, in the names of Stripe's create call
 * prefixed by `prefix`.
 */
export async function draftSubscription(
  q: Queryable,
  core: Pick<Core, 'now'>,
  accountId: string,
  request: NewSubscription,
  prefix = '',
): Promise<SubscriptionDraft> {
  const customer = await findCustomer(q, accountId, request.customerId);
  if (customer === null || customer.deletedAt !== null) {
    throw notFound('customer', request.customerId, 'customer');
  }
  const at = await customerNowForChange(q, core, accountId, customer);
  const prices = await loadPrices(q, accountId, [...new Set(request.items.map((item) => item.priceId))]);
  const named = request.items.filter((item) => item.isInline !== true).map((item) => item.priceId);
  const inactive = await findInactivePrices(q, accountId, named);
  const currency = checkItems(request, prices, inactive, customer, prefix);
  const first = priceOf(prices, request.items[0]?.priceId ?? '');
  const anchor = anchorOf(request, at, prices, first);
  const subscription = newRecord(request, customer, currency, at, anchor);
  const periods = new Map<string, ItemPeriod>();
  const items = request.items.map((item, position): SubscriptionItemRecord => {
    const id = newId('subscriptionItem');
    const period = itemPeriod(at, anchor, recurringOf(priceOf(prices, item.priceId)).interval, null);
    periods.set(id, period);
    const metered = recurringOf(priceOf(prices, item.priceId)).usageType === 'metered';
    return {
      id,
      subscriptionId: subscription.id,
      position,
      priceId: item.priceId,
      quantity: metered ? null : (item.quantity ?? 1n),
      createdAt: at,
      period: { start: period.start, end: period.end },
      metadata: item.metadata,
    };
  });
  if (request.cancelAtPeriodEnd) {
    subscription.cancelAt = Math.max(...items.map((item) => item.period.end));
    subscription.canceledAt = at;
    subscription.cancellationDetails = { reason: 'cancellation_requested' };
  }
  return {
    subscription,
    items,
    customer,
    prices,
    firstInvoiceItems: firstInvoiceItems(request, items, periods),
    at,
  };
}

/**
 * Creates a subscription, active at once, with its first invoice finalized when there is anything to bill in advance,
 * and starts its workflow after the commit. A workflow that can't be started now is started by reconcile.
 */
export async function createSubscription(
  tx: Transaction,
  core: Core,
  accountId: string,
  request: NewSubscription,
  eventRequest: EventRequest | null,
): Promise<SubscriptionRecord> {
  // Held, so that two subscriptions created at once agree on the customer's currency and limits.
  await findCustomer(tx, accountId, request.customerId, 'update');
  const draft = await draftSubscription(tx, core, accountId, request);
  const { subscription, items, customer, at } = draft;
  await checkLimits(tx, accountId, customer);
  await insertSubscription(tx, accountId, subscription);
  for (const item of items) await insertSubscriptionItem(tx, accountId, item);
  if (customer.currency === null)
    await setCustomerCurrency(tx, accountId, customer.id, subscription.currency);
  const ref: SubscriptionRef = { accountId, subscriptionId: subscription.id };
  if (draft.firstInvoiceItems.length > 0) await billFirstPeriod(tx, accountId, draft, eventRequest);
  await recordNextDue(tx, ref);
  await emitSubscriptionEvent(tx, ref, 'customer.subscription.created', at, eventRequest);
  tx.afterCommit(async () => {
    await core.workflows.startSubscription(ref).catch((error: unknown) => {
      core.log.warn({ ...ref, error }, 'the workflow of a new subscription could not be started yet');
    });
  });
  return (await lockSubscription(tx, ref)).subscription;
}

async function billFirstPeriod(
  tx: Transaction,
  accountId: string,
  draft: SubscriptionDraft,
  request: EventRequest | null,
): Promise<void> {
  const { subscription, customer, at } = draft;
  const invoice = await createDraft(tx, accountId, {
    subscription,
    customer,
    step: 'create',
    billingReason: 'subscription_create',
    at,
    period: { start: at, end: at },
    recipe: {
      customerId: customer.id,
      currency: subscription.currency,
      items: draft.firstInvoiceItems,
      lateUsageSince: null,
    },
    finalizesAt: null,
    request,
  });
  await updateSubscription(tx, accountId, { ...subscription, latestInvoiceId: invoice.id });
  await finalizeInvoice(tx, { accountId, invoiceId: invoice.id, at, request });
}

function checkItems(
  request: NewSubscription,
  prices: ReadonlyMap<string, Price>,
  inactive: ReadonlySet<string>,
  customer: CustomerRecord,
  prefix: string,
): string {
  const name = (index: number, field: string): string =>
    prefix === '' ? `items[${String(index)}][${field}]` : `${prefix}[items][${String(index)}][${field}]`;
  if (request.items.length > ITEMS_MAX) {
    throw invalid(`A subscription can have at most ${String(ITEMS_MAX)} items.`, { param: 'items' });
  }
  const seen = new Set<string>();
  let currency = request.currency;
  request.items.forEach((item, index) => {
    const price = prices.get(item.priceId);
    if (price === undefined) throw notFound('price', item.priceId, name(index, 'price'));
    if (inactive.has(price.id)) {
      throw invalid('The price specified is inactive. This field only accepts active prices.', {
        param: name(index, 'price'),
      });
    }
    if (price.recurring === null) {
      throw invalid(
        'The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.',
        {
          param: name(index, 'price'),
        },
      );
    }
    if (seen.has(price.id)) {
      throw invalid(`Cannot add multiple subscription items with the same plan: ${price.id}`, {
        param: name(index, 'price'),
      });
    }
    seen.add(price.id);
    if (item.quantity !== null && price.recurring.usageType === 'metered') {
      throw invalid('You cannot set the quantity for metered plans.', { param: name(index, 'quantity') });
    }
    currency ??= price.currency;
    if (price.currency !== currency) {
      throw invalid(
        `The price specified supports currencies of \`${price.currency}\`. This doesn't match the expected currency: \`${currency}\`.`,
        {
          param: name(index, 'price'),
        },
      );
    }
  });
  if (currency === null) throw invalid('A subscription needs at least one item.', { param: 'items' });
  if (customer.currency !== null && customer.currency !== currency) {
    throw invalid(
      'You cannot combine currencies on a single customer. This customer has an active subscription, balance or ' +
        `invoice in ${customer.currency}.`,
      { param: 'currency' },
    );
  }
  return currency;
}

function anchorOf(
  request: NewSubscription,
  at: Instant,
  prices: ReadonlyMap<string, Price>,
  first: Price,
): Instant {
  if (request.anchorConfig !== null) {
    return anchorFromConfig(at, recurringOf(first).interval, request.anchorConfig);
  }
  if (request.anchor === null) return at;
  if (request.anchor < at) {
    throw invalid('`billing_cycle_anchor` must not be in the past.', { param: 'billing_cycle_anchor' });
  }
  const ends = [...prices.values()].map((price) => boundary(at, recurringOf(price).interval, 1));
  if (request.anchor > Math.min(...ends)) {
    throw invalid('`billing_cycle_anchor` cannot be later than the next natural billing date of a price.', {
      param: 'billing_cycle_anchor',
    });
  }
  return request.anchor;
}

function firstInvoiceItems(
  request: NewSubscription,
  items: readonly SubscriptionItemRecord[],
  periods: ReadonlyMap<string, ItemPeriod>,
): RecipeItem[] {
  return items.flatMap((item) => {
    if (item.quantity === null) return [];
    const proration = periods.get(item.id)?.proration ?? null;
    if (proration !== null && request.prorationBehavior === 'none') return [];
    return [licensedItem(item, item.period, proration)];
  });
}

function newRecord(
  request: NewSubscription,
  customer: CustomerRecord,
  currency: string,
  at: Instant,
  anchor: Instant,
): SubscriptionRecord {
  return {
    id: newId('subscription'),
    livemode: request.livemode,
    createdAt: at,
    customerId: customer.id,
    testClockId: customer.testClockId,
    status: 'active',
    currency,
    startedAt: at,
    anchor,
    cancelAt: null,
    cancelAtPeriodEnd: request.cancelAtPeriodEnd,
    canceledAt: null,
    endedAt: null,
    cancellationDetails: {},
    collectionMethod: request.collectionMethod,
    daysUntilDue: request.daysUntilDue,
    latestInvoiceId: null,
    nextDueAt: at,
    details: { description: request.description },
    metadata: request.metadata,
  };
}

async function checkLimits(q: Queryable, accountId: string, customer: CustomerRecord): Promise<void> {
  const open = await countOpenSubscriptions(q, accountId, customer.id);
  if (open >= SUBSCRIPTIONS_PER_CUSTOMER_MAX) {
    throw invalid(`A customer can have at most ${String(SUBSCRIPTIONS_PER_CUSTOMER_MAX)} subscriptions.`, {
      code: 'customer_max_subscriptions',
      param: 'customer',
    });
  }
  if (customer.testClockId === null || open < SUBSCRIPTIONS_PER_CLOCKED_CUSTOMER_MAX) return;
  if ((await readSettings(q, accountId)).unlimitedTestClocks) return;
  throw invalid(
    `A customer on a test clock can have at most ${String(SUBSCRIPTIONS_PER_CLOCKED_CUSTOMER_MAX)} subscriptions. ` +
      'The account setting unlimited_test_clocks lifts this.',
    { code: 'customer_max_subscriptions', param: 'customer' },
  );
}

function recurringOf(price: Price): NonNullable<Price['recurring']> {
  if (price.recurring === null) throw new Error(`price ${price.id} is not recurring`);
  return price.recurring;
}
