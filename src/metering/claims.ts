import type { SubscriptionRef } from '../core.js';
import type { Period } from '../domain/period.js';
import type { Database, Queryable, Transaction } from '../storage/db.js';

/** A customer with usage that nobody has been told about, held by one notifier for a while. */
export interface ClaimedCustomer {
  accountId: string;
  customerId: string;
  /** An alert is due. */
  urgent: boolean;
  subscriptions: ClaimedSubscription[];
  /** The series of the customer that are dirty, as they were just after the claim. */
  series: ClaimedSeries[];
  /** Alerts that were handed to a workflow and have not fired yet: id → epoch ms. */
  alertsSignalled: Readonly<Record<string, number>>;
}

export interface ClaimedSubscription extends SubscriptionRef {
  items: { meterId: string; period: Period }[];
}

export interface ClaimedSeries {
  seriesId: string;
  meterId: string;
  watermark: bigint;
  /** Events that ever arrived, and how many of them nobody has been told about. */
  arrived: bigint;
  news: bigint;
}

export interface Claim {
  customers: ClaimedCustomer[];
  /** Grows from claim to claim, so that what is read under a later claim counts as newer. */
  watermark: bigint;
  /** Signals that may still be sent now. */
  tokensLeft: number;
}

/** How long a claim lasts when its notifier dies; longer than any signal may take. */
export const CLAIM_SECONDS = 30;
/** Between two signals about one customer. */
const SPACING = `interval '1 second'`;
const ALERT_CHECK_SPACING = `interval '250 milliseconds'`;
/** What may be sent at once after a pause, as a share of a second's budget. */
const BURST_SHARE = 0.1;

/**
 * Takes the customers whose turn it is: first those with a due alert, then those that have waited longest; at most one
 * notifier at a time for each, at most one signal a second, and no more than the installation's budget allows. The lock
 * of the budget's row is held for this transaction only, never while signalling.
 */
export function claimCustomers(db: Database, budgetPerSecond: number): Promise<Claim> {
  return db.transaction(async (tx) => {
    const tokens = await refillBudget(tx, budgetPerSecond);
    if (tokens < 1) return { customers: [], watermark: 0n, tokensLeft: tokens };
    const candidates = await findCandidates(tx, Math.floor(tokens));
    if (candidates.length === 0) return { customers: [], watermark: 0n, tokensLeft: tokens };
    const subscriptions = await findSubscriptions(tx, candidates);
    const series = await findDirtySeries(tx, candidates);
    const waiting = candidates.map((candidate) => ({
      ...candidate,
      subscriptions: subscriptions.get(keyOf(candidate)) ?? [],
      series: series.get(keyOf(candidate)) ?? [],
    }));
    const { customers, cost } = affordable(waiting, tokens);
    await tx.query('update signal_budget set tokens = tokens - $1', [cost]);
    const signalled = await takeClaims(tx, customers);
    const [number] = await tx.query<{ value: bigint }>(
      `select nextval('meter_event_batches') * 65536 as value`,
    );
    if (number === undefined) throw new Error('no watermark');
    return {
      customers: customers.map((customer) => ({
        ...customer,
        alertsSignalled: signalled.get(keyOf(customer)) ?? {},
      })),
      watermark: number.value,
      tokensLeft: tokens - cost,
    };
  });
}

type Candidate = Pick<ClaimedCustomer, 'accountId' | 'customerId' | 'urgent'>;
type Waiting = Omit<ClaimedCustomer, 'alertsSignalled'>;

function keyOf(customer: { accountId: string; customerId: string }): string {
  return `${customer.accountId}\n${customer.customerId}`;
}

function customerColumns(customers: readonly { accountId: string; customerId: string }[]): string[][] {
  return [customers.map((one) => one.accountId), customers.map((one) => one.customerId)];
}

async function refillBudget(tx: Transaction, budgetPerSecond: number): Promise<number> {
  const burst = Math.max(1, budgetPerSecond * BURST_SHARE);
  const rows = await tx.query<{ tokens: number }>(
    `update signal_budget set
       tokens = least($2::numeric,
         tokens + $1::numeric * greatest(0, extract(epoch from clock_timestamp() - refilled_at))),
       refilled_at = clock_timestamp()
     returning tokens::double precision as tokens`,
    [budgetPerSecond, burst],
  );
  return rows[0]?.tokens ?? 0;
}

