import { archiveMetric, createMetric, requireMetric } from '../../billing/metronome/metrics.js';
import type { EventTypeFilter, PropertyFilter } from '../../domain/contract/metric.js';
import { parseDecimal } from '../../domain/decimal.js';
import { type JsonObject, jsonNumber } from '../../json.js';
import { type BillableMetricRecord, listBillableMetrics } from '../../storage/billableMetrics.js';
import { type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { cursorPage, storagePage, storagePageAnswer } from './paging.js';
import {
  boolean,
  customFields,
  decimal,
  isUuid,
  list,
  nullable,
  object,
  oneOf,
  queryBoolean,
  text,
  uuid,
} from './params.js';
import { optionalTime } from './render.js';
import { notFound } from '../../domain/errors.js';

const URL = '/v1/billable-metrics';
const PERCENTILE = { min: parseDecimal('50'), max: parseDecimal('99.9') };
const VALUES_MAX = 1000;
const FILTERS_MAX = 100;
const GROUP_KEY_LENGTH_MAX = 20;

const values = () => list(text({ min: 0, max: 1000 }), { min: 1, max: VALUES_MAX });
const eventTypeFilter = object({ in_values: values().optional(), not_in_values: values().optional() });
const propertyFilter = object({
  name: text({ max: 200 }),
  exists: nullable(boolean()).optional(),
  in_values: values().optional(),
  not_in_values: values().optional(),
});

const create = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/create`,
  body: object({
    name: text({ max: 500 }),
    aggregation_type: oneOf(
      ['COUNT', 'SUM', 'MAX', 'LATEST', 'UNIQUE', 'TIME_WEIGHTED_SUM', 'PERCENTILE'],
      {},
    ).optional(),
    /** Ours, for PERCENTILE. */
    percentile: decimal(PERCENTILE).optional(),
    aggregation_key: text({ max: 200 }).optional(),
    event_type_filter: eventTypeFilter.optional(),
    property_filters: list(propertyFilter, { max: FILTERS_MAX }).optional(),
    group_keys: list(list(text({ max: 200 }), { min: 1, max: GROUP_KEY_LENGTH_MAX }), {
      max: 100,
    }).optional(),
    sql: text({ max: 20_000 }).optional(),
    custom_fields: customFields().optional(),
  }),
  async handle(ctx, input) {
    const metric = await createMetric(ctx, {
      name: input.name,
      aggregationType: input.aggregation_type ?? null,
      percentile: input.percentile ?? null,
      aggregationKey: input.aggregation_key ?? null,
      eventTypeFilter: input.event_type_filter === undefined ? null : valueFilter(input.event_type_filter),
      propertyFilters:
        input.property_filters?.map(({ name, exists, ...rest }) => ({
          name,
          exists: exists ?? null,
          ...valueFilter(rest),
        })) ?? null,
      groupKeys: input.group_keys ?? null,
      sql: input.sql ?? null,
      customFields: input.custom_fields ?? {},
    });
    return { data: { id: metric.id } };
  },
});

const listAll = metronomeEndpoint({
  method: 'GET',
  path: URL,
  query: object({ ...cursorPage, include_archived: queryBoolean().optional() }),
  async handle({ q, accountId }, input) {
    const filter = { includeArchived: input.include_archived ?? false };
    const rows = await listBillableMetrics(q, accountId, filter, storagePage(input));
    return storagePageAnswer(rows, input, metricObject);
  },
});

const retrieve = metronomeEndpoint({
  method: 'GET',
  path: `${URL}/:billable_metric_id`,
  async handle({ q, accountId }, _input, path) {
    const id = path.billable_metric_id ?? '';
    if (!isUuid(id)) throw notFound('billable metric', id, 'billable_metric_id');
    return { data: metricObject(await requireMetric(q, accountId, id)) };
  },
});

const archive = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/archive`,
  body: object({ id: uuid() }),
  async handle(ctx, { id }) {
    await archiveMetric(ctx, id);
    return { data: { id } };
  },
});

export const billableMetricEndpoints: readonly MetronomeEndpoint[] = [create, listAll, archive, retrieve];

function valueFilter(input: {
  in_values?: string[] | undefined;
  not_in_values?: string[] | undefined;
}): EventTypeFilter {
  return { inValues: input.in_values ?? null, notInValues: input.not_in_values ?? null };
}

/** A metric as it was made; of one made from SQL the text. */
export function metricObject(metric: BillableMetricRecord): JsonObject {
  const common = {
    id: metric.id,
    name: metric.name,
    custom_fields: metric.customFields,
    archived_at: optionalTime(metric.archivedAt),
  };
  if (metric.sql !== null) return { ...common, sql: metric.sql };
  const { aggregation, eventTypeFilter: types } = metric;
  return {
    ...common,
    aggregation_type: aggregation.type,
    percentile: aggregation.type === 'PERCENTILE' ? jsonNumber(aggregation.percent) : undefined,
    aggregation_key: metric.aggregationKey ?? undefined,
    event_type_filter: types === null ? undefined : valueFilterObject(types),
    property_filters:
      metric.propertyFilters.length === 0 ? undefined : metric.propertyFilters.map(filterObject),
    group_keys: metric.groupKeys.length === 0 ? undefined : metric.groupKeys,
  };
}

function filterObject(filter: PropertyFilter): JsonObject {
  return { name: filter.name, exists: filter.exists ?? undefined, ...valueFilterObject(filter) };
}

function valueFilterObject({ inValues, notInValues }: EventTypeFilter): JsonObject {
  return { in_values: inValues ?? undefined, not_in_values: notInValues ?? undefined };
}
