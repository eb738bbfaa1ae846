import type { SubscriptionRef } from '../core.js';
import type { Instant } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';

/** A subscription on a test clock that has something to do, and when. */
export interface DueSubscription extends SubscriptionRef {
  dueAt: Instant;
}

/** Subscriptions of a test clock whose next step is due by `until`, the earliest instant first. */
export function findDueOnClock(
  q: Queryable,
  accountId: string,
  testClockId: string,
  until: Instant,
): Promise<DueSubscription[]> {
  return q.query<DueSubscription>(
    `select account_id as "accountId", id as "subscriptionId", next_due_at as "dueAt" from subscriptions
     where account_id = $1 and test_clock_id = $2 and next_due_at <= $3
     order by next_due_at, id`,
    [accountId, testClockId, timestamp(until)],
  );
}

/** Subscriptions on wall time whose step was due before `before` and has not been done. */
export function findOverdue(q: Queryable, before: Instant, limit: number): Promise<SubscriptionRef[]> {
  return q.query<SubscriptionRef>(
    `select account_id as "accountId", id as "subscriptionId" from subscriptions
     where next_due_at < $1 and test_clock_id is null order by next_due_at limit $2`,
    [timestamp(before), limit],
  );
}

/** Subscriptions created before `before` whose workflow was never seen to start. */
export function findUnstarted(q: Queryable, before: Instant, limit: number): Promise<SubscriptionRef[]> {
  return q.query<SubscriptionRef>(
    `select account_id as "accountId", id as "subscriptionId" from subscriptions
     where workflow_started_at is null and inserted_at < $1 order by inserted_at limit $2`,
    [timestamp(before), limit],
  );
}

export async function markWorkflowStarted(q: Queryable, ref: SubscriptionRef, at: Instant): Promise<void> {
  await q.query(
    `update subscriptions set workflow_started_at = $3
     where account_id = $1 and id = $2 and workflow_started_at is null`,
    [ref.accountId, ref.subscriptionId, timestamp(at)],
  );
}

/** When the subscription has work next, null for never again. The caller holds its row. */
export async function setNextDue(q: Queryable, ref: SubscriptionRef, at: Instant | null): Promise<void> {
  await q.query('update subscriptions set next_due_at = $3 where account_id = $1 and id = $2', [
    ref.accountId,
    ref.subscriptionId,
    timestamp(at),
  ]);
}
