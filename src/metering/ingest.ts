import type { Log } from '../core.js';
import { BillingError } from '../domain/errors.js';
import type { Instant } from '../domain/period.js';
import { type Database, sqlState, type Transaction } from '../storage/db.js';
import type { EventOutcome, IncomingEvent, RefusedEvent } from './event.js';
import { IDENTIFIER_RETENTION_MS, rotateIdentifiers } from './identifiers.js';
import { KnownMeters } from './lookUp.js';
import { createPartitions, type Partitions } from './partitions.js';
import { type PreparedEvent, prepareEvent } from './prepare.js';
import { resolveAllEvents } from './metrics/resolveSent.js';
import type { ResolvedEvent } from './resolve.js';
import { BATCH_EVENTS_MAX as WRITE_EVENTS_MAX } from './stored.js';
import { writeEvents, writeEventsInto } from './write.js';

export type { EventOutcome, IncomingEvent, StoredMeterEvent } from './event.js';

/** The way into the meter. Calls that arrive together share a transaction; each resolves after its commit. */
export interface Ingest {
  /**
   * Answers for every event, in order. Rejects with `too_many_requests` when too much is waiting already, and with
   * `unavailable` when the database could not be asked; then nothing is known to be stored and the same call may be
   * made again.
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
  writers?: number;
  /** Events of one transaction; a single call may exceed it by its own size. */
  batchEventsMax?: number;
  /** Events waiting beyond which calls are turned away. */
  queuedEventsMax?: number;
}

interface Job {
  prepared: PreparedEvent[];
  /** Where the prepared events belong among the answers. */
  places: number[];
  outcomes: EventOutcome[];
  resolve(outcomes: EventOutcome[]): void;
  reject(error: unknown): void;
}

const WRITERS = 2;
const BATCH_EVENTS_MAX = 5_000;
const QUEUED_EVENTS_MAX = 50_000;
const ROTATION_CHECK_MS = 3_600_000;
/** A batch that is wrongly taken to be all new is written twice; after one, so many are written with care. */
const CAREFUL_BATCHES = 20;
const NO_PARTITION = '23514';

/** Starts the writers. They live as long as there is something to write, so there is nothing to stop. */
export function createIngest(deps: IngestDeps): Ingest {
  return new GroupCommit(deps);
}

class GroupCommit implements Ingest {
  readonly #deps: IngestDeps;
  readonly #partitions: Partitions;
  readonly #knownMeters = new KnownMeters();
  readonly #watchedAccounts = new Set<string>();
  readonly #queue: Job[] = [];
  readonly #idle: (() => void)[] = [];
  #queuedEvents = 0;
  #running = 0;
  #rotationCheckedAt = 0;
  /** Batches that are still expected to bring used identifiers, because one before them did. */
  #carefulBatches = 0;

  constructor(deps: IngestDeps) {
    this.#deps = deps;
    this.#partitions = createPartitions(deps.db);
  }

  ingest(accountId: string, events: readonly IncomingEvent[]): Promise<EventOutcome[]> {
    if (!this.hasRoom()) return Promise.reject(tooManyWaiting());
    if (events.length > WRITE_EVENTS_MAX - BATCH_EVENTS_MAX) {
      return Promise.reject(new RangeError(`${events.length} events are too many for one call`));
    }
    return new Promise((resolve, reject) => {
      const job: Job = { prepared: [], places: [], outcomes: [], resolve, reject };
      events.forEach((event, index) => {
        const prepared = prepareEvent(accountId, event);
        if ('status' in prepared) job.outcomes[index] = prepared;
        else {
          job.prepared.push(prepared);
          job.places.push(index);
        }
      });
      if (job.prepared.length === 0) resolve(job.outcomes);
      else this.#enqueue(job);
    });
  }

