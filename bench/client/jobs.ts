import type { Latencies } from '../stats.js';

/** How events are written on the wire. */
export const FORMS = ['v1', 'v2', 'stream100', 'bulk1000', 'bulk10000'] as const;
export type Form = (typeof FORMS)[number];

/** Events of one request. */
export const EVENTS_OF: Readonly<Record<Form, number>> = {
  v1: 1,
  v2: 1,
  stream100: 100,
  bulk1000: 1000,
  bulk10000: 10_000,
};

/** Sends events over HTTP: each connection has one request under way at a time. */
export interface HttpJob {
  readonly kind: 'http';
  readonly api: string;
  readonly apiKey: string;
  readonly form: Form;
  readonly connections: number;
  readonly customers: readonly string[];
  readonly eventName: string;
  /** Ends after so many seconds, not counting a first one to warm up, or so many events. */
  readonly seconds?: number;
  readonly eventsMax?: number;
  /** Events a second at most. */
  readonly rate?: number;
  /** Epoch seconds that the events' times are spread over in order, with `eventsMax`; without it they happen now. */
  readonly times?: { readonly from: number; readonly to: number };
}

/** Rows straight to Postgres from a plain driver: `batch` rows a statement, `connections` statements at a time. */
export interface PostgresJob {
  readonly kind: 'postgres';
  readonly url: string;
  readonly batch: number;
  /** Rows one by one, each in a transaction that also adds it to its customer's hour, as a meter has to. */
  readonly withRollup: boolean;
  readonly connections: number;
  readonly seconds: number;
}

/** One Temporal signal an event, to one workflow that counts them. */
export interface SignalJob {
  readonly kind: 'signals';
  readonly address: string;
  readonly concurrency: number;
  readonly seconds: number;
}

export type Job = HttpJob | PostgresJob | SignalJob;

/** The message that ends a job over HTTP early. */
export const STOP = 'stop';

export interface JobResult {
  /** The endpoint answered 404 or 405: this version does not have it. */
  readonly notServed: boolean;
  readonly events: number;
  readonly requests: number;
  readonly seconds: number;
  readonly latencies: Latencies;
  /** Answers other than success, by status or error code, and refused events. */
  readonly failures: Readonly<Record<string, number>>;
  readonly clientCpuSeconds: number;
}
