import { createHash } from 'node:crypto';
import type { Decimal } from '../domain/decimal.js';
import type { Instant, Period } from '../domain/period.js';
import type { JsonObject } from '../json.js';
import { jsonNumber } from './number.js';
import { unixSeconds } from './values.js';

/** Which summaries a list is of; summaries of different lists have different ids. */
export interface SummaryList {
  meterId: string;
  customerId: string;
  window: 'hour' | 'day' | 'none';
}

const PREFIX = 'mtrusg_';
const LIST_LENGTH = 14;
const START_BASE = 36;
const MILLIS = 1000;

/** A meter event summary in Stripe's shape (docs.stripe.com/api/billing/meter-event-summary/object). */
export function meterEventSummaryObject(
  list: SummaryList,
  summary: { period: Period; value: Decimal; livemode: boolean },
): JsonObject {
  return {
    id: PREFIX + listTag(list) + unixSeconds(summary.period.start).toString(START_BASE),
    object: 'billing.meter_event_summary',
    aggregated_value: jsonNumber(summary.value),
    end_time: unixSeconds(summary.period.end),
    livemode: summary.livemode,
    meter: list.meterId,
    start_time: unixSeconds(summary.period.start),
  };
}

/** The start of the summary with this id; null for an id that is not of this list. */
export function summaryStart(list: SummaryList, id: string): Instant | null {
  const head = PREFIX + listTag(list);
  const digits = id.slice(head.length);
  if (!id.startsWith(head) || !/^[0-9a-z]{1,8}$/.test(digits)) return null;
  return Number.parseInt(digits, START_BASE) * MILLIS;
}

/** Summaries are computed, not stored, so their ids are made of what they are. */
function listTag(list: SummaryList): string {
  const text = `${list.meterId}\n${list.customerId}\n${list.window}`;
  return createHash('sha256').update(text).digest('hex').slice(0, LIST_LENGTH);
}
