import { proxyActivities } from '@temporalio/workflow';
import type { ReconcileActivities } from '../activities/reconcile.js';
import type { ReconcileReport } from './messages.js';

const { reconcileSubscriptions } = proxyActivities<ReconcileActivities>({
  startToCloseTimeout: '5 minutes',
  retry: { maximumAttempts: 5 },
});

/**
 * Finds what should have happened and has not (a subscription without its workflow, a period end or an advance that
 * nobody carries out), mends it and reports it. Run by a schedule.
 */
export async function reconcile(): Promise<ReconcileReport> {
  return reconcileSubscriptions();
}
