import type { BillableMetric, MeteredEvent } from '../../domain/contract/metric.js';
import { invalid } from '../../domain/errors.js';
import { loadMetrics } from '../../storage/billableMetrics.js';
import type { Queryable, Transaction } from '../../storage/db.js';
import { instantArray, plainArray, textArray } from '../arrays.js';
import type { ResolvedEvent } from '../resolve.js';
import { addRollups, compareSeriesIds, type RollupRow, type Sums } from '../rollup.js';
import { type PartUsage, type TextRow, usageOfParts } from './partUsage.js';
import { meteredEvent } from './sent.js';
import { findSeries, makeSeries, type SeriesName } from './series.js';

/** Combinations of group values that one name of a customer may have on a metric. */
const COMBINATIONS_MAX = 10_000;

/** An event with what tells its place among others. */
interface CountableEvent {
  accountId: string;
  customerKey: string;
  event: MeteredEvent;
  arrival: bigint;
}

/**
 * Counts events that have just been stored on every metric that they pass, in the same transaction. Takes its locks
 * after those of the meters' series, in one order: the metrics' lock, new series, rollups, texts.
 */
export async function countOnMetrics(
  tx: Transaction,
  stored: readonly { event: ResolvedEvent; arrival: bigint }[],
): Promise<CountedUsage> {
  const events = stored.map(({ event, arrival }) => ({
    accountId: event.prepared.accountId,
    arrival,
    ...meteredEvent(event),
  }));
  const accounts = [...new Set(events.map(({ accountId }) => accountId))].sort();
  await holdMetrics(tx, accounts);
  const metrics = new Map<string, BillableMetric[]>();
  for (const accountId of accounts) metrics.set(accountId, await loadMetrics(tx, accountId));
  const series = await countEvents(tx, events, (accountId) => metrics.get(accountId) ?? []);
  return { metrics, series };
}

/** What was found out while counting: the metrics of each account, and the number of each series by its key. */
export interface CountedUsage {
  metrics: ReadonlyMap<string, readonly BillableMetric[]>;
  series: ReadonlyMap<string, string>;
}

/** Held by writers while they count, so that a metric that is being made sees every event exactly once. */
export async function holdMetrics(tx: Transaction, accounts: readonly string[]): Promise<void> {
  await tx.queryNamed(
    'metrics_hold',
    `select pg_advisory_xact_lock_shared(${METRICS_LOCK('account')}) from unnest($1::text[]) as account`,
    [accounts],
  );
}

/** Waits for the writers of an account that count now, and keeps others from it until the transaction ends. */
export async function lockMetrics(tx: Transaction, accountId: string): Promise<void> {
  await tx.query(`select pg_advisory_xact_lock(${METRICS_LOCK('$1::text')})`, [accountId]);
}

const WRITERS_POLL_MS = 10;
const WRITERS_WAIT_MS = 20_000;

/**
 * Returns once everybody has ended who counts usage of the account now; nobody is kept from it. Those who come later see
 * what was committed before, those who have ended are seen. Throws when one takes too long, to be tried again.
 */
export async function writersFinished(q: Queryable, accountId: string): Promise<void> {
  const deadline = Date.now() + WRITERS_WAIT_MS;
  let left: string[] | null = null;
  for (;;) {
    const rows: { writer: string }[] = await q.queryNamed<{ writer: string }>(
      'metrics_writers',
      `select virtualtransaction as writer from pg_locks,
         (select ${METRICS_LOCK('$1::text')} as key, oid from pg_database where datname = current_database()) as d
       where locktype = 'advisory' and objsubid = 1 and granted and database = d.oid
         and classid::bigint = (d.key >> 32) & 4294967295 and objid::bigint = d.key & 4294967295
         and ($2::text[] is null or virtualtransaction = any($2))`,
      [accountId, left],
    );
    left = rows.map(({ writer }) => writer);
    if (left.length === 0) return;
    if (Date.now() > deadline)
      throw new Error('usage takes too long to be stored for a statement to be closed');
    await new Promise((resolve) => setTimeout(resolve, WRITERS_POLL_MS));
  }
}

function METRICS_LOCK(account: string): string {
  return `hashtextextended('metrics/' || ${account}, 0)`;
}

