import type { z } from 'zod';
import { lockForChange } from '../../billing/contracts/create.js';
import {
  computeHistoricalInvoices,
  createHistoricalInvoices,
  type HistoricalInvoice,
} from '../../billing/contracts/historical.js';
import { newUuid } from '../../billing/contracts/ids.js';
import { requireCustomerByAnyId } from '../../billing/metronome/customers.js';
import type { UsageSlice } from '../../domain/contract/terms.js';
import { ZERO } from '../../domain/decimal.js';
import { invalid, notFound } from '../../domain/errors.js';
import type { Instant, Period } from '../../domain/period.js';
import type { JsonObject } from '../../json.js';
import { type LoadedProduct, loadProducts } from '../../storage/contractProducts.js';
import type { MetronomeCustomer } from '../../storage/ingestAliases.js';
import { invoiceContext } from './contractView.js';
import { type MetronomeContext, type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import {
  boolean,
  customerId,
  customFields,
  decimal,
  HOUR_MS,
  hourTimestamp,
  list,
  object,
  oneOf,
  textMap,
  timestamp,
  uuid,
} from './params.js';
import { invoiceObject } from './render/invoice.js';

const INVOICES_MAX = 100;
/** A month by the hour has 744 subtotals on each line. */
const BODY_BYTES_MAX = 8 * 1024 * 1024;

const span = { inclusive_start_date: hourTimestamp(), exclusive_end_date: hourTimestamp() };
const quantity = () => decimal({ min: ZERO });

const line = object({
  ...span,
  product_id: uuid(),
  pricing_group_values: textMap().optional(),
  presentation_group_values: textMap().optional(),
  quantity: quantity().optional(),
  subtotals_with_quantity: list(object({ ...span, quantity: quantity() }), { min: 1 }).optional(),
});

const historical = object({
  ...span,
  customer_id: customerId(),
  contract_id: uuid(),
  credit_type_id: uuid(),
  issue_date: timestamp(),
  usage_line_items: list(line, { min: 1 }),
  billable_status: oneOf(['billable', 'unbillable']).optional(),
  breakdown_granularity: oneOf(['HOUR', 'DAY']).optional(),
  custom_fields: customFields().optional(),
});

type Line = z.output<typeof line>;
type Historical = z.output<typeof historical>;

const create = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/createHistoricalInvoices',
  bodyBytesMax: BODY_BYTES_MAX,
  body: object({ invoices: list(historical, { min: 1, max: INVOICES_MAX }), preview: boolean() }),
  /** Usage invoices over given quantities, final at once, or a preview of them as drafts. All of them or none. */
  async handle(ctx, input) {
    const byCustomer = new Map<string, { customer: MetronomeCustomer; asked: HistoricalInvoice[] }>();
    const asked: HistoricalInvoice[] = [];
    for (const [index, one] of input.invoices.entries()) {
      const invoice = await historicalOf(ctx, one, `invoices[${index}]`);
      const customer = await requireCustomerByAnyId(ctx.tx, ctx.accountId, one.customer_id);
      const own = byCustomer.get(customer.id) ?? { customer, asked: [] };
      own.asked.push(invoice);
      asked.push(invoice);
      byCustomer.set(customer.id, own);
    }
    const shown = new Map<string, JsonObject>();
    // Customers are always locked in one order, so that two imports wait for each other.
    for (const [, own] of [...byCustomer].sort(([a], [b]) => (a < b ? -1 : 1))) {
      for (const [id, invoice] of await invoicesOf(ctx, own.customer, own.asked, input.preview)) {
        shown.set(id, invoice);
      }
    }
    return { data: asked.flatMap(({ invoiceId }) => shown.get(invoiceId) ?? []) };
  },
});

async function invoicesOf(
  { tx, core, accountId }: MetronomeContext,
  customer: MetronomeCustomer,
  asked: readonly HistoricalInvoice[],
  isPreview: boolean,
): Promise<[string, JsonObject][]> {
  const change = await lockForChange(tx, core, accountId, customer.id);
  const { now } = change;
  const compute = isPreview ? computeHistoricalInvoices : createHistoricalInvoices;
  const { open, invoices } = await compute(change, asked);
  const view = { customer, now, open, products: await loadProducts(tx, accountId, now) };
  const context = invoiceContext(view, false);
  const made = isPreview
    ? ({ status: 'DRAFT', finalizedAt: null } as const)
    : ({ status: 'FINALIZED', finalizedAt: now } as const);
  return invoices.map((invoice) => [
    invoice.invoiceId,
    invoiceObject(context, { invoice, ...made, regeneratedFrom: null }),
  ]);
}

