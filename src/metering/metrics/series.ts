import type { Queryable } from '../../storage/db.js';
import { textArray } from '../arrays.js';
import type { Dimensions } from './dimensions.js';

export interface SeriesName {
  accountId: string;
  /** A meter or a metric; '' for events as they were sent. */
  meterId: string;
  customerId: string;
  key: string;
  dimensions: Dimensions;
}

// One lateral look-up a name: a join would read every series of a customer for each of a thousand names.
const FIND = `
  select w.ordinal::integer as ordinal, s.series_id::text as "seriesId"
  from unnest($1::text[], $2::text[], $3::text[], $4::text[]) with ordinality
    as w (account_id, meter_id, customer_id, key, ordinal)
  cross join lateral (
    select series_id from usage_series s where s.account_id = w.account_id and s.meter_id = w.meter_id
      and s.customer_id = w.customer_id and s.dimension_key = w.key limit 1
  ) as s`;

/** The numbers of the series, in order; null for one that doesn't exist. */
export async function findSeries(q: Queryable, names: readonly SeriesName[]): Promise<(string | null)[]> {
  const ids: (string | null)[] = names.map(() => null);
  if (names.length === 0) return ids;
  const rows = await q.queryNamed<{ ordinal: number; seriesId: string }>(
    'metrics_find_series',
    FIND,
    columns(names),
  );
  for (const { ordinal, seriesId } of rows) ids[ordinal - 1] = seriesId;
  return ids;
}

/** Makes series that were missing a moment ago, and returns their numbers in order. */
export async function makeSeries(q: Queryable, names: readonly SeriesName[]): Promise<string[]> {
  if (names.length === 0) return [];
  // Sorted, so that two writers that make the same series wait for each other in one order.
  const sorted = [...names].sort(compareNames);
  await q.queryNamed(
    'metrics_make_series',
    `insert into usage_series (account_id, meter_id, customer_id, dimension_key, dimensions)
     select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[])
     on conflict do nothing`,
    [...columns(sorted), textArray(sorted, ({ dimensions }) => JSON.stringify(dimensions))],
  );
  const ids = await findSeries(q, names);
  return ids.map((id) => {
    if (id === null) throw new Error('a series could not be made');
    return id;
  });
}

function columns(names: readonly SeriesName[]): string[] {
  return [
    textArray(names, ({ accountId }) => accountId),
    textArray(names, ({ meterId }) => meterId),
    textArray(names, ({ customerId }) => customerId),
    textArray(names, ({ key }) => key),
  ];
}

function compareNames(a: SeriesName, b: SeriesName): number {
  return (
    compareText(a.accountId, b.accountId) ||
    compareText(a.meterId, b.meterId) ||
    compareText(a.customerId, b.customerId) ||
    compareText(a.key, b.key)
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
