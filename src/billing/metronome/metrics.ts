import { v7 as uuidv7 } from 'uuid';
import type { Aggregation } from '../../domain/contract/aggregation.js';
import type { EventTypeFilter, PropertyFilter } from '../../domain/contract/metric.js';
import { type Decimal } from '../../domain/decimal.js';
import { invalid, notFound } from '../../domain/errors.js';
import { backfillMetric } from '../../metering/metrics/backfill.js';
import {
  archiveBillableMetric,
  type BillableMetricRecord,
  findBillableMetric,
  insertBillableMetric,
} from '../../storage/billableMetrics.js';
import type { Queryable } from '../../storage/db.js';
import type { ChangeContext } from '../catalogue.js';
import { checkCustomFields } from './customFields.js';
import { readSqlMetric } from './sqlMetric.js';

export type AggregationType = Exclude<Aggregation['type'], 'FORMULA'>;

/** A metric as it is asked for: rules, or a SQL text that says them. */
export interface NewMetric {
  name: string;
  aggregationType: AggregationType | null;
  percentile: Decimal | null;
  aggregationKey: string | null;
  eventTypeFilter: EventTypeFilter | null;
  propertyFilters: readonly PropertyFilter[] | null;
  groupKeys: readonly (readonly string[])[] | null;
  sql: string | null;
  customFields: Record<string, string>;
}

type Rules = Omit<BillableMetricRecord, 'id' | 'name' | 'sql' | 'customFields' | 'createdAt' | 'archivedAt'>;

/** Throws `not_found`. */
export async function requireMetric(
  q: Queryable,
  accountId: string,
  id: string,
): Promise<BillableMetricRecord> {
  const metric = await findBillableMetric(q, accountId, id);
  if (metric === null) throw notFound('billable metric', id, 'billable_metric_id');
  return metric;
}

/** Makes a metric (docs.metronome.com/api-reference, "create a billable metric"). */
export async function createMetric(ctx: ChangeContext, input: NewMetric): Promise<BillableMetricRecord> {
  const { tx, accountId, core } = ctx;
  await checkCustomFields(tx, accountId, 'billable_metric', input.customFields);
  const metric: BillableMetricRecord = {
    id: uuidv7(),
    name: input.name,
    ...(input.sql === null ? rulesOf(input) : sqlRules(input)),
    sql: input.sql,
    customFields: input.customFields,
    createdAt: core.now(),
    archivedAt: null,
  };
  await insertBillableMetric(tx, accountId, metric);
  await backfillMetric(tx, accountId, metric);
  return metric;
}

/** Archiving is for good; what was metered is still billed. */
export async function archiveMetric(ctx: ChangeContext, id: string): Promise<void> {
  await requireMetric(ctx.tx, ctx.accountId, id);
  await archiveBillableMetric(ctx.tx, ctx.accountId, id, ctx.core.now());
}

function sqlRules(input: NewMetric): Rules {
  const others = [
    ['aggregation_type', input.aggregationType],
    ['aggregation_key', input.aggregationKey],
    ['event_type_filter', input.eventTypeFilter],
    ['property_filters', input.propertyFilters],
    ['group_keys', input.groupKeys],
    ['percentile', input.percentile],
  ] as const;
  const other = others.find(([, value]) => value !== null);
  if (other !== undefined) throw invalid(`Invalid '${other[0]}': cannot be combined with 'sql'.`);
  return readSqlMetric(input.sql ?? '');
}

function rulesOf(input: NewMetric): Rules {
  const { aggregationKey, eventTypeFilter } = input;
  const propertyFilters = input.propertyFilters ?? [];
  const groupKeys = input.groupKeys ?? [];
  const aggregation = aggregationOf(input);
  if (aggregation.type === 'COUNT') {
    if (aggregationKey !== null) throw invalid("Invalid 'aggregation_key': does not apply to COUNT.");
  } else if (aggregationKey === null) {
    throw invalid(`Invalid 'aggregation_key': is required for ${aggregation.type}.`);
  } else if (!propertyFilters.some(({ name }) => name === aggregationKey)) {
    throw invalid("Invalid 'aggregation_key': must be the name of one of the property filters.");
  }
  for (const key of groupKeys) checkGroupKey(key, propertyFilters);
  return { aggregation, aggregationKey, eventTypeFilter, propertyFilters, groupKeys };
}

function aggregationOf({ aggregationType, percentile }: NewMetric): Aggregation {
  if (aggregationType === null) throw invalid("Invalid 'aggregation_type': is required without 'sql'.");
  if (aggregationType !== 'PERCENTILE') {
    if (percentile !== null) throw invalid("Invalid 'percentile': applies to PERCENTILE only.");
    return { type: aggregationType };
  }
  if (percentile === null) throw invalid("Invalid 'percentile': is required for PERCENTILE.");
  return { type: aggregationType, percent: percentile };
}

function checkGroupKey(key: readonly string[], filters: readonly PropertyFilter[]): void {
  if (new Set(key).size !== key.length) throw invalid("Invalid 'group_keys': a key names a property twice.");
  for (const property of key) {
    const isSure = filters.some(
      ({ name, exists, inValues }) => name === property && (exists === true || inValues !== null),
    );
    if (!isSure) {
      throw invalid(
        `Invalid 'group_keys': the property '${property}' needs a property filter with exists true or in_values.`,
      );
    }
  }
}
