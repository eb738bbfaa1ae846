import { ZERO } from '../domain/decimal.js';
import { type Database, isUniqueViolation, type Transaction } from '../storage/db.js';
import { instantArray, jsonArray, plainArray, textArray } from './arrays.js';
import { markUrgent } from './dueAlerts.js';
import type { EventOutcome, StoredMeterEvent } from './event.js';
import { refused } from './event.js';
import { findEvents } from './events.js';
import {
  findIdentifiers,
  type Generations,
  holdGenerations,
  type IdentifierRow,
  IdentifiersUsed,
  takeFreeIdentifiers,
  takeNewIdentifiers,
} from './identifiers.js';
import type { PreparedEvent } from './prepare.js';
import type { ResolvedEvent } from './resolve.js';
import type { Counted, RollupRow, Sums, TotalChange } from './rollup.js';
import { addRollups, addSums, addTotals, compareSeriesIds, rollupRows, SeriesUsage } from './rollup.js';
import { WindowedEvents, windowAt } from './windows.js';

/** Events of one batch; an event's arrival is the batch's number times this plus its place. */
export const BATCH_EVENTS_MAX = 65_536;

interface Candidate {
  event: ResolvedEvent;
  arrival: bigint;
}

/**
 * Stores a batch of events in one transaction: identifiers, events, totals, rollups. Answers for each, in order, and
 * resolves after the commit. Partitions for their timestamps must exist.
 *
 * Locks are taken in one order by every writer, so writers can only wait for each other: identifiers sorted by account
 * and text, then series sorted by number. Nothing is waited for after that.
 */
export async function writeEvents(
  db: Database,
  events: readonly ResolvedEvent[],
  expectUsed: boolean,
): Promise<Written> {
  if (!expectUsed) {
    try {
      return { outcomes: await writeNew(db, events), used: false };
    } catch (error) {
      if (!(error instanceof IdentifiersUsed) && !isUniqueViolation(error)) throw error;
    }
  }
  return writeSifted(db, events);
}

export interface Written {
  outcomes: EventOutcome[];
  /** Whether an identifier of the batch had been used before. */
  used: boolean;
}

/** Every identifier that the batch brings is taken to be new. */
function writeNew(db: Database, events: readonly ResolvedEvent[]): Promise<EventOutcome[]> {
  return db.transaction(async (tx) => {
    const { generations, candidates } = await begin(tx, events);
    const firsts = firstOfEachIdentifier(candidates);
    await takeNewIdentifiers(tx, generations, identifierRows(firsts.values()));
    await store(tx, [...firsts.values()]);
    return answers(tx, candidates, firsts, null);
  });
}

/** Finds out which identifiers are free, and stores those events. */
function writeSifted(db: Database, events: readonly ResolvedEvent[]): Promise<Written> {
  return db.transaction(async (tx) => {
    const { generations, candidates } = await begin(tx, events);
    const firsts = firstOfEachIdentifier(candidates);
    const rows = identifierRows(firsts.values());
    const used = (await takeFreeIdentifiers(tx, generations, rows)) < rows.length;
    const holders = used ? await findHolders(tx, generations, rows) : null;
    const all = [...firsts.values()];
    await store(tx, holders === null ? all : all.filter((candidate) => isHeldBy(candidate, holders)));
    return { outcomes: await answers(tx, candidates, firsts, holders), used };
  });
}

async function begin(
  tx: Transaction,
  events: readonly ResolvedEvent[],
): Promise<{ generations: Generations; candidates: Candidate[] }> {
  const { generations, batch } = await holdGenerations(tx);
  const base = batch * BigInt(BATCH_EVENTS_MAX);
  return {
    generations,
    candidates: events.map((event, index) => ({ event, arrival: base + BigInt(index) })),
  };
}

async function store(tx: Transaction, stored: readonly Candidate[]): Promise<void> {
  if (stored.length === 0) return;
  await insertEvents(tx, stored);
  await addUsage(tx, stored);
}

