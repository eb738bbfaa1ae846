import type { ContractRef, Core } from '../../core.js';
import { deductionEntry, trueUpEntries } from '../../domain/contract/balance.js';
import type { LedgerEntry } from '../../domain/contract/balanceTerms.js';
import type { DraftInvoice } from '../../domain/contract/draft.js';
import type { Instant } from '../../domain/period.js';
import { insertBalance, insertBalanceEntries } from '../../storage/balances.js';
import { insertBilledLines, insertContractInvoice } from '../../storage/contractInvoices.js';
import { findContract, setContractDue } from '../../storage/contracts.js';
import { type CustomerRecord, findCustomer } from '../../storage/customers.js';
import type { Transaction } from '../../storage/db.js';
import { type ContractStep, dueKeys, isDue, nextContractStep } from './due.js';
import { type OpenInvoices, openInvoices } from './open.js';
import { loadContractState } from './state.js';

/**
 * Does the contract's next step if it is due by `now`, and notes when the one after it is: whatever has happened
 * since the caller looked, so a repeated call does no harm. One transaction; the customer's row is locked first, so
 * nothing else draws on its balances meanwhile.
 */
export async function runContractStep(
  tx: Transaction,
  core: Pick<Core, 'now'>,
  ref: ContractRef,
  now: Instant,
): Promise<void> {
  const contract = await findContract(tx, ref.accountId, ref.contractId);
  if (contract === null) return;
  const customer = await findCustomer(tx, ref.accountId, contract.customerId, 'update');
  if (customer === null) throw new Error(`customer ${contract.customerId} of a contract does not exist`);
  const step = await stepOf(tx, core, ref, customer, now);
  if (step !== null && step.at <= now) await finalizeStep(tx, core, ref, customer, step);
  await recordContractDue(tx, core, ref, customer, now);
}

/** What the contract waits for, from the database. */
export async function stepOf(
  tx: Transaction,
  core: Pick<Core, 'now'>,
  ref: ContractRef,
  customer: CustomerRecord,
  now: Instant,
): Promise<ContractStep | null> {
  return nextContractStep(await loadContractState(tx, core, ref.accountId, customer, now), ref.contractId);
}

/** Notes in the contract's row when it has work next; reconcile and test clocks go by it. */
export async function recordContractDue(
  tx: Transaction,
  core: Pick<Core, 'now'>,
  ref: ContractRef,
  customer: CustomerRecord,
  now: Instant,
): Promise<void> {
  const next = await stepOf(tx, core, ref, customer, now);
  await setContractDue(tx, ref, next?.at ?? null);
}

async function finalizeStep(
  tx: Transaction,
  core: Pick<Core, 'now'>,
  ref: ContractRef,
  customer: CustomerRecord,
  step: ContractStep,
): Promise<void> {
  const at = step.kind === 'usage' ? Math.max(step.at, step.period.end) : step.at;
  const open = await openInvoices(tx, core, ref.accountId, customer, { at });
  if (step.kind === 'usage') {
    const draft = open.drafts.find(
      ({ contractId, type, period }) =>
        contractId === ref.contractId && type === 'USAGE' && period?.start === step.period.start,
    );
    if (draft === undefined)
      throw new Error(`contract ${ref.contractId} has no draft of ${step.period.start}`);
    await writeFinal(tx, ref.accountId, customer, draft, at, null);
    await writeRollovers(tx, ref, open, step.period.end);
    return;
  }
  await finalizeScheduled(tx, ref, customer, open, at);
}

async function finalizeScheduled(
  tx: Transaction,
  ref: ContractRef,
  customer: CustomerRecord,
  open: OpenInvoices,
  at: Instant,
): Promise<void> {
  for (const draft of open.drafts) {
    if (draft.contractId !== ref.contractId || draft.type !== 'SCHEDULED') continue;
    if (!isDue(open.state, open.balances, draft, at)) continue;
    await writeFinal(tx, ref.accountId, customer, draft, at, null);
    await writeTrueUps(tx, ref.accountId, open, draft, at);
  }
  const left = nothingToBill(open, ref.contractId, at);
  if (left.length > 0) await insertBilledLines(tx, ref, left, null);
}

/** Keys of what is due and turned out to cost nothing: a commit without a shortfall, a fee without a price. */
function nothingToBill(open: OpenInvoices, contractId: string, at: Instant): string[] {
  const contract = open.state.contracts.find((one) => one.contract.id === contractId);
  if (contract === undefined) return [];
  const drafted = new Set(
    open.drafts.flatMap((draft) =>
      draft.contractId === contractId ? draft.lines.map(({ key }) => key) : [],
    ),
  );
  return dueKeys(open.state, contract, at).filter(
    (key) => !drafted.has(key) && ![...drafted].some((known) => known.startsWith(`${key}/tier `)),
  );
}

/** Writes an invoice as final with everything that follows from it: its deductions and what it has billed. */
export async function writeFinal(
  tx: Transaction,
  accountId: string,
  customer: CustomerRecord,
  draft: DraftInvoice,
  at: Instant,
  regeneratedFrom: string | null,
): Promise<void> {
  const written = await insertContractInvoice(tx, accountId, {
    id: draft.invoiceId,
    customerId: customer.id,
    contractId: draft.contractId,
    type: draft.type,
    status: 'FINALIZED',
    issuedAt: draft.issuedAt,
    finalizedAt: at,
    voidedAt: null,
    regeneratedFrom,
    invoice: draft,
  });
  if (!written) throw new Error(`invoice ${draft.invoiceId} is final already`);
  await insertBalanceEntries(
    tx,
    accountId,
    draft.deductions.map((deduction) => ({ ...deductionEntry(deduction), balanceId: deduction.balanceId })),
  );
  const billed =
    draft.type === 'SCHEDULED' ? draft.lines : draft.lines.filter(({ type }) => type === 'scheduled');
  const keys = billed.map(({ key }) => key);
  if (keys.length > 0) {
    await insertBilledLines(tx, { accountId, contractId: draft.contractId }, keys, draft.invoiceId);
  }
}

/** Closes the postpaid commits whose shortfall the invoice bills. */
export async function writeTrueUps(
  tx: Transaction,
  accountId: string,
  open: OpenInvoices,
  draft: DraftInvoice,
  at: Instant,
): Promise<void> {
  const bought = new Set(
    draft.lines.flatMap(({ balance }) => (balance?.type === 'POSTPAID' ? [balance.id] : [])),
  );
  const entries: (LedgerEntry & { balanceId: string })[] = open.balances
    .filter(({ id }) => bought.has(id))
    .flatMap((balance) =>
      trueUpEntries(balance, draft.invoiceId, at).map((entry) => ({ ...entry, balanceId: balance.id })),
    );
  await insertBalanceEntries(tx, accountId, entries);
}

/** Once the last statement of a contract that was renewed is final, what moves into the renewal is certain. */
async function writeRollovers(
  tx: Transaction,
  ref: ContractRef,
  open: OpenInvoices,
  finalThrough: Instant,
): Promise<void> {
  const contract = open.state.contracts.find((one) => one.contract.id === ref.contractId)?.contract;
  if (contract?.endingBefore == null || finalThrough < contract.endingBefore) return;
  for (const rollover of open.rolledOver) {
    if (rollover.fromContractId !== ref.contractId) continue;
    await insertBalance(tx, ref.accountId, rollover.balance);
    await insertBalanceEntries(
      tx,
      ref.accountId,
      rollover.entries.map(({ balanceId, entry }) => ({ ...entry, balanceId })),
    );
  }
}
