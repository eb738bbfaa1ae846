import type { Aggregation, FormulaAggregation } from '../domain/contract/aggregation.js';
import type { Formula } from '../domain/contract/formula.js';
import type { BillableMetric, EventTypeFilter, PropertyFilter } from '../domain/contract/metric.js';
import { parseDecimal, toText } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';
import { Conditions, type Page, pageSql } from './pages.js';

/** A metric as it was made, with what does not change how it counts. */
export interface BillableMetricRecord extends BillableMetric {
  /** The text it was made from; the other rules say the same. */
  sql: string | null;
  customFields: Record<string, string>;
  createdAt: Instant;
  archivedAt: Instant | null;
}

interface StoredDefinition {
  aggregation: string;
  percent?: string;
  formula?: Omit<FormulaAggregation, 'type'>;
  condition?: Formula;
  row_key?: readonly string[];
  aggregation_key: string | null;
  event_type_filter: EventTypeFilter | null;
  property_filters: PropertyFilter[];
  group_keys: string[][];
  sql: string | null;
}

interface Row {
  id: string;
  name: string;
  definition: StoredDefinition;
  customFields: Record<string, string>;
  createdAt: Instant;
  archivedAt: Instant | null;
}

const COLUMNS = `id, name, definition, custom_fields as "customFields", created_at as "createdAt",
  archived_at as "archivedAt"`;

export async function insertBillableMetric(
  q: Queryable,
  accountId: string,
  metric: BillableMetricRecord,
): Promise<void> {
  const { aggregation, condition = null, rowKey } = metric;
  const definition: StoredDefinition = {
    aggregation: aggregation.type,
    ...(aggregation.type === 'PERCENTILE' ? { percent: toText(aggregation.percent) } : {}),
    ...(aggregation.type === 'FORMULA'
      ? { formula: { parts: aggregation.parts, value: aggregation.value } }
      : {}),
    ...(condition === null ? {} : { condition }),
    ...(rowKey === undefined ? {} : { row_key: rowKey }),
    aggregation_key: metric.aggregationKey,
    event_type_filter: metric.eventTypeFilter,
    property_filters: [...metric.propertyFilters],
    group_keys: metric.groupKeys.map((key) => [...key]),
    sql: metric.sql,
  };
  await q.query(
    `insert into billable_metrics (account_id, id, name, definition, custom_fields, created_at)
     values ($1, $2, $3, $4, $5, $6)`,
    [
      accountId,
      metric.id,
      metric.name,
      JSON.stringify(definition),
      JSON.stringify(metric.customFields),
      timestamp(metric.createdAt),
    ],
  );
}

export async function findBillableMetric(
  q: Queryable,
  accountId: string,
  id: string,
): Promise<BillableMetricRecord | null> {
  const rows = await q.query<Row>(
    `select ${COLUMNS} from billable_metrics where account_id = $1 and id = $2`,
    [accountId, id],
  );
  return rows[0] === undefined ? null : toRecord(rows[0]);
}

/** Every metric of the account, archived ones too: what they metered is still billed. Oldest first. */
export async function loadMetrics(q: Queryable, accountId: string): Promise<BillableMetricRecord[]> {
  const rows = await q.queryNamed<Row>(
    'load_metrics',
    `select ${COLUMNS} from billable_metrics where account_id = $1 order by created_at, id`,
    [accountId],
  );
  return rows.map(toRecord);
}

export async function listBillableMetrics(
  q: Queryable,
  accountId: string,
  filter: { includeArchived: boolean },
  page: Page,
): Promise<BillableMetricRecord[]> {
  const conditions = new Conditions();
  conditions.equal('account_id', accountId);
  if (!filter.includeArchived) conditions.where('archived_at is null');
  const end = pageSql(conditions, page, 'billable_metrics');
  const rows = await q.query<Row>(`select ${COLUMNS} from billable_metrics ${end}`, conditions.values);
  return rows.map(toRecord);
}

export async function archiveBillableMetric(
  q: Queryable,
  accountId: string,
  id: string,
  at: Instant,
): Promise<void> {
  await q.query(
    `update billable_metrics set archived_at = $3
     where account_id = $1 and id = $2 and archived_at is null`,
    [accountId, id, timestamp(at)],
  );
}

function toRecord({ definition, ...row }: Row): BillableMetricRecord {
  return {
    ...row,
    eventTypeFilter: definition.event_type_filter,
    propertyFilters: definition.property_filters,
    condition: definition.condition ?? null,
    ...(definition.row_key === undefined ? {} : { rowKey: definition.row_key }),
    aggregation: toAggregation(definition),
    aggregationKey: definition.aggregation_key,
    groupKeys: definition.group_keys,
    sql: definition.sql,
  };
}

function toAggregation({ aggregation, percent, formula }: StoredDefinition): Aggregation {
  switch (aggregation) {
    case 'FORMULA':
      if (formula === undefined) throw new Error('a metric has no formula');
      return { type: aggregation, ...formula };
    case 'PERCENTILE':
      return { type: aggregation, percent: parseDecimal(percent ?? '') };
    case 'COUNT':
    case 'SUM':
    case 'MAX':
    case 'LATEST':
    case 'UNIQUE':
    case 'TIME_WEIGHTED_SUM':
      return { type: aggregation };
    default:
      throw new Error(`unknown aggregation ${aggregation}`);
  }
}
