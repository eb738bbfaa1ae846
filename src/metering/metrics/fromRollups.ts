import { increments, type WindowReading } from '../../domain/contract/aggregation.js';
import { pieceIndexAt } from '../../domain/contract/cuts.js';
import {
  aggregatedValue,
  type BillableMetric,
  groupValues,
  matchesFilters,
} from '../../domain/contract/metric.js';
import {
  add,
  type Decimal,
  decimalFromBigint,
  isZero,
  ONE,
  parseDecimal,
  subtract,
  ZERO,
} from '../../domain/decimal.js';
import type { Instant, Period } from '../../domain/period.js';
import type { Queryable } from '../../storage/db.js';
import { iso } from '../arrays.js';
import { addSums, HOUR_MS, type Latest, type Sums, sumsOf } from '../rollup.js';
import { shortened } from './dimensions.js';
import { spansOf } from './grains.js';
import { findGroups, type Group, GroupPool, type SeriesGroups } from './groups.js';
import {
  type GroupReading,
  type MetricTarget,
  neededNames,
  passesFilters,
  type ReadingQuery,
} from './reading.js';

/**
 * Reads targets whose aggregation follows from rollups, in a few statements whose cost does not grow with the number of
 * events. Every bound of a window must be on a whole hour. Answers for each target.
 */
export async function readFromRollups(
  q: Queryable,
  targets: readonly MetricTarget[],
  query: ReadingQuery,
): Promise<GroupReading[][]> {
  const answers: GroupReading[][] = targets.map(() => []);
  if (targets.length === 0) return answers;
  const found = await findGroups(q, targets, query);
  const typeOf = ({ target }: Group) => rolledType(targets[target]?.metric);
  await readSums(
    q,
    part(found, (group) => !['LATEST', 'UNIQUE'].includes(typeOf(group))),
    query,
  );
  await readLatest(
    q,
    part(found, (group) => typeOf(group) === 'LATEST'),
    query,
  );
  await readDistinct(
    q,
    part(found, (group) => typeOf(group) === 'UNIQUE'),
    query,
  );
  await addExtra(q, targets, found, query);
  for (const group of found.groups) {
    answers[group.target]?.push(readGroup(targets[group.target] as MetricTarget, query, group));
  }
  return answers;
}

/** What its rows are read for; all parts of a formula that lives from rollups need the same. */
function rolledType(metric: BillableMetric | undefined): string {
  const aggregation = metric?.aggregation;
  if (aggregation?.type === 'FORMULA') return aggregation.parts[0]?.type ?? '';
  return aggregation?.type ?? '';
}

function part(found: SeriesGroups, wanted: (group: Group) => boolean): SeriesGroups {
  const seriesIds: string[] = [];
  const owners: number[] = [];
  found.seriesIds.forEach((seriesId, index) => {
    const owner = found.owners[index] as number;
    if (!wanted(found.groups[owner] as Group)) return;
    seriesIds.push(seriesId);
    owners.push(owner);
  });
  return { groups: found.groups, seriesIds, owners };
}

function spanParameters({ seriesIds, owners }: SeriesGroups, { windows }: ReadingQuery): unknown[] {
  const spans = spansOf(windows);
  return [
    `{${seriesIds.join(',')}}`,
    `{${owners.join(',')}}`,
    spans.map(({ grain }) => grain),
    spans.map(({ start }) => iso(start)),
    spans.map(({ end }) => iso(end)),
    windows.map(({ start }) => iso(start)),
  ];
}

// One lateral query a series and span, so that each is one index range whatever the planner thinks of the arrays.
const EACH_SPAN = `
  from unnest($1::bigint[], $2::integer[]) as w (series_id, owner)
  cross join unnest($3::smallint[], $4::timestamptz[], $5::timestamptz[]) as p (grain, starts, ends)`;
const ROLLUPS_OF_SPAN = `
  from usage_rollups r
  where r.series_id = w.series_id and r.grain = p.grain and r.bucket >= p.starts and r.bucket < p.ends and r.count > 0`;
const PIECE = 'width_bucket(r.bucket, $6::timestamptz[]) - 1';

