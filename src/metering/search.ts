import type { Instant } from '../domain/period.js';
import { type Queryable, timestamp } from '../storage/db.js';
import { findIdentifiers } from './identifiers.js';

/** A stored event as it is found again. */
export interface FoundEvent {
  arrival: bigint;
  timestamp: Instant;
  createdAt: Instant;
  cancelledAt: Instant | null;
  eventName: string;
  meterId: string;
  customerId: string;
  identifier: string;
  /** Exact decimal text; null on a count meter without one. */
  value: string | null;
  payload: Readonly<Record<string, string>>;
  livemode: boolean;
}

/** Where an event stands in the order of time and arrival. */
export interface EventCursor {
  timestamp: Instant;
  arrival: bigint;
}

export interface EventFilter {
  customerId?: string | undefined;
  eventName?: string | undefined;
  identifier?: string | undefined;
  /** `[from, before)` of event time. */
  from?: Instant | undefined;
  before?: Instant | undefined;
}

const FAR_PAST = -62_135_596_800_000;
const FAR_FUTURE = 253_402_300_800_000;
const MAX_ARRIVAL = 9_223_372_036_854_775_807n;

// The newest events of many series: first each series' newest, by index, to know the few series that can be in the
// answer; then the newest of those.
const SEARCH = `
  with candidates as (
    select s.series_id, s.customer_id, m.id as meter_id, m.event_name, m.livemode, newest.event_time, newest.arrival
    from usage_series s
    join meters m on m.account_id = s.account_id and m.id = s.meter_id
    cross join lateral (
      select e.event_time, e.arrival from meter_events e
      where e.series_id = s.series_id and e.event_time >= $4 and e.event_time < $5
        and (e.event_time, e.arrival) < ($6::timestamptz, $7::bigint)
      order by e.event_time desc, e.arrival desc limit 1
    ) as newest
    where s.account_id = $1 and s.dimension_key = ''
      and ($2::text is null or s.customer_id = $2) and ($3::text is null or m.event_name = $3)
    order by newest.event_time desc, newest.arrival desc limit $8
  )
  select found.*, candidates.event_name as "eventName", candidates.meter_id as "meterId",
    candidates.customer_id as "customerId", candidates.livemode
  from candidates cross join lateral (
    select e.arrival, e.event_time as timestamp, e.created_at as "createdAt", e.cancelled_at as "cancelledAt",
      e.identifier, e.value, e.payload
    from meter_events e
    where e.series_id = candidates.series_id and e.event_time >= $4 and e.event_time < $5
      and (e.event_time, e.arrival) < ($6::timestamptz, $7::bigint)
    order by e.event_time desc, e.arrival desc limit $8
  ) as found
  order by found.timestamp desc, found.arrival desc limit $8`;

/** Stored events, newest first by (event time, arrival), after the cursor. Cancelled ones are among them. */
export async function searchEvents(
  q: Queryable,
  accountId: string,
  filter: EventFilter,
  after: EventCursor | null,
  limit: number,
): Promise<FoundEvent[]> {
  if (filter.identifier !== undefined)
    return searchByIdentifier(q, accountId, filter, filter.identifier, after);
  // The cursor bounds the time too: that is what spares months of partitions.
  const end = Math.min(filter.before ?? FAR_FUTURE, after === null ? FAR_FUTURE : after.timestamp + 1);
  return q.query<FoundEvent>(SEARCH, [
    accountId,
    filter.customerId ?? null,
    filter.eventName ?? null,
    timestamp(filter.from ?? FAR_PAST),
    timestamp(end),
    timestamp(after?.timestamp ?? FAR_FUTURE),
    (after?.arrival ?? MAX_ARRIVAL).toString(),
    limit,
  ]);
}

/** At most one event has an identifier; it is found as long as identifiers are remembered. */
async function searchByIdentifier(
  q: Queryable,
  accountId: string,
  filter: EventFilter,
  identifier: string,
  after: EventCursor | null,
): Promise<FoundEvent[]> {
  const [place] = await findIdentifiers(q, [{ accountId, identifier }]);
  if (place === undefined) return [];
  const span = { from: place.timestamp, before: place.timestamp + 1 };
  const [found] = await searchEvents(
    q,
    accountId,
    { ...filter, identifier: undefined, ...span },
    { timestamp: place.timestamp, arrival: place.arrival + 1n },
    1,
  );
  if (found?.identifier !== identifier) return [];
  const { from = FAR_PAST, before = FAR_FUTURE } = filter;
  const inside = found.timestamp >= from && found.timestamp < before;
  return inside && (after === null || isBefore(found, after)) ? [found] : [];
}

function isBefore(a: EventCursor, b: EventCursor): boolean {
  return a.timestamp !== b.timestamp ? a.timestamp < b.timestamp : a.arrival < b.arrival;
}
