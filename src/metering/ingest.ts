import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Log } from '../core.js';
import { BillingError } from '../domain/errors.js';
import type { Instant } from '../domain/period.js';
import { type Database, sqlState, type Transaction } from '../storage/db.js';
import type { EventOutcome, IncomingEvent, RefusedEvent } from './event.js';
import { GroupCommit } from './groupCommit.js';
import { IDENTIFIER_RETENTION_MS, rotateIdentifiers } from './identifiers.js';
import { Known, type Recalled, removeOldChanges } from './known.js';
import { KnownUsage } from './knownUsage.js';
import { createPartitions, type Partitions } from './partitions.js';
import { type PreparedEvent, prepareEvent } from './prepare.js';
import { resolveAllEvents } from './metrics/resolveSent.js';
import type { ResolvedEvent } from './resolve.js';
import { writeEvents, writeEventsInto } from './write.js';

export type { EventOutcome, IncomingEvent, StoredMeterEvent } from './event.js';

/** The way into the meter. Calls that arrive together share a transaction; each resolves after its commit. */
export interface Ingest {
  /**
   * Answers for every event, in order. Rejects with `too_many_requests` when too much is waiting already, and with
   * `unavailable` when the database could not be asked; then nothing is known to be stored and the same call may be
   * made again. A large call takes several transactions; events of one that failed while others were stored are refused
   * with `unavailable`.
   */
  ingest(accountId: string, events: readonly IncomingEvent[]): Promise<EventOutcome[]>;
  /**
   * Checks a few events and makes everything ready for them, outside of any transaction; `write` stores them in the
   * caller's. For events that belong to something else that happens with them.
   */
  ready(accountId: string, events: readonly IncomingEvent[]): Promise<ReadyEvents>;
  /** False while too much is waiting: the next call would be turned away. */
  hasRoom(): boolean;
  /** Resolves when everything accepted so far has been answered. */
  drain(): Promise<void>;
}

export interface ReadyEvents {
  /** Those that cannot be stored, by their place. */
  refused: ReadonlyMap<number, RefusedEvent>;
  /** Stores all others and answers for them, in order. */
  write(tx: Transaction): Promise<EventOutcome[]>;
}

export interface IngestDeps {
  db: Database;
  now(): Instant;
  log: Log;
  /** Called after each commit that stored something. */
  onCommitted?(): void;
  /** Transactions at a time. */
  lanes?: number;
  /** Events of one transaction. */
  batchEventsMax?: number;
  /** Events waiting beyond which calls are turned away. */
  queuedEventsMax?: number;
}

const LANES = 2;
const BATCH_EVENTS_MAX = 1_000;
const QUEUED_EVENTS_MAX = 50_000;
const ROTATION_CHECK_MS = 3_600_000;
/** A batch that is wrongly taken to be all new is written twice; after one, so many are written with care. */
const CAREFUL_BATCHES = 20;
/** From so many events on, others get their turn between the steps of a batch; reads wait for no more than one. */
const TURN_EVENTS_MIN = 250;
const NO_PARTITION = '23514';
const DEFAULT_CUSTOMER_KEY = 'stripe_customer_id';

/** Starts nothing: its writers live as long as there is something to write, so there is nothing to stop. */
export function createIngest(deps: IngestDeps): Ingest {
  return new EventIngest(deps);
}

class EventIngest implements Ingest {
  readonly #deps: IngestDeps;
  readonly #commits: GroupCommit;
  readonly #partitions: Partitions;
  readonly #known = new Known();
  readonly #usage = new KnownUsage();
  #rotationCheckedAt = 0;
  /** Batches that are still expected to bring used identifiers, because one before them did. */
  #carefulBatches = 0;

