import type { ContractRef, Core } from '../../core.js';
import { deductionEntry, trueUpEntries } from '../../domain/contract/balance.js';
import type { LedgerEntry } from '../../domain/contract/balanceTerms.js';
import type { DraftInvoice } from '../../domain/contract/draft.js';
import { firstLifecycleEvent } from '../../domain/contract/lifecycle.js';
import type { Instant } from '../../domain/period.js';
import { writersFinished } from '../../metering/metrics/count.js';
import { insertBalance, insertBalanceEntries } from '../../storage/balances.js';
import { insertBilledLines, insertContractInvoice } from '../../storage/contractInvoices.js';
import { findContract, setContractDue } from '../../storage/contracts.js';
import { requestCheck } from '../../storage/customerChecks.js';
import { type CustomerRecord, findCustomer } from '../../storage/customers.js';
import type { Transaction } from '../../storage/db.js';
import { announceClosing, recordNextStatement, settleLateUsage } from '../../storage/lateUsage.js';
import { type ContractStep, dueKeys, isDue, nextContractStep, nextStatement } from './due.js';
import { writeCounted } from './late.js';
import { tellOfFinal } from './notifications.js';
import { type OpenInvoices, openInvoicesOf } from './open.js';
import { type ContractState, loadContractState, stateBefore } from './state.js';

/**
 * Does the contract's next step if it is due by `now`. Before a statement is closed, that is made known to whoever
 * stores usage, and those who may not have seen it are waited for: usage is then either on the statement or noticed as
 * late, however the two meet.
 */
export async function takeContractStep(
  core: Pick<Core, 'now' | 'db'>,
  ref: ContractRef,
  now: Instant,
): Promise<void> {
  if (await announceClosing(core.db, ref, now)) await writersFinished(core.db, ref.accountId);
  await core.db.transaction((tx) => runContractStep(tx, core, ref, now));
}

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
  const state = await loadContractState(tx, core, ref.accountId, customer, now);
  const step = nextContractStep(state, ref.contractId);
  if (step === null || step.at > now || !isAnnounced(state, ref, step)) {
    await recordContractDue(tx, ref, state);
    return;
  }
  await finalizeStep(tx, ref, state, step);
  await recordContractDue(tx, ref, await loadContractState(tx, core, ref.accountId, customer, now));
}

/** A statement that moved since its closing was announced waits for the next step, which is due at once. */
function isAnnounced(state: ContractState, ref: ContractRef, step: ContractStep): boolean {
  if (step.kind !== 'usage') return true;
  const open = state.contracts.find(({ contract }) => contract.id === ref.contractId);
  return (open?.late?.closingThrough ?? Number.NEGATIVE_INFINITY) >= step.period.end;
}

/** Notes in the contract's row when it has work next, and returns it; reconcile and test clocks go by it. */
export async function recordContractDue(
  tx: Transaction,
  ref: ContractRef,
  state: ContractState,
): Promise<Instant | null> {
  const next = nextContractStep(state, ref.contractId)?.at ?? null;
  await setContractDue(tx, ref, next);
  const open = state.contracts.find(({ contract }) => contract.id === ref.contractId);
  const statement = open === undefined ? null : nextStatement(state, open);
  const known = open?.late ?? null;
  const isKnown =
    known?.nextEnd === (statement?.period.end ?? null) && known.nextAt === (statement?.at ?? null);
  if (isKnown || (known === null && statement === null)) return next;
  const dates = statement === null ? null : { end: statement.period.end, at: statement.at };
  await recordNextStatement(tx, ref, state.customer.id, dates);
  return next;
}

async function finalizeStep(
  tx: Transaction,
  ref: ContractRef,
  state: ContractState,
  step: ContractStep,
): Promise<void> {
  const { customer } = state;
  const at = step.kind === 'usage' ? Math.max(step.at, step.period.end) : step.at;
  const open = await openInvoicesOf(tx, stateBefore(state, at), { at });
  if (step.kind === 'late') {
    await finalizeLate(tx, ref, customer, open, at);
    return;
  }
  if (step.kind === 'usage') {
    const draft = open.drafts.find(
      ({ contractId, type, period }) =>
        contractId === ref.contractId && type === 'USAGE' && period?.start === step.period.start,
    );
    if (draft === undefined)
      throw new Error(`contract ${ref.contractId} has no draft of ${step.period.start}`);
    await writeFinal(tx, ref.accountId, customer, draft, at, null);
    await writeCounted(tx, ref, draft.invoiceId, open.counted.get(draft.invoiceId)?.() ?? []);
    await settleNoticed(tx, ref, open, false);
    await writeRollovers(tx, ref, open, step.period.end);
    return;
  }
  await finalizeScheduled(tx, ref, customer, open, at);
}

/** The late statement of a contract that has no other one left; none where what came has been taken back since. */
async function finalizeLate(
  tx: Transaction,
  ref: ContractRef,
  customer: CustomerRecord,
  open: OpenInvoices,
  at: Instant,
): Promise<void> {
  const draft = open.drafts.find(
    ({ contractId, isLate }) => contractId === ref.contractId && isLate === true,
  );
  if (draft !== undefined) {
    await writeFinal(tx, ref.accountId, customer, draft, at, null);
    await writeCounted(tx, ref, draft.invoiceId, open.counted.get(draft.invoiceId)?.() ?? []);
  }
  await settleNoticed(tx, ref, open, draft !== undefined);
}

/** Late usage that was noticed before the computation is billed now, or dropped for good. */
async function settleNoticed(
  tx: Transaction,
  ref: ContractRef,
  { state }: OpenInvoices,
  byLateStatement: boolean,
): Promise<void> {
  const mark = state.contracts.find(({ contract }) => contract.id === ref.contractId)?.late ?? null;
  if (mark === null || mark.noticed === mark.billed) return;
  await settleLateUsage(tx, ref, mark.noticed, byLateStatement);
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
  await tellOfFinal(tx, { accountId, customer }, draft, at);
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
export async function writeRollovers(
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
    const { customerId } = rollover.balance;
    const since = firstLifecycleEvent([], [rollover.balance], open.state.at);
    await requestCheck(tx, { accountId: ref.accountId, customerId }, since);
    await insertBalanceEntries(
      tx,
      ref.accountId,
      rollover.entries.map(({ balanceId, entry }) => ({ ...entry, balanceId })),
    );
  }
}
