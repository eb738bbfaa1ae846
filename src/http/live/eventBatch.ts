import { createHash } from 'node:crypto';
import { invalid } from '../../domain/errors.js';
import { type RefusedEvent, refused } from '../../metering/event.js';
import type { IncomingEvent } from '../../metering/ingest.js';
import { readTime } from './time.js';

/** One element of a batch: an event to be stored, or why it can't even be read. */
export type BatchItem = IncomingEvent | RefusedEvent;

type Json = Readonly<Record<string, unknown>>;

export const EVENTS_MAX = 10_000;
/** Read at a stretch; a few milliseconds. */
const TURN_EVENTS = 500;
/** Elements deeper than any event; a hostile body must not make the parser keep millions of levels. */
const DEPTH_MAX = 32;
/** What is this short can't be deep enough to matter; a line of NDJSON is. */
const SHALLOW_LENGTH = 16_384;
const IDENTIFIER_LENGTH_MAX = 100;
const EVENT_KEYS: ReadonlySet<string> = new Set(['event_name', 'identifier', 'timestamp', 'payload']);

/**
 * The events of a body, in order: a JSON array, NDJSON, or CloudEvents. What is no JSON, too deep or too long is
 * refused whole; an element that is wrong in itself is refused in its place.
 */
export async function readBatch(text: string, contentType: string | undefined): Promise<BatchItem[]> {
  const type = (contentType ?? 'application/json').split(';')[0]?.trim().toLowerCase();
  switch (type) {
    case 'application/json':
      return mapInTurns(elements(parseArray(text)), readEvent);
    case 'application/x-ndjson':
    case 'application/ndjson':
    case 'application/jsonl':
      return mapInTurns(elements(splitLines(text)), readLine);
    case 'application/cloudevents+json':
      return [readCloudEvent(parse(text, 'the body'))];
    case 'application/cloudevents-batch+json':
      return mapInTurns(elements(parseArray(text)), readCloudEvent);
    default:
      throw invalid(
        'Invalid request (check that the content type is application/json, application/x-ndjson, ' +
          `application/cloudevents+json or application/cloudevents-batch+json; got '${(type ?? '').slice(0, 60)}').`,
      );
  }
}

function elements<T>(found: readonly T[]): readonly T[] {
  if (found.length > EVENTS_MAX) {
    throw invalid(`At most ${EVENTS_MAX} events are accepted in one request; got ${found.length}.`, {
      code: 'batch_too_long',
    });
  }
  return found;
}

function parseArray(text: string): readonly unknown[] {
  const value = parse(text, 'the body');
  if (!Array.isArray(value)) throw invalid('Invalid request: the body must be a JSON array of events.');
  return value as unknown[];
}

interface Line {
  number: number;
  text: string;
}

function splitLines(text: string): Line[] {
  const found: Line[] = [];
  let start = 0;
  for (let number = 1; start < text.length; number += 1) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const content = text.slice(start, end).trim();
    if (content !== '') found.push({ number, text: content });
    if (found.length > EVENTS_MAX) return found;
    start = end + 1;
  }
  return found;
}

function readLine(line: Line): BatchItem {
  return readEvent(parse(line.text, `line ${line.number}`));
}

/** Others get their turn in between: reading a large batch takes as long as many small requests. */
async function mapInTurns<From, To>(items: readonly From[], map: (item: From) => To): Promise<To[]> {
  const found: To[] = [];
  for (const item of items) {
    found.push(map(item));
    if (found.length % TURN_EVENTS === 0) await nextTurn();
  }
  return found;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function parse(text: string, what: string): unknown {
  if (isTooDeep(text))
    throw invalid(`Invalid request: ${what} is nested more than ${DEPTH_MAX} levels deep.`);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw invalid(`Invalid request: ${what} is not valid JSON.`);
  }
}

/** Looks at brackets outside of strings, without parsing. */
function isTooDeep(text: string): boolean {
  if (text.length <= SHALLOW_LENGTH) return false;
  let depth = 0;
  for (let index = 0; index < text.length; index += 1) {
    switch (text.charCodeAt(index)) {
      case 0x22:
        index = endOfString(text, index);
        break;
      case 0x5b:
      case 0x7b:
        depth += 1;
        if (depth > DEPTH_MAX) return true;
        break;
      case 0x5d:
      case 0x7d:
        depth -= 1;
        break;
    }
  }
  return false;
}