type Firsts = Map<string, Candidate>;

function keyOf(prepared: PreparedEvent | IdentifierRow): string {
  return `${prepared.accountId}\n${prepared.identifier}`;
}

/** Of events with the same identifier in one batch the first is the one that may be stored. */
function firstOfEachIdentifier(candidates: readonly Candidate[]): Firsts {
  const firsts: Firsts = new Map();
  for (const candidate of candidates) {
    const key = keyOf(candidate.event.prepared);
    if (!firsts.has(key)) firsts.set(key, candidate);
  }
  return firsts;
}

function identifierRows(candidates: Iterable<Candidate>): IdentifierRow[] {
  const rows: IdentifierRow[] = [];
  for (const { event, arrival } of candidates) {
    const { accountId, identifier, keyHash, requestHash } = event.prepared;
    const { seriesId } = event.series;
    rows.push({ accountId, identifier, seriesId, timestamp: event.timestamp, arrival, keyHash, requestHash });
  }
  return rows.sort(compareIdentifiers);
}

function compareIdentifiers(a: IdentifierRow, b: IdentifierRow): number {
  if (a.accountId !== b.accountId) return a.accountId < b.accountId ? -1 : 1;
  return a.identifier < b.identifier ? -1 : a.identifier > b.identifier ? 1 : 0;
}

type Holders = Map<string, IdentifierRow>;

async function findHolders(
  tx: Transaction,
  generations: Generations,
  rows: readonly IdentifierRow[],
): Promise<Holders> {
  const found = await findIdentifiers(tx, generations, rows);
  return new Map(found.map((row) => [keyOf(row), row]));
}

function isHeldBy(candidate: Candidate, holders: Holders): boolean {
  return holders.get(keyOf(candidate.event.prepared))?.arrival === candidate.arrival;
}

async function insertEvents(tx: Transaction, stored: readonly Candidate[]): Promise<void> {
  await tx.queryNamed(
    'metering_insert_events',
    `insert into meter_events (series_id, event_time, arrival, created_at, value, identifier, payload)
     select * from unnest($1::bigint[], $2::timestamptz[], $3::bigint[], $4::timestamptz[], $5::numeric[],
       $6::text[], $7::json[])`,
    [
      plainArray(stored, ({ event }) => event.series.seriesId),
      instantArray(stored, ({ event }) => event.timestamp),
      plainArray(stored, ({ arrival }) => arrival),
      instantArray(stored, ({ event }) => event.createdAt),
      plainArray(stored, ({ event }) => event.valueText),
      textArray(stored, ({ event }) => event.prepared.identifier),
      jsonArray(stored, ({ event }) => event.prepared.payloadJson),
    ],
  );
}

async function addUsage(tx: Transaction, stored: readonly Candidate[]): Promise<void> {
  const usages = new Map<string, SeriesUsage>();
  const windowed = new WindowedEvents();
  for (const { event, arrival } of stored) {
    const { seriesId, meter } = event.series;
    let usage = usages.get(seriesId);
    if (usage === undefined) {
      usage = new SeriesUsage(seriesId, meter.hasAlerts);
      usages.set(seriesId, usage);
    }
    const value = event.valueText === null ? null : event.value;
    const counted: Counted = { timestamp: event.timestamp, arrival, value };
    if (meter.eventTimeWindow === null) usage.add(counted);
    else {
      usage.arrived += 1n;
      windowed.add(windowAt(seriesId, meter.eventTimeWindow, event.timestamp), counted);
    }
  }
  const sorted = [...usages.values()].sort((a, b) => compareSeriesIds(a.seriesId, b.seriesId));
  const rows: RollupRow[] = [];
  const changes: TotalChange[] = [];
  for (const usage of sorted) {
    const hours = usage.hours();
    rows.push(...rollupRows(usage.seriesId, usage.minutes, hours));
    changes.push(totalChange(usage, hours));
  }
  await addTotals(tx, changes);
  await addRollups(tx, rows);
  await windowed.write(tx);
  await markUrgent(
    tx,
    sorted.filter((usage) => usage.hasAlerts).map((usage) => usage.seriesId),
  );
}