async function historicalOf(
  { tx, accountId }: MetronomeContext,
  params: Historical,
  where: string,
): Promise<HistoricalInvoice> {
  const period = periodOf(params, where);
  const products = await loadProducts(tx, accountId, period.end - 1);
  const usage = params.usage_line_items.flatMap((one, index) =>
    slicesOf(one, products, period, params.breakdown_granularity, `${where}.usage_line_items[${index}]`),
  );
  return {
    contractId: params.contract_id,
    invoiceId: newUuid(),
    creditTypeId: params.credit_type_id,
    period,
    imported: {
      usage: usage.sort((a, b) => a.start - b.start),
      issuedAt: params.issue_date,
      isBillable: params.billable_status !== 'unbillable',
      customFields: params.custom_fields ?? {},
    },
    where,
  };
}

function slicesOf(
  params: Line,
  products: ReadonlyMap<string, LoadedProduct>,
  invoice: Period,
  granularity: Historical['breakdown_granularity'],
  where: string,
): UsageSlice[] {
  const product = products.get(params.product_id);
  if (product === undefined) throw notFound('product', params.product_id, `${where}.product_id`);
  if (product.type !== 'USAGE') throw invalid(`Invalid '${where}.product_id': is no usage product.`);
  const group = { productId: product.id, ...groupValuesOf(params, product, where) };
  const period = periodOf(params, where, invoice);
  const { quantity: whole, subtotals_with_quantity: subtotals } = params;
  if ((whole === undefined) === (subtotals === undefined)) {
    throw invalid(`Invalid '${where}': one of quantity and subtotals_with_quantity is required.`);
  }
  if (whole !== undefined) return [{ ...group, ...period, quantity: whole }];
  return (subtotals ?? []).map((part, index) => {
    const at = `${where}.subtotals_with_quantity[${index}]`;
    const window = periodOf(part, at, period);
    if (
      granularity !== undefined &&
      windowOf(window.start, granularity) !== windowOf(window.end - 1, granularity)
    ) {
      throw invalid(`Invalid '${at}': is in more than one ${granularity}.`);
    }
    return { ...group, ...window, quantity: part.quantity };
  });
}

function windowOf(at: Instant, granularity: 'HOUR' | 'DAY'): number {
  return Math.floor(at / (granularity === 'HOUR' ? HOUR_MS : 24 * HOUR_MS));
}

/** A presentation key without a value is null, as for an event without the property. */
function groupValuesOf(
  params: Line,
  product: LoadedProduct,
  where: string,
): Pick<UsageSlice, 'pricingGroupValues' | 'presentationGroupValues'> {
  const { pricing_group_values: pricing = {}, presentation_group_values: shown = {} } = params;
  const missing = product.pricingGroupKey.find((key) => !Object.hasOwn(pricing, key));
  if (missing !== undefined)
    throw invalid(`Invalid '${where}.pricing_group_values.${missing}': is required.`);
  strayKey(pricing, product.pricingGroupKey, `${where}.pricing_group_values`);
  strayKey(shown, product.presentationGroupKey, `${where}.presentation_group_values`);
  return {
    pricingGroupValues: pricing,
    presentationGroupValues: Object.fromEntries(
      product.presentationGroupKey.map((key) => [key, shown[key] ?? null]),
    ),
  };
}

function strayKey(values: Readonly<Record<string, string>>, known: readonly string[], where: string): void {
  const stray = Object.keys(values).find((key) => !known.includes(key));
  if (stray !== undefined) throw invalid(`Invalid '${where}.${stray}': is no group key of the product.`);
}

function periodOf(
  params: { inclusive_start_date: Instant; exclusive_end_date: Instant },
  where: string,
  inside?: Period,
): Period {
  const { inclusive_start_date: start, exclusive_end_date: end } = params;
  if (end <= start)
    throw invalid(`Invalid '${where}.exclusive_end_date': must be after inclusive_start_date.`);
  if (inside !== undefined && start < inside.start) {
    throw invalid(`Invalid '${where}.inclusive_start_date': is before what it is a part of.`);
  }
  if (inside !== undefined && end > inside.end) {
    throw invalid(`Invalid '${where}.exclusive_end_date': is after what it is a part of.`);
  }
  return { start, end };
}

export const historicalInvoiceEndpoints: readonly MetronomeEndpoint[] = [create];
