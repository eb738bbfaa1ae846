import { createHash } from 'node:crypto';
import { type Decimal, parseDecimal, toText } from '../domain/decimal.js';
import type { Instant, Period } from '../domain/period.js';
import type { Queryable } from '../storage/db.js';
import { instantArray, plainArray } from './arrays.js';
import { type Formula, spansOf } from './usage.js';

export type ReportWindow = 'hour' | 'day' | 'month';

export interface ReportQuery {
  accountId: string;
  meterId: string;
  formula: Formula;
  /** `[start, end)`, exact to the millisecond. */
  period: Period;
  customerId: string | null;
  /** UTC hours, days or months; null: the period as one. */
  window: ReportWindow | null;
  byCustomer: boolean;
  /** Dimensions of the meter. */
  dimensions: readonly string[];
  limit: number;
  after: ReportCursor | null;
}

/** Where a row stands: newest window first, in it the largest value, in that the group's text. */
export interface ReportCursor {
  windowStart: Instant;
  value: string;
  group: string;
}

export interface ReportRow {
  /** The start of the window, epoch 0 without one. */
  windowStart: Instant;
  /** By the meter's formula; of several customers or values the sum of theirs. */
  value: Decimal;
  count: bigint;
  /** `customer` and the dimensions that were asked for; null for usage from before the meter had the dimension. */
  group: Readonly<Record<string, string | null>>;
  cursor: ReportCursor;
}

const VALUE: Record<Formula, string> = {
  sum: 'sum(c.total)',
  count: 'sum(c.count)::numeric',
  last: 'coalesce(sum(c.last_value), 0)',
};

/**
 * Usage of all customers or one, by window, customer and dimensions. Whatever was counted is in one of the rows; rows
 * without events are left out.
 */
export async function reportUsage(q: Queryable, query: ReportQuery): Promise<ReportRow[]> {
  const spans = spansOf(query.period);
  const values: unknown[] = [
    query.accountId,
    query.meterId,
    query.customerId,
    plainArray(spans, (span) => span.grain),
    instantArray(spans, (span) => span.start),
    instantArray(spans, (span) => span.end),
    query.limit,
  ];
  const text = `${rowsSql(query)} ${groupsSql(query, values)}`;
  const rows = await q.queryNamed<{ windowStart: Instant; value: string; count: bigint; group: string }>(
    statementName(text),
    text,
    values,
  );
  return rows.map((row) => ({
    windowStart: row.windowStart,
    value: parseDecimal(row.value),
    count: row.count,
    group: JSON.parse(row.group) as Record<string, string | null>,
    cursor: { windowStart: row.windowStart, value: toText(parseDecimal(row.value)), group: row.group },
  }));
}

/** There are few texts, and planning one takes longer than running it for a customer. */
function statementName(text: string): string {
  return `usage_${createHash('sha1').update(text).digest('hex')}`;
}

/**
 * Keeps a subquery to itself: each series and span is then a range of an index. Left to the planner, with statistics of a
 * large table, a read goes through everything that its customer ever had.
 */
const APART = 'offset 0';