  constructor(deps: IngestDeps) {
    this.#deps = deps;
    this.#partitions = createPartitions(deps.db);
    this.#commits = new GroupCommit({
      log: deps.log,
      write: (events) => this.#write(events),
      onCommitted: () => deps.onCommitted?.(),
      customerOf: (accountId, event) => this.#customerOf(accountId, event),
      lanes: deps.lanes ?? LANES,
      batchEventsMax: deps.batchEventsMax ?? BATCH_EVENTS_MAX,
    });
  }

  ingest(accountId: string, events: readonly IncomingEvent[]): Promise<EventOutcome[]> {
    return this.hasRoom() ? this.#commits.store(accountId, events) : Promise.reject(tooManyWaiting());
  }

  #customerOf(accountId: string, { eventName, payload }: IncomingEvent): string {
    const key = this.#known.meter(accountId, eventName)?.customerKey ?? DEFAULT_CUSTOMER_KEY;
    return payload[key] ?? '';
  }

  async ready(accountId: string, events: readonly IncomingEvent[]): Promise<ReadyEvents> {
    const { db } = this.#deps;
    const refused = new Map<number, RefusedEvent>();
    const prepared: PreparedEvent[] = [];
    const places: number[] = [];
    events.forEach((event, index) => {
      const one = prepareEvent(accountId, event);
      if ('status' in one) refused.set(index, one);
      else places[prepared.push(one) - 1] = index;
    });
    const answers = await resolveAllEvents(db, prepared, this.#deps.now(), this.#known);
    const resolved: ResolvedEvent[] = [];
    answers.forEach((answer, index) => {
      if (isRefused(answer)) refused.set(places[index] as number, answer);
      else resolved.push(answer);
    });
    await this.#partitions.ensure(resolved.map((event) => event.timestamp));
    return {
      refused,
      write: (tx) => {
        tx.afterCommit(() => this.#deps.onCommitted?.());
        return writeEventsInto(tx, resolved);
      },
    };
  }

  hasRoom(): boolean {
    return this.#commits.waiting < (this.#deps.queuedEventsMax ?? QUEUED_EVENTS_MAX);
  }

  drain(): Promise<void> {
    return this.#commits.drain();
  }

  async #write(events: readonly PreparedEvent[]): Promise<EventOutcome[]> {
    await this.#rotateWhenDue();
    const recalled = this.#carefulBatches > 0 ? null : this.#known.recall(events);
    const outcomes = recalled === null ? null : await this.#resolveAndWrite(events, recalled);
    if (outcomes !== null) return outcomes;
    return (await this.#resolveAndWrite(events, null)) as EventOutcome[];
  }

  /** Null when what was recalled does not do: then nothing has been written. */
  async #resolveAndWrite(
    events: readonly PreparedEvent[],
    recalled: Recalled | null,
  ): Promise<EventOutcome[] | null> {
    const { db } = this.#deps;
    if (events.length >= TURN_EVENTS_MIN) await nextTurn();
    const answers = await resolveAllEvents(db, events, this.#deps.now(), this.#known, recalled?.found);
    const resolved = answers.filter((answer): answer is ResolvedEvent => !isRefused(answer));
    // Without anything to store, nobody would confirm what the refusals rest on.
    if (resolved.length === 0) return recalled === null ? (answers as RefusedEvent[]) : null;
    if (resolved.length >= TURN_EVENTS_MIN) await nextTurn();
    const written = await this.#writeWithPartitions(resolved, recalled);
    if (written === null) return null;
    let next = 0;
    return answers.map((answer) => {
      if (isRefused(answer)) return answer;
      next += 1;
      return written[next - 1] as EventOutcome;
    });
  }

  async #writeWithPartitions(
    events: readonly ResolvedEvent[],
    recalled: Recalled | null,
  ): Promise<EventOutcome[] | null> {
    await this.#partitions.ensure(events.map((event) => event.timestamp));
    try {
      return await this.#writeEvents(events, recalled);
    } catch (error) {
      if (sqlState(error) !== NO_PARTITION) throw error;
      // A month that we have seen was removed since.
      this.#partitions.forget();
      await this.#partitions.ensure(events.map((event) => event.timestamp));
      return this.#writeEvents(events, recalled);
    }
  }

  async #writeEvents(
    events: readonly ResolvedEvent[],
    recalled: Recalled | null,
  ): Promise<EventOutcome[] | null> {
    const written = await writeEvents(this.#deps.db, events, {
      expectUsed: this.#carefulBatches > 0,
      usage: this.#usage,
      since: recalled?.since ?? null,
    });
    if (written === null) {
      if (recalled !== null) this.#known.forget(recalled.since);
      return null;
    }
    this.#carefulBatches = written.used ? CAREFUL_BATCHES : Math.max(0, this.#carefulBatches - 1);
    return written.outcomes;
  }

  async #rotateWhenDue(): Promise<void> {
    const now = this.#deps.now();
    if (Math.abs(now - this.#rotationCheckedAt) < ROTATION_CHECK_MS) return;
    this.#rotationCheckedAt = now;
    await removeOldChanges(this.#deps.db);
    const { opened, dropped } = await rotateIdentifiers(this.#deps.db, now);
    if (opened === null && dropped.length === 0) return;
    this.#deps.log.info(
      { opened, dropped, retentionMs: IDENTIFIER_RETENTION_MS },
      'rotated event identifiers',
    );
  }
}

/** The refusal of a call while too much is waiting. */
export function tooManyWaiting(): BillingError {
  const message = 'Too many meter events are waiting to be stored. Send this again in a moment.';
  return new BillingError('too_many_requests', message, { code: 'rate_limit', retry: true });
}

function isRefused(answer: ResolvedEvent | RefusedEvent): answer is RefusedEvent {
  return 'status' in answer;
}
