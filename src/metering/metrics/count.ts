import {
  aggregatedValue,
  type BillableMetric,
  matchesFilters,
  type MeteredEvent,
} from '../../domain/contract/metric.js';
import { invalid } from '../../domain/errors.js';
import type { Instant } from '../../domain/period.js';
import { loadMetrics } from '../../storage/billableMetrics.js';
import type { Queryable, Transaction } from '../../storage/db.js';
import type { ResolvedEvent } from '../resolve.js';
import {
  addRollups,
  addSums,
  compareSeriesIds,
  floorTo,
  HOUR_MS,
  iso,
  type RollupRow,
  type Sums,
  sumsOf,
} from '../rollup.js';
import { partsOf, shortened } from './dimensions.js';
import { bucketOf } from './grains.js';
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
): Promise<void> {
  const events = stored.map(({ event, arrival }) => ({
    accountId: event.prepared.accountId,
    arrival,
    ...meteredEvent(event),
  }));
  const accounts = [...new Set(events.map(({ accountId }) => accountId))].sort();
  if (accounts.length === 0) return;
  await holdMetrics(tx, accounts);
  const metrics = new Map<string, BillableMetric[]>();
  for (const accountId of accounts) metrics.set(accountId, await loadMetrics(tx, accountId));
  await countEvents(tx, events, (accountId) => metrics.get(accountId) ?? []);
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

interface PartUsage {
  name: SeriesName;
  hours: Map<Instant, Sums>;
  texts: Map<Instant, Set<string>>;
}

/** Adds the events to the metrics' rollups. */
export async function countEvents(
  q: Queryable,
  events: readonly CountableEvent[],
  metricsOf: (accountId: string) => readonly BillableMetric[],
): Promise<void> {
  const usages = new Map<string, PartUsage>();
  for (const event of events) {
    for (const metric of metricsOf(event.accountId)) addEvent(usages, metric, event);
  }
  if (usages.size === 0) return;
  const all = [...usages.values()];
  const ids = await seriesIds(
    q,
    all.map(({ name }) => name),
  );
  const order = all
    .map((usage, index) => ({ usage, seriesId: ids[index] as string }))
    .sort((a, b) => compareSeriesIds(a.seriesId, b.seriesId));
  await addRollups(
    q,
    order.flatMap(({ usage, seriesId }) => rowsOf(seriesId, usage.hours)),
  );
  await addTexts(
    q,
    order.flatMap(({ usage, seriesId }) => textsOf(seriesId, usage.texts)),
  );
}

function addEvent(usages: Map<string, PartUsage>, metric: BillableMetric, countable: CountableEvent): void {
  const { accountId, customerKey, event, arrival } = countable;
  if (!matchesFilters(metric, event)) return;
  const value = aggregatedValue(metric, event);
  if (value === null) return;
  const hour = floorTo(event.timestamp, HOUR_MS);
  const isCount = metric.aggregation.type === 'COUNT' || typeof value === 'string';
  const sums = sumsOf({ timestamp: event.timestamp, arrival, value: isCount ? null : value });
  for (const { key, dimensions } of partsOf(metric, event)) {
    const id = JSON.stringify([accountId, metric.id, customerKey, key]);
    let usage = usages.get(id);
    if (usage === undefined) {
      const name = { accountId, meterId: metric.id, customerId: customerKey, key, dimensions };
      usage = { name, hours: new Map(), texts: new Map() };
      usages.set(id, usage);
    }
    const before = usage.hours.get(hour);
    usage.hours.set(hour, before === undefined ? sums : addSums(before, sums));
    if (typeof value === 'string') {
      usage.texts.set(hour, (usage.texts.get(hour) ?? new Set()).add(shortened(value)));
    }
  }
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

function rowsOf(seriesId: string, hours: ReadonlyMap<Instant, Sums>): RollupRow[] {
  return ([60, 1440, 30_000] as const).flatMap((grain) => {
    const buckets = new Map<Instant, Sums>();
    for (const [hour, sums] of hours) {
      const bucket = bucketOf(grain, hour);
      const before = buckets.get(bucket);
      buckets.set(bucket, before === undefined ? sums : addSums(before, sums));
    }
    return [...buckets]
      .sort(([a], [b]) => a - b)
      .map(([bucket, sums]) => ({ seriesId, grain, bucket, sums }));
  });
}

interface TextRow {
  seriesId: string;
  bucket: Instant;
  text: string;
}

function textsOf(seriesId: string, hours: ReadonlyMap<Instant, ReadonlySet<string>>): TextRow[] {
  return [...hours]
    .sort(([a], [b]) => a - b)
    .flatMap(([bucket, texts]) => [...texts].sort().map((text) => ({ seriesId, bucket, text })));
}

async function addTexts(q: Queryable, rows: readonly TextRow[]): Promise<void> {
  if (rows.length === 0) return;
  await q.queryNamed(
    'metrics_add_texts',
    `insert into usage_texts (series_id, bucket, text)
     select * from unnest($1::bigint[], $2::timestamptz[], $3::text[]) on conflict do nothing`,
    [
      rows.map(({ seriesId }) => seriesId),
      rows.map(({ bucket }) => iso(bucket)),
      rows.map(({ text }) => text),
    ],
  );
}
