import type { Core } from '../core.js';
import { BillingError, notFound } from '../domain/errors.js';
import { findCustomer } from '../storage/customers.js';
import type { Queryable } from '../storage/db.js';
import type { InvoiceLineRecord, InvoiceRecord } from '../storage/invoices.js';
import { readSettings } from '../storage/settings.js';
import { customerNow } from './clock.js';
import { previewInvoice } from './invoicing.js';
import { cycleRecipe, endingItems, loadItemPrices } from './periodEnd.js';
import { loadSubscription, nextBoundary } from './subscriptionPlan.js';
import { draftSubscription, type NewSubscription } from './subscriptions.js';

export interface PreviewedInvoice {
  invoice: InvoiceRecord;
  lines: InvoiceLineRecord[];
}

/**
 * The invoice that this subscription's next period end would make, with the usage known now. `cancelAtPeriodEnd`,
 * when given, asks what it would be after that change. Refuses a subscription that will bill nothing more.
 */
export async function previewUpcoming(
  q: Queryable,
  accountId: string,
  subscriptionId: string,
  cancelAtPeriodEnd: boolean | null,
): Promise<PreviewedInvoice> {
  const loaded = await loadSubscription(q, { accountId, subscriptionId });
  if (loaded === null) throw notFound('subscription', subscriptionId, 'subscription');
  const boundary = nextBoundary(loaded);
  if (boundary === null) throw nothingUpcoming(loaded.subscription.customerId);
  const subscription = { ...loaded.subscription };
  if (cancelAtPeriodEnd !== null) subscription.cancelAt = cancelAtPeriodEnd ? boundary : null;
  const customer = await findCustomer(q, accountId, subscription.customerId);
  if (customer === null) throw notFound('customer', subscription.customerId, 'customer');
  const items = endingItems(loaded.items, boundary);
  const prices = await loadItemPrices(q, accountId, items);
  const settings = await readSettings(q, accountId);
  const recipe = cycleRecipe({ subscription, items: loaded.items }, items, prices, boundary, settings);
  if (recipe.items.length === 0) throw nothingUpcoming(customer.id);
  return previewInvoice(q, accountId, {
    subscription,
    customer,
    billingReason: 'subscription_cycle',
    at: boundary,
    period: { start: Math.min(...items.map((item) => item.period.start)), end: boundary },
    recipe,
    finalizesAt: boundary + settings.invoiceGraceSeconds * 1000,
  });
}

/** The first invoice of a subscription that doesn't exist yet, as its creation now would make it. */
export async function previewNewSubscription(
  q: Queryable,
  core: Core,
  accountId: string,
  request: NewSubscription,
): Promise<PreviewedInvoice> {
  const draft = await draftSubscription(q, core, accountId, request, 'subscription_details');
  if (draft.firstInvoiceItems.length === 0) throw nothingUpcoming(request.customerId);
  const at = await customerNow(q, core, accountId, draft.customer);
  return previewInvoice(q, accountId, {
    subscription: draft.subscription,
    customer: draft.customer,
    billingReason: 'subscription_create',
    at,
    period: { start: at, end: at },
    recipe: {
      customerId: draft.customer.id,
      currency: draft.subscription.currency,
      items: draft.firstInvoiceItems,
      lateUsageSince: null,
    },
    finalizesAt: null,
  });
}

/** Stripe's answer when nothing is going to be billed. */
export function nothingUpcoming(customerId: string): BillingError {
  return new BillingError('not_found', `No upcoming invoices for customer: ${customerId}`, {
    code: 'invoice_upcoming_none',
  });
}
