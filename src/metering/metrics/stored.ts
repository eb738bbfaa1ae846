import type { BillableMetric, MeteredEvent } from '../../domain/contract/metric.js';
import type { Instant } from '../../domain/period.js';
import type { Queryable } from '../../storage/db.js';
import { iso } from '../arrays.js';
import { IS_ORIGINAL } from './sent.js';

/** An event with what decides between events of one instant. */
export interface ArrivedEvent {
  event: MeteredEvent;
  arrival: bigint;
}

interface StoredEventsQuery {
  accountId: string;
  /** Every name of the customer. */
  customerKeys: readonly string[];
  /** null: of any type. */
  eventTypes: readonly string[] | null;
  /** `[start, end)` */
  start: Instant;
  end: Instant;
}

/** The event types that can pass the metric's filter; null when they cannot be told. */
export function typesOf({ eventTypeFilter }: BillableMetric): readonly string[] | null {
  return eventTypeFilter?.inValues ?? null;
}

/** The events of a customer, sent by either client, by time and then by arrival. */
export async function readStoredEvents(q: Queryable, query: StoredEventsQuery): Promise<ArrivedEvent[]> {
  const rows = await q.queryNamed<StoredRow>(
    'metrics_stored_events',
    `select s.type, e.event_time as timestamp, e.arrival, e.payload
     from (
       select s.series_id, case when s.meter_id = '' then s.dimension_key else m.event_name end as type
       from usage_series s left join meters m on m.account_id = s.account_id and m.id = s.meter_id
       where s.account_id = $1 and s.customer_id = any($2::text[]) and (s.meter_id = '' or m.id is not null)
     ) as s
     join meter_events e on e.series_id = s.series_id and e.event_time >= $4 and e.event_time < $5
       and e.cancelled_at is null and ${IS_ORIGINAL}
     where $3::text[] is null or s.type = any($3::text[])
     order by e.event_time, e.arrival`,
    [query.accountId, query.customerKeys, query.eventTypes, iso(query.start), iso(query.end)],
  );
  return rows.map(toArrived);
}

interface StoredRow {
  type: string;
  timestamp: Instant;
  arrival: bigint;
  payload: Record<string, unknown>;
}

function toArrived({ type, timestamp, arrival, payload }: StoredRow): ArrivedEvent {
  return { event: { eventType: type, timestamp, properties: payload }, arrival };
}

/** Where a walk through all stored events goes on. */
interface Walk {
  seriesId: string;
  timestamp: Instant;
  arrival: bigint;
}

interface WalkedEvent extends ArrivedEvent {
  customerKey: string;
}

const PAGE = 5_000;

/** Every stored event of an account, of these types, page by page. */
export async function* walkStoredEvents(
  q: Queryable,
  accountId: string,
  eventTypes: readonly string[] | null,
): AsyncGenerator<WalkedEvent[]> {
  const series = await q.query<{ seriesId: string; customerKey: string; type: string }>(
    `select * from (
       select s.series_id::text as "seriesId", s.customer_id as "customerKey",
         case when s.meter_id = '' then s.dimension_key else m.event_name end as type
       from usage_series s left join meters m on m.account_id = s.account_id and m.id = s.meter_id
       where s.account_id = $1 and (s.meter_id = '' or m.id is not null)
     ) as s
     where $2::text[] is null or s.type = any($2::text[])`,
    [accountId, eventTypes],
  );
  const bySeries = new Map(series.map((one) => [one.seriesId, one]));
  const ids = [...bySeries.keys()];
  let after: Walk = { seriesId: '0', timestamp: 0, arrival: 0n };
  while (ids.length > 0) {
    const rows = await q.queryNamed<StoredRow & { seriesId: string }>(
      'metrics_walk_events',
      `select e.series_id::text as "seriesId", e.event_time as timestamp, e.arrival, e.payload
       from meter_events e
       where e.series_id = any($1::bigint[]) and (e.series_id, e.event_time, e.arrival) > ($2, $3, $4)
         and e.cancelled_at is null and ${IS_ORIGINAL}
       order by e.series_id, e.event_time, e.arrival limit ${PAGE}`,
      [ids, after.seriesId, iso(after.timestamp), after.arrival.toString()],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    after = last;
    yield rows.map((row) => {
      const { customerKey, type } = bySeries.get(row.seriesId) as { customerKey: string; type: string };
      return { customerKey, ...toArrived({ ...row, type }) };
    });
    if (rows.length < PAGE) return;
  }
}
