import type { Core, TestClockRef } from '../core.js';
import { invalid } from '../domain/errors.js';
import { boundary, type Instant } from '../domain/period.js';
import { newId } from '../ids.js';
import { markClockCustomersDeleted } from '../storage/customers.js';
import type { Transaction } from '../storage/db.js';
import { loadPrices } from '../storage/prices.js';
import { readSettings } from '../storage/settings.js';
import { findOpenSubscriptions, findSubscriptionItems } from '../storage/subscriptions.js';
import {
  deleteTestClock,
  findTestClock,
  finishAdvance,
  insertTestClock,
  startAdvance,
  type TestClockRecord,
} from '../storage/testClocks.js';
import { testClockObject } from '../stripe/testClock.js';
import { endSubscriptions } from './cancellation.js';
import { requireReadyClock, wallSecond } from './clock.js';
import { type EventRequest, emitEvent } from './events.js';

/** Stripe's limits and lifetime (docs.stripe.com/billing/testing/test-clocks/api-advanced-usage). */
const LIFETIME_MS = 30 * 86_400_000;
const ADVANCE_INTERVALS_MAX = 2;
const ADVANCE_YEARS_MAX_WITHOUT_SUBSCRIPTIONS = 2;

export async function createTestClock(
  tx: Transaction,
  core: Core,
  accountId: string,
  clock: { frozenTime: Instant; name: string | null },
  request: EventRequest | null,
): Promise<TestClockRecord> {
  const now = wallSecond(core);
  const record: TestClockRecord = {
    id: newId('testClock'),
    name: clock.name,
    status: 'ready',
    frozenTime: clock.frozenTime,
    targetTime: null,
    createdAt: now,
    deletesAfter: now + LIFETIME_MS,
  };
  await insertTestClock(tx, accountId, record);
  await emitClockEvent(tx, accountId, 'created', record, now, request);
  return record;
}

/**
 * Begins to move a clock to `target` and returns at once, advancing; the clock's workflow does everything that falls
 * due on the way, in order of time, and then makes it ready. Refuses a target that is not later, or too far.
 */
export async function advanceTestClock(
  tx: Transaction,
  core: Core,
  ref: TestClockRef,
  target: Instant,
  request: EventRequest | null,
): Promise<TestClockRecord> {
  const { accountId, testClockId } = ref;
  const clock = await requireReadyClock(tx, accountId, testClockId, 'update');
  if (target <= clock.frozenTime) {
    throw invalid('`frozen_time` must be later than the current time of the test clock.', {
      param: 'frozen_time',
    });
  }
  if (!(await readSettings(tx, accountId)).unlimitedTestClocks) {
    await checkDistance(tx, ref, clock.frozenTime, target);
  }
  await startAdvance(tx, accountId, testClockId, target);
  const advancing: TestClockRecord = { ...clock, status: 'advancing', targetTime: target };
  await emitClockEvent(tx, accountId, 'advancing', advancing, wallSecond(core), request);
  tx.afterCommit(async () => {
    await core.workflows.advanceTestClock(ref).catch((error: unknown) => {
      core.log.warn({ ...ref, error }, 'the advance of a test clock could not be started yet');
    });
  });
  return advancing;
}

/** Ends an advance: the clock stands at its target and is ready, or has failed for good. */
export async function completeAdvance(
  tx: Transaction,
  core: Pick<Core, 'now'>,
  ref: TestClockRef,
  status: 'ready' | 'internal_failure',
): Promise<void> {
  const { accountId, testClockId } = ref;
  if (!(await finishAdvance(tx, accountId, testClockId, status))) return;
  const clock = await findTestClock(tx, accountId, testClockId);
  if (clock !== null) await emitClockEvent(tx, accountId, status, clock, wallSecond(core), null);
}

/** Deletes a clock with its customers and ends their subscriptions. */
export async function removeTestClock(
  tx: Transaction,
  core: Core,
  ref: TestClockRef,
  request: EventRequest | null,
): Promise<void> {
  const { accountId, testClockId } = ref;
  const clock = await requireReadyClock(tx, accountId, testClockId, 'update');
  await endSubscriptions(tx, core, accountId, { testClockId }, request);
  await markClockCustomersDeleted(tx, accountId, testClockId, clock.frozenTime);
  await deleteTestClock(tx, accountId, testClockId, wallSecond(core));
  await emitClockEvent(tx, accountId, 'deleted', clock, wallSecond(core), request);
}

async function checkDistance(
  tx: Transaction,
  ref: TestClockRef,
  from: Instant,
  target: Instant,
): Promise<void> {
  const { accountId, testClockId } = ref;
  const subscriptions = await findOpenSubscriptions(tx, accountId, { testClockId });
  if (subscriptions.length === 0) {
    const furthest = boundary(from, { unit: 'year', count: 1 }, ADVANCE_YEARS_MAX_WITHOUT_SUBSCRIPTIONS);
    if (target <= furthest) return;
    throw tooFar('two years from its current time');
  }
  const items = await findSubscriptionItems(
    tx,
    accountId,
    subscriptions.map((subscription) => subscription.id),
  );
  const prices = await loadPrices(tx, accountId, [...new Set(items.map((item) => item.priceId))]);
  const furthest = [...prices.values()].flatMap((price) =>
    price.recurring === null ? [] : [boundary(from, price.recurring.interval, ADVANCE_INTERVALS_MAX)],
  );
  if (target > Math.min(...furthest)) {
    throw tooFar('two intervals of the shortest subscription on it');
  }
}

function tooFar(limit: string) {
  return invalid(
    `A test clock can advance at most ${limit}. The account setting unlimited_test_clocks lifts this.`,
    { param: 'frozen_time' },
  );
}

async function emitClockEvent(
  tx: Transaction,
  accountId: string,
  what: 'created' | 'advancing' | 'ready' | 'internal_failure' | 'deleted',
  clock: TestClockRecord,
  at: Instant,
  request: EventRequest | null,
): Promise<void> {
  await emitEvent(tx, {
    accountId,
    livemode: false,
    type: `test_helpers.test_clock.${what}`,
    object: testClockObject(clock),
    at,
    request,
  });
}
