import { type Decimal, toText } from '../domain/decimal.js';
import type { Queryable } from '../storage/db.js';

/** What rollups that were replaced or taken back change in the total of their series. */
export interface TotalCorrection {
  seriesId: string;
  count: bigint;
  total: Decimal;
}

const CORRECT_TOTALS = `
  update usage_totals as t set
    count = t.count + w.count,
    total = t.total + w.total,
    (last_value, last_time, last_arrival) = (
      select r.last_value, r.last_time, r.last_arrival from usage_rollups r
      where r.series_id = t.series_id and r.grain = 60 order by r.bucket desc limit 1
    )
  from unnest($1::bigint[], $2::bigint[], $3::numeric[]) as w (series_id, count, total)
  where t.series_id = w.series_id`;

/**
 * Changes totals after rollups were replaced or taken back, and reads their latest value from the rollups again. The
 * caller holds the locks of the series.
 */
export async function correctTotals(q: Queryable, changes: readonly TotalCorrection[]): Promise<void> {
  if (changes.length === 0) return;
  await q.queryNamed('metering_correct_totals', CORRECT_TOTALS, [
    changes.map((change) => change.seriesId),
    changes.map((change) => change.count.toString()),
    changes.map((change) => toText(change.total)),
  ]);
}

const MARK_URGENT = `
  update usage_totals as t set urgent_since = clock_timestamp()
  from usage_series s
  join meters m on m.account_id = s.account_id and m.id = s.meter_id
  where t.series_id = any($1::bigint[]) and s.series_id = t.series_id and t.urgent_since is null
    and exists (
      select from billing_alerts a
      where a.account_id = s.account_id and a.meter_id = s.meter_id and a.status = 'active'
        and (a.customer_id is null or a.customer_id = s.customer_id)
        and a.threshold <= case m.formula
          when 'sum' then t.total when 'count' then t.count::numeric else t.last_value end
        and not exists (
          select from billing_alert_firings f
          where f.account_id = a.account_id and f.alert_id = a.id and f.customer_id = s.customer_id
        )
    )`;

/** Marks those of the series for which an alert is due. Only new usage asks, so an alert waits for some to arrive. */
export async function markUrgent(q: Queryable, seriesIds: readonly string[]): Promise<void> {
  if (seriesIds.length > 0) await q.queryNamed('metering_mark_urgent', MARK_URGENT, [seriesIds]);
}
