import { notFound } from '../../domain/errors.js';
import { type EventCursor, type FoundEvent, searchEvents } from '../../metering/search.js';
import { unixSeconds, unixSecondsOrNull } from '../../stripe/values.js';
import { type Endpoint, endpoint, type JsonObject } from '../endpoint.js';
import { listObject } from '../pagination.js';
import { integer, object, text } from '../params.js';
import { cursorId, cursorParts } from './cursor.js';
import { timeParam } from './time.js';

const URL = '/live/v1/events';
const PREFIX = 'mev_';
const LIMIT_DEFAULT = 10;
const LIMIT_MAX = 1000;

/** The raw events, newest first. One with an identifier is found as long as identifiers are remembered. */
export const eventSearchEndpoint: Endpoint = endpoint({
  method: 'GET',
  path: URL,
  params: object({
    customer: text().optional(),
    end_time: timeParam().optional(),
    event_name: text().optional(),
    identifier: text().optional(),
    limit: integer({ min: 1, max: LIMIT_MAX }).default(LIMIT_DEFAULT),
    start_time: timeParam().optional(),
    starting_after: text().optional(),
  }),
  async handle({ q, accountId }, params) {
    const after = params.starting_after === undefined ? null : readCursor(params.starting_after);
    const filter = {
      customerId: params.customer,
      eventName: params.event_name,
      identifier: params.identifier,
      from: params.start_time,
      before: params.end_time,
    };
    const found = await searchEvents(q, accountId, filter, after, params.limit + 1);
    return listObject(URL, found.slice(0, params.limit).map(eventObject), found.length > params.limit);
  },
});

function eventObject(event: FoundEvent): JsonObject {
  return {
    object: 'event',
    id: cursorId(PREFIX, [event.timestamp, event.arrival.toString()]),
    canceled_at: unixSecondsOrNull(event.cancelledAt),
    created: unixSeconds(event.createdAt),
    customer: event.customerId,
    event_name: event.eventName,
    identifier: event.identifier,
    livemode: event.livemode,
    meter: event.meterId,
    payload: event.payload,
    timestamp: unixSeconds(event.timestamp),
    value: event.value,
  };
}

function readCursor(id: string): EventCursor {
  const [timestamp, arrival] = cursorParts(PREFIX, 2, 'event', id);
  const valid = typeof timestamp === 'number' && typeof arrival === 'string' && /^\d{1,18}$/.test(arrival);
  if (!valid || Math.abs(timestamp) > 8e15) throw notFound('event', id, 'starting_after');
  return { timestamp, arrival: BigInt(arrival) };
}
