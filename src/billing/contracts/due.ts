import type { DraftInvoice } from '../../domain/contract/draft.js';
import { type BalanceRecord, termsOf } from '../../domain/contract/contract.js';
import { issueDateOf, statementDate } from '../../domain/contract/issueDates.js';
import { recurringGrants } from '../../domain/contract/recurring.js';
import { chargeStatement } from '../../domain/contract/scheduledInvoices.js';
import { statementAt } from '../../domain/contract/statement.js';
import { billingPeriods, hasStatement, subscriptionFees } from '../../domain/contract/subscriptions.js';
import type { Instant, Period } from '../../domain/period.js';
import { hasLateUsage } from './late.js';
import { missedCharges } from './scheduledDrafts.js';
import { type ContractState, grantContext, invoicedBy, type OpenContract } from './state.js';
import { firstOpenStatement } from './statements.js';

/** What a contract has to do next. A statement is known by its start. */
export type ContractStep =
  | { kind: 'usage'; at: Instant; period: Period }
  | { kind: 'late'; at: Instant }
  | { kind: 'scheduled'; at: Instant };

/**
 * The contract's next step: the end of the grace of its first open statement, or the earliest date of something
 * scheduled that no invoice has yet. At one instant the statement goes first, since true-ups follow usage.
 */
export function nextContractStep(state: ContractState, contractId: string): ContractStep | null {
  const open = state.contracts.find(({ contract }) => contract.id === contractId);
  if (open === undefined) return null;
  const usage = nextStatement(state, open) ?? nextLateStatement(state, open);
  const scheduled = nextScheduled(state, open);
  if (usage !== null && (scheduled === null || usage.at <= scheduled)) return usage;
  return scheduled === null ? null : { kind: 'scheduled', at: scheduled };
}

/** Late usage that no other statement will take up gets one of its own. */
function nextLateStatement(state: ContractState, open: OpenContract): ContractStep | null {
  const dueAt = open.late?.dueAt ?? null;
  return dueAt === null || !hasLateUsage(state, open) ? null : { kind: 'late', at: dueAt };
}

/** The first statement that is not final, and the end of its grace; null where there is none left. */
export function nextStatement(
  state: Pick<ContractState, 'graceMs'>,
  open: OpenContract,
): Extract<ContractStep, { kind: 'usage' }> | null {
  const period = firstOpenStatement(open);
  if (period === null) return null;
  const at = statementDate(open.contract.document.issueDates, period, state.graceMs);
  return { kind: 'usage', at, period };
}

/** A scheduled line that no invoice has yet, and when it can be final. */
interface DueLine {
  key: string;
  at: Instant;
}

function nextScheduled(state: ContractState, open: OpenContract): Instant | null {
  const dates = dueLines(state, open).map(({ at }) => at);
  return dates.length === 0 ? null : Math.min(...dates);
}

function dueLines(state: ContractState, open: OpenContract): DueLine[] {
  const lines = [
    ...purchases(state, open),
    ...nextGrants(state, open),
    ...charges(open),
    ...fees(state, open),
  ];
  return lines.filter(({ key }) => !isBilled(open.billed, key));
}

/** The keys of the contract's scheduled lines that are due by an instant. */
export function dueKeys(state: ContractState, open: OpenContract, by: Instant): string[] {
  const keys = dueLines(state, open).flatMap(({ key, at }) => (at <= by ? [key] : []));
  return [...new Set(keys)];
}

/** Whether a scheduled draft can be final. */
export function isDue(
  state: ContractState,
  balances: readonly BalanceRecord[],
  draft: DraftInvoice,
  by: Instant,
): boolean {
  if (draft.issuedAt > by) return false;
  return draft.lines.every(({ balance }) => {
    if (balance?.type !== 'POSTPAID') return true;
    const commit = balances.find(({ id }) => id === balance.id);
    return commit === undefined || trueUpDue(state, commit, draft.issuedAt) <= by;
  });
}