async function readSums(q: Queryable, found: SeriesGroups, query: ReadingQuery): Promise<void> {
  if (found.seriesIds.length === 0) return;
  const rows = await q.queryNamed<{
    owner: number;
    piece: number;
    count: bigint;
    total: string;
    max: string | null;
  }>(
    'metrics_sums',
    `select w.owner, f.* ${EACH_SPAN}
     cross join lateral (
       select ${PIECE} as piece, sum(r.count)::bigint as count, sum(r.total) as total, max(r.max) as max
       ${ROLLUPS_OF_SPAN} group by 1
     ) as f`,
    spanParameters(found, query),
  );
  for (const { owner, piece, count, total, max } of rows) {
    const highest = max === null ? null : parseDecimal(max);
    merge(found, owner, piece, { count, total: parseDecimal(total), max: highest, latest: NO_LATEST });
  }
}

const NO_LATEST: Latest = { timestamp: 0, arrival: 0n, value: null };

/** A group may have several series, and a window several spans. */
function merge({ groups }: SeriesGroups, owner: number, piece: number, sums: Sums): void {
  const windows = groups[owner]?.windows;
  const before = windows?.get(piece);
  windows?.set(piece, before === undefined ? sums : addSums(before, sums));
}

async function readLatest(q: Queryable, found: SeriesGroups, query: ReadingQuery): Promise<void> {
  if (found.seriesIds.length === 0) return;
  const rows = await q.queryNamed<{
    owner: number;
    piece: number;
    value: string;
    timestamp: Instant;
    arrival: bigint;
  }>(
    'metrics_latest',
    `select w.owner, f.* ${EACH_SPAN}
     cross join lateral (
       select distinct on (1) ${PIECE} as piece, r.last_value as value, r.last_time as timestamp,
         r.last_arrival as arrival
       ${ROLLUPS_OF_SPAN} order by 1, r.last_time desc, r.last_arrival desc
     ) as f`,
    spanParameters(found, query),
  );
  for (const { owner, piece, ...latest } of rows) {
    const value = parseDecimal(latest.value);
    const sums = sumsOf({ timestamp: latest.timestamp, arrival: latest.arrival, value });
    merge(found, owner, piece, sums);
  }
}

async function readDistinct(q: Queryable, found: SeriesGroups, query: ReadingQuery): Promise<void> {
  if (found.seriesIds.length === 0) return;
  const first = query.windows[0]?.start ?? 0;
  const last = query.windows.at(-1)?.end ?? 0;
  // A text counts in the piece where it came first, or in every one where it came.
  const [piece, grouping] =
    query.mode === 'running'
      ? ['min(t.bucket)', '']
      : ['t.bucket', ', width_bucket(t.bucket, $3::timestamptz[])'];
  const rows = await q.queryNamed<{ owner: number; piece: number; count: bigint }>(
    `metrics_distinct_${query.mode}`,
    `select owner, piece, count(*) as count from (
       select w.owner, width_bucket(${piece}, $3::timestamptz[]) - 1 as piece
       from unnest($1::bigint[], $2::integer[]) as w (series_id, owner)
       join usage_texts t on t.series_id = w.series_id and t.bucket >= $4 and t.bucket < $5
       group by w.owner, t.text${grouping}
     ) as firsts group by owner, piece`,
    [
      `{${found.seriesIds.join(',')}}`,
      `{${found.owners.join(',')}}`,
      query.windows.map(({ start }) => iso(start)),
      iso(first),
      iso(last),
    ],
  );
  for (const { owner, piece: index, count } of rows) {
    const group = found.groups[owner];
    if (group !== undefined) distinctOf(group).set(index, decimalFromBigint(count));
  }
}

function distinctOf(group: Group): Map<number, Decimal> {
  group.distinct ??= new Map();
  return group.distinct;
}

/** After everything that is stored. */
const EXTRA_ARRIVAL = 1n << 62n;

