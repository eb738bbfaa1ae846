import { sharedArgument } from '../../domain/contract/aggregation.js';
import { parseDecimal } from '../../domain/decimal.js';
import type { Instant } from '../../domain/period.js';
import type { Queryable } from '../../storage/db.js';
import { iso } from '../arrays.js';
import { floorTo, HOUR_MS } from '../rollup.js';
import { groupKeyFor } from './dimensions.js';
import { type LevelBefore, type LevelsBefore, readFromEvents } from './fromEvents.js';
import { isOnHours, readFromRollups } from './fromRollups.js';
import { findGroups } from './groups.js';
import {
  groupId,
  type GroupReading,
  type MetricTarget,
  neededNames,
  type ReadingQuery,
  rowTarget,
  sumOfRows,
} from './reading.js';
import { type ArrivedEvent, readStoredEvents, typesOf } from './stored.js';

/**
 * The usage of one customer, for each target. Counts, sums, maxima, latest values and distinct texts come from rollups;
 * percentiles, what is weighted by time, formulas over several things, and windows that don't begin on the hour come from
 * the events themselves.
 */
export async function readMetrics(
  q: Queryable,
  targets: readonly MetricTarget[],
  query: ReadingQuery,
): Promise<GroupReading[][]> {
  const answers = await readRows(q, targets.map(rowTarget), query);
  return answers.map((rows, index) => sumOfRows(targets[index] as MetricTarget, rows));
}

async function readRows(
  q: Queryable,
  targets: readonly MetricTarget[],
  query: ReadingQuery,
): Promise<GroupReading[][]> {
  const onHours = isOnHours(query.windows);
  const fromRollups = targets.filter((target) => onHours && followsFromRollups(target));
  const rolled = await readFromRollups(q, fromRollups, query);
  const answers: GroupReading[][] = [];
  for (const target of targets) {
    const place = fromRollups.indexOf(target);
    answers.push(place >= 0 ? (rolled[place] ?? []) : await readStored(q, target, query));
  }
  return answers;
}

function followsFromRollups(target: MetricTarget): boolean {
  const { aggregation } = target.metric;
  if (aggregation.type === 'PERCENTILE' || aggregation.type === 'TIME_WEIGHTED_SUM') return false;
  if (aggregation.type === 'FORMULA' && sharedArgument(aggregation) === undefined) return false;
  return groupKeyFor(target.metric, neededNames(target)) !== undefined;
}

async function readStored(q: Queryable, target: MetricTarget, query: ReadingQuery): Promise<GroupReading[]> {
  const start = floorTo(query.windows[0]?.start ?? 0, HOUR_MS);
  const stored = await readStoredEvents(q, {
    accountId: query.accountId,
    customerKeys: query.customerKeys,
    eventTypes: typesOf(target.metric),
    start,
    end: query.windows.at(-1)?.end ?? 0,
  });
  const levels =
    target.metric.aggregation.type === 'TIME_WEIGHTED_SUM'
      ? await readLevels(q, target, query, start)
      : new Map();
  return readFromEvents(target, query, [...stored, ...asArrived(query)], levels);
}

const AFTER_ALL = 1n << 62n;

export function asArrived({ extraEvents }: Pick<ReadingQuery, 'extraEvents'>): ArrivedEvent[] {
  return extraEvents.map((event, index) => ({ event, arrival: AFTER_ALL + BigInt(index) }));
}

/** The level that each group had at the start of an hour. Needs a group key that tells the target's properties apart. */
async function readLevels(
  q: Queryable,
  target: MetricTarget,
  query: ReadingQuery,
  start: Instant,
): Promise<LevelsBefore> {
  const levels = new Map<string, { dimensions: Record<string, string | null> } & LevelBefore>();
  if (groupKeyFor(target.metric, neededNames(target)) === undefined) return levels;
  const { groups, seriesIds, owners } = await findGroups(q, [target], query);
  const rows = await q.queryNamed<{ owner: number; value: string; at: Instant; arrival: bigint }>(
    'metrics_levels',
    `select w.owner, r.last_value as value, r.last_time as at, r.last_arrival as arrival
     from unnest($1::bigint[], $2::integer[]) as w (series_id, owner)
     cross join lateral (
       select * from usage_rollups r where r.series_id = w.series_id and r.grain = 60 and r.bucket < $3 and r.count > 0
       order by r.bucket desc limit 1
     ) as r`,
    [`{${seriesIds.join(',')}}`, `{${owners.join(',')}}`, iso(start)],
  );
  for (const { owner, value, at, arrival } of rows) {
    const dimensions = groups[owner]?.dimensions ?? {};
    const id = groupId(dimensions, target.names);
    const before = levels.get(id);
    if (before !== undefined && (before.at > at || (before.at === at && before.arrival > arrival))) continue;
    levels.set(id, { dimensions, at, arrival, value: parseDecimal(value) });
  }
  return levels;
}