/** The date of a line of the contract's scheduled invoices, which may have been moved. */
function dateIn({ document }: OpenContract['contract'], key: string, date: Instant): Instant {
  return issueDateOf(document.issueDates, key, date);
}

function dated(contract: OpenContract['contract'], key: string, date: Instant): DueLine {
  return { key, at: dateIn(contract, key, date) };
}

function purchases(state: ContractState, { contract }: OpenContract): DueLine[] {
  return invoicedBy(state.balances, contract.id).flatMap((balance) => {
    const { invoiceSchedule, archivedAt } = balance;
    if (invoiceSchedule === null || invoiceSchedule.doNotInvoice || archivedAt !== null) return [];
    return invoiceSchedule.items.map(({ id, timestamp }) => {
      const key = `purchase/${id}`;
      const date = dateIn(contract, key, timestamp);
      return { key, at: balance.type === 'POSTPAID' ? trueUpDue(state, balance, date) : date };
    });
  });
}

/**
 * When a true-up can be final: on its date, and not before the last usage statement that may shrink it is
 * (docs.metronome.com, "how invoicing works").
 */
function trueUpDue(state: ContractState, balance: BalanceRecord, date: Instant): Instant {
  const accessEnd = Math.max(...balance.access.map(({ endingBefore }) => endingBefore));
  const ends = state.contracts.flatMap(({ contract }) => {
    if (contract.rateCardId === null) return [];
    if (balance.contractId !== null && balance.contractId !== contract.id) return [];
    const last = Math.min(accessEnd, contract.endingBefore ?? accessEnd) - 1;
    const statement = statementAt(termsOf(contract), last);
    const { issueDates } = contract.document;
    return statement === null ? [] : [statementDate(issueDates, statement, state.graceMs)];
  });
  return Math.max(date, ...ends);
}

/** A recurring commit that costs something is invoiced as each of its periods begins: the next one. */
function nextGrants(state: ContractState, { contract }: OpenContract): DueLine[] {
  const context = grantContext(state.accountId, contract, state.units);
  return contract.document.recurring
    .filter(({ invoice }) => invoice !== null)
    .flatMap((recurring) => {
      const horizon = Math.max(recurring.startingAt, contract.startingAt, state.at) + YEAR_MS;
      const grants = recurringGrants(recurring, context, horizon);
      return grants
        .filter(({ access }) => access.some(({ startingAt }) => startingAt > state.at))
        .slice(0, 1);
    })
    .flatMap(({ invoiceSchedule }) => invoiceSchedule?.items ?? [])
    .map(({ id, timestamp }) => dated(contract, `purchase/${id}`, timestamp));
}

const YEAR_MS = 367 * 86_400_000;

function charges(open: OpenContract): DueLine[] {
  const terms = termsOf(open.contract);
  const missed = missedCharges(open);
  return terms.scheduledCharges.flatMap(({ items }) =>
    items
      .filter((item) => missed.has(item.id) || chargeStatement(terms, item) === null)
      .map(({ id, timestamp }) => dated(open.contract, `scheduled/${id}`, timestamp)),
  );
}

/** Fees that no statement collects, up to the next date of each subscription. */
function fees(state: ContractState, { contract }: OpenContract): DueLine[] {
  const terms = termsOf(contract);
  return terms.subscriptions.flatMap((subscription) => {
    const from = Math.max(state.at, subscription.startingAt, contract.startingAt);
    const [period] = billingPeriods(subscription, terms, from, from + 1);
    return subscriptionFees(subscription, terms, contract.startingAt, (period?.end ?? state.at) + 1)
      .filter((fee) => !hasStatement(terms, fee))
      .map(({ key, billedAt }) => dated(contract, key, billedAt));
  });
}

/** The lines of a fee have its key, with the tier added where there are several. */
function isBilled(billed: ReadonlyMap<string, string | null>, key: string): boolean {
  if (billed.has(key)) return true;
  for (const known of billed.keys()) if (known.startsWith(`${key}/tier `)) return true;
  return false;
}