async function addExtra(
  q: Queryable,
  targets: readonly MetricTarget[],
  found: SeriesGroups,
  query: ReadingQuery,
): Promise<void> {
  if (query.extraEvents.length === 0) return;
  const pool = new GroupPool(targets, found.groups);
  const texts: { group: Group; text: string; at: Instant }[] = [];
  targets.forEach((target, number) => {
    query.extraEvents.forEach((event, index) => {
      const value = matchesFilters(target.metric, event) ? aggregatedValue(target.metric, event) : null;
      const dimensions = groupValues(event, neededNames(target));
      const at = event.timestamp;
      const isInside = (query.windows[0]?.start ?? 0) <= at && at < (query.windows.at(-1)?.end ?? 0);
      if (value === null || !isInside || !passesFilters(dimensions, target.filters)) return;
      const group = pool.get(number, dimensions);
      if (typeof value === 'string') texts.push({ group, text: shortened(value), at });
      else {
        const arrival = EXTRA_ARRIVAL + BigInt(index);
        const counted = target.metric.aggregation.type === 'COUNT' ? null : value;
        const sums = sumsOf({ timestamp: at, arrival, value: counted });
        const place = pieceIndexAt(query.windows, at);
        const before = group.windows.get(place);
        group.windows.set(place, before === undefined ? sums : addSums(before, sums));
      }
    });
  });
  if (texts.length > 0) await addExtraTexts(q, found, query, texts);
}

/** Where each text came first among those stored decides what the extra ones add. */
async function addExtraTexts(
  q: Queryable,
  found: SeriesGroups,
  query: ReadingQuery,
  texts: readonly { group: Group; text: string; at: Instant }[],
): Promise<void> {
  const rows = await q.queryNamed<{ owner: number; text: string; first: Instant }>(
    'metrics_first_texts',
    `select w.owner, t.text, min(t.bucket) as first
     from unnest($1::bigint[], $2::integer[]) as w (series_id, owner)
     join usage_texts t on t.series_id = w.series_id and t.bucket >= $3 and t.bucket < $4 and t.text = any($5::text[])
     group by 1, 2`,
    [
      `{${found.seriesIds.join(',')}}`,
      `{${found.owners.join(',')}}`,
      iso(query.windows[0]?.start ?? 0),
      iso(query.windows.at(-1)?.end ?? 0),
      [...new Set(texts.map(({ text }) => text))],
    ],
  );
  const firsts = new Map(rows.map(({ owner, text, first }) => [`${owner} ${text}`, first]));
  for (const { group, text, at } of texts) {
    const key = `${group.ordinal} ${text}`;
    const known = firsts.get(key);
    if (known !== undefined && known <= at) continue;
    firsts.set(key, at);
    const change = (instant: Instant, by: (count: Decimal) => Decimal) => {
      const index = pieceIndexAt(query.windows, instant);
      const distinct = distinctOf(group);
      distinct.set(index, by(distinct.get(index) ?? ZERO));
    };
    change(at, (count) => add(count, ONE));
    if (known !== undefined) change(known, (count) => subtract(count, ONE));
  }
}

function readGroup({ metric }: MetricTarget, query: ReadingQuery, group: Group): GroupReading {
  const { dimensions } = group;
  if (metric.aggregation.type === 'UNIQUE') {
    const windows = byIndex(distinctOf(group)).map(([index, quantity]) => ({ index, quantity }));
    return { dimensions, windows: windows.filter(({ quantity }) => !isZero(quantity)) };
  }
  const used = byIndex(group.windows).filter(([, { count }]) => count > 0n);
  const readings = used.map(([index, sums]) => asReading(query.windows[index] as Period, sums));
  const quantities =
    query.mode === 'running'
      ? increments(metric.aggregation, readings)
      : readings.map((reading) => increments(metric.aggregation, [reading])[0] ?? ZERO);
  return {
    dimensions,
    windows: used.map(([index], place) => ({ index, quantity: quantities[place] ?? ZERO })),
  };
}

function byIndex<T>(values: ReadonlyMap<number, T>): [number, T][] {
  return [...values].sort(([a], [b]) => a - b);
}

const NONE: readonly never[] = [];

function asReading({ start, end }: Period, { count, total, max, latest }: Sums): WindowReading {
  return { start, end, count, sum: total, max, last: latest.value, texts: NONE, values: NONE, levels: NONE };
}

export function isOnHours(windows: readonly Period[]): boolean {
  return windows.every(({ start, end }) => start % HOUR_MS === 0 && end % HOUR_MS === 0);
}
