import { type Database, sqlState } from '../storage/db.js';
import { EventColumns } from './columns.js';
import type { ResolvedEvent } from './resolve.js';
import { siftEvents } from './sift.js';
import { Stored, type Written } from './stored.js';

/**
 * Stores a batch of events in one transaction: identifiers, events, totals, rollups. Answers for each, in order, and
 * resolves after the commit. Partitions for their timestamps must exist. `expectUsed` says that the batch is expected to
 * bring identifiers that were used before; when it does so unexpectedly, it is written twice.
 *
 * Locks are taken in one order by every writer, so writers can only wait for each other: identifiers sorted by account
 * and text, then series sorted by number. Nothing is waited for after that.
 */
export async function writeEvents(
  db: Database,
  events: readonly ResolvedEvent[],
  expectUsed: boolean,
): Promise<Written> {
  for (let place = 0; place < events.length; place += 1) (events[place] as ResolvedEvent).place = place;
  const sorted = [...events].sort(compareIdentifiers);
  if (!expectUsed && isPlain(sorted)) {
    try {
      await storeNew(db, sorted);
      return { outcomes: events.map((event) => new Stored('stored', event)), used: false };
    } catch (error) {
      if (!isWorthSifting(error)) throw error;
    }
  }
  return siftEvents(db, events, sorted);
}

/** In the order of the identifiers' key; of the same one, the first to arrive first. */
function compareIdentifiers(a: ResolvedEvent, b: ResolvedEvent): number {
  const { accountId, identifier } = a.prepared;
  if (accountId !== b.prepared.accountId) return accountId < b.prepared.accountId ? -1 : 1;
  if (identifier !== b.prepared.identifier) return identifier < b.prepared.identifier ? -1 : 1;
  return a.place - b.place;
}

/** No identifier twice, and no meter where an event may replace another: then all is known before it is sent. */
function isPlain(sorted: readonly ResolvedEvent[]): boolean {
  let before: ResolvedEvent | undefined;
  for (const event of sorted) {
    if (event.series.meter.eventTimeWindow !== null) return false;
    const { accountId, identifier } = event.prepared;
    if (before?.prepared.identifier === identifier && before.prepared.accountId === accountId) return false;
    before = event;
  }
  return true;
}

const STORE_NEW = `select store_new_meter_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
  $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32)`;

/** One call, and one transaction of its own. */
async function storeNew(db: Database, sorted: readonly ResolvedEvent[]): Promise<void> {
  await db.queryNamed('metering_store_new', STORE_NEW, new EventColumns(sorted).ofNew());
}

const UNIQUE_VIOLATION = '23505';
const LOST_RACES: readonly (string | undefined)[] = ['40001', '40P01'];

/** An identifier was used, or the transaction lost to another: nothing is stored, and sifting tries again. */
function isWorthSifting(error: unknown): boolean {
  const state = sqlState(error);
  return state === UNIQUE_VIOLATION || LOST_RACES.includes(state);
}
