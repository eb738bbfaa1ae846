import type { MeteredEvent } from '../../domain/contract/metric.js';
import { invalid } from '../../domain/errors.js';
import type { Instant } from '../../domain/period.js';
import type { UsageArrival } from '../../storage/customerChecks.js';
import { JsonNumber, type JsonValue, toJsonText } from '../../json.js';
import type { IncomingEvent } from '../event.js';
import type { PreparedEvent } from '../prepare.js';
import type { ResolvedEvent } from '../resolve.js';

/** An event as Metronome's dialect sends it. */
interface SentEvent {
  transactionId: string;
  /** An id of the customer in either dialect, an alias, or the name of a customer that is yet to come. */
  customerKey: string;
  eventType: string;
  timestamp: Instant;
  /** JSON; a number that a double cannot hold is kept as text. */
  properties: Readonly<Record<string, unknown>>;
}

const PROPERTIES_BYTES_MAX = 64 * 1024;

/**
 * The event for `Ingest.ingest`. Those of one call are stored together or not at all; `index` is its place in the call.
 * Throws `invalid` for properties that are too large.
 */
export function incomingSentEvent(call: symbol, index: number, sent: SentEvent): IncomingEvent {
  const properties = plainProperties(sent.properties);
  if (Buffer.byteLength(toJsonText(properties as JsonValue)) > PROPERTIES_BYTES_MAX) {
    throw invalid(`Invalid '[${index}].properties': may have at most ${PROPERTIES_BYTES_MAX} bytes.`);
  }
  return {
    eventName: sent.eventType,
    identifier: sent.transactionId,
    idempotencyKey: null,
    timestamp: sent.timestamp,
    payload: {},
    sent: { customerKey: sent.customerKey, properties, call, index },
  };
}

function plainProperties(properties: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, plain(value)]));
}

function plain(value: unknown): unknown {
  if (value instanceof JsonNumber) return value.text;
  if (Array.isArray(value)) return value.map(plain);
  return typeof value === 'object' && value !== null
    ? plainProperties(value as Record<string, unknown>)
    : value;
}

/** The dialect has checked the event already. */
export function prepareSentEvent(
  accountId: string,
  event: IncomingEvent,
  sent: NonNullable<IncomingEvent['sent']>,
): PreparedEvent {
  return {
    accountId,
    event,
    identifier: event.identifier ?? '',
    keyHash: null,
    requestHash: null,
    payloadJson: toJsonText(sent.properties as JsonValue),
  };
}

/**
 * The rows that an event is stored as: itself, and where it counts on a Stripe meter a copy without payload there, so
 * that everything about that meter finds it among its events.
 */
export function withMeterCopy(event: ResolvedEvent): ResolvedEvent[] {
  const { onMeter, prepared } = event;
  if (onMeter === undefined) return [event];
  return [event, { ...event, ...onMeter, prepared: { ...prepared, payloadJson: COPY_PAYLOAD } }];
}

const COPY_PAYLOAD = 'null';

/** True for what is no copy, in SQL on `meter_events e`. */
export const IS_ORIGINAL = `e.payload::text <> '${COPY_PAYLOAD}'`;

/** The event as metrics see it, and the customer's name in it. A Stripe event is one whose properties are its payload. */
export function meteredEvent({ prepared, series, timestamp }: ResolvedEvent): {
  customerKey: string;
  event: MeteredEvent;
} {
  const { sent, eventName, payload } = prepared.event;
  return {
    customerKey: sent?.customerKey ?? series.customerId,
    event: { eventType: eventName, timestamp, properties: sent?.properties ?? payload },
  };
}

/** Under which name the event is usage, and since when, for `requestChecksOfUsage`. */
export function arrivalOf(event: ResolvedEvent): UsageArrival {
  const { customerKey: key } = meteredEvent(event);
  return { accountId: event.prepared.accountId, key, earliest: event.timestamp };
}
