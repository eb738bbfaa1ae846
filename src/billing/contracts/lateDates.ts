import type { Core } from '../../core.js';
import type { Instant } from '../../domain/period.js';
import type { CustomerRecord } from '../../storage/customers.js';
import type { Transaction } from '../../storage/db.js';
import { dateLateUsage, findUndatedLateUsage } from '../../storage/lateUsage.js';
import { readSettings } from '../../storage/settings.js';
import { contractsChanged } from './plan.js';

/**
 * Gives a date to late statements of the customer's contracts that have no other statement left: a grace from when the
 * usage was noticed, so what comes together is billed together.
 */
export async function dateLateStatements(
  tx: Transaction,
  core: Core,
  accountId: string,
  customer: CustomerRecord,
  at: Instant,
): Promise<void> {
  const contracts = await findUndatedLateUsage(tx, accountId, customer.id);
  if (contracts.length === 0) return;
  const { lateUsage, contractGraceSeconds } = await readSettings(tx, accountId);
  if (lateUsage === 'drop') return;
  for (const contractId of contracts) {
    await dateLateUsage(tx, { accountId, contractId }, at + contractGraceSeconds * 1000);
  }
  await contractsChanged(tx, core, accountId, customer, at);
}
