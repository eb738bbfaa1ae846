import { add, type Decimal, max, toText, ZERO } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import type { Queryable } from '../storage/db.js';

export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;

/** Minutes of a rollup row. */
export type Grain = 1 | 60;

/** The latest value of some events, by (event time, arrival). */
export interface Latest {
  timestamp: Instant;
  arrival: bigint;
  value: Decimal | null;
}

/** What some events come to. */
export interface Sums {
  count: bigint;
  total: Decimal;
  max: Decimal | null;
  latest: Latest;
}

/** One event as the rollups see it; `value` is null on a count meter without one. */
export interface Counted {
  timestamp: Instant;
  arrival: bigint;
  value: Decimal | null;
}

export function sumsOf(event: Counted): Sums {
  return { count: 1n, total: event.value ?? ZERO, max: event.value, latest: event };
}

export function addSums(a: Sums, b: Sums): Sums {
  return {
    count: a.count + b.count,
    total: add(a.total, b.total),
    max: a.max === null ? b.max : b.max === null ? a.max : max(a.max, b.max),
    latest: isLater(b.latest, a.latest) ? b.latest : a.latest,
  };
}

export function isLater(a: Latest, b: Latest): boolean {
  return a.timestamp !== b.timestamp ? a.timestamp > b.timestamp : a.arrival > b.arrival;
}

export function floorTo(instant: Instant, size: number): Instant {
  return Math.floor(instant / size) * size;
}

/** The usage of one series in one batch. */
export class SeriesUsage {
  readonly seriesId: string;
  readonly hasAlerts: boolean;
  readonly minutes = new Map<Instant, Sums>();
  arrived = 0n;

  constructor(seriesId: string, hasAlerts: boolean) {
    this.seriesId = seriesId;
    this.hasAlerts = hasAlerts;
  }

  add(event: Counted): void {
    this.arrived += 1n;
    const minute = floorTo(event.timestamp, MINUTE_MS);
    const before = this.minutes.get(minute);
    this.minutes.set(minute, before === undefined ? sumsOf(event) : addSums(before, sumsOf(event)));
  }

  hours(): Map<Instant, Sums> {
    const hours = new Map<Instant, Sums>();
    for (const [minute, sums] of this.minutes) {
      const hour = floorTo(minute, HOUR_MS);
      const before = hours.get(hour);
      hours.set(hour, before === undefined ? sums : addSums(before, sums));
    }
    return hours;
  }
}

/** One row of `usage_rollups`. */
export interface RollupRow {
  seriesId: string;
  grain: Grain;
  bucket: Instant;
  sums: Sums;
}

/** The rows of a series, in the order of the primary key. */
export function rollupRows(
  seriesId: string,
  minutes: ReadonlyMap<Instant, Sums>,
  hours: ReadonlyMap<Instant, Sums>,
): RollupRow[] {
  const rows = (grain: Grain, buckets: ReadonlyMap<Instant, Sums>): RollupRow[] =>
    [...buckets].sort(([a], [b]) => a - b).map(([bucket, sums]) => ({ seriesId, grain, bucket, sums }));
  return [...rows(1, minutes), ...rows(60, hours)];
}

const ADD_ROLLUPS = `
  insert into usage_rollups as r
    (series_id, grain, bucket, count, total, max, last_value, last_time, last_arrival)
  select * from unnest($1::bigint[], $2::smallint[], $3::timestamptz[], $4::bigint[], $5::numeric[], $6::numeric[],
    $7::numeric[], $8::timestamptz[], $9::bigint[])
  on conflict (series_id, grain, bucket) do update set
    count = r.count + excluded.count,
    total = r.total + excluded.total,
    max = greatest(r.max, excluded.max),
    (last_value, last_time, last_arrival) = (
      select case when later then excluded.last_value else r.last_value end,
        case when later then excluded.last_time else r.last_time end,
        case when later then excluded.last_arrival else r.last_arrival end
      from (select (excluded.last_time, excluded.last_arrival) > (r.last_time, r.last_arrival) as later) as l
    )`;

/** Adds to the rollups. The caller holds the locks of the series (see `addTotals`). */
export async function addRollups(q: Queryable, rows: readonly RollupRow[]): Promise<void> {
  if (rows.length === 0) return;
  await q.queryNamed('metering_rollups', ADD_ROLLUPS, [
    rows.map((row) => row.seriesId),
    rows.map((row) => row.grain),
    rows.map((row) => iso(row.bucket)),
    rows.map((row) => row.sums.count.toString()),
    rows.map((row) => toText(row.sums.total)),
    rows.map((row) => (row.sums.max === null ? null : toText(row.sums.max))),
    ...latestColumns(rows.map((row) => row.sums.latest)),
  ]);
}

/** What is added to the total of a series; `latest` is null when no event is. */
export interface TotalChange {
  seriesId: string;
  count: bigint;
  total: Decimal;
  arrived: bigint;
  latest: Latest | null;
}

const ADD_TOTALS = `
  insert into usage_totals as t
    (series_id, count, total, arrived, last_value, last_time, last_arrival, watermark, dirty_since)
  select w.*, nextval('meter_event_batches') * 65536, clock_timestamp()
  from unnest($1::bigint[], $2::bigint[], $3::numeric[], $4::bigint[], $5::numeric[], $6::timestamptz[],
    $7::bigint[]) as w (series_id, count, total, arrived, last_value, last_time, last_arrival)
  on conflict (series_id) do update set
    count = t.count + excluded.count,
    total = t.total + excluded.total,
    arrived = t.arrived + excluded.arrived,
    (last_value, last_time, last_arrival) = (
      select case when later then excluded.last_value else t.last_value end,
        case when later then excluded.last_time else t.last_time end,
        case when later then excluded.last_arrival else t.last_arrival end
      from (
        select coalesce((excluded.last_time, excluded.last_arrival) > (t.last_time, t.last_arrival),
          t.last_time is null) as later
      ) as l
    ),
    -- Drawn here, under the row's lock, so that watermarks grow in the order of the commits.
    watermark = nextval('meter_event_batches') * 65536,
    dirty_since = coalesce(t.dirty_since, excluded.dirty_since)`;

/**
 * Adds to the totals of series, marks them dirty, and takes their locks until the transaction ends: it must come
 * before anything is written to their rollups. Changes must be sorted by `compareSeriesIds`.
 */
export async function addTotals(q: Queryable, changes: readonly TotalChange[]): Promise<void> {
  await q.queryNamed('metering_totals', ADD_TOTALS, [
    changes.map((change) => change.seriesId),
    changes.map((change) => change.count.toString()),
    changes.map((change) => toText(change.total)),
    changes.map((change) => change.arrived.toString()),
    ...latestColumns(changes.map((change) => change.latest)),
  ]);
}

function latestColumns(latests: readonly (Latest | null)[]): (string | null)[][] {
  return [
    latests.map((latest) => (latest === null || latest.value === null ? null : toText(latest.value))),
    latests.map((latest) => (latest === null ? null : iso(latest.timestamp))),
    latests.map((latest) => latest?.arrival.toString() ?? null),
  ];
}

/** Series ids are whole numbers in text. */
export function compareSeriesIds(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

export function iso(instant: Instant): string {
  return new Date(instant).toISOString();
}
