import type { Decimal } from '../domain/decimal.js';
import type { Queryable } from '../storage/db.js';
import { type Formula, valueByFormula } from './usage.js';

/**
 * A customer's usage on a meter since its first event, by the meter's formula: what alerts are judged by. null when
 * there has been none.
 */
export async function readLifetimeUsage(
  q: Queryable,
  accountId: string,
  meterId: string,
  customerId: string,
): Promise<Decimal | null> {
  const rows = await q.query<{ formula: Formula; count: bigint; total: string; lastValue: string | null }>(
    `select m.formula, t.count, t.total, t.last_value as "lastValue"
     from usage_series s
     join usage_totals t on t.series_id = s.series_id
     join meters m on m.account_id = s.account_id and m.id = s.meter_id
     where s.account_id = $1 and s.meter_id = $2 and s.customer_id = $3 and s.dimension_key = ''`,
    [accountId, meterId, customerId],
  );
  const [row] = rows;
  return row === undefined ? null : valueByFormula(row.formula, row);
}