/** Adds the events to the metrics' rollups. Returns the number of each series by its key. */
export async function countEvents(
  q: Queryable,
  events: readonly CountableEvent[],
  metricsOf: (accountId: string) => readonly BillableMetric[],
): Promise<Map<string, string>> {
  const ordered = [...events].sort((a, b) => (a.arrival < b.arrival ? -1 : 1));
  const usages = usageOfParts(
    ordered.map((event, place) => ({ ...event, place })),
    metricsOf,
  );
  const keys = [...usages.keys()];
  const all = [...usages.values()];
  const ids = await seriesIds(
    q,
    all.map(({ name }) => name),
  );
  const { rows, texts } = rowsOfParts(all.map((usage, index) => ({ usage, seriesId: ids[index] as string })));
  await addRollups(
    q,
    rows.map((row) => ({ ...row, sums: arrivedAs(row.sums, ordered) })),
  );
  await addTexts(q, texts);
  return new Map(keys.map((key, index) => [key, ids[index] as string]));
}

/** With the arrival of the latest event in place of its place. */
function arrivedAs(sums: Sums, ordered: readonly CountableEvent[]): Sums {
  const arrival = ordered[Number(sums.latest.arrival)]?.arrival ?? 0n;
  return { ...sums, latest: { ...sums.latest, arrival } };
}

/** The rows that parts add, in the order in which writers lock them. */
export function rowsOfParts(parts: readonly { usage: PartUsage; seriesId: string }[]): {
  rows: RollupRow[];
  texts: TextRow[];
} {
  const sorted = [...parts].sort((a, b) => compareSeriesIds(a.seriesId, b.seriesId));
  return {
    rows: sorted.flatMap(({ usage, seriesId }) => usage.rows(seriesId)),
    texts: sorted.flatMap(({ usage, seriesId }) => usage.texts(seriesId)),
  };
}

async function seriesIds(q: Queryable, names: readonly SeriesName[]): Promise<string[]> {
  const ids = await findSeries(q, names);
  const missing = names.filter((_name, index) => ids[index] === null);
  if (missing.length === 0) return ids as string[];
  await refuseTooMany(q, missing);
  const made = await makeSeries(q, missing);
  let next = 0;
  return ids.map((id) => id ?? (made[next++] as string));
}

/** A metric whose groups have no end (an id as a dimension, say) would make every read slower and slower. */
async function refuseTooMany(q: Queryable, missing: readonly SeriesName[]): Promise<void> {
  const groups = new Map<string, { name: SeriesName; count: number }>();
  for (const name of missing) {
    if (name.key === '') continue;
    const key = JSON.stringify([name.accountId, name.meterId, name.customerId, groupOf(name.key)]);
    groups.set(key, { name, count: (groups.get(key)?.count ?? 0) + 1 });
  }
  if (groups.size === 0) return;
  const wanted = [...groups.values()];
  const rows = await q.queryNamed<{ ordinal: number; count: number }>(
    'metrics_count_series',
    `select w.ordinal::integer as ordinal, c.count::integer as count
     from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) with ordinality
       as w (account_id, meter_id, customer_id, low, high, ordinal)
     cross join lateral (
       select count(*) as count from usage_series s where s.account_id = w.account_id and s.meter_id = w.meter_id
         and s.customer_id = w.customer_id and s.dimension_key >= w.low and s.dimension_key < w.high
     ) as c`,
    [
      wanted.map(({ name }) => name.accountId),
      wanted.map(({ name }) => name.meterId),
      wanted.map(({ name }) => name.customerId),
      wanted.map(({ name }) => `${groupOf(name.key)}:`),
      wanted.map(({ name }) => `${groupOf(name.key)};`),
    ],
  );
  for (const { ordinal, count } of rows) {
    const { name, count: more } = wanted[ordinal - 1] as { name: SeriesName; count: number };
    if (count + more > COMBINATIONS_MAX) throw tooMany(name);
  }
}

function groupOf(key: string): string {
  return key.slice(0, key.indexOf(':'));
}

function tooMany({ meterId, customerId, dimensions }: SeriesName): Error {
  const names = Object.keys(dimensions).join(', ');
  return invalid(
    `Customer '${customerId}' would have more than ${COMBINATIONS_MAX} combinations of ${names} on billable metric ` +
      `${meterId}; nothing of this request was stored. Group by properties with fewer values.`,
    { code: 'too_many_combinations' },
  );
}

async function addTexts(q: Queryable, rows: readonly TextRow[]): Promise<void> {
  if (rows.length === 0) return;
  await q.queryNamed(
    'metrics_add_texts',
    `insert into usage_texts (series_id, bucket, text)
     select * from unnest($1::bigint[], $2::timestamptz[], $3::text[]) on conflict do nothing`,
    textColumns(rows),
  );
}

export function textColumns(rows: readonly TextRow[]): string[] {
  return [
    plainArray(rows, ({ seriesId }) => seriesId),
    instantArray(rows, ({ bucket }) => bucket),
    textArray(rows, ({ text }) => text),
  ];
}
