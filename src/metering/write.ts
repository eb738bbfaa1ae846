import { type Database, sqlState, type Transaction } from '../storage/db.js';
import { arrivalColumns } from '../storage/customerChecks.js';
import { EventColumns } from './columns.js';
import type { EventOutcome } from './event.js';
import type { Since } from './known.js';
import type { KnownUsage } from './knownUsage.js';
import { textColumns } from './metrics/count.js';
import { arrivalOf, withMeterCopy } from './metrics/sent.js';
import type { ResolvedEvent } from './resolve.js';
import { siftEvents } from './sift.js';
import { Stored, type Written } from './stored.js';

/** What is expected of a batch, which saves exchanges with the database when it is right. */
export interface Expectations {
  /** The batch will bring identifiers that were used before. When it does so unexpectedly, it is written twice. */
  expectUsed: boolean;
  /** Which accounts have metrics or contracts, and what is known of these; learned here. */
  usage: KnownUsage;
  /** The events rest on what was recalled, which is right if nothing has changed since. Null when they were looked up. */
  since: Since | null;
}

/**
 * Stores a batch of events in one transaction: identifiers, events, totals, rollups. Answers for each, in order, and
 * resolves after the commit. Partitions for their timestamps must exist. Null when the events rest on something that has
 * changed, or could not be confirmed; then nothing is written.
 *
 * Locks are taken in one order by every writer, so writers can only wait for each other: identifiers sorted by account
 * and text, then series sorted by number. Nothing is waited for after that.
 */
export async function writeEvents(
  db: Database,
  events: readonly ResolvedEvent[],
  { expectUsed, usage, since }: Expectations,
): Promise<Written | null> {
  const sorted = inOrder(events);
  if (!expectUsed && areApart(sorted)) {
    try {
      if (await storeNew(db, sorted, usage, since)) {
        const outcomes = events.map((event) => new Stored('stored', event));
        return { outcomes, used: false, counted: null };
      }
      if (since !== null) return null;
    } catch (error) {
      const state = sqlState(error);
      if (state === SOMETHING_CHANGED) return null;
      if (state === ACCOUNT_IS_WATCHED) usage.watch(sorted);
      else if (state === METRICS_CHANGED) usage.forgetMetrics(sorted);
      else if (!isWorthSifting(error)) throw error;
    }
  } else if (since !== null) return null;
  const written = await siftEvents(db, events, sorted);
  if (written.counted !== null) usage.learn(written.counted);
  return written;
}

/** Stores events in the caller's transaction. A failed attempt would end it, so nothing is taken to be new. */
export async function writeEventsInto(
  tx: Transaction,
  events: readonly ResolvedEvent[],
): Promise<EventOutcome[]> {
  const db = { transaction: <T>(work: (tx: Transaction) => Promise<T>) => work(tx) };
  return (await siftEvents(db, events, inOrder(events))).outcomes;
}

/** Gives the events their places and sorts them as locks are taken. */
function inOrder(events: readonly ResolvedEvent[]): ResolvedEvent[] {
  for (let place = 0; place < events.length; place += 1) (events[place] as ResolvedEvent).place = place;
  return [...events].sort(compareIdentifiers);
}

/** In the order of the identifiers' key; of the same one, the first to arrive first. */
function compareIdentifiers(a: ResolvedEvent, b: ResolvedEvent): number {
  const { accountId, identifier } = a.prepared;
  if (accountId !== b.prepared.accountId) return accountId < b.prepared.accountId ? -1 : 1;
  if (identifier !== b.prepared.identifier) return identifier < b.prepared.identifier ? -1 : 1;
  return a.place - b.place;
}

/** No identifier twice, and no meter where an event may replace another: then all is known before it is sent. */
function areApart(sorted: readonly ResolvedEvent[]): boolean {
  let before: ResolvedEvent | undefined;
  for (const event of sorted) {
    if (event.series.meter.eventTimeWindow !== null) return false;
    if (event.onMeter !== undefined && event.onMeter.series.meter.eventTimeWindow !== null) return false;
    const { accountId, identifier } = event.prepared;
    if (before?.prepared.identifier === identifier && before.prepared.accountId === accountId) return false;
    before = event;
  }
  return true;
}

const STORE_PLAIN = `select check_nothing_changed($33, $34), hold_plain_accounts($1),
  store_new_meter_events(${placeholders(1, 32)})`;
const STORE_COUNTED = `select check_nothing_changed($43, $44), store_counted_meter_events(${placeholders(1, 42)})`;

function placeholders(first: number, last: number): string {
  return Array.from({ length: last - first + 1 }, (_, index) => `$${first + index}`).join(', ');
}

/**
 * One call, and one transaction of its own. False when it takes more: what an account's metrics or contracts need to
 * know of the events is not known yet, and nothing is written.
 */
async function storeNew(
  db: Database,
  sorted: readonly ResolvedEvent[],
  usage: KnownUsage,
  since: Since | null,
): Promise<boolean> {
  const { accountIds, xmins } = since ?? { accountIds: [], xmins: [] };
  const isPlain = (event: ResolvedEvent) =>
    event.prepared.event.sent === undefined && !usage.isWatched(event.prepared.accountId);
  if (sorted.every(isPlain)) {
    const columns = new EventColumns(sorted).ofNew();
    await db.queryNamed('metering_store_new', STORE_PLAIN, [...columns, accountIds, xmins]);
    return true;
  }
  const counts = usage.count(sorted);
  if (counts === null) return false;
  const copies = sorted.flatMap((event) => withMeterCopy(event).slice(1));
  await db.queryNamed('metering_store_counted', STORE_COUNTED, [
    counts.accounts,
    counts.metricIds,
    sorted.length,
    ...textColumns(counts.texts),
    ...arrivalColumns(sorted.map(arrivalOf)),
    ...new EventColumns([...sorted, ...copies], counts.rows).ofNew(),
    accountIds,
    xmins,
  ]);
  return true;
}

/** Raised by check_nothing_changed. */
const SOMETHING_CHANGED = 'DB002';
/** Raised by hold_plain_accounts. */
const ACCOUNT_IS_WATCHED = 'DB001';
/** Raised by store_counted_meter_events. */
const METRICS_CHANGED = 'DB003';
const UNIQUE_VIOLATION = '23505';
const LOST_RACES: readonly (string | undefined)[] = ['40001', '40P01'];

/** An identifier was used, or the transaction lost to another: nothing is stored, and sifting tries again. */
function isWorthSifting(error: unknown): boolean {
  const state = sqlState(error);
  return state === UNIQUE_VIOLATION || LOST_RACES.includes(state);
}
