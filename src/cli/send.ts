import { statSync } from 'node:fs';
import { UsageError } from '../terminal/usageError.js';
import type { SendOptions } from './args.js';
import { type BatchAnswer, postBatch, type PosterDeps } from './poster.js';
import { readRows, type SourceRow } from './source.js';
import { readState, type SendState, writeState } from './state.js';

export interface Refused {
  readonly line: number;
  readonly code: string;
  readonly message: string;
}

export interface Progress {
  readonly rows: number;
  /** Of the file, from 0 to 1. */
  readonly share: number;
  /** Rows answered a second in this run. */
  readonly rate: number;
  readonly refused: number;
}

export interface SendResult {
  /** False when it was interrupted. */
  readonly complete: boolean;
  /** Rows of the file that have their answer, those of earlier runs included. */
  readonly rows: number;
  /** Rows that were passed over because an earlier run has sent them. */
  readonly skipped: number;
  readonly stored: number;
  readonly duplicate: number;
  readonly refused: number;
  readonly seconds: number;
  /** Rows answered a second in this run. */
  readonly rate: number;
  /** The first of those refused in this run. */
  readonly refusals: readonly Refused[];
}

export interface SendDeps {
  /** Aborted: what is under way is finished and noted, then it ends. */
  readonly interrupt: AbortSignal;
  onProgress(progress: Progress): void;
  onWaiting(why: string): void;
  readonly fetch?: typeof fetch;
}

const REFUSALS_KEPT = 100;
const BATCH_BYTES_MAX = 8 * 1024 * 1024;
const NOTE_EVERY_MS = 1_000;

interface Batch {
  /** Rows, good and bad, that the batch stands for. */
  rows: number;
  digest: string;
  lines: string[];
  /** Lines of the file, by place in the batch. */
  places: number[];
  bad: Refused[];
  bytes: number;
  answer: BatchAnswer | null;
}

/** Sends the file from where an earlier run has come. Throws UsageError or UnavailableError; what was done is noted. */
export async function sendFile(options: SendOptions, deps: SendDeps): Promise<SendResult> {
  return new Sending(options, deps).run();
}

class Sending {
  readonly #options: SendOptions;
  readonly #deps: SendDeps;
  readonly #poster: PosterDeps;
  readonly #startedAt = Date.now();
  readonly #size: number;
  readonly #refusals: Refused[] = [];
  /** In the order of the file; the first is noted when it has its answer. */
  readonly #underWay: Batch[] = [];
  #state: SendState;
  #skipped = 0;
  #bytes = 0;
  #notedAt = 0;

