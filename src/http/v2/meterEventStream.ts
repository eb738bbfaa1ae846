import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { refuseExpired, requireStreamSender, type StreamSender } from '../../billing/meterEventSessions.js';
import { BillingError, invalid } from '../../domain/errors.js';
import { type EventError, recordEventErrors } from '../../metering/eventErrors.js';
import type { EventOutcome, IncomingEvent } from '../../metering/ingest.js';
import { readEvent } from '../live/eventBatch.js';
import type { RawContext, RawEndpoint } from '../raw.js';
import { readText } from '../unpack.js';

/** docs.stripe.com/api/v2/billing/meter-event-stream/create */
const EVENTS_MAX = 100;
const BODY_BYTES_MAX = 1024 * 1024;
const CACHED_TOKENS_MAX = 10_000;

/**
 * The stream: up to 100 events a call under a session token. What is wrong with an event that is well formed is not
 * told here but reported as a thin event within seconds; a repeated identifier is dropped in silence, as it is there.
 */
export function meterEventStreamEndpoint(): RawEndpoint {
  const senders = new LRUCache<string, StreamSender>({ max: CACHED_TOKENS_MAX });
  return {
    method: 'POST',
    path: '/v2/billing/meter_event_stream',
    async handle(ctx) {
      const sender = await authenticate(ctx, senders);
      const events = readEvents(await readText(ctx.request, BODY_BYTES_MAX), ctx.idempotencyKey);
      const outcomes = await ctx.core.ingest.ingest(sender.accountId, events);
      const errors = errorsOf(events, outcomes);
      if (errors.length > 0) await recordEventErrors(ctx.core.db, sender, errors, ctx.core.now());
      return { status: 200, body: '{}' };
    },
  };
}

async function authenticate(ctx: RawContext, senders: LRUCache<string, StreamSender>): Promise<StreamSender> {
  const token = /^bearer\s+(\S+)\s*$/i.exec(ctx.request.headers.authorization ?? '')?.[1];
  if (token === undefined) {
    throw new BillingError(
      'unauthenticated',
      'You did not provide a meter event session token as a Bearer token.',
    );
  }
  const key = createHash('sha256').update(token).digest('base64');
  let sender = senders.get(key);
  if (sender === undefined) {
    sender = await requireStreamSender(ctx.core.db, ctx.core.now(), token);
    senders.set(key, sender);
  }
  refuseExpired(sender, ctx.core.now());
  return sender;
}

function readEvents(text: string, idempotencyKey: string | null): IncomingEvent[] {
  const body = parseBody(text);
  for (const key of Object.keys(body)) {
    if (key !== 'events') {
      throw invalid(`Received unknown parameter: ${key}`, { code: 'parameter_unknown', param: key });
    }
  }
  const { events } = body;
  if (events === undefined) {
    throw invalid('Missing required param: events.', { code: 'parameter_missing', param: 'events' });
  }
  if (!Array.isArray(events)) throw invalid('Invalid array', { param: 'events' });
  if (events.length > EVENTS_MAX) {
    throw invalid(`At most ${EVENTS_MAX} events are accepted in one call; got ${events.length}.`, {
      param: 'events',
    });
  }
  return events.map((value: unknown, index) => {
    const event = readEvent(value);
    if ('status' in event) {
      const param = event.param === undefined ? `events[${index}]` : `events[${index}][${event.param}]`;
      throw invalid(event.message, { code: event.code, param });
    }
    return idempotencyKey === null ? event : { ...event, idempotencyKey: `${idempotencyKey}/${index}` };
  });
}

function parseBody(text: string): Readonly<Record<string, unknown>> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw invalid('Invalid request: the body is not valid JSON.');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalid('Invalid request: the body must be a JSON object.');
  }
  return body as Readonly<Record<string, unknown>>;
}

function errorsOf(events: readonly IncomingEvent[], outcomes: readonly EventOutcome[]): EventError[] {
  return outcomes.flatMap((outcome, index) => {
    const event = events[index];
    if (outcome.status !== 'refused' || event === undefined) return [];
    const { code, message } = outcome;
    return [{ eventName: event.eventName, identifier: event.identifier, code, message }];
  });
}
