import type { Instant } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';

export interface CheckRef {
  accountId: string;
  customerId: string;
}

/** A customer to look at. `requests` is what was asked for before the look. */
export interface CustomerCheck extends CheckRef {
  requests: bigint;
}

/** How long a claim lasts when its process dies. */
const CLAIM = `interval '30 seconds'`;
/** Between two looks at one customer, however much usage arrives. */
const SPACING = `interval '150 milliseconds'`;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Asks for a look at the customer once the transaction is committed. `since`, by the customer's time, is from where on
 * something may have happened that nobody was told of.
 */
export async function requestCheck(
  q: Queryable,
  { accountId, customerId }: CheckRef,
  since: Instant | null = null,
): Promise<void> {
  await q.queryNamed(
    'request_check',
    `insert into customer_checks as k (account_id, customer_id, test_clock_id, requests, pending_since, next_look_at)
     select account_id, id, test_clock_id, 1, clock_timestamp(), $3::timestamptz
     from customers where account_id = $1 and id = $2
     on conflict (account_id, customer_id) do update set requests = k.requests + 1, watched = true,
       next_look_at = least(k.next_look_at, $3::timestamptz),
       pending_since = coalesce(k.pending_since, excluded.pending_since)`,
    [accountId, customerId, timestamp(since)],
  );
}

/** When the look at a customer that is made now was due by the customer's time; null when it had no date. */
export async function findLookDate(
  q: Queryable,
  { accountId, customerId }: CheckRef,
): Promise<Instant | null> {
  const rows = await q.queryNamed<{ at: Instant | null }>(
    'find_look_date',
    'select next_look_at as at from customer_checks where account_id = $1 and customer_id = $2',
    [accountId, customerId],
  );
  return rows[0]?.at ?? null;
}

/** Asks for a look at everybody of the account who has contracts or balances, for an alert about all of them. */
export async function requestChecksOfAccount(q: Queryable, accountId: string): Promise<void> {
  await q.query(
    `insert into customer_checks as k (account_id, customer_id, test_clock_id, requests, pending_since)
     select c.account_id, c.id, c.test_clock_id, 1, clock_timestamp() from customers c
     where c.account_id = $1 and c.deleted_at is null
       and (exists (select from contracts k where k.account_id = $1 and k.customer_id = c.id)
         or exists (select from balances b where b.account_id = $1 and b.customer_id = c.id))
     order by c.account_id, c.id
     on conflict (account_id, customer_id) do update set requests = k.requests + 1, watched = true,
       pending_since = coalesce(k.pending_since, excluded.pending_since)`,
    [accountId],
  );
}

/** Asks for a look at everybody who is watched and has a contract on the rate card: all their drafts have changed. */
export async function requestChecksOfRateCard(
  q: Queryable,
  accountId: string,
  rateCardId: string,
): Promise<void> {
  await q.query(
    `with held as materialized (
       select k.account_id, k.customer_id from customer_checks k
       where k.account_id = $1 and k.watched and k.customer_id in (
         select c.customer_id from contracts c
         where c.account_id = $1 and c.rate_card_id = $2 and c.archived_at is null)
       order by k.account_id, k.customer_id for update of k
     )
     update customer_checks k set requests = k.requests + 1,
       pending_since = coalesce(k.pending_since, clock_timestamp())
     from held where k.account_id = held.account_id and k.customer_id = held.customer_id`,
    [accountId, rateCardId],
  );
}

/** Usage under one name of a customer: an id in either dialect, or an alias. */
export interface UsageArrival {
  accountId: string;
  key: string;
  /** Of the earliest event. */
  earliest: Instant;
}

/**
 * Notes that usage has arrived, in the transaction that stores it and after it has written: asks for a look at those
 * customers that are watched, and marks the contracts for which it is late. Rows are locked in one order.
 */
export async function requestChecksOfUsage(q: Queryable, arrivals: readonly UsageArrival[]): Promise<void> {
  if (arrivals.length === 0) return;
  await q.queryNamed(
    'request_checks_of_usage',
    'select request_checks_of_usage($1, $2, $3, $4)',
    arrivalColumns(arrivals),
  );
}

/** The parameters of the SQL function `request_checks_of_usage`. */
export function arrivalColumns(arrivals: readonly UsageArrival[]): unknown[] {
  const all = earliestByName(arrivals);
  return [
    all.map(({ accountId }) => accountId),
    all.map(({ key }) => key),
    all.map(({ key }) => (UUID.test(key) ? key : null)),
    all.map(({ earliest }) => timestamp(earliest)),
  ];
}