/** The closing quote of the string that opens at `start`, or the end of the text. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end >= 0) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === 0x5c) backslashes += 1;
    if (backslashes % 2 === 0) return end;
    end = text.indexOf('"', end + 1);
  }
  return text.length;
}

/** An event as it is written in JSON, or what is wrong with how it is written. */
export function readEvent(value: unknown): BatchItem {
  if (!isObject(value)) return refused('parameter_invalid', 'An event must be a JSON object.');
  for (const key in value) {
    if (!EVENT_KEYS.has(key))
      return refused('parameter_unknown', `Received unknown parameter: ${short(key)}`, key);
  }
  const { event_name: eventName, identifier = null, timestamp = null, payload } = value;
  if (eventName === undefined) return missing('event_name');
  if (typeof eventName !== 'string') return wrongType('event_name', 'a string');
  if (identifier !== null && typeof identifier !== 'string') return wrongType('identifier', 'a string');
  const at = timestamp === null ? null : readTime(timestamp);
  if (at === undefined) return wrongType('timestamp', 'Unix seconds or an RFC 3339 time');
  if (payload === undefined) return missing('payload');
  const texts = readPayload(payload);
  if (typeof texts === 'string') return wrongType(texts, texts === 'payload' ? 'a JSON object' : 'a string');
  return { eventName, identifier, idempotencyKey: null, timestamp: at, payload: texts };
}

/**
 * CloudEvents 1.0 (cloudevents.io): `type` is the event name, `source` and `id` together the identifier, since ids are
 * unique for their source only; `data` is the payload, and `subject` the customer where the payload names none.
 */
function readCloudEvent(value: unknown): BatchItem {
  if (!isObject(value)) return refused('parameter_invalid', 'A CloudEvent must be a JSON object.');
  const { specversion, id, source, type, subject, time = null, data } = value;
  if (specversion !== '1.0') return wrongType('specversion', '"1.0"');
  for (const [name, text] of Object.entries({ id, source, type })) {
    if (text === undefined) return missing(name);
    if (typeof text !== 'string' || text === '') return wrongType(name, 'a string');
  }
  const at = time === null ? null : readTime(time);
  if (at === undefined || typeof time === 'number') return wrongType('time', 'an RFC 3339 time');
  if (data === undefined) return missing('data');
  const texts = readPayload(data);
  if (typeof texts === 'string')
    return wrongType(texts.replace('payload', 'data'), 'a JSON object of strings');
  const named = texts['stripe_customer_id'] !== undefined || typeof subject !== 'string';
  return {
    eventName: type as string,
    identifier: cloudIdentifier(source as string, id as string),
    idempotencyKey: null,
    timestamp: at,
    payload: named ? texts : { stripe_customer_id: subject, ...texts },
  };
}

function cloudIdentifier(source: string, id: string): string {
  const identifier = `${source}#${id}`;
  if (identifier.length <= IDENTIFIER_LENGTH_MAX) return identifier;
  return `ce_${createHash('sha256').update(identifier).digest('base64url')}`;
}

/**
 * Texts as they are; numbers and booleans as they are written. A null is as good as absent. Returns the name of what
 * is none of these.
 */
function readPayload(value: unknown): Record<string, string> | string {
  if (!isObject(value)) return 'payload';
  const payload: Record<string, string> = {};
  for (const key in value) {
    const item = value[key];
    if (typeof item === 'string') payload[key] = item;
    else if (typeof item === 'number' || typeof item === 'boolean') payload[key] = String(item);
    else if (item !== null) return `payload[${short(key)}]`;
  }
  return payload;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function missing(param: string): RefusedEvent {
  return refused('parameter_missing', `Missing required param: ${param}.`, param);
}

function wrongType(param: string, wanted: string): RefusedEvent {
  return refused('parameter_invalid', `Invalid ${param}: must be ${wanted}.`, param);
}

function short(text: string): string {
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
