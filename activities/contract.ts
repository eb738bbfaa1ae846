import { loadContractPlan } from '../src/billing/contracts/plan.js';
import { takeContractStep } from '../src/billing/contracts/finalize.js';
import type { ContractRef, Core } from '../src/core.js';
import type { ContractPlan } from '../workflows/messages.js';
import { withBillingErrors } from './failures.js';

export interface ContractActivities {
  loadContractPlan(ref: ContractRef): Promise<ContractPlan | null>;
  runContractStep(step: ContractRef & { now: number }): Promise<ContractPlan | null>;
}

/** What the contract workflow may do to the world: each one transaction on our database, idempotent. */
export function createContractActivities(
  core: Core,
  spreadMs: (ref: ContractRef) => number,
): ContractActivities {
  const plan = (ref: ContractRef) => loadContractPlan(core.db, ref, spreadMs(ref));
  return withBillingErrors<ContractActivities>({
    loadContractPlan: plan,
    async runContractStep({ now, ...ref }) {
      await takeContractStep(core, ref, now);
      return plan(ref);
    },
  });
}
