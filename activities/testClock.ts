import { Context } from '@temporalio/activity';
import { completeAdvance } from '../src/billing/testClocks.js';
import { lookAtCustomer } from '../src/billing/watch.js';
import type { ContractRef, Core, SubscriptionRef, TestClockRef } from '../src/core.js';
import { findContractsDueOnClock } from '../src/storage/contracts.js';
import { findLooksOnClock } from '../src/storage/customerChecks.js';
import { findDueOnClock } from '../src/storage/schedule.js';
import { findTestClock, moveTestClock } from '../src/storage/testClocks.js';

export interface TestClockActivities {
  advanceToTarget(ref: TestClockRef): Promise<void>;
  failAdvance(ref: TestClockRef): Promise<void>;
}

export interface TestClockDeps {
  core: Core;
  /** Tells a subscription that its clock stands at `now`; returns when everything due there is done. */
  clockAdvanced(ref: SubscriptionRef, now: number): Promise<void>;
  /** The same for a contract. */
  contractClockAdvanced(ref: ContractRef, now: number): Promise<void>;
  /** Returns when every alert that acknowledged events of the clock's customers make due is recorded. */
  settleAlerts(ref: TestClockRef): Promise<void>;
}

const HEARTBEAT_MS = 2000;
const VISITS_AT_ONCE_MAX = 50;
/** One instant can bring several steps (a finalization and a period end), never this many. */
const IDLE_ROUNDS_MAX = 20;

export function createTestClockActivities(deps: TestClockDeps): TestClockActivities {
  const { core } = deps;
  return {
    /**
     * Moves the clock from due instant to due instant up to its target. What it has done is in the database, so a
     * repeated call goes on where the last one stopped.
     */
    async advanceToTarget(ref) {
      const heartbeat = setInterval(() => {
        Context.current().heartbeat();
      }, HEARTBEAT_MS);
      try {
        await advance(deps, ref);
      } finally {
        clearInterval(heartbeat);
      }
    },
    async failAdvance(ref) {
      await core.db.transaction((tx) => completeAdvance(tx, core, ref, 'internal_failure'));
    },
  };
}

async function advance(deps: TestClockDeps, ref: TestClockRef): Promise<void> {
  const { db } = deps.core;
  const { accountId, testClockId } = ref;
  const { cancellationSignal } = Context.current();
  await deps.settleAlerts(ref);
  let idleRounds = 0;
  let reached = 0;
  for (;;) {
    cancellationSignal.throwIfAborted();
    const clock = await findTestClock(db, accountId, testClockId);
    if (clock === null || clock.targetTime === null) return;
    const due = await findDueOnClock(db, accountId, testClockId, clock.targetTime);
    const contracts = await findContractsDueOnClock(db, accountId, testClockId, clock.targetTime);
    const looks = await findLooksOnClock(db, accountId, testClockId, clock.targetTime);
    const instant = Math.min(
      clock.targetTime,
      ...[due[0], contracts[0], looks[0]].flatMap((first) => (first === undefined ? [] : [first.dueAt])),
    );
    await moveTestClock(db, accountId, testClockId, instant);
    if (due.length + contracts.length + looks.length === 0) {
      await deps.settleAlerts(ref);
      // A top-up that was bought just now is invoiced before the clock is ready.
      if ((await findContractsDueOnClock(db, accountId, testClockId, clock.targetTime)).length === 0) break;
      continue;
    }
    await visit(
      deps,
      due.filter((subscription) => subscription.dueAt === instant),
      instant,
    );
    // One customer's contracts draw on the same balances: one after the other, always in the same order.
    for (const contract of contracts) {
      if (contract.dueAt === instant) await deps.contractClockAdvanced(contract, instant);
    }
    for (const look of looks) if (look.dueAt === instant) await lookAtCustomer(deps.core, look);
    idleRounds = instant > reached ? 0 : idleRounds + 1;
    reached = Math.max(instant, reached);
    if (idleRounds > IDLE_ROUNDS_MAX) {
      throw new Error(`what is due at ${new Date(instant).toISOString()} does not get on with its work`);
    }
  }
  await db.transaction((tx) => completeAdvance(tx, deps.core, ref, 'ready'));
}

async function visit(deps: TestClockDeps, due: readonly SubscriptionRef[], now: number): Promise<void> {
  for (let from = 0; from < due.length; from += VISITS_AT_ONCE_MAX) {
    const some = due.slice(from, from + VISITS_AT_ONCE_MAX);
    await Promise.all(some.map((subscription) => deps.clockAdvanced(subscription, now)));
  }
}
