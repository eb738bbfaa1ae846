import { valuesKey } from '../../domain/contract/applicability.js';
import type { Decimal } from '../../domain/decimal.js';
import type { Queryable } from '../../storage/db.js';
import type { Sums } from '../rollup.js';
import { type Dimensions, dimensionsOfKey, groupKeyFor, IS_HASHED, partRange } from './dimensions.js';
import { type MetricTarget, neededNames, passesFilters, projected, type ReadingQuery } from './reading.js';

/** One group of a target, with the series that it is made of: one for each name of the customer, or more. */
export interface Group {
  target: number;
  ordinal: number;
  dimensions: Dimensions;
  windows: Map<number, Sums>;
  /** For UNIQUE: texts by window; null while there are none. */
  distinct: Map<number, Decimal> | null;
}

export interface SeriesGroups {
  groups: Group[];
  seriesIds: string[];
  /** The group of each series, by its ordinal. */
  owners: number[];
}

interface SeriesRow {
  target: number;
  seriesId: string;
  key: string;
  /** Only where the key does not say it. */
  dimensions: Record<string, string | null> | null;
}

/** The groups of usage that each target has ever had. */
export async function findGroups(
  q: Queryable,
  targets: readonly MetricTarget[],
  query: ReadingQuery,
): Promise<SeriesGroups> {
  const ranges = targets.map((target) => partRange(groupKeyFor(target.metric, neededNames(target)) ?? null));
  const rows = await q.queryNamed<SeriesRow>(
    'metrics_groups',
    `select w.target::integer - 1 as target, s.series_id::text as "seriesId", s.dimension_key as key,
       case when ${IS_HASHED('s.dimension_key')} then s.dimensions end as dimensions
     from unnest($3::text[], $4::text[], $5::text[]) with ordinality as w (metric_id, low, high, target)
     join usage_series s on s.account_id = $1 and s.meter_id = w.metric_id and s.customer_id = any($2::text[])
       and s.dimension_key >= w.low and s.dimension_key < w.high`,
    [
      query.accountId,
      query.customerKeys,
      targets.map(({ metric }) => metric.id),
      ranges.map(({ low }) => low),
      ranges.map(({ high }) => high),
    ],
  );
  const found = new GroupPool(targets);
  const seriesIds: string[] = [];
  const owners: number[] = [];
  for (const { target: number, seriesId, key, dimensions: stored } of rows) {
    const target = targets[number] as MetricTarget;
    const dimensions = dimensionsOfKey(target.metric, key, stored);
    if (!passesFilters(dimensions, target.filters)) continue;
    seriesIds.push(seriesId);
    owners.push(found.get(number, dimensions).ordinal);
  }
  return { groups: found.groups, seriesIds, owners };
}

/** The groups of targets, each made once. */
export class GroupPool {
  readonly groups: Group[];
  readonly #targets: readonly MetricTarget[];
  /** Of each target, its groups by the key of their values. */
  readonly #known: readonly Map<string, Group>[];

  constructor(targets: readonly MetricTarget[], groups: Group[] = []) {
    this.#targets = targets;
    this.groups = groups;
    this.#known = targets.map(() => new Map());
    for (const group of groups) this.#known[group.target]?.set(valuesKey(group.dimensions), group);
  }

  get(target: number, dimensions: Dimensions): Group {
    const own = projected(dimensions, this.#targets[target]?.names ?? []);
    const key = valuesKey(own);
    let group = this.#known[target]?.get(key);
    if (group === undefined) {
      group = { target, ordinal: this.groups.length, dimensions: own, windows: new Map(), distinct: null };
      this.groups.push(group);
      this.#known[target]?.set(key, group);
    }
    return group;
  }
}
