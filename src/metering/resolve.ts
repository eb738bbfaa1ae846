import { type Decimal, ZERO } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import type { Database, Queryable } from '../storage/db.js';
import { type RefusedEvent, refused } from './event.js';
import type { Known } from './known.js';
import {
  customerIdOf,
  type Found,
  lookUp,
  type Meter,
  NOT_MADE,
  pairColumns,
  type Series,
  type Target,
} from './lookUp.js';
import { dimensionProblem, dimensionsOf, type Part, resolveParts } from './parts.js';
import type { PreparedEvent } from './prepare.js';
import { parseEventValue } from './value.js';

/** An event that may be stored: it names an active meter and an existing customer, and has a value and a time. */
export interface ResolvedEvent {
  prepared: PreparedEvent;
  /** Its place in the batch, in the order of arrival; given when it is written. */
  place: number;
  series: Series;
  timestamp: Instant;
  /** The customer's now. */
  createdAt: Instant;
  /** The text that goes to the database, and the value that is added up; null and zero without one (count meters). */
  valueText: string | null;
  value: Decimal;
  /** On a meter with dimensions, its values, and the part of the series that has them. */
  dimensions: Readonly<Record<string, string>> | null;
  part: Part | null;
  /** Where an event of Metronome's dialect counts besides its own series. */
  onMeter?: Pick<ResolvedEvent, 'series' | 'valueText' | 'value'>;
}

const PAST_MAX_MS = 35 * 24 * 3600 * 1000;
const FUTURE_MAX_MS = 5 * 60 * 1000;
const SECOND_MS = 1000;

/**
 * Looks up what a batch of events refers to, in one or two statements whatever its size, and answers for each event, in
 * order. The look-ups are part of the batch, so a meter or customer changed a moment ago counts as it is now; `known`
 * only saves asking twice. What is `recalled` is not asked for: the answers hold if the database confirms it as the
 * events are stored.
 */
export async function resolveEvents(
  db: Database,
  events: readonly PreparedEvent[],
  now: Instant,
  known: Known,
  recalled?: Found,
): Promise<(ResolvedEvent | RefusedEvent)[]> {
  const found = recalled ?? (await lookUp(db, events, known));
  const answers = events.map((prepared) => {
    const meter = found.meters.get(prepared.accountId)?.get(prepared.event.eventName);
    const problem = meterProblem(prepared, meter);
    if (problem !== null || meter === undefined) return problem as RefusedEvent;
    const target = found.targets.get(meter)?.get(customerIdOf(prepared, meter)) ?? null;
    return resolveOne(prepared, meter, target, now);
  });
  await makeMissingSeries(db, answers);
  return resolveParts(db, answers);
}

function meterProblem(prepared: PreparedEvent, meter: Meter | undefined): RefusedEvent | null {
  const { event } = prepared;
  if (meter?.active !== true) {
    const message = `No active meter found for event name "${event.eventName}"`;
    return refused(meter === undefined ? 'no_meter' : 'archived_meter', message, 'event_name');
  }
  if (customerIdOf(prepared, meter) !== '') return null;
  const message = `Customer mapping key ${meter.customerKey} not found in payload.`;
  return refused('meter_event_no_customer_defined', message, `payload[${meter.customerKey}]`);
}

function resolveOne(
  prepared: PreparedEvent,
  meter: Meter,
  target: Target | null,
  now: Instant,
): ResolvedEvent | RefusedEvent {
  if (target === null) {
    const customerId = customerIdOf(prepared, meter);
    const param = `payload[${meter.customerKey}]`;
    return refused('meter_event_customer_not_found', `No such customer: '${customerId}'`, param);
  }
  const createdAt = target.frozenTime ?? now;
  const timestamp = prepared.event.timestamp ?? createdAt - (createdAt % SECOND_MS);
  const late = timestampProblem(timestamp, createdAt);
  if (late !== null) return late;
  const valueText = prepared.event.payload[meter.valueKey];
  const value = valueText === undefined ? null : parseEventValue(valueText);
  const incomplete = dimensionProblem(meter, prepared.event.payload);
  if (incomplete !== null) return incomplete;
  const isValue = value !== null && typeof value === 'object';
  // A count meter counts events; whatever stands at its value key is only payload.
  if (!isValue && meter.formula !== 'count') return valueProblem(value, meter, valueText);
  return {
    prepared,
    place: 0,
    series: target.series,
    timestamp,
    createdAt,
    valueText: isValue ? (valueText as string) : null,
    value: isValue ? value : ZERO,
    dimensions: dimensionsOf(meter, prepared.event.payload),
    part: null,
  };
}

function valueProblem(code: string | null, meter: Meter, text: string | undefined): RefusedEvent {
  const param = `payload[${meter.valueKey}]`;
  if (code === null) {
    return refused('meter_event_value_not_found', `Value key ${meter.valueKey} not found in payload.`, param);
  }
  const shown = (text ?? '').slice(0, 60);
  const reason =
    code === 'meter_event_invalid_value' ? 'is not a number' : 'has more than 15 significant digits';
  return refused(code, `The value '${shown}' at payload key ${meter.valueKey} ${reason}.`, param);
}

/** Stripe's window (docs.stripe.com/api/billing/meter-event/create): the past 35 days to 5 minutes ahead. */
function timestampProblem(timestamp: Instant, customerNow: Instant): RefusedEvent | null {
  if (timestamp < customerNow - PAST_MAX_MS) {
    const message = 'The timestamp must be within the past 35 calendar days.';
    return refused('timestamp_too_far_in_past', message, 'timestamp');
  }
  if (timestamp > customerNow + FUTURE_MAX_MS) {
    const message = 'The timestamp must not be more than 5 minutes in the future.';
    return refused('timestamp_in_future', message, 'timestamp');
  }
  return null;
}

const MAKE_SERIES = `
  insert into usage_series (account_id, meter_id, customer_id)
  select * from unnest($1::text[], $2::text[], $3::text[])
  on conflict do nothing`;

const FIND_SERIES = `
  select w.ordinal::integer as ordinal, s.series_id::text as "seriesId"
  from unnest($1::text[], $2::text[], $3::text[]) with ordinality as w (account_id, meter_id, customer_id, ordinal)
  join usage_series s on s.account_id = w.account_id and s.meter_id = w.meter_id
    and s.customer_id = w.customer_id and s.dimension_key = ''`;

/** Makes the series that accepted events need and that don't exist yet. */
async function makeMissingSeries(
  q: Queryable,
  answers: readonly (ResolvedEvent | RefusedEvent)[],
): Promise<void> {
  const wanted = new Set<Series>();
  for (const answer of answers) {
    if (!('status' in answer) && answer.series.seriesId === NOT_MADE) wanted.add(answer.series);
  }
  if (wanted.size === 0) return;
  // Sorted, so that two writers that make the same series wait for each other in one order.
  const missing = [...wanted].sort((a, b) =>
    a.meter.id === b.meter.id ? compareText(a.customerId, b.customerId) : compareText(a.meter.id, b.meter.id),
  );
  await q.queryNamed('metering_make_series', MAKE_SERIES, pairColumns(missing));
  const rows = await q.queryNamed<{ ordinal: number; seriesId: string }>(
    'metering_series',
    FIND_SERIES,
    pairColumns(missing),
  );
  for (const { ordinal, seriesId } of rows) (missing[ordinal - 1] as Series).seriesId = seriesId;
  if (rows.length < missing.length)
    throw new Error(`${missing.length - rows.length} series could not be made`);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
