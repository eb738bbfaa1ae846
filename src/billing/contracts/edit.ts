import type { BalanceRecord, ContractRecord } from '../../domain/contract/contract.js';
import { firstLifecycleEvent } from '../../domain/contract/lifecycle.js';
import { recurringGrants } from '../../domain/contract/recurring.js';
import { invalid } from '../../domain/errors.js';
import type { Instant } from '../../domain/period.js';
import { findUsedSegments, insertBalance, updateBalance } from '../../storage/balances.js';
import { findContractInvoicesOf } from '../../storage/contractInvoices.js';
import { insertContractEdit, updateContract } from '../../storage/contracts.js';
import { checkThresholdTerms } from '../thresholdTerms.js';
import { lockContract } from './changes.js';
import type { ContractChange } from './create.js';
import { endContract } from './create.js';
import { checkNewParts } from './customFields.js';
import { newUuid } from './ids.js';
import { tellOfBalanceEdit, tellOfContractEdit } from './notifications.js';
import { contractsChanged } from './plan.js';
import { type ContractState, grantContext } from './state.js';

/** A contract after an edit, and what became of its balances. */
export interface EditedContract {
  before: ContractRecord;
  after: ContractRecord;
  /** Undefined leaves the end as it is; null opens it. */
  end: Instant | null | undefined;
  allowEndBeforeFinalized: boolean;
  added: readonly BalanceRecord[];
  changed: readonly BalanceRecord[];
  uniquenessKey: string | null;
  /** The edit in the words of the API, with the ids that the server gave. */
  words: unknown;
}

/** Writes an edit with its history. Returns the edit's id. Final invoices stay as they are; drafts follow at once. */
export async function saveEdit(change: ContractChange, edit: EditedContract): Promise<string> {
  const { tx, core, accountId, customer, now } = change;
  const { before, after } = edit;
  await checkThresholdTerms(tx, accountId, after);
  await checkNewParts(tx, accountId, {
    balances: edit.added,
    subscriptions: newOnes(before.document.subscriptions, after.document.subscriptions),
    scheduledCharges: newOnes(before.document.scheduledCharges, after.document.scheduledCharges),
  });
  const id = newUuid();
  const { uniquenessKey, words } = edit;
  await insertContractEdit(
    tx,
    { accountId, contractId: after.id },
    { id, at: now, uniquenessKey, edit: words },
  );
  await updateContract(tx, accountId, after, now);
  for (const balance of edit.added) await insertBalance(tx, accountId, balance);
  for (const balance of edit.changed) await updateBalance(tx, accountId, balance, now);
  if (edit.end !== undefined) await endContract(change, after, edit.end, edit.allowEndBeforeFinalized);
  const told = { accountId, customer };
  await tellOfContractEdit(tx, told, after, now);
  for (const balance of edit.changed) await tellOfBalanceEdit(tx, told, balance, now);
  const ended = edit.end === undefined ? after : { ...after, endingBefore: edit.end };
  const since = firstLifecycleEvent([ended], [...edit.added, ...edit.changed], now);
  await contractsChanged(tx, core, accountId, customer, now, since);
  return id;
}

/** What an edit has added to a list. */
export function newOnes<T extends { id: string }>(before: readonly T[], after: readonly T[]): T[] {
  const known = new Set(before.map(({ id }) => id));
  return after.filter(({ id }) => !known.has(id));
}

/**
 * Writes an edit of a single commit or credit. That of a contract joins the contract's history; `words` are the edit in
 * those of a contract's.
 */
export async function saveBalanceEdit(
  change: ContractChange,
  { before, after }: { before: BalanceRecord; after: BalanceRecord },
  words: unknown,
): Promise<void> {
  const { tx, core, accountId, customer, now } = change;
  const { added, changed } = splitByRow([after], [before]);
  if (after.contractId !== null) {
    const contract = await lockContract(change, after.contractId);
    const edit = { before: contract, after: contract, end: undefined, allowEndBeforeFinalized: false };
    await saveEdit(change, { ...edit, added, changed, uniquenessKey: null, words });
    return;
  }
  for (const balance of changed) await updateBalance(tx, accountId, balance, now);
  await tellOfBalanceEdit(tx, { accountId, customer }, after, now);
  await contractsChanged(tx, core, accountId, customer, now, firstLifecycleEvent([], [after], now));
}

/** Grants of recurring ones have no row until something about them changes: they get one as they were, then it changes. */
export function splitByRow(
  edited: readonly BalanceRecord[],
  known: readonly BalanceRecord[],
): { added: BalanceRecord[]; changed: BalanceRecord[] } {
  const computed = new Set(edited.filter(({ origin }) => origin === 'recurring').map(({ id }) => id));
  const withRow = (one: BalanceRecord): BalanceRecord =>
    one.origin === 'recurring' ? { ...one, origin: 'request' } : one;
  return { added: known.filter(({ id }) => computed.has(id)).map(withRow), changed: edited.map(withRow) };
}

/** What of a customer's balances final invoices stand on. */
export interface FrozenFacts {
  /** Segments from which an invoice that is not void has taken something. */
  segments: ReadonlySet<string>;
  /** Schedule items by id that are on an invoice. */
  items: ReadonlyMap<string, { voided: boolean }>;
}

export async function frozenFacts(
  { tx, accountId, customer }: ContractChange,
  state: ContractState,
): Promise<FrozenFacts> {
  const invoices = await findContractInvoicesOf(tx, accountId, customer.id);
  const status = new Map(invoices.map(({ id, status: one }) => [id, one]));
  const items = new Map<string, { voided: boolean }>();
  for (const { billed } of state.contracts) {
    for (const [key, invoiceId] of billed) {
      const [kind, itemId] = key.split('/');
      if (invoiceId === null || itemId === undefined || (kind !== 'purchase' && kind !== 'scheduled'))
        continue;
      items.set(itemId, { voided: status.get(invoiceId) === 'VOID' });
    }
  }
  return { segments: await findUsedSegments(tx, accountId, customer.id), items };
}

/** The balance, archived. Refused while an invoice that is not void stands on it (docs.metronome.com, "archive a commit"). */
export function archivedBalance(
  balance: BalanceRecord,
  frozen: FrozenFacts,
  now: Instant,
  where: string,
): BalanceRecord {
  if (balance.archivedAt !== null) throw invalid(`Invalid '${where}': ${balance.id} is archived already.`);
  const used = balance.access.some(({ id }) => frozen.segments.has(id));
  const invoiced =
    balance.invoiceSchedule?.items.some(({ id }) => frozen.items.get(id)?.voided === false) ?? false;
  if (used || invoiced) {
    throw invalid(`Invalid '${where}': ${balance.id} is on finalized invoices; void them first.`);
  }
  return { ...balance, archivedAt: now };
}

/**
 * The grants that a recurring commit or credit has made so far, to be stored as they are: a change of its terms
 * reaches only those whose access has not started.
 */
export function grantsMade(
  state: ContractState,
  contract: ContractRecord,
  recurringId: string,
  now: Instant,
): BalanceRecord[] {
  const recurring = contract.document.recurring.find(({ id }) => id === recurringId);
  if (recurring === undefined) return [];
  const made = new Set(
    recurringGrants(recurring, grantContext(state.accountId, contract, state.units), now).map(({ id }) => id),
  );
  return state.balances
    .filter((balance) => made.has(balance.id) && balance.origin === 'recurring')
    .map((balance) => ({ ...balance, origin: 'request' }));
}
