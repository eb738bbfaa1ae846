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
