import type { JsonObject } from '../json.js';
import type { PriceRecord } from '../storage/prices.js';
import type { SubscriptionItemRecord, SubscriptionRecord } from '../storage/subscriptions.js';
import { planObject, priceObject } from './price.js';
import { unixSeconds, unixSecondsOrNull } from './values.js';

/** A `subscription_item`; the period lives here, not on the subscription (docs.stripe.com/api/subscription_items). */
export function subscriptionItemObject(item: SubscriptionItemRecord, price: PriceRecord): JsonObject {
  return {
    id: item.id,
    object: 'subscription_item',
    billing_thresholds: null,
    created: unixSeconds(item.createdAt),
    current_period_end: unixSeconds(item.period.end),
    current_period_start: unixSeconds(item.period.start),
    current_trial: null,
    discounts: [],
    metadata: item.metadata,
    plan: planObject(price),
    price: priceObject(price),
    ...(item.quantity === null ? {} : { quantity: item.quantity }),
    subscription: item.subscriptionId,
    tax_rates: [],
  };
}

/** A `subscription` with its items (docs.stripe.com/api/subscriptions/object). `prices` holds every item's price. */
export function subscriptionObject(
  subscription: SubscriptionRecord,
  items: readonly SubscriptionItemRecord[],
  prices: ReadonlyMap<string, PriceRecord>,
): JsonObject {
  const s = subscription;
  const rendered = items.map((item) => {
    const price = prices.get(item.priceId);
    if (price === undefined) throw new Error(`price ${item.priceId} of a subscription item does not exist`);
    return subscriptionItemObject(item, price);
  });
  const [only] = rendered.length === 1 ? rendered : [];
  return {
    id: s.id,
    object: 'subscription',
    ...NOT_OFFERED,
    billing_cycle_anchor: unixSeconds(s.anchor),
    cancel_at: unixSecondsOrNull(s.cancelAt),
    cancel_at_period_end: s.cancelAtPeriodEnd,
    canceled_at: unixSecondsOrNull(s.canceledAt),
    cancellation_details: {
      comment: s.cancellationDetails.comment ?? null,
      feedback: s.cancellationDetails.feedback ?? null,
      reason: s.cancellationDetails.reason ?? null,
    },
    collection_method: s.collectionMethod,
    created: unixSeconds(s.createdAt),
    currency: s.currency,
    customer: s.customerId,
    days_until_due: s.daysUntilDue,
    description: s.details.description ?? null,
    ended_at: unixSecondsOrNull(s.endedAt),
    items: {
      object: 'list',
      data: rendered,
      has_more: false,
      total_count: rendered.length,
      url: `/v1/subscription_items?subscription=${s.id}`,
    },
    latest_invoice: s.latestInvoiceId,
    livemode: s.livemode,
    metadata: s.metadata,
    // Stripe still sends these two of a subscription with one item.
    plan: only?.plan ?? null,
    quantity: only?.quantity ?? null,
    start_date: unixSeconds(s.startedAt),
    status: s.status,
    test_clock: s.testClockId,
  };
}

/** Fields of features that Durabill doesn't have yet, as Stripe shows them where they are not used. */
const NOT_OFFERED: JsonObject = {
  application: null,
  application_fee_percent: null,
  automatic_tax: { disabled_reason: null, enabled: false, liability: null },
  billing_cycle_anchor_config: null,
  billing_mode: { flexible: { proration_discounts: 'included' }, type: 'flexible' },
  billing_schedules: [],
  billing_thresholds: null,
  customer_account: null,
  default_payment_method: null,
  default_source: null,
  default_tax_rates: [],
  discounts: [],
  managed_payments: { enabled: false },
  next_pending_invoice_item_invoice: null,
  on_behalf_of: null,
  pause_collection: null,
  pending_invoice_item_interval: null,
  pending_setup_intent: null,
  pending_update: null,
  schedule: null,
  transfer_data: null,
  trial_end: null,
  trial_start: null,
  invoice_settings: {
    account_tax_ids: null,
    custom_fields: null,
    description: null,
    footer: null,
    issuer: { type: 'self' },
  },
  payment_settings: {
    payment_method_options: null,
    payment_method_types: null,
    save_default_payment_method: 'off',
  },
  trial_settings: {
    end_behavior: { billing_cycle_anchor: null, missing_payment_method: 'create_invoice' },
  },
};