  async ready(accountId: string, events: readonly IncomingEvent[]): Promise<ReadyEvents> {
    const { db, now, onCommitted } = this.#deps;
    const refused = new Map<number, RefusedEvent>();
    const prepared: PreparedEvent[] = [];
    const places: number[] = [];
    events.forEach((event, index) => {
      const one = prepareEvent(accountId, event);
      if ('status' in one) refused.set(index, one);
      else places[prepared.push(one) - 1] = index;
    });
    const answers = await resolveAllEvents(db, prepared, now(), this.#knownMeters);
    const resolved: ResolvedEvent[] = [];
    answers.forEach((answer, index) => {
      if (isRefused(answer)) refused.set(places[index] as number, answer);
      else resolved.push(answer);
    });
    await this.#partitions.ensure(resolved.map((event) => event.timestamp));
    return {
      refused,
      write(tx) {
        tx.afterCommit(() => onCommitted?.());
        return writeEventsInto(tx, resolved);
      },
    };
  }

  hasRoom(): boolean {
    return this.#queuedEvents < (this.#deps.queuedEventsMax ?? QUEUED_EVENTS_MAX);
  }

  async drain(): Promise<void> {
    if (this.#running === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #enqueue(job: Job): void {
    this.#queue.push(job);
    this.#queuedEvents += job.prepared.length;
    if (this.#running >= (this.#deps.writers ?? WRITERS)) return;
    this.#running += 1;
    void this.#writeUntilEmpty();
  }

  async #writeUntilEmpty(): Promise<void> {
    // Lets the calls of this turn of the event loop come together.
    await Promise.resolve();
    for (let jobs = this.#takeJobs(); jobs.length > 0; jobs = this.#takeJobs()) {
      await this.#writeJobs(jobs);
    }
    this.#running -= 1;
    if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #takeJobs(): Job[] {
    const max = this.#deps.batchEventsMax ?? BATCH_EVENTS_MAX;
    let count = 0;
    let events = 0;
    for (const job of this.#queue) {
      if (count > 0 && events + job.prepared.length > max) break;
      events += job.prepared.length;
      count += 1;
    }
    this.#queuedEvents -= events;
    return this.#queue.splice(0, count);
  }

  async #writeJobs(jobs: readonly Job[]): Promise<void> {
    const events = jobs.flatMap((job) => job.prepared);
    try {
      const outcomes = await this.#write(events);
      let next = 0;
      for (const job of jobs) {
        for (const place of job.places) {
          job.outcomes[place] = outcomes[next] as EventOutcome;
          next += 1;
        }
        job.resolve(job.outcomes);
      }
      if (outcomes.some((outcome) => outcome.status === 'stored')) this.#deps.onCommitted?.();
    } catch (error) {
      await this.#failOrSplit(jobs, error);
    }
  }

  async #write(events: readonly PreparedEvent[]): Promise<EventOutcome[]> {
    const { db } = this.#deps;
    await this.#rotateWhenDue();
    const answers = await resolveAllEvents(db, events, this.#deps.now(), this.#knownMeters);
    const resolved = answers.filter((answer): answer is ResolvedEvent => !isRefused(answer));
    if (resolved.length === 0) return answers as RefusedEvent[];
    const written = await this.#writeWithPartitions(resolved);
    let next = 0;
    return answers.map((answer) => {
      if (isRefused(answer)) return answer;
      next += 1;
      return written[next - 1] as EventOutcome;
    });
  }

  async #writeWithPartitions(events: readonly ResolvedEvent[]): Promise<EventOutcome[]> {
    await this.#partitions.ensure(events.map((event) => event.timestamp));
    try {
      return await this.#writeEvents(events);
    } catch (error) {
      if (sqlState(error) !== NO_PARTITION) throw error;
      // A month that we have seen was removed since.
      this.#partitions.forget();
      await this.#partitions.ensure(events.map((event) => event.timestamp));
      return this.#writeEvents(events);
    }
  }

  async #writeEvents(events: readonly ResolvedEvent[]): Promise<EventOutcome[]> {
    const { outcomes, used } = await writeEvents(
      this.#deps.db,
      events,
      this.#carefulBatches > 0,
      this.#watchedAccounts,
    );
    this.#carefulBatches = used ? CAREFUL_BATCHES : Math.max(0, this.#carefulBatches - 1);
    return outcomes;
  }

  /** One event that Postgres refuses must not fail those that share its batch: they are written apart. */
  async #failOrSplit(jobs: readonly Job[], error: unknown): Promise<void> {
    if (isDataError(error) && jobs.length > 1) {
      const middle = Math.floor(jobs.length / 2);
      await this.#writeJobs(jobs.slice(0, middle));
      await this.#writeJobs(jobs.slice(middle));
      return;
    }
    if (!(error instanceof BillingError))
      this.#deps.log.error({ err: error, events: jobs.length }, 'meter events could not be stored');
    const failure = isDataError(error) ? error : unavailable();
    for (const job of jobs) job.reject(failure);
  }

  async #rotateWhenDue(): Promise<void> {
    const now = this.#deps.now();
    if (Math.abs(now - this.#rotationCheckedAt) < ROTATION_CHECK_MS) return;
    this.#rotationCheckedAt = now;
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

/** A refusal, or classes 22 and 23: the data is at fault, not the server or the connection. */
function isDataError(error: unknown): boolean {
  return error instanceof BillingError || /^2[23]/.test(sqlState(error) ?? '');
}

function unavailable(): BillingError {
  return new BillingError('unavailable', 'The meter events could not be stored just now. Send them again.', {
    retry: true,
  });
}
