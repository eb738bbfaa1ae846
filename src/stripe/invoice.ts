import { roundToInteger, toText } from '../domain/decimal.js';
import type { JsonObject, JsonValue } from '../json.js';
import type { InvoiceLineRecord, InvoiceRecord } from '../storage/invoices.js';
import { unixSeconds, unixSecondsOrNull } from './values.js';

/** How many lines an invoice carries in itself; the rest are read from its lines list. */
export const EMBEDDED_LINES_MAX = 10;

/**
 * One `line_item` (docs.stripe.com/api/invoice-line-item/object). `quantity` is a whole number, towards zero; the exact
 * one is `quantity_decimal`.
 */
export function invoiceLineObject(line: InvoiceLineRecord, invoice: InvoiceRecord): JsonObject {
  const amount = line.amount;
  return {
    id: line.id,
    object: 'line_item',
    amount,
    currency: invoice.currency,
    description: line.description,
    discount_amounts: [],
    discountable: !line.proration,
    discounts: [],
    invoice: invoice.id,
    livemode: invoice.livemode,
    metadata: line.metadata,
    parent: {
      invoice_item_details: null,
      subscription_item_details: {
        invoice_item: null,
        proration: line.proration,
        proration_details: { credited_items: null },
        subscription: invoice.subscriptionId,
        subscription_item: line.subscriptionItemId,
      },
      type: 'subscription_item_details',
    },
    period: { end: unixSeconds(line.period.end), start: unixSeconds(line.period.start) },
    pretax_credit_amounts: [],
    pricing: {
      price_details: { price: line.priceId, product: line.productId },
      type: 'price_details',
      unit_amount_decimal: line.unitAmount === null ? null : toText(line.unitAmount),
    },
    quantity: roundToInteger(line.quantity, 'toward_zero'),
    quantity_decimal: toText(line.quantity),
    subscription: invoice.subscriptionId,
    subtotal: amount,
    taxes: [],
  };
}

/**
 * An `invoice` (docs.stripe.com/api/invoices/object). `lines` are all its lines, or its first ones with `lineCount`
 * saying how many there are.
 */
export function invoiceObject(
  invoice: InvoiceRecord,
  lines: readonly InvoiceLineRecord[],
  lineCount = lines.length,
): JsonObject {
  const shown = lines.slice(0, EMBEDDED_LINES_MAX);
  const remaining =
    invoice.status === 'paid' || invoice.status === 'void' ? 0n : invoice.amountDue - invoice.amountPaid;
  return {
    id: invoice.id,
    object: 'invoice',
    ...ACCOUNT_FIELDS,
    ...NOT_OFFERED,
    ...customerFields(invoice),
    amount_due: invoice.amountDue,
    amount_overpaid: 0,
    amount_paid: invoice.amountPaid,
    amount_paid_off_stripe: invoice.paidOutOfBand ? invoice.amountPaid : 0n,
    amount_remaining: remaining,
    amount_shipping: 0,
    attempt_count: 0,
    attempted: invoice.attempted,
    auto_advance: invoice.status === 'draft' || invoice.status === 'open' ? invoice.autoAdvance : false,
    automatic_tax: { disabled_reason: null, enabled: false, liability: null, provider: null, status: null },
    automatically_finalizes_at: invoice.status === 'draft' ? unixSecondsOrNull(invoice.finalizesAt) : null,
    billing_reason: invoice.id.startsWith('upcoming_in_') ? 'upcoming' : invoice.billingReason,
    collection_method: invoice.collectionMethod,
    created: unixSeconds(invoice.createdAt),
    currency: invoice.currency,
    due_date: unixSecondsOrNull(invoice.dueAt),
    effective_at: unixSecondsOrNull(invoice.finalizedAt),
    ending_balance: invoice.endingBalance,
    lines: {
      object: 'list',
      data: shown.map((line) => invoiceLineObject(line, invoice)),
      has_more: lineCount > shown.length,
      total_count: lineCount,
      url: `/v1/invoices/${invoice.id}/lines`,
    },
    livemode: invoice.livemode,
    metadata: invoice.metadata,
    number: invoice.number,
    parent: {
      quote_details: null,
      subscription_details: {
        metadata: invoice.details.subscriptionMetadata ?? {},
        subscription: invoice.subscriptionId,
      },
      type: 'subscription_details',
    },
    period_end: unixSeconds(invoice.period.end),
    period_start: unixSeconds(invoice.period.start),
    starting_balance: invoice.startingBalance,
    status: invoice.status,
    status_transitions: {
      finalized_at: unixSecondsOrNull(invoice.finalizedAt),
      marked_uncollectible_at: unixSecondsOrNull(invoice.markedUncollectibleAt),
      paid_at: unixSecondsOrNull(invoice.paidAt),
      voided_at: unixSecondsOrNull(invoice.voidedAt),
    },
    subtotal: invoice.subtotal,
    subtotal_excluding_tax: invoice.subtotal,
    test_clock: invoice.testClockId,
    total: invoice.total,
    total_excluding_tax: invoice.total,
  };
}

const ACCOUNT_FIELDS: JsonObject = {
  account_country: null,
  account_name: null,
  account_tax_ids: null,
  application: null,
  issuer: { type: 'self' },
};

/** Fields of features that Durabill doesn't have yet, as Stripe shows them where they are not used. */
const NOT_OFFERED: JsonObject = {
  custom_fields: null,
  default_payment_method: null,
  default_source: null,
  default_tax_rates: [],
  description: null,
  discounts: [],
  footer: null,
  from_invoice: null,
  hosted_invoice_url: null,
  invoice_pdf: null,
  last_finalization_error: null,
  latest_revision: null,
  next_payment_attempt: null,
  on_behalf_of: null,
  payment_settings: { default_mandate: null, payment_method_options: null, payment_method_types: null },
  post_payment_credit_notes_amount: 0,
  pre_payment_credit_notes_amount: 0,
  receipt_number: null,
  rendering: null,
  shipping_cost: null,
  shipping_details: null,
  statement_descriptor: null,
  total_discount_amounts: [],
  total_pretax_credit_amounts: [],
  total_taxes: [],
  webhooks_delivered_at: null,
};

function customerFields(invoice: InvoiceRecord): JsonObject {
  const customer = (invoice.details.customer ?? {}) as Record<string, JsonValue>;
  return {
    customer: invoice.customerId,
    customer_account: null,
    customer_address: customer['address'] ?? null,
    customer_email: customer['email'] ?? null,
    customer_name: customer['name'] ?? null,
    customer_phone: customer['phone'] ?? null,
    customer_shipping: customer['shipping'] ?? null,
    customer_tax_exempt: customer['tax_exempt'] ?? 'none',
    customer_tax_ids: [],
  };
}
