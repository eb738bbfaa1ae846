import type { Log } from '../core.js';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BillingError } from '../domain/errors.js';
import { sqlState } from '../storage/db.js';
import { type EventOutcome, type IncomingEvent, type RefusedEvent, refused } from './event.js';
import { type PreparedEvent, prepareEvent } from './prepare.js';

export interface GroupCommitDeps {
  log: Log;
  /** Stores events in one transaction and answers for each, in order. */
  write(events: readonly PreparedEvent[]): Promise<EventOutcome[]>;
  /** Called after each commit that stored something. */
  onCommitted?: (() => void) | undefined;
  /** Where a call's events of the same customer go the same way; only a guess is needed. */
  customerOf(accountId: string, event: IncomingEvent): string;
  lanes: number;
  /** Events of one transaction. More of them would hold the process up for longer than others should wait. */
  batchEventsMax: number;
}

/** One call. */
interface Job {
  accountId: string;
  events: readonly IncomingEvent[];
  outcomes: EventOutcome[];
  /** Events without an outcome yet. */
  waiting: number;
  /** Places of events that could not be written, for a reason that is not theirs. */
  failed: number[];
  resolve(outcomes: EventOutcome[]): void;
  reject(error: unknown): void;
}

/** Events of a call that are written together. */
interface Piece {
  job: Job;
  places: readonly number[];
}

interface Lane {
  queue: Piece[];
  /** Events in the queue. */
  waiting: number;
  running: boolean;
}

/** A larger call is dealt out to the lanes by customer. A smaller one stays together: it costs less so. */
const DEALT_EVENTS_MIN = 250;

/**
 * Calls that arrive while others are written go together into the next transaction of their lane. Lanes write at the
 * same time; events of one customer in one call stay in one lane, in order, so that lanes seldom wait for each other.
 */
export class GroupCommit {
  readonly #deps: GroupCommitDeps;
  readonly #lanes: Lane[];
  readonly #idle: (() => void)[] = [];
  #waiting = 0;

  constructor(deps: GroupCommitDeps) {
    this.#deps = deps;
    this.#lanes = Array.from({ length: deps.lanes }, () => ({ queue: [], waiting: 0, running: false }));
  }

  /** Events that have been accepted and not been taken up yet. */
  get waiting(): number {
    return this.#waiting;
  }

