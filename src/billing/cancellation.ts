import type { Core, SubscriptionChange, SubscriptionRef } from '../core.js';
import { notFound } from '../domain/errors.js';
import type { Instant } from '../domain/period.js';
import { findCustomer } from '../storage/customers.js';
import type { Transaction } from '../storage/db.js';
import {
  findOpenSubscriptions,
  type SubscriptionRecord,
  updateSubscription,
} from '../storage/subscriptions.js';
import { customerNow } from './clock.js';
import type { EventRequest } from './events.js';
import { finalizeInvoice } from './finalization.js';
import { createDraft } from './invoicing.js';
import { loadItemPrices } from './periodEnd.js';
import { meteredItem, priceOf } from './recipe.js';
import { emitSubscriptionEvent } from './subscriptionEvents.js';
import { lockSubscription, recordNextDue, type SubscriptionWithItems } from './subscriptionPlan.js';

/**
 * Carries out a change that the workflow has put in order with its period ends. Repeating it changes nothing: an ended
 * subscription stays as it is.
 */
export async function applyChange(
  tx: Transaction,
  core: Core,
  ref: SubscriptionRef,
  change: SubscriptionChange,
  request: EventRequest | null,
): Promise<void> {
  const loaded = await lockSubscription(tx, ref);
  const { subscription } = loaded;
  if (subscription.endedAt !== null) return;
  const at = await customerNow(tx, core, ref.accountId, subscription);
  const details = { ...subscription.cancellationDetails, ...change.details };
  if (change.type === 'cancel') {
    await cancelNow(tx, ref, loaded, { at, invoiceNow: change.invoiceNow, details, request });
    return;
  }
  if (change.cancelAtPeriodEnd === subscription.cancelAtPeriodEnd) {
    await updateSubscription(tx, ref.accountId, { ...subscription, cancellationDetails: details });
    return;
  }
  await updateSubscription(tx, ref.accountId, {
    ...subscription,
    cancelAtPeriodEnd: change.cancelAtPeriodEnd,
    cancelAt: change.cancelAtPeriodEnd ? Math.max(...loaded.items.map((item) => item.period.end)) : null,
    canceledAt: change.cancelAtPeriodEnd ? at : null,
    cancellationDetails: {
      ...details,
      reason: change.cancelAtPeriodEnd ? 'cancellation_requested' : null,
    },
  });
  await emitSubscriptionEvent(tx, ref, 'customer.subscription.updated', at, request);
}

/**
 * Ends every open subscription of a customer or of a test clock at once, without billing their open periods, as
 * deleting either does. Their workflows are told after the commit.
 */
export async function endSubscriptions(
  tx: Transaction,
  core: Core,
  accountId: string,
  of: { customerId: string } | { testClockId: string },
  request: EventRequest | null,
): Promise<void> {
  for (const { id, ...subscription } of await findOpenSubscriptions(tx, accountId, of)) {
    const ref: SubscriptionRef = { accountId, subscriptionId: id };
    const loaded = await lockSubscription(tx, ref);
    const at = await customerNow(tx, core, accountId, subscription);
    await cancelNow(tx, ref, loaded, {
      at,
      invoiceNow: false,
      details: loaded.subscription.cancellationDetails,
      request,
    });
    tx.afterCommit(async () => {
      await core.workflows.wakeSubscription(ref).catch((error: unknown) => {
        core.log.warn({ ...ref, error }, 'the workflow of an ended subscription could not be told yet');
      });
    });
  }
}

interface Cancellation {
  at: Instant;
  invoiceNow: boolean;
  details: SubscriptionRecord['cancellationDetails'];
  request: EventRequest | null;
}

async function cancelNow(
  tx: Transaction,
  ref: SubscriptionRef,
  loaded: SubscriptionWithItems,
  { at, invoiceNow, details, request }: Cancellation,
): Promise<void> {
  const { accountId } = ref;
  const latestInvoiceId = invoiceNow ? await invoiceOpenUsage(tx, ref, loaded, at, request) : null;
  const canceled: SubscriptionRecord = {
    ...loaded.subscription,
    status: 'canceled',
    canceledAt: loaded.subscription.canceledAt ?? at,
    endedAt: at,
    cancellationDetails: { ...details, reason: 'cancellation_requested' },
    latestInvoiceId: latestInvoiceId ?? loaded.subscription.latestInvoiceId,
  };
  await updateSubscription(tx, accountId, canceled);
  await recordNextDue(tx, ref);
  await emitSubscriptionEvent(tx, ref, 'customer.subscription.deleted', at, request);
}

/** The final invoice of a subscription canceled in mid-period: the usage of the open periods up to now. */
async function invoiceOpenUsage(
  tx: Transaction,
  ref: SubscriptionRef,
  { subscription, items }: SubscriptionWithItems,
  at: Instant,
  request: EventRequest | null,
): Promise<string | null> {
  const { accountId } = ref;
  const prices = await loadItemPrices(tx, accountId, items);
  const metered = items.filter(
    (item) => priceOf(prices, item.priceId).recurring?.usageType === 'metered' && item.period.start < at,
  );
  if (metered.length === 0) return null;
  const customer = await findCustomer(tx, accountId, subscription.customerId);
  if (customer === null) throw notFound('customer', subscription.customerId);
  const invoice = await createDraft(tx, accountId, {
    subscription,
    customer,
    step: `cancel:${String(at)}`,
    billingReason: 'subscription_cycle',
    at,
    period: { start: Math.min(...metered.map((item) => item.period.start)), end: at },
    recipe: {
      customerId: customer.id,
      currency: subscription.currency,
      items: metered.map((item) => meteredItem(item, { start: item.period.start, end: at })),
      lateUsageSince: null,
    },
    finalizesAt: null,
    request,
  });
  await finalizeInvoice(tx, { accountId, invoiceId: invoice.id, at, request });
  return invoice.id;
}
