import type { Core } from '../../core.js';
import { truncateAccess } from '../../domain/contract/balance.js';
import type { BalanceRecord, ContractDocument, ContractRecord } from '../../domain/contract/contract.js';
import { firstLifecycleEvent } from '../../domain/contract/lifecycle.js';
import { BillingError, invalid, notFound } from '../../domain/errors.js';
import type { Instant } from '../../domain/period.js';
import { findBalancesOf, insertBalance, updateBalance } from '../../storage/balances.js';
import { findClosedStatements } from '../../storage/contractInvoices.js';
import { findContract, insertContract, updateContract } from '../../storage/contracts.js';
import { type CustomerRecord, findCustomer } from '../../storage/customers.js';
import type { Transaction } from '../../storage/db.js';
import { customerNowForChange } from '../clock.js';
import { checkThresholdTerms } from '../thresholdTerms.js';
import { checkNewParts } from './customFields.js';
import { writeRollovers } from './finalize.js';
import { openInvoices } from './open.js';
import { tellOfContractEdit } from './notifications.js';
import { contractsChanged } from './plan.js';

/** A contract as it is agreed, with the commits and credits that it brings. */
export interface NewContract {
  id: string;
  rateCardId: string | null;
  packageId: string | null;
  name: string | null;
  startingAt: Instant;
  endingBefore: Instant | null;
  uniquenessKey: string | null;
  customFields: Readonly<Record<string, string>>;
  balances: readonly BalanceRecord[];
  transition: { fromContractId: string; removeTrueUps: boolean } | null;
  document: ContractDocument;
}

/** What a change to a customer's contracts holds: the customer's row, locked, and its time. */
export interface ContractChange {
  tx: Transaction;
  core: Core;
  accountId: string;
  customer: CustomerRecord;
  now: Instant;
}

/** Locks the customer for a change to its contracts and holds its clock still. */
export async function lockForChange(
  tx: Transaction,
  core: Core,
  accountId: string,
  customerId: string,
): Promise<ContractChange> {
  const found = await findCustomer(tx, accountId, customerId);
  if (found === null) throw notFound('customer', customerId, 'customer_id');
  const now = await customerNowForChange(tx, core, accountId, found);
  const customer = await findCustomer(tx, accountId, customerId, 'update');
  if (customer === null) throw notFound('customer', customerId, 'customer_id');
  return { tx, core, accountId, customer, now };
}

/** Stores a contract and starts its workflow after the commit. Ends the contract that it renews. */
export async function createContract(change: ContractChange, contract: NewContract): Promise<ContractRecord> {
  const { tx, core, accountId, customer, now } = change;
  const transitions: ContractDocument['transitions'] =
    contract.transition === null
      ? []
      : [{ type: 'RENEWAL', fromContractId: contract.transition.fromContractId, toContractId: contract.id }];
  const record: ContractRecord = {
    id: contract.id,
    customerId: customer.id,
    testClockId: customer.testClockId,
    rateCardId: contract.rateCardId,
    packageId: contract.packageId,
    name: contract.name,
    startingAt: contract.startingAt,
    endingBefore: contract.endingBefore,
    uniquenessKey: contract.uniquenessKey,
    document: { ...contract.document, transitions },
    customFields: contract.customFields,
    createdAt: now,
    archivedAt: null,
    nextDueAt: null,
  };
  await checkThresholdTerms(tx, accountId, record);
  const { subscriptions, scheduledCharges } = record.document;
  const { balances } = contract;
  await checkNewParts(tx, accountId, { contracts: [record], balances, subscriptions, scheduledCharges });
  await insertContract(tx, accountId, record);
  for (const balance of balances) await insertBalance(tx, accountId, balance);
  if (contract.transition !== null) await renew(change, record, contract.transition);
  const since = firstLifecycleEvent([record], balances, now);
  await contractsChanged(tx, core, accountId, customer, now, since);
  return record;
}

