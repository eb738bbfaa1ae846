import type { JsonObject } from '../json.js';
import type { StoredMeterEvent } from '../metering/ingest.js';
import type { ThinEventRecord } from '../storage/thinEvents.js';

/** Objects of the v2 API: times are RFC 3339. */

/** A thin event with its data (docs.stripe.com/api/v2/core/events/object). */
export function thinEventObject(event: ThinEventRecord): JsonObject {
  return {
    id: event.id,
    object: 'v2.core.event',
    created: rfc3339(event.createdAt),
    data: event.data,
    livemode: event.livemode,
    related_object: event.related === null ? null : { ...event.related },
    type: event.type,
  };
}

/** docs.stripe.com/api/v2/billing/meter-event/object */
export function v2MeterEventObject(event: StoredMeterEvent): JsonObject {
  return {
    object: 'v2.billing.meter_event',
    created: rfc3339(event.createdAt),
    event_name: event.eventName,
    identifier: event.identifier,
    livemode: event.livemode,
    payload: event.payload,
    timestamp: rfc3339(event.timestamp),
  };
}

/** An instant in UTC, to the millisecond. */
export function rfc3339(instant: number): string {
  return new Date(instant).toISOString();
}
