import { z } from 'zod';
import { requireCustomerByAnyId } from '../../billing/metronome/customers.js';
import type { DraftLine } from '../../domain/contract/lines.js';
import { type SpendLine, spendLines } from '../../domain/contract/spendBreakdown.js';
import { add, isZero, ZERO } from '../../domain/decimal.js';
import { invalid } from '../../domain/errors.js';
import type { Period } from '../../domain/period.js';
import { type JsonObject, jsonNumber } from '../../json.js';
import { findContractInvoicesOf } from '../../storage/contractInvoices.js';
import { type ContractView, loadView } from './contractView.js';
import { type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { pageOf } from './paging.js';
import { boolean, integer, list, object, oneOf, queryBoolean, text, timestamp, uuid } from './params.js';
import type { Units } from './render/common.js';
import { PRODUCT_TYPES } from './render/invoice.js';
import { creditType, rateObject, rfc3339 } from './render.js';

const DAY_MS = 86_400_000;
const DAYS_MAX = { DAY: 35, NONE: 366 } as const;

const body = object({
  starting_on: timestamp(),
  ending_before: timestamp(),
  window_size: oneOf(['DAY', 'NONE']).optional(),
  group_keys: list(text(), { max: 20 }).optional(),
  group_filters: z.record(z.string(), list(text({ min: 0 }), { min: 1, max: 200 })).optional(),
  credit_type_id: uuid().optional(),
  sort: oneOf(['date_asc', 'date_desc']).optional(),
  skip_zero_qty_line_items: boolean().optional(),
  limit: integer({ min: 1, max: 100 }).optional(),
  next_page: text({ min: 0 }).nullable().optional(),
});

type Params = z.output<typeof body>;

/** The spend on one invoice in one window. */
interface SpendRow extends Period {
  invoiceId: string;
  contractId: string;
  status: 'DRAFT' | 'FINALIZED';
  lines: SpendLine[];
}

const spendBreakdowns = metronomeEndpoint({
  method: 'POST',
  path: '/v1/customers/:customer_id/invoices/spend-breakdowns',
  transactional: false,
  body,
  query: object({ include_list_prices: queryBoolean().optional() }),
  async handle(ctx, input, path, query) {
    checkRange(input);
    const keys = input.group_keys ?? [];
    const stray = Object.keys(input.group_filters ?? {}).find((key) => !keys.includes(key));
    if (stray !== undefined) throw invalid(`Invalid 'group_filters.${stray}': is not in group_keys.`);
    const customer = await requireCustomerByAnyId(ctx.q, ctx.accountId, path['customer_id'] ?? '');
    const stored = await findContractInvoicesOf(ctx.q, ctx.accountId, customer.id);
    const finals = stored
      .filter(({ status }) => status === 'FINALIZED')
      .map(({ invoice }) => invoice)
      .filter(({ period }) => period !== null && overlaps(period, input));
    const view = await loadView(ctx, customer.id, { windows: 'DAY', finals, presentedBy: keys });
    const rows = rowsOf(view, new Set(finals.map(({ invoiceId }) => invoiceId)), input);
    const { units } = view.open.state;
    return pageOf(
      rows,
      input,
      ({ invoiceId, start }) => `${invoiceId}/${start}`,
      (row) => rowObject(units, view.customer.uuid, row, query.include_list_prices ?? false),
    );
  },
});

function checkRange({ starting_on: from, ending_before: before, window_size: size = 'DAY' }: Params): void {
  if (from % DAY_MS !== 0) throw invalid("Invalid 'starting_on': must be on a whole day in UTC.");
  if (before % DAY_MS !== 0) throw invalid("Invalid 'ending_before': must be on a whole day in UTC.");
  if (before <= from) throw invalid("Invalid 'ending_before': must be after starting_on.");
  if (before - from > DAYS_MAX[size] * DAY_MS) {
    throw invalid(`Invalid 'ending_before': at most ${DAYS_MAX[size]} days at a time.`);
  }
}

function overlaps(period: Period, range: Pick<Params, 'starting_on' | 'ending_before'>): boolean {
  return period.start < range.ending_before && range.starting_on < period.end;
}

/** By day, or each invoice once with what of it lies in the range; without what is empty. */
function rowsOf(view: ContractView, finals: ReadonlySet<string>, input: Params): SpendRow[] {
  const { starting_on: from, ending_before: before, window_size: size = 'DAY' } = input;
  const filters = new Map(Object.entries(input.group_filters ?? {}));
  const rows: SpendRow[] = [];
  for (const [invoiceId, all] of view.open.breakdowns) {
    const inside = all.filter(({ start }) => from <= start && start < before);
    const contractId = inside[0]?.invoice.contractId;
    if (contractId === undefined) continue;
    const common = { invoiceId, contractId, status: finals.has(invoiceId) ? 'FINALIZED' : 'DRAFT' } as const;
    const row = (window: Period, lines: readonly DraftLine[]) => {
      const shown = spendLines(lines, input.group_keys ?? [], filters)
        .filter(
          ({ creditTypeId }) => input.credit_type_id === undefined || creditTypeId === input.credit_type_id,
        )
        .filter(({ quantity }) => input.skip_zero_qty_line_items !== true || !isZero(quantity));
      if (shown.length > 0) rows.push({ ...common, ...window, lines: shown });
    };
    if (size === 'NONE') {
      row(
        { start: from, end: before },
        inside.flatMap(({ invoice }) => invoice.lines),
      );
    } else {
      for (const { start, end, invoice } of inside) row({ start, end }, invoice.lines);
    }
  }
  const direction = input.sort === 'date_desc' ? -1 : 1;
  return rows.sort((a, b) => direction * (a.start - b.start || (a.invoiceId < b.invoiceId ? -1 : 1)));
}

function rowObject(units: Units, customerUuid: string, row: SpendRow, withPrices: boolean): JsonObject {
  const totals = new Map<string, SpendLine['total']>();
  for (const { creditTypeId, total } of row.lines) {
    totals.set(creditTypeId, add(totals.get(creditTypeId) ?? ZERO, total));
  }
  return {
    invoice_id: row.invoiceId,
    customer_id: customerUuid,
    contract_id: row.contractId,
    status: row.status,
    breakdown_start_timestamp: rfc3339(row.start),
    breakdown_end_timestamp: rfc3339(row.end),
    totals: [...totals].map(([unit, total]) => ({
      credit_type: creditType(units, unit),
      total: jsonNumber(total),
    })),
    line_items: row.lines.map((line) => ({
      product_id: line.productId,
      product_type: PRODUCT_TYPES[line.productType],
      name: line.name,
      credit_type: creditType(units, line.creditTypeId),
      group_values: line.groupValues,
      quantity: jsonNumber(line.quantity),
      total: jsonNumber(line.total),
      list_prices: withPrices ? line.listRates.map((rate) => rateObject(rate, units)) : undefined,
    })),
  };
}

export const spendBreakdownEndpoints: readonly MetronomeEndpoint[] = [spendBreakdowns];
