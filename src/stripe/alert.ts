import type { Decimal } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import type { JsonObject } from '../json.js';
import type { AlertRecord } from '../storage/alerts.js';
import { jsonNumber } from './number.js';
import { unixSeconds } from './values.js';

/** A billing alert in Stripe's shape (docs.stripe.com/api/billing/alert/object). */
export function alertObject(alert: AlertRecord): JsonObject {
  const filters = alert.customerId === null ? [] : [{ customer: alert.customerId, type: 'customer' }];
  return {
    id: alert.id,
    object: 'billing.alert',
    alert_type: 'usage_threshold',
    livemode: alert.livemode,
    status: alert.status,
    title: alert.title,
    usage_threshold: {
      filters,
      gte: jsonNumber(alert.threshold),
      meter: alert.meterId,
      recurrence: alert.recurrence,
    },
  };
}

/** The object of the event `billing.alert.triggered`. It has no id. */
export function alertTriggeredObject(
  alert: AlertRecord,
  firing: { customerId: string; value: Decimal; at: Instant },
): JsonObject {
  return {
    object: 'billing.alert_triggered',
    alert: alertObject(alert),
    created: unixSeconds(firing.at),
    customer: firing.customerId,
    livemode: alert.livemode,
    value: jsonNumber(firing.value),
  };
}