const FREE = `(n.claimed_until is null or n.claimed_until <= clock_timestamp())`;
const NOTICE = `left join usage_notices n on n.account_id = s.account_id and n.customer_id = s.customer_id`;

function findCandidates(tx: Transaction, limit: number): Promise<Candidate[]> {
  return tx.queryNamed<Candidate>(
    'metering_candidates',
    `select account_id as "accountId", customer_id as "customerId", bool_or(urgent) as urgent
     from (
       (select s.account_id, s.customer_id, true as urgent, t.urgent_since as since
        from usage_totals t join usage_series s on s.series_id = t.series_id ${NOTICE}
        where t.urgent_since is not null and ${FREE}
          and (n.alerts_checked_at is null or n.alerts_checked_at <= clock_timestamp() - ${ALERT_CHECK_SPACING})
        order by t.urgent_since limit $1)
       union all
       (select s.account_id, s.customer_id, false, t.dirty_since
        from usage_totals t join usage_series s on s.series_id = t.series_id ${NOTICE}
        where t.dirty_since is not null and ${FREE}
          and (n.signalled_at is null or n.signalled_at <= clock_timestamp() - ${SPACING})
        order by t.dirty_since limit $1)
     ) as waiting
     group by account_id, customer_id
     order by bool_or(urgent) desc, min(since)
     limit $1`,
    [limit],
  );
}

interface ItemRow {
  accountId: string;
  customerId: string;
  subscriptionId: string;
  meterId: string;
  start: number;
  end: number;
}

/** The subscriptions of these customers that have not ended and bill a meter, oldest first. */
async function findSubscriptions(
  q: Queryable,
  customers: readonly Candidate[],
): Promise<Map<string, ClaimedSubscription[]>> {
  const rows = await q.queryNamed<ItemRow>(
    'metering_subscriptions',
    `select b.account_id as "accountId", b.customer_id as "customerId", b.id as "subscriptionId",
       p.meter_id as "meterId", i.period_start as start, i.period_end as end
     from unnest($1::text[], $2::text[]) as w (account_id, customer_id)
     join subscriptions b on b.account_id = w.account_id and b.customer_id = w.customer_id
       and b.ended_at is null and b.status not in ('canceled', 'incomplete_expired')
     join subscription_items i on i.account_id = b.account_id and i.subscription_id = b.id
     join prices p on p.account_id = i.account_id and p.id = i.price_id and p.meter_id is not null
     order by b.created_at, b.id, i.position`,
    customerColumns(customers),
  );
  const found = new Map<string, Map<string, ClaimedSubscription>>();
  for (const { accountId, subscriptionId, meterId, start, end, ...row } of rows) {
    const key = keyOf({ accountId, ...row });
    const ofCustomer = found.get(key) ?? new Map<string, ClaimedSubscription>();
    found.set(key, ofCustomer);
    const subscription = ofCustomer.get(subscriptionId) ?? { accountId, subscriptionId, items: [] };
    ofCustomer.set(subscriptionId, subscription);
    subscription.items.push({ meterId, period: { start, end } });
  }
  return new Map([...found].map(([key, subscriptions]) => [key, [...subscriptions.values()]]));
}

/** Whether there is nobody to tell about the customer's usage, and nothing else to do. */
export function isOfNoConcern(customer: ClaimedCustomer): boolean {
  return !customer.urgent && concerned(customer).length === 0;
}

/** The subscriptions that hear of the dirty series. */
export function concerned({
  subscriptions,
  series,
}: Pick<Waiting, 'subscriptions' | 'series'>): ClaimedSubscription[] {
  const meters = new Set(series.map((one) => one.meterId));
  return subscriptions.filter(({ items }) => items.some((item) => meters.has(item.meterId)));
}

/** As many as the tokens pay for; the first always, so that a customer with very many subscriptions gets its turn. */
function affordable(waiting: readonly Waiting[], tokens: number): { customers: Waiting[]; cost: number } {
  const customers: Waiting[] = [];
  let cost = 0;
  for (const customer of waiting) {
    // An alert goes out with a signal of its own when nothing else does.
    const own = Math.max(concerned(customer).length, customer.urgent ? 1 : 0);
    if (customers.length > 0 && cost + own > tokens) break;
    cost += own;
    customers.push(customer);
  }
  return { customers, cost };
}

