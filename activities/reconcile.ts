import type { Core } from '../src/core.js';
import { purgeIdempotencyKeys } from '../src/storage/idempotency.js';
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
      const clocks = await findAdvancingClocks(db);
      for (const ref of clocks) await workflows.advanceTestClock(ref);
      await purgeIdempotencyKeys(db, now);
      const report: ReconcileReport = {
        started: unstarted.map((ref) => ref.subscriptionId),
        woken: overdue.map((ref) => ref.subscriptionId),
        clocks: clocks.map((ref) => ref.testClockId),
      };
      if (report.started.length > 0 || report.woken.length > 0) {
        log.warn(report, 'reconcile found subscriptions that nobody was working on, and mended them');
      }
      return report;
    },
  };
}
