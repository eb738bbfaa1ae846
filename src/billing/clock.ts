import type { Core } from '../core.js';
import { BillingError, invalid, notFound } from '../domain/errors.js';
import type { Instant } from '../domain/period.js';
import type { Queryable } from '../storage/db.js';
import { findTestClock, type TestClockRecord } from '../storage/testClocks.js';

const SECOND_MS = 1000;

/** Wall time in whole seconds, the resolution of everything that is billed. */
export function wallSecond(core: Pick<Core, 'now'>): Instant {
  const now = core.now();
  return now - (now % SECOND_MS);
}

/**
 * The time a customer lives in: the frozen time of its test clock, or wall time. Everything dated for the customer
 * (objects, periods, events, the window in which usage is accepted) uses it.
 */
export async function customerNow(
  q: Queryable,
  core: Pick<Core, 'now'>,
  accountId: string,
  customer: { testClockId: string | null },
): Promise<Instant> {
  if (customer.testClockId === null) return wallSecond(core);
  const clock = await findTestClock(q, accountId, customer.testClockId);
  return clock?.frozenTime ?? wallSecond(core);
}

/**
 * The same for a change to what the customer is billed: holds the clock still until the transaction ends, and
 * refuses while it advances, since the change would land at an arbitrary instant.
 */
export async function customerNowForChange(
  q: Queryable,
  core: Pick<Core, 'now'>,
  accountId: string,
  customer: { testClockId: string | null },
): Promise<Instant> {
  if (customer.testClockId === null) return wallSecond(core);
  return (await requireReadyClock(q, accountId, customer.testClockId, 'share')).frozenTime;
}

/** The clock, locked. Refuses a clock that is missing or not `ready`. */
export async function requireReadyClock(
  q: Queryable,
  accountId: string,
  testClockId: string,
  lock: 'share' | 'update',
): Promise<TestClockRecord> {
  const clock = await findTestClock(q, accountId, testClockId, lock);
  if (clock === null) throw notFound('test clock', testClockId, 'test_clock');
  if (clock.status === 'advancing') {
    throw new BillingError(
      'too_many_requests',
      `Test clock ${testClockId} is advancing; wait until it is ready.`,
      {
        code: 'lock_timeout',
        retry: true,
      },
    );
  }
  if (clock.status === 'internal_failure') {
    throw invalid(`Test clock ${testClockId} has failed and can no longer be used.`);
  }
  return clock;
}
