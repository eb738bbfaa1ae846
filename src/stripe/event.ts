import type { JsonObject } from '../json.js';
import type { EventRecord } from '../storage/events.js';
import { unixSeconds } from './values.js';
import { API_VERSION } from './version.js';

/** An event in Stripe's shape (docs.stripe.com/api/events/object). `request` is empty for what happened by itself. */
export function eventObject(event: EventRecord): JsonObject {
  return {
    id: event.id,
    object: 'event',
    api_version: API_VERSION,
    created: unixSeconds(event.createdAt),
    data: event.data,
    livemode: event.livemode,
    pending_webhooks: 0,
    request: { id: event.requestId, idempotency_key: event.idempotencyKey },
    type: event.type,
  };
}
