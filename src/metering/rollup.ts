import { add, type Decimal, max, toText, ZERO } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import type { Queryable } from '../storage/db.js';
import { instantArray, plainArray } from './arrays.js';

export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;

/** Minutes of a rollup row; 30_000 is a UTC month. */
export type Grain = 1 | 60 | 1440 | 30_000;

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

/** What is added up in place while a batch is gone through. */
interface Accumulator {
  count: number;
  total: Decimal;
  max: Decimal | null;
  lastTime: Instant;
  lastPlace: number;
  lastValue: Decimal | null;
}

/** The usage of one series in one batch, in buckets of one length. Events are told apart by their place in it, in the order of arrival. */
export class SeriesUsage {
  readonly seriesId: string;
  hasAlerts = false;
  arrived = 0;
  readonly #bucketMs: number;
  readonly #buckets = new Map<Instant, Accumulator>();

  constructor(seriesId: string, bucketMs = MINUTE_MS) {
    this.seriesId = seriesId;
    this.#bucketMs = bucketMs;
  }

  add(timestamp: Instant, place: number, value: Decimal | null): void {
    const bucket = floorTo(timestamp, this.#bucketMs);
    const sums = this.#buckets.get(bucket);
    if (sums === undefined) {
      const total = value ?? ZERO;
      this.#buckets.set(bucket, {
        count: 1,
        total,
        max: value,
        lastTime: timestamp,
        lastPlace: place,
        lastValue: value,
      });
      return;
    }
    sums.count += 1;
    if (value !== null) {
      sums.total = add(sums.total, value);
      sums.max = sums.max === null ? value : max(sums.max, value);
    }
    if (timestamp > sums.lastTime || (timestamp === sums.lastTime && place > sums.lastPlace)) {
      sums.lastTime = timestamp;
      sums.lastPlace = place;
      sums.lastValue = value;
    }
  }

  buckets(): Map<Instant, Sums> {
    return new Map([...this.#buckets].map(([bucket, accumulator]) => [bucket, sumsFrom(accumulator)]));
  }

  hours(): Map<Instant, Sums> {
    const hours = new Map<Instant, Sums>();
    for (const [bucket, accumulator] of this.#buckets) {
      const hour = floorTo(bucket, HOUR_MS);
      const before = hours.get(hour);
      const sums = sumsFrom(accumulator);
      hours.set(hour, before === undefined ? sums : addSums(before, sums));
    }
    return hours;
  }
}

function sumsFrom({ count, total, max: most, lastTime, lastPlace, lastValue }: Accumulator): Sums {
  const latest = { timestamp: lastTime, arrival: BigInt(lastPlace), value: lastValue };
  return { count: BigInt(count), total, max: most, latest };
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

/** Adds to the rollups. The caller holds the locks of the series (see `addTotals`). */
export async function addRollups(q: Queryable, rows: readonly RollupRow[]): Promise<void> {
  if (rows.length === 0) return;
  await q.queryNamed(
    'metering_rollups',
    'select add_usage_rollups(0, $1, $2, $3, $4, $5, $6, $7, $8, $9)',
    rollupColumns(rows),
  );
}

export function rollupColumns(rows: readonly RollupRow[]): string[] {
  return [
    plainArray(rows, (row) => row.seriesId),
    plainArray(rows, (row) => row.grain),
    instantArray(rows, (row) => row.bucket),
    plainArray(rows, (row) => row.sums.count),
    plainArray(rows, (row) => toText(row.sums.total)),
    plainArray(rows, (row) => (row.sums.max === null ? null : toText(row.sums.max))),
    ...latestColumns(rows, (row) => row.sums.latest),
  ];
}

/** What is added to the total of a series; `latest` is null when no event is. */
export interface TotalChange {
  seriesId: string;
  count: bigint;
  total: Decimal;
  arrived: bigint;
  latest: Latest | null;
}

/**
 * Adds to the totals of series, marks them dirty, and takes their locks until the transaction ends: it must come
 * before anything is written to their rollups. Changes must be sorted by `compareSeriesIds`.
 */
export async function addTotals(q: Queryable, changes: readonly TotalChange[]): Promise<void> {
  await q.queryNamed(
    'metering_totals',
    'select add_usage_totals(0, $1, $2, $3, $4, $5, $6, $7)',
    totalColumns(changes),
  );
}

export function totalColumns(changes: readonly TotalChange[]): string[] {
  return [
    plainArray(changes, (change) => change.seriesId),
    plainArray(changes, (change) => change.count),
    plainArray(changes, (change) => toText(change.total)),
    plainArray(changes, (change) => change.arrived),
    ...latestColumns(changes, (change) => change.latest),
  ];
}

function latestColumns<Row>(rows: readonly Row[], latestOf: (row: Row) => Latest | null): string[] {
  const text = (value: Decimal | null | undefined): string | null => (value == null ? null : toText(value));
  return [
    plainArray(rows, (row) => text(latestOf(row)?.value)),
    instantArray(rows, (row) => latestOf(row)?.timestamp ?? null),
    plainArray(rows, (row) => latestOf(row)?.arrival ?? null),
  ];
}

/** Series ids are whole numbers in text. */
export function compareSeriesIds(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}