async function renew(
  change: ContractChange,
  renewal: ContractRecord,
  transition: { fromContractId: string; removeTrueUps: boolean },
): Promise<void> {
  const { tx, accountId, customer } = change;
  const from = await findContract(tx, accountId, transition.fromContractId, true);
  if (from === null || from.customerId !== customer.id || from.archivedAt !== null) {
    throw invalid(`Invalid 'transition.from_contract_id': no such contract: ${transition.fromContractId}.`);
  }
  if (from.startingAt >= renewal.startingAt) {
    throw invalid("Invalid 'transition': the new contract must start after the one that it renews.");
  }
  const ended = from.endingBefore !== null && from.endingBefore <= renewal.startingAt;
  const end = ended ? (from.endingBefore ?? renewal.startingAt) : renewal.startingAt;
  const transitions = [...from.document.transitions, ...renewal.document.transitions];
  const renewed: ContractRecord = { ...from, document: { ...from.document, transitions } };
  await endContract(change, renewed, end, false);
  const closed = (await findClosedStatements(tx, accountId, [from.id])).get(from.id);
  if (closed !== undefined && closed >= end) await handOver(change, from.id, closed);
  const after = await endContract(change, renewed, end, false);
  await tellOfContractEdit(tx, { accountId, customer }, after, change.now);
  if (!transition.removeTrueUps) return;
  for (const balance of await findBalancesOf(tx, accountId, customer.id)) {
    if (balance.contractId !== from.id || balance.type !== 'POSTPAID') continue;
    await updateBalance(tx, accountId, { ...balance, trueUpDisabled: true }, change.now);
  }
}

/** The last statement of the contract is final already: what its renewal takes over is certain at once. */
async function handOver(change: ContractChange, contractId: string, finalThrough: Instant): Promise<void> {
  const { tx, core, accountId, customer, now } = change;
  const open = await openInvoices(tx, core, accountId, customer, { at: now, handOver: contractId });
  await writeRollovers(tx, { accountId, contractId }, open, finalThrough);
}

/**
 * Writes a contract with a new end; null is open. An earlier end cuts its terms: later segments, purchases and charges
 * are gone. A later one extends nothing but the statements (docs.metronome.com/api-reference, updateEndDate). Refuses
 * an end before a final statement unless told otherwise.
 */
export async function endContract(
  { tx, accountId, customer, now }: ContractChange,
  contract: ContractRecord,
  end: Instant | null,
  allowBeforeFinalized: boolean,
): Promise<ContractRecord> {
  if (end !== null && end <= contract.startingAt) {
    throw invalid("Invalid 'ending_before': must be after the contract's start.");
  }
  const closed = (await findClosedStatements(tx, accountId, [contract.id])).get(contract.id);
  if (end !== null && closed !== undefined && end < closed && !allowBeforeFinalized) {
    throw new BillingError(
      'invalid',
      'The contract has a finalized invoice after the new end; set allow_contract_ending_before_finalized_invoice.',
    );
  }
  const earlier = end !== null && (contract.endingBefore === null || end < contract.endingBefore);
  const record: ContractRecord = {
    ...contract,
    endingBefore: end,
    document: earlier ? cutDocument(contract.document, end) : contract.document,
  };
  await updateContract(tx, accountId, record, now);
  if (!earlier) return record;
  for (const balance of await findBalancesOf(tx, accountId, customer.id)) {
    if (balance.contractId !== contract.id) continue;
    const cut = cutBalance(balance, end);
    if (cut !== balance) await updateBalance(tx, accountId, cut, now);
  }
  return record;
}

function cutDocument(document: ContractDocument, end: Instant): ContractDocument {
  return {
    ...document,
    scheduledCharges: document.scheduledCharges.map((charge) => ({
      ...charge,
      items: charge.items.filter(({ timestamp }) => timestamp < end),
    })),
  };
}

function cutBalance(balance: BalanceRecord, end: Instant): BalanceRecord {
  const { access } = truncateAccess(balance, end);
  const { invoiceSchedule: invoice, type } = balance;
  const schedule =
    invoice === null
      ? null
      : {
          ...invoice,
          items:
            type === 'POSTPAID'
              ? invoice.items.map((item) => ({ ...item, timestamp: Math.min(item.timestamp, end) }))
              : invoice.items.filter(({ timestamp }) => timestamp < end),
        };
  return { ...balance, access, invoiceSchedule: schedule };
}
