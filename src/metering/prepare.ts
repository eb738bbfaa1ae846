import { createHash } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { IncomingEvent, RefusedEvent } from './event.js';
import { refused } from './event.js';
import { prepareSentEvent } from './metrics/sent.js';

/** An event that is well formed, with everything that needs no look-up. */
export interface PreparedEvent {
  accountId: string;
  event: IncomingEvent;
  identifier: string;
  keyHash: bigint | null;
  requestHash: bigint | null;
  payloadJson: string;
}

const NAME_LENGTH_MAX = 100;
const PAYLOAD_KEYS_MAX = 50;
const PAYLOAD_KEY_LENGTH_MAX = 100;
const PAYLOAD_VALUE_LENGTH_MAX = 500;
const PRINTABLE_ASCII = /^[ -~]*$/;
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Checks the shape of an event and gives it its identifier: the one sent; else one derived from the idempotency key,
 * so that a repeated request meets itself; else a new one. Refuses what Postgres could not store, since one such event
 * would fail the batch that it shares with others.
 */
export function prepareEvent(accountId: string, event: IncomingEvent): PreparedEvent | RefusedEvent {
  if (event.sent !== undefined) return prepareSentEvent(accountId, event, event.sent);
  const problem = shapeProblem(event);
  if (problem !== null) return problem;
  const key = event.idempotencyKey;
  return {
    accountId,
    event,
    identifier: event.identifier ?? (key === null ? uuidv7() : derivedIdentifier(key)),
    keyHash: key === null ? null : hash64(key),
    requestHash: key === null ? null : hash64(canonicalRequest(event)),
    payloadJson: JSON.stringify(event.payload),
  };
}

function shapeProblem(event: IncomingEvent): RefusedEvent | null {
  const name = textProblem(event.eventName, 'event_name', NAME_LENGTH_MAX);
  if (name !== null) return name;
  if (event.identifier !== null) {
    const identifier = textProblem(event.identifier, 'identifier', NAME_LENGTH_MAX);
    if (identifier !== null) return identifier;
  }
  let keys = 0;
  for (const key of Object.keys(event.payload)) {
    keys += 1;
    const value = event.payload[key] as string;
    if (key.length > PAYLOAD_KEY_LENGTH_MAX || !isStorable(key))
      return badPayload(key, PAYLOAD_KEY_LENGTH_MAX);
    if (value.length > PAYLOAD_VALUE_LENGTH_MAX || !isStorable(value)) {
      return badPayload(key, PAYLOAD_VALUE_LENGTH_MAX);
    }
  }
  if (keys > PAYLOAD_KEYS_MAX) {
    const message = `The payload must not have more than ${PAYLOAD_KEYS_MAX} keys.`;
    return refused('parameter_invalid', message, 'payload');
  }
  return null;
}

function textProblem(text: string, param: string, max: number): RefusedEvent | null {
  if (text === '') return refused('parameter_invalid_empty', `${param} must not be empty.`, param);
  return text.length > max || !isStorable(text) ? badText(param, max) : null;
}

function badPayload(key: string, max: number): RefusedEvent {
  return badText(`payload[${key.slice(0, PAYLOAD_KEY_LENGTH_MAX)}]`, max);
}

function badText(param: string, max: number): RefusedEvent {
  const message = `Invalid string: ${param} must be text of at most ${max} characters.`;
  return refused('parameter_invalid_string_length', message, param);
}

/** Postgres has no NUL in text, and a half of a surrogate pair is no character. */
function isStorable(text: string): boolean {
  return PRINTABLE_ASCII.test(text) || (!text.includes('\u0000') && !LONE_SURROGATE.test(text));
}

function derivedIdentifier(key: string): string {
  return `idem_${createHash('sha256').update(key).digest('base64url').slice(0, 32)}`;
}

function canonicalRequest(event: IncomingEvent): string {
  const payload = Object.entries(event.payload).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([event.eventName, event.identifier, event.timestamp, payload]);
}

function hash64(text: string): bigint {
  return createHash('sha256').update(text).digest().readBigInt64BE(0);
}
