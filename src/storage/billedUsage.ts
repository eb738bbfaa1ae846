import { type Decimal, parseDecimal, toText } from '../domain/decimal.js';
import type { Instant, Period } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';

/** What has been billed so far for one metered item and one closed period. */
export interface BilledUsage {
  subscriptionItemId: string;
  period: Period;
  priceId: string;
  quantity: Decimal;
  /** Minor units, the sum of all lines that billed this item and period. */
  amount: bigint;
}

/** Closed periods of these items that ended after `endedAfter`: those that late events can still reach. */
export async function findBilledUsage(
  q: Queryable,
  accountId: string,
  subscriptionItemIds: readonly string[],
  endedAfter: Instant,
): Promise<BilledUsage[]> {
  const rows = await q.query<{
    subscriptionItemId: string;
    start: Instant;
    end: Instant;
    priceId: string;
    quantity: string;
    amount: bigint;
  }>(
    `select subscription_item_id as "subscriptionItemId", period_start as start, period_end as "end",
       price_id as "priceId", quantity, amount
     from billed_usage
     where account_id = $1 and subscription_item_id = any($2) and period_end > $3
     order by period_end, subscription_item_id`,
    [accountId, subscriptionItemIds, timestamp(endedAfter)],
  );
  return rows.map(({ start, end, quantity, ...row }) => ({
    ...row,
    period: { start, end },
    quantity: parseDecimal(quantity),
  }));
}

/** Records what an invoice has billed of a period: the whole quantity known, and this invoice's amount on top. */
export async function addBilledUsage(
  q: Queryable,
  accountId: string,
  invoiceId: string,
  billed: BilledUsage,
): Promise<void> {
  await q.query(
    `insert into billed_usage
       (account_id, subscription_item_id, period_start, period_end, price_id, quantity, amount, invoice_id)
     values ($1, $2, $3, $4, $5, $6, $7, $8)
     on conflict (account_id, subscription_item_id, period_start) do update
       set quantity = excluded.quantity, amount = billed_usage.amount + excluded.amount,
           invoice_id = excluded.invoice_id`,
    [
      accountId,
      billed.subscriptionItemId,
      timestamp(billed.period.start),
      timestamp(billed.period.end),
      billed.priceId,
      toText(billed.quantity),
      billed.amount,
      invoiceId,
    ],
  );
}