  store(accountId: string, events: readonly IncomingEvent[]): Promise<EventOutcome[]> {
    if (events.length === 0) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      const job: Job = {
        accountId,
        events,
        outcomes: [],
        waiting: events.length,
        failed: [],
        resolve,
        reject,
      };
      this.#waiting += events.length;
      for (const [lane, pieces] of this.#deal(job)) {
        lane.queue.push(...pieces);
        lane.waiting += pieces.reduce((sum, { places }) => sum + places.length, 0);
        if (!lane.running) void this.#run(lane);
      }
    });
  }

  async drain(): Promise<void> {
    if (!this.#lanes.some((lane) => lane.running)) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #deal(job: Job): Map<Lane, Piece[]> {
    const { events } = job;
    if (events.length < DEALT_EVENTS_MIN || events[0]?.sent !== undefined) {
      return new Map([[this.#laneTogether(), [{ job, places: events.map((_, place) => place) }]]]);
    }
    const places = new Map<Lane, number[]>();
    for (let place = 0; place < events.length; place += 1) {
      const lane = this.#laneOf(job, place);
      const ofLane = places.get(lane);
      if (ofLane === undefined) places.set(lane, [place]);
      else ofLane.push(place);
    }
    const max = this.#deps.batchEventsMax;
    return new Map(
      [...places].map(([lane, ofLane]) => [lane, chunks(ofLane, max).map((some) => ({ job, places: some }))]),
    );
  }

  /** Small calls share a lane, and so a transaction, until a whole one is waiting in it. */
  #laneTogether(): Lane {
    const free = this.#lanes.find(({ waiting }) => waiting < this.#deps.batchEventsMax);
    return free ?? this.#lanes.reduce((least, lane) => (lane.waiting < least.waiting ? lane : least));
  }

  #laneOf({ accountId, events }: Job, place: number): Lane {
    const customer = this.#deps.customerOf(accountId, events[place] as IncomingEvent);
    let hash = 0;
    for (let index = 0; index < customer.length; index += 1)
      hash = (hash * 31 + customer.charCodeAt(index)) | 0;
    return this.#lanes[(hash >>> 0) % this.#lanes.length] as Lane;
  }

  async #run(lane: Lane): Promise<void> {
    lane.running = true;
    // Lets the calls that have arrived come together: each is read in a turn of its own before the next check phase.
    await nextTurn();
    for (let pieces = this.#take(lane); pieces.length > 0; pieces = this.#take(lane)) {
      await this.#writePieces(pieces);
    }
    lane.running = false;
    if (this.#lanes.some((one) => one.running)) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #take(lane: Lane): Piece[] {
    let count = 0;
    let events = 0;
    for (const { places } of lane.queue) {
      if (count > 0 && events + places.length > this.#deps.batchEventsMax) break;
      events += places.length;
      count += 1;
    }
    this.#waiting -= events;
    lane.waiting -= events;
    return lane.queue.splice(0, count);
  }

  async #writePieces(pieces: readonly Piece[]): Promise<void> {
    const prepared: PreparedEvent[] = [];
    const answerTo: { job: Job; place: number }[] = [];
    for (const { job, places } of pieces) {
      for (const place of places) {
        const event = prepareEvent(job.accountId, job.events[place] as IncomingEvent);
        if ('status' in event) settle(job, place, event);
        else {
          prepared.push(event);
          answerTo.push({ job, place });
        }
      }
    }
    if (prepared.length === 0) return;
    try {
      const outcomes = await this.#deps.write(prepared);
      outcomes.forEach((outcome, index) => {
        const { job, place } = answerTo[index] as { job: Job; place: number };
        settle(job, place, outcome);
      });
      if (outcomes.some((outcome) => outcome.status === 'stored')) this.#deps.onCommitted?.();
    } catch (error) {
      await this.#writeApart(pieces, error);
    }
  }

  /** What Postgres or a rule refuses in one piece must not fail the others: they are written apart, down to events. */
  async #writeApart(pieces: readonly Piece[], error: unknown): Promise<void> {
    const open = pieces.map((piece) => ({
      ...piece,
      places: piece.places.filter((place) => isOpen(piece.job, place)),
    }));
    if (!isTheirFault(error)) {
      this.#deps.log.error({ err: error }, 'meter events could not be stored');
      for (const { job, places } of open) for (const place of places) fail(job, place);
      return;
    }
    const parts = open.length > 1 ? halves(open) : splitPiece(open[0] as Piece);
    if (parts !== null) {
      for (const part of parts) await this.#writePieces(part);
      return;
    }
    if (!(error instanceof BillingError))
      this.#deps.log.error({ err: error }, 'a meter event cannot be stored');
    const refusal = refusalOf(error);
    for (const { job, places } of open) for (const place of places) settle(job, place, refusal);
  }
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const found: T[][] = [];
  for (let from = 0; from < items.length; from += size) found.push(items.slice(from, from + size));
  return found;
}

function halves<T>(items: readonly T[]): [T[], T[]] {
  const middle = Math.ceil(items.length / 2);
  return [items.slice(0, middle), items.slice(middle)];
}

/** A piece of a request that is refused whole stays whole, and so does a single event. */
function splitPiece({ job, places }: Piece): Piece[][] | null {
  if (places.length < 2 || job.events[0]?.sent !== undefined) return null;
  return halves(places).map((some) => [{ job, places: some }]);
}

function isOpen(job: Job, place: number): boolean {
  return job.outcomes[place] === undefined;
}

function settle(job: Job, place: number, outcome: EventOutcome): void {
  job.outcomes[place] = outcome;
  finish(job);
}

function fail(job: Job, place: number): void {
  job.failed.push(place);
  finish(job);
}

/**
 * Answers the call when its last event has been seen to. When some of it is stored and some could not be, each event is
 * answered for, since sending all of it again could count some twice.
 */
function finish(job: Job): void {
  job.waiting -= 1;
  if (job.waiting > 0) return;
  const { outcomes, failed } = job;
  if (failed.length > 0 && !outcomes.some((outcome) => outcome.status === 'stored')) {
    job.reject(new BillingError('unavailable', NOT_NOW, { retry: true }));
    return;
  }
  for (const place of failed) outcomes[place] = { ...refused('unavailable', NOT_NOW), kind: 'unavailable' };
  job.resolve(outcomes);
}

const NOT_NOW = 'The meter events could not be stored just now. Send them again.';

/** A refusal, or classes 22 and 23: the data is at fault, not the server or the connection. */
function isTheirFault(error: unknown): boolean {
  return error instanceof BillingError || /^2[23]/.test(sqlState(error) ?? '');
}

function refusalOf(error: unknown): RefusedEvent {
  if (!(error instanceof BillingError)) return refused('parameter_invalid', 'The event cannot be stored.');
  const { message, code = 'parameter_invalid', kind } = error;
  return { ...refused(code, message, error.param), kind };
}
