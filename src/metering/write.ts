import { type Database, sqlState, type Transaction } from '../storage/db.js';
import { EventColumns } from './columns.js';
import type { EventOutcome } from './event.js';
import type { Since } from './known.js';
import type { ResolvedEvent } from './resolve.js';
import { siftEvents } from './sift.js';
import { Stored, type Written } from './stored.js';

/** What is expected of a batch, which saves exchanges with the database when it is right. */
export interface Expectations {
  /** The batch will bring identifiers that were used before. When it does so unexpectedly, it is written twice. */
  expectUsed: boolean;
  /** Accounts that must be written the careful way; learned here. */
  watchedAccounts: Set<string>;
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
  { expectUsed, watchedAccounts, since }: Expectations,
): Promise<Written | null> {
  const sorted = inOrder(events);
  const plain = !expectUsed && isPlain(sorted, watchedAccounts);
  if (!plain && since !== null) return null;
  if (plain) {
    try {
      await storeNew(db, sorted, since);
      return { outcomes: events.map((event) => new Stored('stored', event)), used: false };
    } catch (error) {
      if (sqlState(error) === SOMETHING_CHANGED) return null;
      if (sqlState(error) === ACCOUNT_IS_WATCHED) noteAccounts(sorted, watchedAccounts);
      else if (!isWorthSifting(error)) throw error;
    }
  }
  return siftEvents(db, events, sorted);
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

function noteAccounts(events: readonly ResolvedEvent[], accounts: Set<string>): void {
  for (const { prepared } of events) accounts.add(prepared.accountId);
}

/** In the order of the identifiers' key; of the same one, the first to arrive first. */
function compareIdentifiers(a: ResolvedEvent, b: ResolvedEvent): number {
  const { accountId, identifier } = a.prepared;
  if (accountId !== b.prepared.accountId) return accountId < b.prepared.accountId ? -1 : 1;
  if (identifier !== b.prepared.identifier) return identifier < b.prepared.identifier ? -1 : 1;
  return a.place - b.place;
}

/**
 * No identifier twice, no meter where an event may replace another, and nothing else that counts or watches events (an
 * account with metrics or contracts): then all is known before it is sent.
 */
function isPlain(sorted: readonly ResolvedEvent[], watchedAccounts: ReadonlySet<string>): boolean {
  let before: ResolvedEvent | undefined;
  for (const event of sorted) {
    if (event.series.meter.eventTimeWindow !== null || event.prepared.event.sent !== undefined) return false;
    const { accountId, identifier } = event.prepared;
    if (watchedAccounts.has(accountId)) return false;
    if (before?.prepared.identifier === identifier && before.prepared.accountId === accountId) return false;
    before = event;
  }
  return true;
}

const STORE_NEW = `select check_nothing_changed($33, $34), hold_plain_accounts($1),
  store_new_meter_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
    $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32)`;

/** One call, and one transaction of its own. */
async function storeNew(db: Database, sorted: readonly ResolvedEvent[], since: Since | null): Promise<void> {
  const { accountIds, xmins } = since ?? { accountIds: [], xmins: [] };
  await db.queryNamed('metering_store_new', STORE_NEW, [
    ...new EventColumns(sorted).ofNew(),
    accountIds,
    xmins,
  ]);
}

/** Raised by check_nothing_changed. */
const SOMETHING_CHANGED = 'DB002';
/** Raised by hold_plain_accounts. */
const ACCOUNT_IS_WATCHED = 'DB001';
const UNIQUE_VIOLATION = '23505';
const LOST_RACES: readonly (string | undefined)[] = ['40001', '40P01'];

/** An identifier was used, or the transaction lost to another: nothing is stored, and sifting tries again. */
function isWorthSifting(error: unknown): boolean {
  const state = sqlState(error);
  return state === UNIQUE_VIOLATION || LOST_RACES.includes(state);
}