  constructor(options: SendOptions, deps: SendDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#size = sizeOf(options.file);
    this.#state = emptyState(options.api);
    const { api, key, patienceMs } = options;
    this.#poster = {
      api,
      key,
      patienceMs,
      interrupt: deps.interrupt,
      onWaiting: (why) => deps.onWaiting(why),
      ...(deps.fetch === undefined ? {} : { fetch: deps.fetch }),
    };
  }

  async run(): Promise<SendResult> {
    const noted = this.#options.restart ? null : readState(this.#options.stateFile);
    const known = noted?.api === this.#options.api && noted.rows > 0 ? noted : null;
    // Said before anything is sent: a run that can't note how far it has come could not go on either.
    writeState(this.#options.stateFile, known ?? this.#state);
    const rows = (known === null ? null : await this.#rowsAfter(known)) ?? this.#rows();
    const batches = this.#batches(rows);
    try {
      await this.#inLanes(batches);
    } finally {
      await batches.return(undefined);
      this.#note();
    }
    return this.#result(!this.#deps.interrupt.aborted);
  }

  #rows(): AsyncGenerator<SourceRow> {
    return readRows(this.#options, (bytes) => {
      this.#bytes = bytes;
    });
  }

  /** What comes after the rows that were sent; null when the file does not begin with them (any more). */
  async #rowsAfter(noted: SendState): Promise<AsyncGenerator<SourceRow> | null> {
    const rows = this.#rows();
    for (let count = 1; count <= noted.rows; count += 1) {
      const next = await rows.next();
      if (next.done === true || (count === noted.rows && next.value.digest !== noted.digest)) {
        await rows.return(undefined);
        return null;
      }
    }
    this.#state = noted;
    this.#skipped = noted.rows;
    return rows;
  }

  async *#batches(rows: AsyncGenerator<SourceRow>): AsyncGenerator<Batch> {
    let batch = emptyBatch();
    for await (const { line, json, problem, digest } of rows) {
      batch.rows += 1;
      batch.digest = digest;
      if (json === null) batch.bad.push({ line, code: 'unusable_row', message: problem ?? '' });
      else {
        batch.lines.push(json);
        batch.places.push(line);
        batch.bytes += Buffer.byteLength(json) + 1;
      }
      if (batch.rows < this.#options.batch && batch.bytes < BATCH_BYTES_MAX) continue;
      yield batch;
      batch = emptyBatch();
    }
    if (batch.rows > 0) yield batch;
  }

  async #inLanes(batches: AsyncGenerator<Batch>): Promise<void> {
    let failed = false;
    const lane = async (): Promise<void> => {
      while (!failed && !this.#deps.interrupt.aborted) {
        const next = await batches.next();
        if (next.done === true) return;
        await this.#send(next.value);
      }
    };
    const lanes = Array.from({ length: this.#options.connections }, () =>
      lane().catch((error: unknown) => {
        failed = true;
        throw error;
      }),
    );
    // The others finish what they have begun, so that it can be noted.
    const settled = await Promise.allSettled(lanes);
    for (const one of settled) if (one.status === 'rejected') throw one.reason as Error;
  }

  async #send(batch: Batch): Promise<void> {
    this.#underWay.push(batch);
    batch.answer =
      batch.lines.length === 0
        ? { stored: 0, duplicate: 0, refused: [] }
        : await postBatch(this.#poster, batch.lines);
    while (this.#underWay[0]?.answer != null) this.#settle(this.#underWay.shift() as Batch);
    if (Date.now() - this.#notedAt >= NOTE_EVERY_MS) this.#note();
    this.#deps.onProgress({
      rows: this.#state.rows,
      share: this.#size === 0 ? 1 : Math.min(1, this.#bytes / this.#size),
      rate: this.#rate(),
      refused: this.#state.refused,
    });
  }

  #settle({ rows, digest, answer, places, bad }: Batch): void {
    if (answer === null) throw new Error('a batch is settled before it is answered');
    const refused = [
      ...bad,
      ...answer.refused.map(({ index, ...why }) => ({ line: places[index] ?? 0, ...why })),
    ].sort((a, b) => a.line - b.line);
    this.#refusals.push(...refused.slice(0, REFUSALS_KEPT - this.#refusals.length));
    const { api, ...before } = this.#state;
    this.#state = {
      api,
      rows: before.rows + rows,
      digest,
      stored: before.stored + answer.stored,
      duplicate: before.duplicate + answer.duplicate,
      refused: before.refused + refused.length,
    };
  }

  #note(): void {
    this.#notedAt = Date.now();
    writeState(this.#options.stateFile, this.#state);
  }

  #rate(): number {
    const seconds = (Date.now() - this.#startedAt) / 1000;
    return seconds === 0 ? 0 : (this.#state.rows - this.#skipped) / seconds;
  }

  #result(complete: boolean): SendResult {
    const { rows, stored, duplicate, refused } = this.#state;
    return {
      complete,
      rows,
      skipped: this.#skipped,
      stored,
      duplicate,
      refused,
      seconds: (Date.now() - this.#startedAt) / 1000,
      rate: Math.round(this.#rate()),
      refusals: this.#refusals,
    };
  }
}

function emptyState(api: string): SendState {
  return { api, rows: 0, digest: '', stored: 0, duplicate: 0, refused: 0 };
}

function emptyBatch(): Batch {
  return { rows: 0, digest: '', lines: [], places: [], bad: [], bytes: 0, answer: null };
}

function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch (error) {
    throw new UsageError(`the file can't be read: ${(error as Error).message}`);
  }
}
