import { requestChecksOfUsage } from '../storage/customerChecks.js';
import type { Database, Transaction } from '../storage/db.js';
import { EventColumns } from './columns.js';
import { markUrgent } from './dueAlerts.js';
import { type EventOutcome, refused, type StoredMeterEvent } from './event.js';
import { findEvents } from './events.js';
import { findIdentifiers, holdGenerations, type IdentifierRow, takeFreeIdentifiers } from './identifiers.js';
import { type CountedUsage, countOnMetrics } from './metrics/count.js';
import { arrivalOf, withMeterCopy } from './metrics/sent.js';
import type { PreparedEvent } from './prepare.js';
import type { ResolvedEvent } from './resolve.js';
import { BATCH_EVENTS_MAX, Stored, type Written } from './stored.js';
import { WindowedEvents, windowAt } from './windows.js';

/**
 * Stores those events of a batch whose identifiers are free, and answers for the others: the careful way, in several
 * exchanges. `sorted` are the same events in the order of the identifiers' key.
 */
export function siftEvents(
  db: Pick<Database, 'transaction'>,
  events: readonly ResolvedEvent[],
  sorted: readonly ResolvedEvent[],
): Promise<Written> {
  return db.transaction(async (tx) => {
    const { newest, batch } = await holdGenerations(tx);
    const base = batch * BigInt(BATCH_EVENTS_MAX);
    const firsts = firstOfEachIdentifier(sorted);
    const rows = [...firsts.values()].map((event) => identifierRow(event, base));
    const used = (await takeFreeIdentifiers(tx, newest, rows)) < rows.length;
    const holders = used ? await findHolders(tx, rows) : new Map<string, IdentifierRow>();
    const batchOf: Batch = { base, firsts, holders };
    const stored = [...firsts.values()].filter((event) => earlierHolder(batchOf, event) === null);
    const counted = stored.length > 0 ? await store(tx, base, stored) : null;
    return { outcomes: await answers(tx, events, batchOf), used, counted };
  });
}

interface Batch {
  base: bigint;
  /** Of events with the same identifier the first to arrive, by identifier: the one that may be stored. */
  firsts: ReadonlyMap<string, ResolvedEvent>;
  /** Who has each identifier now; empty when all of them went to this batch. */
  holders: ReadonlyMap<string, IdentifierRow>;
}

function keyOf({ accountId, identifier }: PreparedEvent | IdentifierRow): string {
  return `${accountId}\n${identifier}`;
}

function firstOfEachIdentifier(sorted: readonly ResolvedEvent[]): Map<string, ResolvedEvent> {
  const firsts = new Map<string, ResolvedEvent>();
  for (const event of sorted) {
    const key = keyOf(event.prepared);
    if (!firsts.has(key)) firsts.set(key, event);
  }
  return firsts;
}

function identifierRow({ prepared, series, timestamp, place }: ResolvedEvent, base: bigint): IdentifierRow {
  const { accountId, identifier, keyHash, requestHash } = prepared;
  const arrival = base + BigInt(place);
  return { accountId, identifier, seriesId: series.seriesId, timestamp, arrival, keyHash, requestHash };
}

async function findHolders(
  tx: Transaction,
  rows: readonly IdentifierRow[],
): Promise<Map<string, IdentifierRow>> {
  const found = await findIdentifiers(tx, rows);
  return new Map(found.map((row) => [keyOf(row), row]));
}

/** Who had the event's identifier before this batch; null when it was free. */
function earlierHolder({ base, firsts, holders }: Batch, event: ResolvedEvent): IdentifierRow | null {
  const key = keyOf(event.prepared);
  const holder = holders.get(key);
  const first = firsts.get(key);
  if (holder === undefined || first === undefined) return null;
  return holder.arrival === base + BigInt(first.place) ? null : holder;
}

const ADD_EVENTS = `select add_meter_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
  $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28)`;

async function store(tx: Transaction, base: bigint, stored: readonly ResolvedEvent[]): Promise<CountedUsage> {
  const rows = stored.flatMap(withMeterCopy);
  await tx.queryNamed('metering_add_events', ADD_EVENTS, new EventColumns(rows).ofTaken(base));
  const windowed = new WindowedEvents();
  const alerted = new Set<string>();
  for (const { series, timestamp, place, valueText, value } of rows) {
    const { eventTimeWindow, hasAlerts } = series.meter;
    if (eventTimeWindow === null) continue;
    windowed.add(windowAt(series.seriesId, eventTimeWindow, timestamp), {
      timestamp,
      arrival: base + BigInt(place),
      value: valueText === null ? null : value,
    });
    if (hasAlerts) alerted.add(series.seriesId);
  }
  await windowed.write(tx);
  await markUrgent(tx, [...alerted]);
  const counted = await countOnMetrics(
    tx,
    stored.map((event) => ({ event, arrival: base + BigInt(event.place) })),
  );
  await requestChecksOfUsage(tx, stored.map(arrivalOf));
  return counted;
}

async function answers(
  tx: Transaction,
  events: readonly ResolvedEvent[],
  batch: Batch,
): Promise<EventOutcome[]> {
  const earlier = await findRepeated(tx, events, batch);
  return events.map((event) => {
    const { prepared } = event;
    const first = batch.firsts.get(keyOf(prepared)) as ResolvedEvent;
    const holder = earlierHolder(batch, event);
    if (holder === null && event === first) return new Stored('stored', event);
    const repeat = repeatOf(prepared, holder ?? first.prepared);
    if (repeat !== 'same') return repeat;
    if (holder === null) return new Stored('replayed', first);
    const found = earlier.get(holder.arrival);
    return found === undefined ? duplicate(prepared) : { status: 'replayed', event: found };
  });
}

/** The events, by arrival, that requests of this batch ask for again. */
async function findRepeated(
  tx: Transaction,
  events: readonly ResolvedEvent[],
  batch: Batch,
): Promise<Map<bigint, StoredMeterEvent>> {
  const places = new Map<bigint, IdentifierRow>();
  for (const event of events) {
    const holder = earlierHolder(batch, event);
    if (holder !== null && repeatOf(event.prepared, holder) === 'same') places.set(holder.arrival, holder);
  }
  const wanted = [...places.values()];
  const found = new Map<bigint, StoredMeterEvent>();
  (await findEvents(tx, wanted)).forEach((event, index) => {
    const place = wanted[index];
    if (event !== null && place !== undefined) found.set(place.arrival, event);
  });
  return found;
}

/** Whether an event whose identifier is taken is the same request again, another one, or a misused key. */
function repeatOf(
  prepared: PreparedEvent,
  holder: { keyHash: bigint | null; requestHash: bigint | null },
): 'same' | EventOutcome {
  if (prepared.keyHash === null || prepared.keyHash !== holder.keyHash) return duplicate(prepared);
  if (prepared.requestHash === holder.requestHash) return 'same';
  return refused(
    'idempotency_key_reused',
    'Keys for idempotent requests can only be used with the same parameters they were first used with.',
  );
}

function duplicate(prepared: PreparedEvent): EventOutcome {
  return { status: 'duplicate', identifier: prepared.identifier };
}
