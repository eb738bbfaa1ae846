import { parseDecimal } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import type { Queryable } from '../storage/db.js';
import { iso } from './arrays.js';
import { type Sums } from './rollup.js';

/** A span of one series, `[start, end)`. */
export interface SeriesSpan {
  seriesId: string;
  start: Instant;
  end: Instant;
}

export interface SumsRow {
  count: bigint;
  total: string;
  max: string | null;
  lastValue: string | null;
  lastTime: Instant;
  lastArrival: bigint;
}

export function sumsFromRow(row: SumsRow): Sums {
  return {
    count: row.count,
    total: parseDecimal(row.total),
    max: row.max === null ? null : parseDecimal(row.max),
    latest: {
      timestamp: row.lastTime,
      arrival: row.lastArrival,
      value: row.lastValue === null ? null : parseDecimal(row.lastValue),
    },
  };
}

/** The hour rows of each span, in the order of the spans. */
export async function readHours(q: Queryable, spans: readonly SeriesSpan[]): Promise<Sums[][]> {
  const rows = await q.queryNamed<SumsRow & { ordinal: number }>(
    'metering_read_hours',
    `select w.ordinal::integer as ordinal, r.count, r.total, r.max, r.last_value as "lastValue",
       r.last_time as "lastTime", r.last_arrival as "lastArrival"
     from unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[])
       with ordinality as w (series_id, starts, ends, ordinal)
     join usage_rollups r on r.series_id = w.series_id and r.grain = 60
       and r.bucket >= w.starts and r.bucket < w.ends`,
    spanColumns(spans),
  );
  const found: Sums[][] = spans.map(() => []);
  for (const row of rows) found[row.ordinal - 1]?.push(sumsFromRow(row));
  return found;
}

/** Removes the minute and hour rows whose bucket starts inside a span. The caller holds the locks of the series. */
export async function removeRollups(q: Queryable, spans: readonly SeriesSpan[]): Promise<void> {
  if (spans.length === 0) return;
  await q.queryNamed(
    'metering_remove_rollups',
    `delete from usage_rollups r
     using unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) as w (series_id, starts, ends)
     where r.series_id = w.series_id and r.grain in (1, 60) and r.bucket >= w.starts and r.bucket < w.ends`,
    spanColumns(spans),
  );
}

function spanColumns(spans: readonly SeriesSpan[]): string[][] {
  return [
    spans.map((span) => span.seriesId),
    spans.map((span) => iso(span.start)),
    spans.map((span) => iso(span.end)),
  ];
}
