import { type Decimal, decimalFromBigint, parseDecimal, ZERO } from '../domain/decimal.js';
import { notFound } from '../domain/errors.js';
import type { Instant, Period } from '../domain/period.js';
import type { Queryable } from '../storage/db.js';
import { iso } from './arrays.js';
import { floorTo, HOUR_MS, MINUTE_MS } from './rollup.js';

export type Formula = 'sum' | 'count' | 'last';

export interface UsageQuery {
  meterId: string;
  customerId: string;
  /** `[start, end)`, to the millisecond. */
  period: Period;
}

export interface UsageReading {
  /** By the meter's formula; zero without events. A sum or a last value may be negative. */
  value: Decimal;
  /** Events that counted. */
  count: bigint;
  /** Grows with every change of this customer's usage on this meter; `0` before the first. */
  watermark: string;
}

/** The usage of one customer on one meter in a period. See `readUsages`. */
export async function readUsage(
  q: Queryable,
  query: UsageQuery & { accountId: string },
): Promise<UsageReading> {
  const [reading] = await readUsages(q, query.accountId, [query]);
  return reading as UsageReading;
}

/**
 * Many readings in one statement, in the order of the queries: all of them see the same instant of the database, and
 * every event acknowledged before. Whole hours come from hour rows, the rest from minute rows, the last seconds from the
 * events, so the cost does not grow with the number of events. Throws `not_found` for a meter that doesn't exist.
 */
export async function readUsages(
  q: Queryable,
  accountId: string,
  queries: readonly UsageQuery[],
): Promise<UsageReading[]> {
  if (queries.length === 0) return [];
  const spans = queries.flatMap(({ period }, index) => spansOf(period).map((span) => ({ ...span, index })));
  const rows = await q.queryNamed<UsageRow>('metering_usage', READ_USAGE, [
    accountId,
    queries.map((query) => query.meterId),
    queries.map((query) => query.customerId),
    spans.map((span) => span.index + 1),
    spans.map((span) => span.grain),
    spans.map((span) => iso(span.start)),
    spans.map((span) => iso(span.end)),
  ]);
  return rows.map((row, index) => {
    if (row.formula === null) throw notFound('billing.meter', queries[index]?.meterId ?? '', 'meter');
    return {
      value: valueByFormula(row.formula, row),
      count: row.count,
      watermark: row.watermark.toString(),
    };
  });
}

interface Amounts {
  count: bigint;
  total: string;
  lastValue: string | null;
}

interface UsageRow extends Amounts {
  formula: Formula | null;
  watermark: bigint;
}

/** The aggregate that a meter's formula asks for (docs.stripe.com/api/billing/meter/object, `default_aggregation`). */
export function valueByFormula(formula: Formula, amounts: Amounts): Decimal {
  if (formula === 'count') return decimalFromBigint(amounts.count);
  if (formula === 'sum') return parseDecimal(amounts.total);
  return amounts.lastValue === null ? ZERO : parseDecimal(amounts.lastValue);
}

/** Part of a period, read from rows of `grain` minutes; grain 0 is the events themselves, inside one minute. */
interface Span {
  grain: 0 | 1 | 60;
  start: Instant;
  end: Instant;
}

export function spansOf({ start, end }: Period): Span[] {
  const minutes = inner(start, end, MINUTE_MS);
  if (minutes === null) return nonEmpty([{ grain: 0, start, end }]);
  const seconds: Span[] = [
    { grain: 0, start, end: minutes.start },
    { grain: 0, start: minutes.end, end },
  ];
  const hours = inner(minutes.start, minutes.end, HOUR_MS);
  if (hours === null) return nonEmpty([...seconds, { grain: 1, ...minutes }]);
  return nonEmpty([
    ...seconds,
    { grain: 1, start: minutes.start, end: hours.start },
    { grain: 60, ...hours },
    { grain: 1, start: hours.end, end: minutes.end },
  ]);
}

/** The largest span of whole multiples of `size` inside `[start, end)`; null when no boundary is in it. */
function inner(start: Instant, end: Instant, size: number): Period | null {
  const first = -floorTo(-start, size);
  const last = floorTo(end, size);
  return first > last ? null : { start: first, end: last };
}

function nonEmpty(spans: Span[]): Span[] {
  return spans.filter((span) => span.start < span.end);
}