async function takeClaims(
  tx: Transaction,
  customers: readonly Candidate[],
): Promise<Map<string, Readonly<Record<string, number>>>> {
  const rows = await tx.queryNamed<{
    accountId: string;
    customerId: string;
    signalled: Record<string, number>;
  }>(
    'metering_claim',
    `insert into usage_notices as n (account_id, customer_id, claimed_until)
     select w.account_id, w.customer_id, clock_timestamp() + interval '${CLAIM_SECONDS} seconds'
     from unnest($1::text[], $2::text[]) as w (account_id, customer_id)
     on conflict (account_id, customer_id) do update set claimed_until = excluded.claimed_until
     returning n.account_id as "accountId", n.customer_id as "customerId", n.alerts_signalled as signalled`,
    customerColumns(customers),
  );
  return new Map(rows.map((row) => [keyOf(row), row.signalled]));
}

async function findDirtySeries(
  q: Queryable,
  customers: readonly Candidate[],
): Promise<Map<string, ClaimedSeries[]>> {
  const rows = await q.queryNamed<ClaimedSeries & { accountId: string; customerId: string }>(
    'metering_dirty_series',
    `select s.account_id as "accountId", s.customer_id as "customerId", s.series_id::text as "seriesId",
       s.meter_id as "meterId", t.watermark, t.arrived, t.arrived - t.notified_arrived as news
     from unnest($1::text[], $2::text[]) as w (account_id, customer_id)
     join usage_series s on s.account_id = w.account_id and s.customer_id = w.customer_id
     join usage_totals t on t.series_id = s.series_id and t.dirty_since is not null`,
    customerColumns(customers),
  );
  const found = new Map<string, ClaimedSeries[]>();
  for (const { accountId, customerId, ...series } of rows) {
    const key = keyOf({ accountId, customerId });
    found.set(key, [...(found.get(key) ?? []), series]);
  }
  return found;
}

/** Whether anybody waits at all; cheap, for the polling in quiet times. */
export async function hasDirtyUsage(db: Database): Promise<boolean> {
  const rows = await db.queryNamed<{ waiting: boolean }>(
    'metering_has_dirty',
    `select exists (select from usage_totals where dirty_since is not null)
       or exists (select from usage_totals where urgent_since is not null) as waiting`,
    [],
  );
  return rows[0]?.waiting === true;
}

export interface ClaimResult {
  accountId: string;
  customerId: string;
  /** The series whose news have been passed on. */
  told: readonly ClaimedSeries[];
  /** Alerts that a workflow has been told of and that have not fired yet; null when alerts were not looked at. */
  alertsSignalled: Readonly<Record<string, number>> | null;
}

/**
 * Gives customers back and records what they have been told about, in one transaction for all of them. Usage that
 * arrived meanwhile keeps a customer dirty.
 */
export async function releaseClaims(db: Database, results: readonly ClaimResult[]): Promise<void> {
  const told = results.flatMap((result) => result.told);
  await db.transaction(async (tx) => {
    if (told.length > 0) {
      await tx.queryNamed(
        'metering_told',
        `with held as materialized (
           select series_id from usage_totals where series_id = any($1::bigint[]) order by series_id for update
         )
         update usage_totals t set
           notified_watermark = greatest(t.notified_watermark, w.watermark),
           notified_arrived = greatest(t.notified_arrived, w.arrived),
           dirty_since = case when t.watermark > w.watermark then clock_timestamp() end
         from held
         join unnest($1::bigint[], $2::bigint[], $3::bigint[]) as w (series_id, watermark, arrived)
           on w.series_id = held.series_id
         where t.series_id = held.series_id`,
        [
          told.map((one) => one.seriesId),
          told.map((one) => one.watermark.toString()),
          told.map((one) => one.arrived.toString()),
        ],
      );
    }
    await tx.queryNamed(
      'metering_release',
      `update usage_notices n set claimed_until = clock_timestamp(), signalled_at = clock_timestamp(),
         alerts_checked_at = case when w.signalled is null then n.alerts_checked_at else clock_timestamp() end,
         alerts_signalled = coalesce(w.signalled, n.alerts_signalled)
       from unnest($1::text[], $2::text[], $3::jsonb[]) as w (account_id, customer_id, signalled)
       where n.account_id = w.account_id and n.customer_id = w.customer_id`,
      [
        ...customerColumns(results),
        results.map(({ alertsSignalled: signalled }) =>
          signalled === null ? null : JSON.stringify(signalled),
        ),
      ],
    );
  });
}
