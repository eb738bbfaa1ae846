import type { ContractRef, Core } from '../../core.js';
import type { Instant } from '../../domain/period.js';
import { findContract } from '../../storage/contracts.js';
import { requestCheck } from '../../storage/customerChecks.js';
import type { CustomerRecord } from '../../storage/customers.js';
import type { Queryable, Transaction } from '../../storage/db.js';
import { findTestClock } from '../../storage/testClocks.js';
import type { ContractPlan } from '../../../workflows/messages.js';
import { recordContractDue } from './finalize.js';
import { loadContractState } from './state.js';

/** The workflow's picture of the contract, read from the database. Null when the contract is gone. */
export async function loadContractPlan(
  q: Queryable,
  ref: ContractRef,
  spreadMs: number,
): Promise<ContractPlan | null> {
  const contract = await findContract(q, ref.accountId, ref.contractId);
  if (contract === null) return null;
  const { testClockId, nextDueAt } = contract;
  const clock = testClockId === null ? null : await findTestClock(q, ref.accountId, testClockId);
  return {
    customerId: contract.customerId,
    nextDueAt,
    nextStep: nextDueAt === null ? 'none' : `finalize what is due at ${new Date(nextDueAt).toISOString()}`,
    clockNow: testClockId === null ? null : (clock?.frozenTime ?? 0),
    spreadMs: testClockId === null ? spreadMs : 0,
  };
}

/**
 * To be called at the end of whatever changes a customer's contracts or balances: notes anew when each contract has
 * work, and after the commit makes sure that its workflow runs and looks again. `since` is the earliest instant at which
 * the change lets something happen, for those who are told of it.
 */
export async function contractsChanged(
  tx: Transaction,
  core: Core,
  accountId: string,
  customer: CustomerRecord,
  now: Instant,
  since: Instant = now,
): Promise<void> {
  await requestCheck(tx, { accountId, customerId: customer.id }, since);
  const state = await loadContractState(tx, core, accountId, customer, now);
  for (const { id: contractId, nextDueAt: before } of state.allContracts) {
    const ref = { accountId, contractId };
    const after = await recordContractDue(tx, ref, state);
    if (after === null && before === null) continue;
    tx.afterCommit(async () => {
      await core.workflows
        .startContract(ref)
        .then(() => core.workflows.wakeContract(ref))
        .catch((error: unknown) => {
          core.log.warn({ ...ref, error }, 'the workflow of a contract could not be started yet');
        });
    });
  }
}
