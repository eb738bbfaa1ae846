import type { MeteredEvent } from '../../domain/contract/metric.js';
import type { Instant } from '../../domain/period.js';
import type { Database } from '../../storage/db.js';
import { findIdentifiers } from '../identifiers.js';
import { iso } from '../arrays.js';

/** A stored event of either client. */
export interface FoundEvent {
  transactionId: string;
  /** As it was sent. */
  customerKey: string;
  event: MeteredEvent;
  /** The customer's own time when it arrived. */
  arrivedAt: Instant;
}

/** The events with these ids that are still known, in the order of the ids. Cancelled ones are left out. */
export function searchEvents(
  db: Database,
  accountId: string,
  transactionIds: readonly string[],
): Promise<FoundEvent[]> {
  return db.transaction(async (tx) => {
    const wanted = transactionIds.map((identifier) => ({ accountId, identifier }));
    const places = await findIdentifiers(tx, wanted);
    const rows = await tx.queryNamed<{
      ordinal: number;
      customerKey: string;
      eventType: string;
      timestamp: Instant;
      arrivedAt: Instant;
      payload: Record<string, unknown>;
    }>(
      'metrics_search',
      `select w.ordinal::integer as ordinal, s.customer_id as "customerKey",
         case when s.meter_id = '' then s.dimension_key else m.event_name end as "eventType",
         e.event_time as timestamp, e.created_at as "arrivedAt", e.payload
       from unnest($1::bigint[], $2::timestamptz[], $3::bigint[]) with ordinality as w (series_id, at, arrival, ordinal)
       join meter_events e on e.series_id = w.series_id and e.event_time = w.at and e.arrival = w.arrival
         and e.cancelled_at is null
       join usage_series s on s.series_id = e.series_id
       left join meters m on m.account_id = s.account_id and m.id = s.meter_id`,
      [
        places.map(({ seriesId }) => seriesId),
        places.map(({ timestamp }) => iso(timestamp)),
        places.map(({ arrival }) => arrival.toString()),
      ],
    );
    const found = new Map<string, FoundEvent>();
    for (const { ordinal, customerKey, eventType, timestamp, arrivedAt, payload } of rows) {
      const transactionId = places[ordinal - 1]?.identifier ?? '';
      const event = { eventType, timestamp, properties: payload };
      found.set(transactionId, { transactionId, customerKey, event, arrivedAt });
    }
    return transactionIds.flatMap((id) => found.get(id) ?? []);
  });
}