/** What each series comes to in each window. Parts are looked at only when a dimension is asked for. */
function rowsSql(query: ReportQuery): string {
  const window = (time: string): string =>
    query.window === null ? `timestamptz 'epoch'` : `date_trunc('${query.window}', ${time}, 'UTC')`;
  const parts = query.dimensions.length > 0;
  // Not one condition for both: a plan that is made once must still find a customer by the index.
  const ofCustomer = (column: string): string =>
    query.customerId === null ? '$3::text is null' : `${column} = $3`;
  const wholes = `
    select s.series_id, s.series_id as whole_id, s.customer_id, false as is_part, s.dimensions,
      m.event_time_window is not null as windowed
    from usage_series s join meters m on m.account_id = s.account_id and m.id = s.meter_id
    where s.account_id = $1 and s.meter_id = $2 and ${ofCustomer('s.customer_id')}
      and s.dimension_key = ''`;
  const ofParts = `
    union all
    select p.series_id, w.series_id, p.customer_id, true, p.dimensions, false
    from usage_series p join usage_series w on w.account_id = p.account_id and w.meter_id = p.meter_id
      and w.customer_id = p.customer_id and w.dimension_key = ''
    where p.account_id = $1 and p.meter_id = $2 and ${ofCustomer('p.customer_id')}
      and p.dimension_key <> ''`;
  return `
  with series as (${wholes} ${parts ? ofParts : ''}),
  spans as (
    select * from unnest($4::smallint[], $5::timestamptz[], $6::timestamptz[]) as s (grain, starts, ends)
  ),
  found as (
    select s.series_id, ${window('r.bucket')} as window_start, r.count, r.total, r.last_value, r.last_time,
      r.last_arrival
    from spans cross join series s cross join lateral (
      select * from usage_rollups r where r.series_id = s.series_id and r.grain = spans.grain
        and r.bucket >= spans.starts and r.bucket < spans.ends ${APART}
    ) r
    where spans.grain > 0
    union all
    select s.series_id, ${window('r.bucket')}, r.count, r.total, r.last_value, r.last_time, r.last_arrival
    from spans cross join series s cross join lateral (
      select * from usage_rollups r where r.series_id = s.series_id and r.grain = 1
        and r.bucket > spans.starts - interval '1 minute' and r.bucket <= spans.starts
        and r.last_time >= spans.starts and r.last_time < spans.ends ${APART}
    ) r
    where spans.grain = 0 and s.windowed
    union all
    select s.series_id, ${window('e.event_time')}, 1, coalesce(e.value, 0), e.value, e.event_time, e.arrival
    from spans cross join series s cross join lateral (
      select * from meter_events e where e.series_id = s.whole_id and e.cancelled_at is null
        and e.event_time >= spans.starts and e.event_time < spans.ends
        and (not s.is_part or e.dimension_series_id = s.series_id) ${APART}
    ) e
    where spans.grain = 0 and not s.windowed
  ),
  sums as (
    select series_id, window_start, sum(count) as count, sum(total) as total,
      (array_agg(last_value order by last_time desc, last_arrival desc))[1] as last_value
    from found group by series_id, window_start
  )`;
}

/**
 * The series' sums put into groups. With dimensions, what the whole has and its parts have not is usage from before the
 * meter had them: the whole counts in the group without values, and each part is taken off it.
 */
function groupsSql(query: ReportQuery, values: unknown[]): string {
  const parameter = (value: unknown): string => {
    values.push(value);
    return `$${values.length}`;
  };
  const names = query.dimensions.map((name) => parameter(name));
  const keys = (dimensions: string): string => {
    const pairs = names.map((name) => `${name}::text, ${dimensions} ->> ${name}::text`);
    if (query.byCustomer) pairs.unshift(`'customer', s.customer_id`);
    return `jsonb_build_object(${pairs.join(', ')})::text`;
  };
  const ofWholes = `select sums.window_start, ${keys(`'{}'::jsonb`)} as group_key, sums.count, sums.total,
      ${names.length > 0 ? 'null::numeric' : 'sums.last_value'} as last_value
    from sums join series s on s.series_id = sums.series_id where not s.is_part`;
  const ofParts = `
    union all
    select sums.window_start, ${keys('s.dimensions')}, sums.count, sums.total, sums.last_value
    from sums join series s on s.series_id = sums.series_id where s.is_part
    union all
    select sums.window_start, ${keys(`'{}'::jsonb`)}, -sums.count, -sums.total, null
    from sums join series s on s.series_id = sums.series_id where s.is_part`;
  const after = query.after === null ? 'true' : afterSql(query.after, parameter);
  return `,
  grouped as (
    select c.window_start, c.group_key collate "C" as group_key, sum(c.count)::bigint as count,
      ${VALUE[query.formula]} as value
    from (${ofWholes} ${names.length > 0 ? ofParts : ''}) as c
    group by c.window_start, c.group_key
    having sum(c.count) <> 0
  )
  select window_start as "windowStart", group_key as "group", count, value from grouped
  where ${after}
  order by window_start desc, value desc, group_key limit $7`;
}

function afterSql(after: ReportCursor, parameter: (value: unknown) => string): string {
  const start = parameter(new Date(after.windowStart));
  const value = `${parameter(after.value)}::numeric`;
  const group = parameter(after.group);
  return `(window_start < ${start} or (window_start = ${start} and
    (value < ${value} or (value = ${value} and group_key > ${group}))))`;
}
