import { negate, parseDecimal, ZERO } from '../domain/decimal.js';
import { invalid } from '../domain/errors.js';
import type { Instant } from '../domain/period.js';
import { type Transaction, timestamp } from '../storage/db.js';
import { findIdentifiers, type IdentifierRow } from './identifiers.js';
import { takeBackFromMetrics } from './metrics/takeBack.js';
import { iso } from './arrays.js';
import { addTotals, compareSeriesIds, type Counted, floorTo, HOUR_MS, MINUTE_MS } from './rollup.js';
import { readHours } from './rollupRows.js';
import { correctTotals } from './totals.js';
import { replaceCounting, windowAt } from './windows.js';

export interface Cancellation {
  accountId: string;
  eventName: string;
  identifier: string;
}

/** Stripe's rule (docs.stripe.com/api/billing/meter-event-adjustment): events received within the last 24 hours. */
const CANCEL_WITHIN_MS = 24 * HOUR_MS;

/**
 * Takes one event back, whichever dialect sent it: from the commit on, every reading is what it would be had the event
 * never come. Its identifier stays used. `customerNow` tells the time of a customer, given its test clock. Throws `invalid` for an
 * identifier that is unknown on this meter, cancelled already, or received more than 24 hours ago; returns the event's
 * mode.
 */
export async function cancelEvent(
  tx: Transaction,
  cancellation: Cancellation,
  customerNow: (customer: { testClockId: string | null }) => Promise<Instant>,
): Promise<{ livemode: boolean }> {
  const place = await findPlace(tx, cancellation);
  const counted = place === null ? null : await findCounted(tx, cancellation, place);
  if (place === null || counted?.event.eventName !== cancellation.eventName)
    throw unknownEvent(cancellation.identifier);
  const { event, onMeter } = counted;
  const now = await customerNow(event);
  if (event.createdAt < now - CANCEL_WITHIN_MS) {
    throw invalid('Meter events can only be cancelled within 24 hours of being received.', {
      param: 'cancel[identifier]',
    });
  }
  // The locks of the series, before anything that depends on what is in them.
  const series = [...new Set([place.seriesId, onMeter.seriesId])].sort(compareSeriesIds);
  await addTotals(
    tx,
    series.map((seriesId) => ({ seriesId, count: 0n, total: ZERO, arrived: 0n, latest: null })),
  );
  if (!(await markCancelled(tx, onMeter, now))) {
    throw invalid(`The event with identifier ${cancellation.identifier} has been cancelled already.`, {
      param: 'cancel[identifier]',
    });
  }
  if (onMeter.seriesId !== place.seriesId) await markCancelled(tx, place, now);
  if (event.eventTimeWindow === null) await takeBack(tx, onMeter, event);
  else await takeBackWindowed(tx, onMeter, event.eventTimeWindow);
  await takeBackFromMetrics(tx, cancellation.accountId, place);
  return { livemode: event.livemode };
}

function unknownEvent(identifier: string): Error {
  return invalid(`No meter event found with identifier ${identifier}.`, {
    code: 'resource_missing',
    param: 'cancel[identifier]',
  });
}

async function findPlace(tx: Transaction, cancellation: Cancellation): Promise<IdentifierRow | null> {
  const rows = await findIdentifiers(tx, [cancellation]);
  return rows[0] ?? null;
}

/**
 * The event as it counts on a meter: at its own place, or, if Metronome's API sent it, where its copy is. Whose series
 * has the copy was decided when it came, so those of the meter are gone through. Null for one that counts on none.
 */
async function findCounted(
  tx: Transaction,
  { accountId, eventName, identifier }: Cancellation,
  place: IdentifierRow,
): Promise<{ event: EventFacts; onMeter: IdentifierRow } | null> {
  const own = await findEvent(tx, place);
  if (own !== null) return { event: own, onMeter: place };
  const [copy] = await tx.query<{ seriesId: string }>(
    `select s.series_id::text as "seriesId"
     from meters m
     join usage_series s on s.account_id = m.account_id and s.meter_id = m.id and s.dimension_key = ''
     join meter_events e on e.series_id = s.series_id
     where m.account_id = $1 and m.event_name = $2 and e.event_time = $3 and e.arrival = $4 and e.identifier = $5`,
    [accountId, eventName, timestamp(place.timestamp), place.arrival, identifier],
  );
  if (copy === undefined) return null;
  const onMeter = { ...place, seriesId: copy.seriesId };
  const event = await findEvent(tx, onMeter);
  return event === null ? null : { event, onMeter };
}

interface EventFacts {
  eventName: string;
  eventTimeWindow: 'hour' | 'day' | null;
  testClockId: string | null;
  livemode: boolean;
  createdAt: Instant;
  value: string | null;
  partId: string | null;
}

