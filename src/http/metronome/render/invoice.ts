import type { DraftInvoice } from '../../../domain/contract/draft.js';
import type { DraftLine } from '../../../domain/contract/lines.js';
import type { ProductType, Rate } from '../../../domain/contract/terms.js';
import { isZero, toText } from '../../../domain/decimal.js';
import type { Instant } from '../../../domain/period.js';
import { type JsonObject, JsonText, type JsonValue, jsonNumber, toJsonText } from '../../../json.js';
import type { ContractRecord } from '../../../domain/contract/contract.js';
import { creditType, rateObject, rfc3339 } from '../render.js';
import { numberOf, present, type Units } from './common.js';

/** What an invoice shows beside itself. */
export interface InvoiceContext {
  /** Of the customer in this dialect. */
  customerUuid: string;
  customerCustomFields: Readonly<Record<string, string>>;
  contracts: ReadonlyMap<string, ContractRecord>;
  units: Units;
  products: ReadonlyMap<string, { tags: readonly string[]; customFields: Readonly<Record<string, string>> }>;
  skipZeroLines: boolean;
}

export interface ShownInvoice {
  invoice: DraftInvoice;
  status: 'DRAFT' | 'FINALIZED' | 'VOID';
  finalizedAt: Instant | null;
  regeneratedFrom: string | null;
}

/** A product's type as invoices name it. */
export const PRODUCT_TYPES: Record<ProductType, string> = {
  USAGE: 'UsageProductListItem',
  SUBSCRIPTION: 'SubscriptionProductListItem',
  COMPOSITE: 'CompositeProductListItem',
  FIXED: 'FixedProductListItem',
  PRO_SERVICE: 'ProServiceProductListItem',
};

/** Metronome's invoice object (docs.metronome.com/api-reference/invoices). */
export function invoiceObject(context: InvoiceContext, shown: ShownInvoice): JsonObject {
  const { invoice } = shown;
  const contract = context.contracts.get(invoice.contractId);
  const lines = context.skipZeroLines
    ? invoice.lines.filter(({ quantity }) => quantity === null || !isZero(quantity))
    : invoice.lines;
  return {
    id: invoice.invoiceId,
    customer_id: context.customerUuid,
    contract_id: invoice.contractId,
    type: invoice.type,
    status: shown.status,
    credit_type: creditType(context.units, invoice.creditTypeId),
    total: jsonNumber(invoice.total),
    ...(invoice.period === null
      ? {}
      : {
          start_timestamp: rfc3339(invoice.period.start),
          end_timestamp: rfc3339(invoice.period.end),
        }),
    issued_at: rfc3339(invoice.issuedAt),
    // Written one by one: ten thousand lines as objects cost more to keep than to make.
    line_items: lines.map((line) => new JsonText(toJsonText(lineObject(context, line)))),
    net_payment_terms_days: contract?.document.netPaymentTermsDays ?? undefined,
    customer_custom_fields: context.customerCustomFields,
    contract_custom_fields: contract?.customFields ?? {},
    custom_fields: invoice.imported?.customFields ?? {},
    billable_status: invoice.imported?.isBillable === false ? 'unbillable' : 'billable',
    external_invoice: null,
    ...(shown.regeneratedFrom === null ? {} : { regenerated_from_invoice_id: shown.regeneratedFrom }),
    ...(shown.finalizedAt === null ? {} : { created_at: rfc3339(shown.finalizedAt) }),
  };
}

/** What many lines show alike, or the lines of many reads: written once for each object that says it. */
const texts = new WeakMap<object, JsonText>();

function writtenOnce<T extends object>(of: T, value: (of: T) => JsonValue): JsonText {
  const known = texts.get(of);
  if (known !== undefined) return known;
  const text = new JsonText(toJsonText(value(of)));
  texts.set(of, text);
  return text;
}

function unitText(units: Units, id: string): JsonValue {
  const unit = units.get(id);
  return unit === undefined ? creditType(units, id) : writtenOnce(unit, () => creditType(units, id));
}

function rateText(rate: Rate, units: Units): JsonValue {
  return writtenOnce(rate, () => rateObject(rate, units));
}

function lineObject(context: InvoiceContext, line: DraftLine): JsonObject {
  const product = line.productId === null ? undefined : context.products.get(line.productId);
  return {
    name: line.name,
    type: line.type === 'composite' ? 'usage' : line.type,
    credit_type: unitText(context.units, line.creditTypeId),
    quantity: numberOf(line.quantity),
    unit_price: numberOf(line.unitPrice),
    total: jsonNumber(line.total),
    list_price: line.listRate === null ? undefined : rateText(line.listRate, context.units),
    product_id: line.productId ?? undefined,
    product_type: line.productType === null ? undefined : PRODUCT_TYPES[line.productType],
    product_tags: product && writtenOnce(product.tags, (tags) => tags),
    product_custom_fields: product && writtenOnce(product.customFields, (fields) => fields),
    starting_at: line.period === null ? undefined : rfc3339(line.period.start),
    ending_before: line.period === null ? undefined : rfc3339(line.period.end),
    ...payer(line),
    pricing_group_values: nonEmpty(line.pricingGroupValues),
    presentation_group_values: nonEmpty(line.presentationGroupValues),
    tier:
      line.tier === null
        ? undefined
        : present({
            level: line.tier.level,
            starting_at: toText(line.tier.startingAt),
            size: line.tier.size === null ? undefined : toText(line.tier.size),
          }),
    metadata: line.isLate === true ? 'late_usage' : undefined,
    is_prorated: line.type === 'subscription' ? line.isProrated : undefined,
    subscription_id: line.subscriptionId ?? undefined,
    scheduled_charge_id: line.scheduledChargeId ?? undefined,
  };
}

function payer({ balance, type }: DraftLine): Readonly<Record<string, JsonValue>> {
  if (balance === null) return {};
  const postpaid = balance.type === 'POSTPAID';
  return {
    commit_id: balance.id,
    commit_segment_id: balance.segmentId ?? undefined,
    commit_type: postpaid ? 'PostpaidCommit' : 'PrepaidCommit',
    applied_commit_or_credit:
      type === 'applied_commit_or_credit' ? { id: balance.id, type: balance.type } : undefined,
    postpaid_commit: postpaid ? { id: balance.id } : undefined,
  };
}

function nonEmpty(values: Readonly<Record<string, string | null>>): JsonValue {
  if (Object.keys(values).length === 0) return undefined;
  // Frozen are those that are kept for later reads.
  return Object.isFrozen(values) ? writtenOnce(values, (all) => all) : values;
}
