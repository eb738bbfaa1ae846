import type { JsonObject } from '../json.js';
import type { MeterRecord } from '../storage/meters.js';
import { unixSeconds, unixSecondsOrNull } from './values.js';

/** A billing meter in Stripe's shape (docs.stripe.com/api/billing/meter/object). */
export function meterObject(meter: MeterRecord): JsonObject {
  return {
    id: meter.id,
    object: 'billing.meter',
    created: unixSeconds(meter.createdAt),
    customer_mapping: { event_payload_key: meter.customerKey, type: 'by_id' },
    default_aggregation: { formula: meter.formula },
    display_name: meter.displayName,
    event_name: meter.eventName,
    event_time_window: meter.eventTimeWindow,
    livemode: meter.livemode,
    status: meter.status,
    status_transitions: { deactivated_at: unixSecondsOrNull(meter.deactivatedAt) },
    updated: unixSeconds(meter.updatedAt),
    value_settings: { event_payload_key: meter.valueKey },
  };
}
