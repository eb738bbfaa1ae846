import type { Core } from '../src/core.js';
import { expireAuthorizations } from '../src/storage/authorizations.js';
import { purgeIdempotencyKeys } from '../src/storage/idempotency.js';
import { findOverdueContracts, findUnstartedContracts } from '../src/storage/contracts.js';
import { findOverdue, findUnstarted } from '../src/storage/schedule.js';
import { findAdvancingClocks } from '../src/storage/testClocks.js';
import type { ReconcileReport } from '../workflows/messages.js';

export interface ReconcileActivities {
  reconcileSubscriptions(): Promise<ReconcileReport>;
}

/** How long something may be late before it counts as forgotten rather than busy. */
const UNSTARTED_AFTER_MS = 5_000;
const OVERDUE_AFTER_MS = 60_000;
const BATCH_MAX = 500;
const EXPIRED_MAX = 50_000;

export interface ReconcileDeps {
  core: Core;
  /** The longest shift of a wake-up after a due instant. */
  spreadMs: number;
}

export function createReconcileActivities({ core, spreadMs }: ReconcileDeps): ReconcileActivities {
  return {
    async reconcileSubscriptions() {
      const { db, log, workflows } = core;
      const now = core.now();
      const unstarted = await findUnstarted(db, now - UNSTARTED_AFTER_MS, BATCH_MAX);
      for (const ref of unstarted) await workflows.startSubscription(ref);
      const overdue = await findOverdue(db, now - OVERDUE_AFTER_MS - spreadMs, BATCH_MAX);
      for (const ref of overdue) {
        await workflows.startSubscription(ref);
        await workflows.wakeSubscription(ref);
      }
      const contracts = await mendContracts(core, now, spreadMs);
      const clocks = await findAdvancingClocks(db);
      for (const ref of clocks) await workflows.advanceTestClock(ref);
      await purgeIdempotencyKeys(db, now);
      await expireAuthorizations(db, now, EXPIRED_MAX);
      const report: ReconcileReport = {
        started: [...unstarted.map((ref) => ref.subscriptionId), ...contracts.started],
        woken: [...overdue.map((ref) => ref.subscriptionId), ...contracts.woken],
        clocks: clocks.map((ref) => ref.testClockId),
      };
      if (report.started.length > 0 || report.woken.length > 0) {
        log.warn(
          report,
          'reconcile found subscriptions or contracts that nobody was working on, and mended them',
        );
      }
      return report;
    },
  };
}

async function mendContracts({ db, workflows }: Core, now: number, spreadMs: number) {
  const unstarted = await findUnstartedContracts(db, now - UNSTARTED_AFTER_MS, BATCH_MAX);
  for (const ref of unstarted) await workflows.startContract(ref);
  const overdue = await findOverdueContracts(db, now - OVERDUE_AFTER_MS - spreadMs, BATCH_MAX);
  for (const ref of overdue) {
    await workflows.startContract(ref);
    await workflows.wakeContract(ref);
  }
  return { started: unstarted.map((ref) => ref.contractId), woken: overdue.map((ref) => ref.contractId) };
}
