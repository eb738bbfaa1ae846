import { fireAlert, type FireAlertInput } from '../src/billing/alerts.js';
import { applyChange } from '../src/billing/cancellation.js';
import { finalizeDueInvoice } from '../src/billing/finalization.js';
import {
  aggregateUsage,
  createCycleInvoice,
  openNextPeriod,
  type PeriodEnd,
} from '../src/billing/periodEnd.js';
import type { ItemUsage } from '../src/billing/recipe.js';
import { loadPlan } from '../src/billing/subscriptionPlan.js';
import type { Core, SubscriptionChange, SubscriptionRef } from '../src/core.js';
import type { SubscriptionPlan } from '../workflows/messages.js';
import { withBillingErrors } from './failures.js';

export interface SubscriptionActivities {
  loadPlan(ref: SubscriptionRef): Promise<SubscriptionPlan | null>;
  aggregateUsage(end: PeriodEnd): Promise<ItemUsage[]>;
  createInvoice(end: PeriodEnd & { usage: ItemUsage[] }): Promise<{ invoiceId: string | null }>;
  openNextPeriod(end: PeriodEnd): Promise<SubscriptionPlan | null>;
  finalizeInvoice(due: SubscriptionRef & { invoiceId: string; at: number }): Promise<SubscriptionPlan | null>;
  applyChange(change: SubscriptionRef & { change: SubscriptionChange }): Promise<SubscriptionPlan | null>;
  fireAlert(alert: FireAlertInput): Promise<void>;
}

/**
 * What the subscription workflow may do to the world: each one transaction on our database, idempotent, under a
 * second. `spreadMs` is how far this subscription's wake-ups are shifted after a due instant.
 */
export function createSubscriptionActivities(
  core: Core,
  spreadMs: (ref: SubscriptionRef) => number,
): SubscriptionActivities {
  const plan = (ref: SubscriptionRef) => loadPlan(core.db, ref, spreadMs(ref));
  return withBillingErrors<SubscriptionActivities>({
    loadPlan: plan,
    aggregateUsage: (end) => aggregateUsage(core.db, end),
    async createInvoice({ usage, ...end }) {
      const created = await core.db.transaction((tx) => createCycleInvoice(tx, end, usage));
      return { invoiceId: created?.invoiceId ?? null };
    },
    async openNextPeriod(end) {
      await core.db.transaction((tx) => openNextPeriod(tx, end));
      return plan(end);
    },
    async finalizeInvoice({ invoiceId, at, ...ref }) {
      await core.db.transaction((tx) =>
        finalizeDueInvoice(tx, { accountId: ref.accountId, invoiceId, at, request: null }),
      );
      return plan(ref);
    },
    async applyChange({ change, ...ref }) {
      await core.db.transaction((tx) => applyChange(tx, core, ref, change, null));
      return plan(ref);
    },
    async fireAlert(alert) {
      await fireAlert(core, alert);
    },
  });
}
