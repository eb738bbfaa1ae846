import type { JsonObject } from '../json.js';
import type { StoredMeterEvent } from '../metering/ingest.js';
import { unixSeconds } from './values.js';

/** A meter event in Stripe's shape (docs.stripe.com/api/billing/meter-event/object). It has no id. */
export function meterEventObject(event: StoredMeterEvent): JsonObject {
  return {
    object: 'billing.meter_event',
    created: unixSeconds(event.createdAt),
    event_name: event.eventName,
    identifier: event.identifier,
    livemode: event.livemode,
    payload: event.payload,
    timestamp: unixSeconds(event.timestamp),
  };
}

/** A cancellation of a meter event (docs.stripe.com/api/billing/meter-event-adjustment/object); done when answered. */
export function meterEventAdjustmentObject(adjustment: {
  eventName: string;
  identifier: string;
  livemode: boolean;
}): JsonObject {
  return {
    object: 'billing.meter_event_adjustment',
    cancel: { identifier: adjustment.identifier },
    event_name: adjustment.eventName,
    livemode: adjustment.livemode,
    status: 'complete',
    type: 'cancel',
  };
}
