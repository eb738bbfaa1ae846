import { aggregatedValue, type BillableMetric, matchesFilters } from '../../domain/contract/metric.js';
import { toText, ZERO } from '../../domain/decimal.js';
import type { Instant } from '../../domain/period.js';
import { loadMetrics } from '../../storage/billableMetrics.js';
import { requestChecksOfUsage } from '../../storage/customerChecks.js';
import type { Transaction } from '../../storage/db.js';
import type { EventPlace } from '../events.js';
import { iso } from '../arrays.js';
import { addSums, floorTo, HOUR_MS, type Sums, sumsOf } from '../rollup.js';
import { holdMetrics } from './count.js';
import { partsOf, shortened } from './dimensions.js';
import { bucketEnd, bucketOf } from './grains.js';
import { findSeries } from './series.js';
import { type ArrivedEvent, readStoredEvents, typesOf } from './stored.js';

/**
 * Counts anew the hours of the metrics in which an event counted that has just been cancelled. The caller holds the
 * lock of the event's series.
 */
export async function takeBackFromMetrics(
  tx: Transaction,
  accountId: string,
  place: EventPlace,
): Promise<void> {
  const [row] = await tx.query<{ type: string; customerKey: string; payload: Record<string, unknown> }>(
    `select case when s.meter_id = '' then s.dimension_key else m.event_name end as type,
       s.customer_id as "customerKey", e.payload
     from meter_events e join usage_series s on s.series_id = e.series_id
     left join meters m on m.account_id = s.account_id and m.id = s.meter_id
     where e.series_id = $1 and e.event_time = $2 and e.arrival = $3`,
    [place.seriesId, iso(place.timestamp), place.arrival.toString()],
  );
  if (row === undefined) return;
  await holdMetrics(tx, [accountId]);
  const event = { eventType: row.type, timestamp: place.timestamp, properties: row.payload };
  const metrics = (await loadMetrics(tx, accountId)).filter(
    (metric) => matchesFilters(metric, event) && aggregatedValue(metric, event) !== null,
  );
  const cancelled = { event, arrival: place.arrival };
  for (const metric of metrics)
    await recount(tx, { accountId, customerKey: row.customerKey }, metric, cancelled);
  await requestChecksOfUsage(tx, [{ accountId, key: row.customerKey, earliest: place.timestamp }]);
}

async function recount(
  tx: Transaction,
  { accountId, customerKey }: { accountId: string; customerKey: string },
  metric: BillableMetric,
  { event }: ArrivedEvent,
): Promise<void> {
  const parts = partsOf(metric, event);
  const ids = await findSeries(
    tx,
    parts.map((part) => ({ accountId, meterId: metric.id, customerId: customerKey, ...part })),
  );
  const series = parts.flatMap(({ key }, index) => {
    const seriesId = ids[index];
    return seriesId == null ? [] : [{ key, seriesId }];
  });
  const start = floorTo(event.timestamp, HOUR_MS);
  await tx.query(
    `select from usage_rollups where series_id = any($1::bigint[])
       and ((grain = 60 and bucket = $2) or (grain = 1440 and bucket = $3) or (grain = 30000 and bucket = $4))
     order by series_id, grain, bucket for update`,
    [
      series.map(({ seriesId }) => seriesId),
      iso(start),
      iso(bucketOf(1440, start)),
      iso(bucketOf(30_000, start)),
    ],
  );
  // Read after the locks: what others counted in these rows is stored now.
  const query = { accountId, customerKeys: [customerKey], eventTypes: typesOf(metric) };
  const left = await readStoredEvents(tx, { ...query, start, end: start + HOUR_MS });
  for (const { key, seriesId } of series) await rewrite(tx, { metric, key, seriesId, start }, left);
}

async function rewrite(
  tx: Transaction,
  { metric, key, seriesId, start }: { metric: BillableMetric; key: string; seriesId: string; start: number },
  left: readonly ArrivedEvent[],
): Promise<void> {
  let sums: Sums | null = null;
  const texts = new Set<string>();
  for (const { event, arrival } of left) {
    const value = matchesFilters(metric, event) ? aggregatedValue(metric, event) : null;
    if (value === null || !partsOf(metric, event).some((part) => part.key === key)) continue;
    if (typeof value === 'string') texts.add(shortened(value));
    const isCount = metric.aggregation.type === 'COUNT' || typeof value === 'string';
    const own = sumsOf({ timestamp: event.timestamp, arrival, value: isCount ? null : value });
    sums = sums === null ? own : addSums(sums, own);
  }
  const latest = sums?.latest;
  await tx.query(
    `update usage_rollups set count = $3, total = $4, max = $5, last_value = $6, last_time = $7, last_arrival = $8
     where series_id = $1 and grain = 60 and bucket = $2`,
    [
      seriesId,
      iso(start),
      (sums?.count ?? 0n).toString(),
      toText(sums?.total ?? ZERO),
      sums?.max == null ? null : toText(sums.max),
      latest?.value == null ? null : toText(latest.value),
      iso(latest?.timestamp ?? start),
      (latest?.arrival ?? 0n).toString(),
    ],
  );
  await addUp(tx, seriesId, 60, 1440, start);
  await addUp(tx, seriesId, 1440, 30_000, start);
  await tx.query('delete from usage_texts where series_id = $1 and bucket = $2 and text <> all($3::text[])', [
    seriesId,
    iso(start),
    [...texts],
  ]);
}

/** Makes one coarse row of the fine ones in it. */
async function addUp(
  tx: Transaction,
  seriesId: string,
  fine: 60 | 1440,
  coarse: 1440 | 30_000,
  instant: Instant,
): Promise<void> {
  const bucket = bucketOf(coarse, instant);
  await tx.query(
    `update usage_rollups d set count = h.count, total = h.total, max = h.max, last_value = h.last_value,
       last_time = h.last_time, last_arrival = h.last_arrival
     from (
       select sum(count) as count, sum(total) as total, max(max) as max,
         (array_agg(last_value order by count > 0 desc, last_time desc, last_arrival desc))[1] as last_value,
         (array_agg(last_time order by count > 0 desc, last_time desc, last_arrival desc))[1] as last_time,
         (array_agg(last_arrival order by count > 0 desc, last_time desc, last_arrival desc))[1] as last_arrival
       from usage_rollups where series_id = $1 and grain = $4 and bucket >= $2 and bucket < $3
     ) as h
     where d.series_id = $1 and d.grain = $5 and d.bucket = $2`,
    [seriesId, iso(bucket), iso(bucketEnd(coarse, bucket)), fine, coarse],
  );
}
