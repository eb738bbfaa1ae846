import { termsOf } from '../../domain/contract/contract.js';
import type { ImportedUsage } from '../../domain/contract/draft.js';
import { statementsBetween } from '../../domain/contract/statement.js';
import type { Instant, Period } from '../../domain/period.js';
import { usageInvoiceId } from './ids.js';
import { type ImportedStatement, importedStatements } from './imported.js';
import { hasLateUsage } from './late.js';
import type { ContractState, OpenContract } from './state.js';

/** A statement to compute. */
export interface Statement {
  open: OpenContract;
  period: Period;
  invoiceId: string;
  /** Whether it bills what has come late for earlier ones. */
  takesLate?: boolean;
  isReopened?: boolean;
  /** Given instead of metered usage. */
  imported?: ImportedUsage | undefined;
}

export interface Reopened {
  contractId: string;
  invoiceId: string;
  /** Of the statement; null of one over late usage alone. */
  periodStart: Instant | null;
}

/** The statements to compute, in the order in which they become final. */
export function openStatements(
  state: ContractState,
  { reopen, imports = [] }: { reopen?: Reopened; imports?: readonly ImportedStatement[] },
): Statement[] {
  const statements: Statement[] = importedStatements(state, imports);
  for (const open of state.contracts) {
    const { contract } = open;
    if (contract.rateCardId === null) continue;
    // The first one takes what has come late; a reopened one takes it back that had it before.
    let takesLate = reopen?.contractId !== contract.id && hasLateUsage(state, open);
    for (const period of statementsOf(open, firstOpen(open), state.at + 1)) {
      const invoiceId = usageInvoiceId(state.accountId, contract.id, period.start);
      statements.push({ open, period, invoiceId, takesLate });
      takesLate = false;
    }
    if (reopen?.contractId !== contract.id || reopen.periodStart === null) continue;
    const { invoiceId, periodStart } = reopen;
    const [period] = statementsBetween(termsOf(contract), periodStart, periodStart + 1);
    const isLateBilled = state.lateUsage === 'bill';
    if (period !== undefined) {
      statements.push({ open, period, invoiceId, takesLate: isLateBilled, isReopened: true });
    }
  }
  return statements.sort((a, b) => a.period.end - b.period.end || a.period.start - b.period.start);
}

/** Where the statements that are not final begin. */
function firstOpen({ contract, closedThrough }: OpenContract): Instant {
  return Math.max(closedThrough ?? contract.startingAt, contract.startingAt);
}

/** The statements in `[from, to)`; where one that is final ended early, the next goes on from there. */
function statementsOf({ contract, closedThrough }: OpenContract, from: Instant, to: Instant): Period[] {
  return statementsBetween(termsOf(contract), from, to).map(({ start, end }) => {
    const cut = closedThrough !== null && start < closedThrough && closedThrough < end;
    return { start: cut ? closedThrough : start, end };
  });
}

/** The contract's first statement that is not final, begun or not; null where there is none left. */
export function firstOpenStatement(open: OpenContract): Period | null {
  const { rateCardId, document } = open.contract;
  if (rateCardId === null) return null;
  const generated = document.statements.generationStartingAt ?? Number.NEGATIVE_INFINITY;
  const from = Math.max(firstOpen(open), generated);
  return statementsOf(open, from, from + 1)[0] ?? null;
}