// One lateral aggregate a span, so that each is one index range whatever the planner thinks of the arrays. On a meter
// with an event time window the events also hold what no longer counts; there a minute row is one event.
const READ_USAGE = `
  with queries as (
    select w.ordinal, m.formula, m.event_time_window is not null as windowed, s.series_id, t.watermark
    from unnest($2::text[], $3::text[]) with ordinality as w (meter_id, customer_id, ordinal)
    left join meters m on m.account_id = $1 and m.id = w.meter_id
    left join usage_series s on s.account_id = $1 and s.meter_id = w.meter_id and s.customer_id = w.customer_id
      and s.dimension_key = ''
    left join usage_totals t on t.series_id = s.series_id
  ),
  spans as (
    select q.*, w.grain, w.starts, w.ends
    from unnest($4::integer[], $5::smallint[], $6::timestamptz[], $7::timestamptz[])
      as w (ordinal, grain, starts, ends)
    join queries q on q.ordinal = w.ordinal
  ),
  found as (
    select spans.ordinal, spans.starts, f.*
    from spans cross join lateral (
      select sum(r.count) as count, sum(r.total) as total,
        (array_agg(r.last_value order by r.bucket desc))[1] as last_value
      from usage_rollups r
      where r.series_id = spans.series_id and r.grain = spans.grain
        and r.bucket >= spans.starts and r.bucket < spans.ends
    ) as f
    where spans.grain > 0
    union all
    select spans.ordinal, spans.starts, f.*
    from spans cross join lateral (
      select sum(r.count) as count, sum(r.total) as total, max(r.last_value) as last_value
      from usage_rollups r
      where r.series_id = spans.series_id and r.grain = 1
        and r.bucket > spans.starts - interval '1 minute' and r.bucket <= spans.starts
        and r.last_time >= spans.starts and r.last_time < spans.ends
    ) as f
    where spans.grain = 0 and spans.windowed
    union all
    select spans.ordinal, spans.starts, f.*
    from spans cross join lateral (
      select count(*) as count, sum(e.value) as total,
        (array_agg(e.value order by e.event_time desc, e.arrival desc))[1] as last_value
      from meter_events e
      where e.series_id = spans.series_id and e.event_time >= spans.starts and e.event_time < spans.ends
        and e.cancelled_at is null
    ) as f
    where spans.grain = 0 and not spans.windowed
  )
  select queries.formula, coalesce(queries.watermark, 0) as watermark,
    coalesce(sum(found.count), 0)::bigint as count, coalesce(sum(found.total), 0) as total,
    (array_agg(found.last_value order by found.starts desc) filter (where found.count > 0))[1] as "lastValue"
  from queries left join found on found.ordinal = queries.ordinal
  group by queries.ordinal, queries.formula, queries.watermark
  order by queries.ordinal`;

/** The usage of one hour or day. */
export interface UsageWindow {
  start: Instant;
  value: Decimal;
  count: bigint;
}

export interface WindowsQuery extends UsageQuery {
  accountId: string;
  /** UTC hours or days; the period must be made of whole ones. */
  window: 'hour' | 'day';
  limit: number;
  order: 'newest_first' | 'oldest_first';
}

/** Usage by hour or day. A window without events is left out. */
export async function usageWindows(q: Queryable, query: WindowsQuery): Promise<UsageWindow[]> {
  const direction = query.order === 'newest_first' ? 'desc' : 'asc';
  const rows = await q.queryNamed<Amounts & { start: Instant; formula: Formula }>(
    `metering_windows_${query.window}_${direction}`,
    `select date_trunc('${query.window}', r.bucket, 'UTC') as start, m.formula, sum(r.count)::bigint as count,
       sum(r.total) as total,
       (array_agg(r.last_value order by r.bucket desc))[1] as "lastValue"
     from usage_series s
     join meters m on m.account_id = s.account_id and m.id = s.meter_id
     join usage_rollups r on r.series_id = s.series_id and r.grain = 60
     where s.account_id = $1 and s.meter_id = $2 and s.customer_id = $3 and s.dimension_key = ''
       and r.bucket >= $4 and r.bucket < $5
     group by 1, 2
     order by 1 ${direction}
     limit $6`,
    [
      query.accountId,
      query.meterId,
      query.customerId,
      iso(query.period.start),
      iso(query.period.end),
      query.limit,
    ],
  );
  return rows.map((row) => ({ start: row.start, value: valueByFormula(row.formula, row), count: row.count }));
}