async function findEvent(tx: Transaction, place: IdentifierRow): Promise<EventFacts | null> {
  const rows = await tx.query<EventFacts>(
    `select m.event_name as "eventName", m.event_time_window as "eventTimeWindow", m.livemode,
       c.test_clock_id as "testClockId", e.created_at as "createdAt", e.value,
       e.dimension_series_id::text as "partId"
     from meter_events e
     join usage_series s on s.series_id = e.series_id
     join meters m on m.account_id = s.account_id and m.id = s.meter_id
     join customers c on c.account_id = s.account_id and c.id = s.customer_id
     where e.series_id = $1 and e.event_time = $2 and e.arrival = $3`,
    placeParameters(place),
  );
  return rows[0] ?? null;
}

async function markCancelled(tx: Transaction, place: IdentifierRow, now: Instant): Promise<boolean> {
  const rows = await tx.query(
    `update meter_events set cancelled_at = $4
     where series_id = $1 and event_time = $2 and arrival = $3 and cancelled_at is null returning 1`,
    [...placeParameters(place), timestamp(now)],
  );
  return rows.length > 0;
}

function placeParameters(place: IdentifierRow): unknown[] {
  return [place.seriesId, timestamp(place.timestamp), place.arrival];
}

async function takeBack(tx: Transaction, place: IdentifierRow, event: EventFacts): Promise<void> {
  await addUpAgain(tx, place, { seriesId: place.seriesId, ofPart: false });
  if (event.partId !== null) await addUpAgain(tx, place, { seriesId: event.partId, ofPart: true });
  const value = event.value === null ? ZERO : parseDecimal(event.value);
  await correctTotals(tx, [{ seriesId: place.seriesId, count: -1n, total: negate(value) }]);
}

/**
 * A sum could be taken back by subtraction, a maximum or a last value can't: the minute and the hour of the event are
 * added up again, of the whole series or of the part that the event belongs to.
 */
async function addUpAgain(
  tx: Transaction,
  place: IdentifierRow,
  { seriesId, ofPart }: { seriesId: string; ofPart: boolean },
): Promise<void> {
  const minute = floorTo(place.timestamp, MINUTE_MS);
  const hour = floorTo(place.timestamp, HOUR_MS);
  await tx.query(
    `delete from usage_rollups where series_id = $1 and ((grain = 1 and bucket = $2) or (grain = 60 and bucket = $3))`,
    [seriesId, iso(minute), iso(hour)],
  );
  await tx.query(
    `insert into usage_rollups (series_id, grain, bucket, count, total, max, last_value, last_time, last_arrival)
     select $1, 1, $2, count(*), coalesce(sum(value), 0), max(value),
       (array_agg(value order by event_time desc, arrival desc))[1],
       (array_agg(event_time order by event_time desc, arrival desc))[1],
       (array_agg(arrival order by event_time desc, arrival desc))[1]
     from meter_events
     where series_id = $4 and event_time >= $2 and event_time < $3 and cancelled_at is null
       and (not $5::boolean or dimension_series_id = $1)
     having count(*) > 0`,
    [seriesId, iso(minute), iso(minute + MINUTE_MS), place.seriesId, ofPart],
  );
  await tx.query(
    `insert into usage_rollups (series_id, grain, bucket, count, total, max, last_value, last_time, last_arrival)
     select $1, 60, $2, sum(count), sum(total), max(max), (array_agg(last_value order by bucket desc))[1],
       (array_agg(last_time order by bucket desc))[1], (array_agg(last_arrival order by bucket desc))[1]
     from usage_rollups
     where series_id = $1 and grain = 1 and bucket >= $2 and bucket < $3
     having count(*) > 0`,
    [seriesId, iso(hour), iso(hour + HOUR_MS)],
  );
}

/** On a meter with an event time window the event received before it counts again, if it was the one that counted. */
async function takeBackWindowed(
  tx: Transaction,
  place: IdentifierRow,
  window: 'hour' | 'day',
): Promise<void> {
  const span = windowAt(place.seriesId, window, place.timestamp);
  const [hours] = await readHours(tx, [span]);
  const before = hours?.[0] ?? null;
  if (before?.latest.arrival !== place.arrival) return;
  const rows = await tx.query<{ timestamp: Instant; arrival: bigint; value: string | null }>(
    `select event_time as timestamp, arrival, value from meter_events
     where series_id = $1 and event_time >= $2 and event_time < $3 and cancelled_at is null
     order by arrival desc limit 1`,
    [span.seriesId, iso(span.start), iso(span.end)],
  );
  const [newest] = rows;
  const event: Counted | null =
    newest === undefined
      ? null
      : { ...newest, value: newest.value === null ? null : parseDecimal(newest.value) };
  await replaceCounting(tx, [{ span, before, event }]);
}