function totalChange(usage: SeriesUsage, hours: ReadonlyMap<number, Sums>): TotalChange {
  const { seriesId, arrived } = usage;
  const sums = [...hours.values()];
  if (sums.length === 0) return { seriesId, arrived, count: 0n, total: ZERO, latest: null };
  const { count, total, latest } = sums.reduce(addSums);
  return { seriesId, arrived, count, total, latest };
}

async function answers(
  tx: Transaction,
  candidates: readonly Candidate[],
  firsts: Firsts,
  holders: Holders | null,
): Promise<EventOutcome[]> {
  const earlier = await findRepeated(tx, candidates, firsts, holders);
  return candidates.map((candidate) => {
    const { prepared } = candidate.event;
    const first = firsts.get(keyOf(prepared)) as Candidate;
    const holder = earlierHolder(first, holders);
    const repeat = repeatOf(prepared, holder ?? first.event.prepared);
    if (holder !== null) {
      const event = earlier.get(holder.arrival);
      if (repeat !== 'same') return repeat;
      return event === undefined ? duplicate(prepared) : { status: 'replayed', event };
    }
    if (candidate === first) return { status: 'stored', event: storedEvent(candidate.event) };
    return repeat === 'same' ? { status: 'replayed', event: storedEvent(first.event) } : repeat;
  });
}

/** Who had the identifier before this batch; null when it was free. */
function earlierHolder(first: Candidate, holders: Holders | null): IdentifierRow | null {
  const holder = holders?.get(keyOf(first.event.prepared)) ?? null;
  return holder?.arrival === first.arrival ? null : holder;
}

/** The events, by arrival, that requests of this batch ask for again. */
async function findRepeated(
  tx: Transaction,
  candidates: readonly Candidate[],
  firsts: Firsts,
  holders: Holders | null,
): Promise<Map<bigint, StoredMeterEvent>> {
  const places = new Map<bigint, IdentifierRow>();
  for (const { event } of holders === null ? [] : candidates) {
    const holder = earlierHolder(firsts.get(keyOf(event.prepared)) as Candidate, holders);
    if (holder !== null && repeatOf(event.prepared, holder) === 'same') places.set(holder.arrival, holder);
  }
  const wanted = [...places.values()];
  const events = await findEvents(tx, wanted);
  const found = new Map<bigint, StoredMeterEvent>();
  wanted.forEach(({ arrival }, index) => {
    const event = events[index] ?? null;
    if (event !== null) found.set(arrival, event);
  });
  return found;
}

/** Whether an event whose identifier is taken is the same request again, another one, or a misused key. */
function repeatOf(
  prepared: PreparedEvent,
  holder: { keyHash: bigint | null; requestHash: bigint | null },
): 'same' | EventOutcome {
  if (prepared.keyHash === null || prepared.keyHash !== holder.keyHash) {
    return duplicate(prepared);
  }
  if (prepared.requestHash === holder.requestHash) return 'same';
  return refused(
    'idempotency_key_reused',
    'Keys for idempotent requests can only be used with the same parameters they were first used with.',
  );
}

function duplicate(prepared: PreparedEvent): EventOutcome {
  return { status: 'duplicate', identifier: prepared.identifier };
}

function storedEvent(event: ResolvedEvent): StoredMeterEvent {
  const { prepared, series } = event;
  return {
    identifier: prepared.identifier,
    eventName: prepared.event.eventName,
    meterId: series.meter.id,
    customerId: series.customerId,
    livemode: series.meter.livemode,
    timestamp: event.timestamp,
    createdAt: event.createdAt,
    payload: prepared.event.payload,
  };
}