function earliestByName(arrivals: readonly UsageArrival[]): UsageArrival[] {
  const distinct = new Map<string, UsageArrival>();
  for (const arrival of arrivals) {
    const name = `${arrival.accountId}\n${arrival.key}`;
    const known = distinct.get(name);
    if (known === undefined || arrival.earliest < known.earliest) distinct.set(name, arrival);
  }
  return [...distinct.values()];
}

/** Takes up to `limit` customers that should be looked at, those that have waited longest first. */
export function claimChecks(q: Queryable, now: Instant, limit: number): Promise<CustomerCheck[]> {
  return q.queryNamed<CustomerCheck>(
    'claim_checks',
    `with waiting as (
       (select account_id, customer_id, pending_since as since from customer_checks
        where pending_since is not null order by pending_since limit $2 * 4)
       union all
       (select account_id, customer_id, next_look_at from customer_checks
        where test_clock_id is null and next_look_at <= $1 order by next_look_at limit $2)
     ), free as (
       select k.account_id, k.customer_id from waiting w join customer_checks k using (account_id, customer_id)
       where (k.claimed_until is null or k.claimed_until <= clock_timestamp())
         and (k.looked_at is null or k.looked_at <= clock_timestamp() - ${SPACING})
       order by w.since limit $2 for update of k skip locked
     )
     update customer_checks k set claimed_until = clock_timestamp() + ${CLAIM}
     from (select distinct account_id, customer_id from free) f
     where k.account_id = f.account_id and k.customer_id = f.customer_id
     returning k.account_id as "accountId", k.customer_id as "customerId", k.requests`,
    [timestamp(now), limit],
  );
}

/** Whether anybody waits at all; cheap, for the polling in quiet times. */
export async function hasChecks(q: Queryable, now: Instant): Promise<boolean> {
  const rows = await q.queryNamed<{ waiting: boolean }>(
    'has_checks',
    `select exists (select from customer_checks where pending_since is not null)
       or exists (select from customer_checks where test_clock_id is null and next_look_at <= $1) as waiting`,
    [timestamp(now)],
  );
  return rows[0]?.waiting === true;
}

/** What a look has found about looking again. */
export interface CheckResult {
  watched: boolean;
  nextLookAt: Instant | null;
}

/** Ends a look, in its own transaction: what was asked for meanwhile stays to be done, from the same date on. */
export async function finishCheck(q: Queryable, check: CustomerCheck, result: CheckResult): Promise<void> {
  await q.queryNamed(
    'finish_check',
    `update customer_checks set claimed_until = null, looked_at = clock_timestamp(),
       next_look_at = case when requests > $3 then least(next_look_at, $5) else $5 end,
       pending_since = case when requests > $3 then clock_timestamp() end,
       watched = case when requests > $3 then watched else $4 end
     where account_id = $1 and customer_id = $2`,
    [check.accountId, check.customerId, check.requests, result.watched, timestamp(result.nextLookAt)],
  );
}

/** Gives a claim back without a look, to be tried again. */
export async function releaseCheck(q: Queryable, { accountId, customerId }: CheckRef): Promise<void> {
  await q.query(
    `update customer_checks set claimed_until = clock_timestamp() + interval '1 second'
     where account_id = $1 and customer_id = $2`,
    [accountId, customerId],
  );
}

/** Whether a look at the customer was asked for and has not been made. */
export async function isCheckPending(q: Queryable, accountId: string, customerId: string): Promise<boolean> {
  const rows = await q.query<{ one: number }>(
    `select 1 as one from customer_checks
     where account_id = $1 and customer_id = $2 and pending_since is not null`,
    [accountId, customerId],
  );
  return rows.length > 0;
}

/** What waits on a test clock, whoever has claimed it. */
export function findPendingOnClock(
  q: Queryable,
  accountId: string,
  testClockId: string,
): Promise<CustomerCheck[]> {
  return q.query<CustomerCheck>(
    `select account_id as "accountId", customer_id as "customerId", requests from customer_checks
     where account_id = $1 and test_clock_id = $2 and pending_since is not null order by customer_id`,
    [accountId, testClockId],
  );
}

/** Customers of a test clock for whom something changes by itself by `until`, the earliest instant first. */
export function findLooksOnClock(
  q: Queryable,
  accountId: string,
  testClockId: string,
  until: Instant,
): Promise<(CustomerCheck & { dueAt: Instant })[]> {
  return q.query<CustomerCheck & { dueAt: Instant }>(
    `select account_id as "accountId", customer_id as "customerId", requests, next_look_at as "dueAt"
     from customer_checks where account_id = $1 and test_clock_id = $2 and next_look_at <= $3
     order by next_look_at, customer_id`,
    [accountId, testClockId, timestamp(until)],
  );
}
