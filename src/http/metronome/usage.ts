import { z } from 'zod';
import {
  currentPeriod,
  requireGroupKey,
  type UsageOfGroup,
  usageReport,
  usageWindows,
} from '../../billing/metronome/usage.js';
import { requireMetric } from '../../billing/metronome/metrics.js';
import type { Decimal } from '../../domain/decimal.js';
import { invalid, notFound } from '../../domain/errors.js';
import type { Period } from '../../domain/period.js';
import { type JsonObject, jsonNumber, type JsonValue } from '../../json.js';
import type { ValueFilter } from '../../metering/metrics/reading.js';
import { type BillableMetricRecord, listBillableMetrics } from '../../storage/billableMetrics.js';
import type { Queryable } from '../../storage/db.js';
import {
  findCustomerByAnyId,
  listMetronomeCustomers,
  type MetronomeCustomer,
} from '../../storage/ingestAliases.js';
import { type MetronomeContext, type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { cursorPage, cursorPageWithoutLimit, pageOf, storagePage, storagePageAnswer } from './paging.js';
import { boolean, customerId, list, object, oneOf, text, timestamp, uuid } from './params.js';
import { rfc3339 } from './render.js';

const VALUES_MAX = 200;
const METRICS_MAX = 100;
/** Rows of a page of `/v1/usage`, as far as whole customers allow. */
const ROWS = 1_000;

const windowSize = () => oneOf(['HOUR', 'DAY', 'NONE']);
const values = () => list(text({ min: 0 }), { min: 1, max: VALUES_MAX });

const usage = metronomeEndpoint({
  method: 'POST',
  path: '/v1/usage',
  transactional: false,
  query: object(cursorPageWithoutLimit),
  body: object({
    starting_on: timestamp(),
    ending_before: timestamp(),
    window_size: windowSize(),
    customer_ids: list(customerId(), { max: 1_000 }).optional(),
    billable_metrics: list(
      object({ id: uuid(), group_by: object({ key: text(), values: values().optional() }).optional() }),
      { max: METRICS_MAX },
    ).optional(),
  }),
  async handle(ctx, input, _path, query) {
    const { q, accountId } = ctx;
    const windows = usageWindows({ start: input.starting_on, end: input.ending_before }, input.window_size);
    const wanted = await wantedMetrics(q, accountId, input.billable_metrics ?? []);
    const size = Math.max(1, Math.floor(ROWS / Math.max(1, wanted.length * windows.length)));
    const rowsOf = async (customers: readonly MetronomeCustomer[]) => {
      const rows: JsonValue[] = [];
      for (const customer of customers) {
        for (const one of wanted) rows.push(...(await usageRows(ctx, customer, one, windows)));
      }
      return rows;
    };
    if (input.customer_ids === undefined || input.customer_ids.length === 0) {
      const params = { limit: Math.min(size, 100), next_page: query.next_page };
      const found = await listMetronomeCustomers(q, accountId, { archived: false }, storagePage(params));
      const answer = storagePageAnswer(found, params, () => null);
      return { data: await rowsOf(found.slice(0, params.limit)), next_page: answer.next_page ?? null };
    }
    const ids = [...new Set(input.customer_ids)];
    const listed = pageOf(ids, { limit: size, next_page: query.next_page }, String, String);
    const customers = [];
    for (const id of listed.data as string[]) customers.push(await requireCustomer(q, accountId, id));
    return { data: await rowsOf(customers), next_page: listed.next_page ?? null };
  },
});

const groups = metronomeEndpoint({
  method: 'POST',
  path: '/v1/usage/groups',
  transactional: false,
  query: object(cursorPage),
  body: object({
    customer_id: customerId(),
    billable_metric_id: uuid(),
    window_size: windowSize(),
    starting_on: timestamp().optional(),
    ending_before: timestamp().optional(),
    current_period: boolean().optional(),
    group_key: list(text(), { max: 20 }).optional(),
    group_filters: z.record(z.string(), list(text({ min: 0 }), { max: VALUES_MAX })).optional(),
    group_by: object({ key: text(), values: values().optional() }).optional(),
  }),
  async handle(ctx, input, _path, query) {
    const { q, accountId } = ctx;
    const customer = await requireCustomer(q, accountId, input.customer_id);
    const metric = await requireMetric(q, accountId, input.billable_metric_id);
    const windows = usageWindows(await periodOf(ctx, customer, input), input.window_size);
    const { names, filters } = groupingOf(input);
    if (names.length > 0) requireGroupKey(metric, names);
    const report = await usageReport(q, ctx.core, accountId, {
      customer,
      metric,
      groupKey: names,
      filters,
      windows,
    });
    const rows = windows.flatMap((window, index) => report.map((group) => ({ window, index, group })));
    const used = names.length === 0 ? rows : rows.filter(({ group, index }) => group.values[index] !== null);
    return pageOf(
      used,
      query,
      ({ window, group }) =>
        `${window.start} ${JSON.stringify(names.map((name) => group.dimensions[name] ?? null))}`,
      ({ window, index, group }) => groupRow(names, window, group, index),
    );
  },
});

export const usageEndpoints: readonly MetronomeEndpoint[] = [usage, groups];

interface WantedMetric {
  metric: BillableMetricRecord;
  groupBy: { key: string; values?: string[] | undefined } | null;
}

async function wantedMetrics(
  q: Queryable,
  accountId: string,
  asked: readonly { id: string; group_by?: { key: string; values?: string[] | undefined } | undefined }[],
): Promise<WantedMetric[]> {
  if (asked.length === 0) {
    const page = { limit: METRICS_MAX, cursor: null, direction: 'forward' as const };
    const all = await listBillableMetrics(q, accountId, { includeArchived: false }, page);
    return all.map((metric) => ({ metric, groupBy: null }));
  }
  const wanted: WantedMetric[] = [];
  for (const { id, group_by: groupBy = null } of asked) {
    const metric = await requireMetric(q, accountId, id);
    if (groupBy !== null) requireGroupKey(metric, [groupBy.key]);
    wanted.push({ metric, groupBy });
  }
  return wanted;
}

async function usageRows(
  { q, core, accountId }: MetronomeContext,
  customer: MetronomeCustomer,
  { metric, groupBy }: WantedMetric,
  windows: readonly Period[],
): Promise<JsonValue[]> {
  const base = { customer, metric, filters: [], windows };
  const [whole] = await usageReport(q, core, accountId, { ...base, groupKey: [] });
  const byValue = new Map<string, UsageOfGroup>();
  if (groupBy !== null) {
    const filters = groupBy.values === undefined ? [] : [{ name: groupBy.key, values: groupBy.values }];
    const found = await usageReport(q, core, accountId, { ...base, groupKey: [groupBy.key], filters });
    for (const group of found) byValue.set(group.dimensions[groupBy.key] ?? 'null', group);
  }
  const shown = groupBy?.values ?? [...byValue.keys()];
  return windows.map((window, index) => ({
    customer_id: customer.uuid,
    billable_metric_id: metric.id,
    billable_metric_name: metric.name,
    start_timestamp: rfc3339(window.start),
    end_timestamp: rfc3339(window.end),
    value: numberOf(whole?.values[index] ?? null),
    groups:
      groupBy === null
        ? undefined
        : Object.fromEntries(
            shown.map((value) => [value, numberOf(byValue.get(value)?.values[index] ?? null)]),
          ),
  }));
}

function groupRow(
  names: readonly string[],
  window: Period,
  { dimensions, values: quantities }: UsageOfGroup,
  index: number,
): JsonObject {
  const [single] = names.length === 1 ? names : [];
  return {
    starting_on: rfc3339(window.start),
    ending_before: rfc3339(window.end),
    group_key: single ?? null,
    group_value: single === undefined ? null : (dimensions[single] ?? null),
    group: names.length === 0 ? undefined : dimensions,
    value: numberOf(quantities[index] ?? null),
  };
}

function numberOf(value: Decimal | null): JsonValue {
  return value === null ? null : jsonNumber(value);
}

async function requireCustomer(q: Queryable, accountId: string, id: string): Promise<MetronomeCustomer> {
  const customer = await findCustomerByAnyId(q, accountId, id);
  if (customer === null) throw notFound('customer', id, 'customer_id');
  return customer;
}

async function periodOf(
  { q, core, accountId }: MetronomeContext,
  customer: MetronomeCustomer,
  input: {
    current_period?: boolean | undefined;
    starting_on?: number | undefined;
    ending_before?: number | undefined;
  },
): Promise<Period> {
  const { starting_on: start, ending_before: end } = input;
  if (input.current_period === true) {
    if (start === undefined && end === undefined) return currentPeriod(q, core, accountId, customer);
    throw invalid("Invalid 'current_period': cannot be combined with starting_on and ending_before.");
  }
  if (start !== undefined && end !== undefined) return { start, end };
  throw invalid(`Invalid '${start === undefined ? 'starting_on' : 'ending_before'}': is required.`);
}

function groupingOf(input: {
  group_key?: string[] | undefined;
  group_filters?: Record<string, string[]> | undefined;
  group_by?: { key: string; values?: string[] | undefined } | undefined;
}): { names: string[]; filters: ValueFilter[] } {
  const { group_key: names = [], group_filters: wanted = {}, group_by: old } = input;
  if (old !== undefined) {
    if (input.group_key !== undefined)
      throw invalid("Invalid 'group_by': cannot be combined with group_key.");
    const filters = old.values === undefined ? [] : [{ name: old.key, values: old.values }];
    return { names: [old.key], filters };
  }
  const filters = Object.entries(wanted).map(([name, one]) => ({ name, values: one }));
  const stray = filters.find(({ name }) => !names.includes(name));
  if (stray !== undefined) throw invalid(`Invalid 'group_filters.${stray.name}': is not in group_key.`);
  return { names, filters: filters.filter(({ values: one }) => one.length > 0) };
}
