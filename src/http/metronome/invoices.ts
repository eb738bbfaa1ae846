import { lockForChange } from '../../billing/contracts/create.js';
import { moveIssueDate } from '../../billing/contracts/issueDate.js';
import { regenerateInvoice, voidContractInvoice } from '../../billing/contracts/void.js';
import { contractsChanged } from '../../billing/contracts/plan.js';
import { requireCustomerByAnyId } from '../../billing/metronome/customers.js';
import { BillingError, invalid, notFound } from '../../domain/errors.js';
import type { Instant, Period } from '../../domain/period.js';
import type { JsonObject } from '../../json.js';
import {
  type ContractInvoiceRecord,
  findContractInvoice,
  findContractInvoicesOf,
} from '../../storage/contractInvoices.js';
import { type ContractView, invoiceContext, loadView } from './contractView.js';
import { type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { cursorPage, pageOf } from './paging.js';
import { customerId, isUuid, object, oneOf, queryBoolean, timestamp, uuid } from './params.js';
import { invoiceObject, type ShownInvoice } from './render/invoice.js';
import { rfc3339 } from './render.js';

const URL = '/v1/customers/:customer_id/invoices';

const status = oneOf(['DRAFT', 'FINALIZED', 'VOID']).optional();
const sort = oneOf(['date_asc', 'date_desc']).optional();

interface InvoiceFilter {
  status?: string | undefined;
  type?: string | undefined;
  credit_type_id?: string | undefined;
  contract_id?: string | undefined;
  starting_on?: Instant | undefined;
  ending_before?: Instant | undefined;
  sort?: 'date_asc' | 'date_desc' | undefined;
}

/** Final invoices and drafts together, by date. */
export function allInvoices(view: ContractView, stored: readonly ContractInvoiceRecord[]): ShownInvoice[] {
  const drafts = view.open.drafts.map(
    (invoice): ShownInvoice => ({ invoice, status: 'DRAFT', finalizedAt: null, regeneratedFrom: null }),
  );
  return [...stored.map(shownRecord), ...drafts];
}

function shownRecord(record: ContractInvoiceRecord): ShownInvoice {
  const { invoice, status: state, finalizedAt, regeneratedFrom } = record;
  return { invoice, status: state, finalizedAt, regeneratedFrom };
}

function select(invoices: readonly ShownInvoice[], filter: InvoiceFilter): ShownInvoice[] {
  const { starting_on: from, ending_before: before } = filter;
  const direction = filter.sort === 'date_desc' ? -1 : 1;
  return invoices
    .filter(({ invoice, status: state }) => {
      if (filter.status !== undefined && state !== filter.status) return false;
      if (filter.type !== undefined && invoice.type !== filter.type) return false;
      if (filter.credit_type_id !== undefined && invoice.creditTypeId !== filter.credit_type_id) return false;
      if (filter.contract_id !== undefined && invoice.contractId !== filter.contract_id) return false;
      const start = invoice.period?.start ?? invoice.issuedAt;
      const end = invoice.period?.end ?? invoice.issuedAt;
      return (from === undefined || start >= from) && (before === undefined || end <= before);
    })
    .sort((a, b) => direction * (a.invoice.issuedAt - b.invoice.issuedAt || compareIds(a, b)));
}

function compareIds(a: ShownInvoice, b: ShownInvoice): number {
  return a.invoice.invoiceId < b.invoice.invoiceId ? -1 : 1;
}

const listAll = metronomeEndpoint({
  method: 'GET',
  path: URL,
  query: object({
    ...cursorPage,
    status,
    type: oneOf(['USAGE', 'SCHEDULED', 'USAGE_CONSOLIDATED']).optional(),
    credit_type_id: uuid().optional(),
    contract_id: uuid().optional(),
    starting_on: timestamp().optional(),
    ending_before: timestamp().optional(),
    sort,
    skip_zero_qty_line_items: queryBoolean().optional(),
  }),
  async handle(ctx, input, path) {
    const view = await loadView(ctx, path['customer_id'] ?? '');
    const stored =
      input.status === 'DRAFT' ? [] : await findContractInvoicesOf(ctx.q, ctx.accountId, view.customer.id);
    const context = invoiceContext(view, input.skip_zero_qty_line_items ?? false);
    return pageOf(
      select(allInvoices(view, stored), input),
      input,
      ({ invoice }) => invoice.invoiceId,
      (one) => invoiceObject(context, one),
    );
  },
});

const BREAKDOWNS_MAX = { HOUR: 24, DAY: 35 } as const;

const breakdowns = metronomeEndpoint({
  method: 'GET',
  path: `${URL}/breakdowns`,
  query: object({
    ...cursorPage,
    starting_on: timestamp(),
    ending_before: timestamp(),
    window_size: oneOf(['HOUR', 'DAY']).optional(),
    status,
    credit_type_id: uuid().optional(),
    sort,
    skip_zero_qty_line_items: queryBoolean().optional(),
  }),
  async handle(ctx, input, path) {
    const size = input.window_size ?? 'DAY';
    const windowMs = size === 'HOUR' ? 3_600_000 : 86_400_000;
    if (input.ending_before <= input.starting_on)
      throw invalid("Invalid 'ending_before': must be after starting_on.");
    if (input.ending_before - input.starting_on > BREAKDOWNS_MAX[size] * windowMs) {
      throw invalid(`Invalid 'ending_before': at most ${BREAKDOWNS_MAX[size]} windows at a time.`);
    }
    const customer = await requireCustomerByAnyId(ctx.q, ctx.accountId, path['customer_id'] ?? '');
    const stored = await findContractInvoicesOf(ctx.q, ctx.accountId, customer.id);
    const finals = stored
      .map(({ invoice }) => invoice)
      .filter(({ period, isLate }) => period !== null && isLate !== true && overlaps(period, input));
    const view = await loadView(ctx, customer.id, { windows: size, finals });
    const context = invoiceContext(view, input.skip_zero_qty_line_items ?? false);
    const rows = breakdownRows(view, stored, input);
    const direction = input.sort === 'date_desc' ? -1 : 1;
    rows.sort((a, b) => direction * (a.start - b.start || compareIds(a.shown, b.shown)));
    return pageOf(
      rows,
      input,
      ({ start, shown }) => `${shown.invoice.invoiceId}/${start}`,
      ({ start, end, shown }): JsonObject => ({
        ...invoiceObject(context, shown),
        breakdown_start_timestamp: rfc3339(start),
        breakdown_end_timestamp: rfc3339(end),
      }),
    );
  },
});

interface BreakdownRow {
  start: Instant;
  end: Instant;
  shown: ShownInvoice;
}

function overlaps(period: Period, range: { starting_on: Instant; ending_before: Instant }): boolean {
  return period.start < range.ending_before && range.starting_on < period.end;
}

function breakdownRows(
  view: ContractView,
  stored: readonly ContractInvoiceRecord[],
  filter: InvoiceFilter & { starting_on: Instant; ending_before: Instant },
): BreakdownRow[] {
  const rows: BreakdownRow[] = [];
  const { starting_on: from, ending_before: before, ...rest } = filter;
  for (const shown of select(allInvoices(view, stored), rest)) {
    const windows = view.open.breakdowns.get(shown.invoice.invoiceId) ?? [];
    for (const { start, end, invoice } of windows) {
      if (start >= from && end <= before) rows.push({ start, end, shown: { ...shown, invoice } });
    }
  }
  return rows;
}

const retrieve = metronomeEndpoint({
  method: 'GET',
  path: `${URL}/:invoice_id`,
  query: object({ skip_zero_qty_line_items: queryBoolean().optional() }),
  async handle(ctx, input, path) {
    const id = path['invoice_id'] ?? '';
    const view = await loadView(ctx, path['customer_id'] ?? '');
    const context = invoiceContext(view, input.skip_zero_qty_line_items ?? false);
    const draft = view.open.drafts.find(({ invoiceId }) => invoiceId === id.toLowerCase());
    if (draft !== undefined) {
      const shown: ShownInvoice = {
        invoice: draft,
        status: 'DRAFT',
        finalizedAt: null,
        regeneratedFrom: null,
      };
      return { data: invoiceObject(context, shown) };
    }
    const record = isUuid(id) ? await findContractInvoice(ctx.q, ctx.accountId, id) : null;
    if (record === null || record.customerId !== view.customer.id)
      throw notFound('invoice', id, 'invoice_id');
    return { data: invoiceObject(context, shownRecord(record)) };
  },
});

const voidOne = metronomeEndpoint({
  method: 'POST',
  path: '/v1/invoices/void',
  body: object({ id: uuid() }),
  async handle({ tx, core, accountId }, { id }) {
    const invoice = await findContractInvoice(tx, accountId, id);
    if (invoice === null) throw notFinal(id);
    const change = await lockForChange(tx, core, accountId, invoice.customerId);
    const locked = await findContractInvoice(tx, accountId, id);
    await voidContractInvoice(change, locked ?? invoice);
    await contractsChanged(tx, core, accountId, change.customer, change.now);
    return { data: { id } };
  },
});

const regenerate = metronomeEndpoint({
  method: 'POST',
  path: '/v1/invoices/regenerate',
  body: object({ id: uuid() }),
  async handle({ tx, core, accountId }, { id }) {
    const invoice = await findContractInvoice(tx, accountId, id);
    if (invoice === null) throw notFinal(id);
    const change = await lockForChange(tx, core, accountId, invoice.customerId);
    return { data: { id: await regenerateInvoice(change, id) } };
  },
});

const updateIssueDate = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/updateInvoiceIssueDate',
  /** Metronome's request has no customer_id. Here drafts are computed for a customer and not stored. */
  body: object({ customer_id: customerId(), invoice_id: uuid(), issue_date: timestamp() }),
  async handle({ tx, core, accountId }, input) {
    const customer = await requireCustomerByAnyId(tx, accountId, input.customer_id);
    const change = await lockForChange(tx, core, accountId, customer.id);
    await moveIssueDate(change, input.invoice_id, input.issue_date);
    return { data: { id: input.invoice_id } };
  },
});

function notFinal(id: string): BillingError {
  return new BillingError('not_found', `No finalized invoice: '${id}'`);
}

export const invoiceEndpoints: readonly MetronomeEndpoint[] = [
  listAll,
  breakdowns,
  retrieve,
  voidOne,
  regenerate,
  updateIssueDate,
];
