import type { UsageFilter } from '../../domain/contract/contract.js';
import { invalid, notFound } from '../../domain/errors.js';
import { findBalancesOf, updateBalance } from '../../storage/balances.js';
import { findContractInvoicesOf } from '../../storage/contractInvoices.js';
import { findContract, updateContract } from '../../storage/contracts.js';
import type { ContractRecord } from '../../domain/contract/contract.js';
import type { ContractChange } from './create.js';
import { tellOfContractEdit } from './notifications.js';
import { contractsChanged } from './plan.js';
import { voidContractInvoice } from './void.js';

/** The customer's contract, locked. */
export async function lockContract(change: ContractChange, contractId: string): Promise<ContractRecord> {
  const contract = await findContract(change.tx, change.accountId, contractId, true);
  if (contract === null || contract.customerId !== change.customer.id) {
    throw notFound('contract', contractId, 'contract_id');
  }
  return contract;
}

/** Ends a contract for good: its drafts, commits and credits are gone, its final invoices are voided if asked. */
export async function archiveContract(
  change: ContractChange,
  contractId: string,
  voidInvoices: boolean,
): Promise<void> {
  const { tx, core, accountId, customer, now } = change;
  const contract = await lockContract(change, contractId);
  if (contract.archivedAt !== null) throw invalid(`Contract ${contractId} is archived already.`);
  await updateContract(tx, accountId, { ...contract, archivedAt: now }, now);
  for (const balance of await findBalancesOf(tx, accountId, customer.id)) {
    if (balance.contractId !== contractId || balance.archivedAt !== null) continue;
    await updateBalance(tx, accountId, { ...balance, archivedAt: now }, now);
  }
  if (voidInvoices) {
    for (const invoice of await findContractInvoicesOf(tx, accountId, customer.id)) {
      if (invoice.contractId !== contractId || invoice.status === 'VOID') continue;
      await voidContractInvoice(change, invoice);
    }
  }
  await contractsChanged(tx, core, accountId, customer, now);
}

/** Routes usage by another key or other values from an instant on. */
export async function setUsageFilter(
  change: ContractChange,
  contractId: string,
  filter: UsageFilter,
): Promise<void> {
  const { tx, accountId } = change;
  const contract = await lockContract(change, contractId);
  const startingAt = Math.max(filter.startingAt, contract.startingAt);
  const earlier = contract.document.usageFilters
    .filter((one) => one.startingAt < startingAt)
    .map((one) => ({ ...one, endingBefore: Math.min(one.endingBefore ?? startingAt, startingAt) }));
  const usageFilters = [...earlier, { ...filter, startingAt }];
  const after = { ...contract, document: { ...contract.document, usageFilters } };
  await updateContract(tx, accountId, after, change.now);
  await tellOfContractEdit(tx, { accountId, customer: change.customer }, after, change.now);
  await contractsChanged(tx, change.core, accountId, change.customer, change.now);
}
