import type { BillingErrorKind } from '../domain/errors.js';
import type { Instant } from '../domain/period.js';

/** A meter event as it was sent, decoded but not yet checked. */
export interface IncomingEvent {
  eventName: string;
  /** Makes the event count once; null: derived from the idempotency key, or generated. */
  identifier: string | null;
  /** The request's Idempotency-Key (with the event's place in it, where a request carries several). */
  idempotencyKey: string | null;
  /** Epoch ms; null: the customer's now. */
  timestamp: Instant | null;
  payload: Readonly<Record<string, string>>;
  /** Of an event of Metronome's dialect: who it is for, and what it carries in place of `payload`. */
  sent?: {
    customerKey: string;
    properties: Readonly<Record<string, unknown>>;
    /** The request; its events are stored together or not at all. */
    call: symbol;
    /** The event's place in it. */
    index: number;
  };
}

/** A meter event that is in the database. */
export interface StoredMeterEvent {
  identifier: string;
  eventName: string;
  meterId: string;
  customerId: string;
  livemode: boolean;
  timestamp: Instant;
  /** The customer's own time when it arrived. */
  createdAt: Instant;
  payload: Readonly<Record<string, string>>;
}

export interface RefusedEvent {
  status: 'refused';
  code: string;
  message: string;
  param?: string;
  kind?: BillingErrorKind;
}

/**
 * What became of one event. `replayed`: the same request was stored before, nothing was counted now. `duplicate`:
 * another request has used the identifier.
 */
export type EventOutcome =
  | { status: 'stored' | 'replayed'; event: StoredMeterEvent }
  | { status: 'duplicate'; identifier: string }
  | RefusedEvent;

/** A refusal with its code (docs.stripe.com/api/billing/meter-event, "Handle errors" of the usage-based guide). */
export function refused(code: string, message: string, param?: string): RefusedEvent {
  return { status: 'refused', code, message, ...(param === undefined ? {} : { param }) };
}
