import type { Instant } from '../domain/period.js';
import type { Queryable } from '../storage/db.js';
import type { StoredMeterEvent } from './event.js';
import { iso } from './arrays.js';

/** Where an event is in the table of events. */
export interface EventPlace {
  seriesId: string;
  timestamp: Instant;
  arrival: bigint;
}

/** The events at these places, in their order; null where the event is no longer kept. */
export async function findEvents(
  q: Queryable,
  places: readonly EventPlace[],
): Promise<(StoredMeterEvent | null)[]> {
  if (places.length === 0) return [];
  const rows = await q.queryNamed<StoredMeterEvent & { ordinal: number }>(
    'metering_find_events',
    `select w.ordinal::integer as ordinal, e.identifier, m.event_name as "eventName", m.id as "meterId",
       s.customer_id as "customerId", m.livemode, e.event_time as timestamp, e.created_at as "createdAt", e.payload
     from unnest($1::bigint[], $2::timestamptz[], $3::bigint[])
       with ordinality as w (series_id, event_time, arrival, ordinal)
     join meter_events e on e.series_id = w.series_id and e.event_time = w.event_time and e.arrival = w.arrival
     join usage_series s on s.series_id = e.series_id
     join meters m on m.account_id = s.account_id and m.id = s.meter_id`,
    [
      places.map((place) => place.seriesId),
      places.map((place) => iso(place.timestamp)),
      places.map((place) => place.arrival.toString()),
    ],
  );
  const found: (StoredMeterEvent | null)[] = places.map(() => null);
  for (const { ordinal, ...event } of rows) found[ordinal - 1] = event;
  return found;
}
