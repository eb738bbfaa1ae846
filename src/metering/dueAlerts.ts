import type { Queryable } from '../storage/db.js';

/** An alert that is due for a customer and has not fired. */
export interface DueAlert {
  accountId: string;
  alertId: string;
  customerId: string;
  meterId: string;
}

/**
 * The condition that an alert `a` is due for the series `s` with total `t` on meter `m`: usage since the first event
 * has reached the threshold, and the alert has not fired for this customer. Corrections may take usage below again.
 */
const IS_DUE = `
  a.account_id = s.account_id and a.meter_id = s.meter_id and a.status = 'active'
  and (a.customer_id is null or a.customer_id = s.customer_id)
  and a.threshold <= case m.formula
    when 'sum' then t.total when 'count' then t.count::numeric else t.last_value end
  and not exists (
    select from billing_alert_firings f
    where f.account_id = a.account_id and f.alert_id = a.id and f.customer_id = s.customer_id
  )`;

/** Marks those of the series ($1) for which an alert is due; also run by `add_meter_events`, inside the batch. */
export const MARK_URGENT = `
  update usage_totals as t set urgent_since = clock_timestamp()
  from usage_series s
  join meters m on m.account_id = s.account_id and m.id = s.meter_id
  where t.series_id = any($1::bigint[]) and s.series_id = t.series_id and t.urgent_since is null
    and exists (select from billing_alerts a where ${IS_DUE})`;

/**
 * Marks those of the series for which an alert is due. Only new usage asks, so an alert that is made after the usage
 * waits for more to arrive (docs.stripe.com/billing/subscriptions/usage-based/alerts).
 */
export async function markUrgent(q: Queryable, seriesIds: readonly string[]): Promise<void> {
  if (seriesIds.length > 0) await q.queryNamed('metering_mark_urgent', MARK_URGENT, [seriesIds]);
}

/** Takes the mark from a customer's series for which nothing is due any more. */
export async function clearUrgent(q: Queryable, accountId: string, customerId: string): Promise<void> {
  await q.queryNamed(
    'metering_clear_urgent',
    `update usage_totals as t set urgent_since = null
     from usage_series s
     join meters m on m.account_id = s.account_id and m.id = s.meter_id
     where s.account_id = $1 and s.customer_id = $2 and t.series_id = s.series_id and t.urgent_since is not null
       and not exists (select from billing_alerts a where ${IS_DUE})`,
    [accountId, customerId],
  );
}

/** The due alerts of these customers, on series that were marked. */
export function findDueAlerts(
  q: Queryable,
  customers: readonly { accountId: string; customerId: string }[],
): Promise<DueAlert[]> {
  return q.queryNamed<DueAlert>(
    'metering_due_alerts',
    `select s.account_id as "accountId", a.id as "alertId", s.customer_id as "customerId", s.meter_id as "meterId"
     from unnest($1::text[], $2::text[]) as w (account_id, customer_id)
     join usage_series s on s.account_id = w.account_id and s.customer_id = w.customer_id
     join usage_totals t on t.series_id = s.series_id and t.urgent_since is not null
     join meters m on m.account_id = s.account_id and m.id = s.meter_id
     join billing_alerts a on ${IS_DUE}
     order by a.threshold, a.id`,
    [customers.map((one) => one.accountId), customers.map((one) => one.customerId)],
  );
}

/** The customers of a test clock with a mark. */
export function findUrgentOnClock(
  q: Queryable,
  accountId: string,
  testClockId: string,
): Promise<{ accountId: string; customerId: string }[]> {
  return q.query(
    `select distinct s.account_id as "accountId", s.customer_id as "customerId"
     from customers c
     join usage_series s on s.account_id = c.account_id and s.customer_id = c.id
     join usage_totals t on t.series_id = s.series_id and t.urgent_since is not null
     where c.account_id = $1 and c.test_clock_id = $2`,
    [accountId, testClockId],
  );
}
