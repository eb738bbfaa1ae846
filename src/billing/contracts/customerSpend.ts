import { windowInstants, type WindowSize } from '../../domain/contract/breakdown.js';
import { withDeductions } from '../../domain/contract/balance.js';
import type { Balance } from '../../domain/contract/balanceTerms.js';
import { termsOf } from '../../domain/contract/contract.js';
import {
  computeUsageInvoice,
  cutInstants,
  type DraftInvoice,
  type UsageInvoiceInput,
} from '../../domain/contract/draft.js';
import { type Spend, spendOfLines } from '../../domain/contract/spend.js';
import { statementsBetween } from '../../domain/contract/statement.js';
import type { Product } from '../../domain/contract/terms.js';
import type { Instant, Period } from '../../domain/period.js';
import { usageInvoiceId } from './ids.js';
import type { ContractState, OpenContract } from './state.js';
import type { UsageReader } from './usage.js';

interface Statement {
  open: OpenContract;
  period: Period;
  invoiceId: string;
}

/** What the customer's other contracts have spent in the period of a statement. */
export type SpendElsewhere = (statement: Statement) => readonly Spend[];

/** The input of a statement with these balances, its usage cut at these instants too. */
type InputOf<S extends Statement> = (
  statement: S,
  balances: readonly Balance[],
  cuts: readonly Instant[],
) => Promise<UsageInvoiceInput>;

interface SpentStatement {
  contractId: string;
  spends: readonly Spend[];
}

const NONE: SpendElsewhere = () => [];

/**
 * For composites on all of the customer's contracts: what each contract has spent, statement by statement, the final
 * ones with what is known of them now. Composites of that kind don't count in it, so none waits for another. Nothing is
 * computed where no statement has one, or no other contract.
 */
export async function customerSpend<S extends Statement>(
  state: ContractState,
  reader: UsageReader,
  options: { windows?: WindowSize; finals?: readonly DraftInvoice[] },
  statements: readonly S[],
  inputOf: InputOf<S | Statement>,
): Promise<SpendElsewhere> {
  if (state.contracts.length < 2) return NONE;
  const asking: Statement[] = [];
  for (const statement of [...statements, ...finalStatements(state, options.finals ?? [])]) {
    const products = await reader.products(statement.open.card, statement.period.end - 1);
    if ([...products.values()].some(isOnCustomer)) asking.push(statement);
  }
  if (asking.length === 0) return NONE;
  const cuts = asking.flatMap((statement) => cutsFor(state, statement, options.windows));
  const spent: SpentStatement[] = [];
  let balances: readonly Balance[] = state.balances;
  const compute = async (statement: S | Statement, before: readonly Balance[]) => {
    const { period, open } = statement;
    const inside = [...new Set(cuts)]
      .filter((at) => period.start < at && at < period.end)
      .sort((a, b) => a - b);
    const input = await inputOf(statement, before, inside);
    const products = new Map([...input.products].filter(([, product]) => !isOnCustomer(product)));
    const invoice = computeUsageInvoice({ ...input, products, windows: inside });
    const spends = spendOfLines(invoice.lines, products, before)
      .filter((spend) => !isSeenBefore(spend, period, statements))
      .map((spend) => ({ ...spend, at: Math.min(Math.max(spend.at, period.start), period.end - 1) }));
    spent.push({ contractId: open.contract.id, spends });
    return invoice.deductions;
  };
  for (const statement of closedStatements(state, asking)) {
    await compute(statement, balancesBefore(state, statement));
  }
  for (const statement of statements) {
    const deductions = await compute(statement, balances);
    balances = balances.map((balance) => withDeductions(balance, deductions));
  }
  return ({ open, period }) =>
    spent
      .filter(({ contractId }) => contractId !== open.contract.id)
      .flatMap(({ spends }) => spends.filter(({ at }) => period.start <= at && at < period.end));
}

/** Late usage that counts in an open statement of its own time, since a final one is computed with what is known now. */
function isSeenBefore({ kind, at }: Spend, { start }: Period, open: readonly Statement[]): boolean {
  return kind === 'usage' && at < start && open.some(({ period }) => period.start <= at && at < period.end);
}

function isOnCustomer({ composite }: Product): boolean {
  return composite?.scope === 'customer';
}

/** The bounds of the statement, and the instants inside it at which a composite's rate or window may change. */
function cutsFor(state: ContractState, { open, period }: Statement, windows?: WindowSize): Instant[] {
  const { contract, card } = open;
  const base = { terms: termsOf(contract), rateCard: card, balances: state.balances, period };
  return [
    period.start,
    period.end,
    ...cutInstants(base),
    ...(windows === undefined ? [] : windowInstants(period, windows)),
  ];
}

function finalStatements(state: ContractState, finals: readonly DraftInvoice[]): Statement[] {
  return finals.flatMap(({ contractId, period, invoiceId }) => {
    const open = state.contracts.find(({ contract }) => contract.id === contractId);
    return open === undefined || period === null ? [] : [{ open, period, invoiceId }];
  });
}

/** The final statements of every contract that reach into the time of these. */
function closedStatements(state: ContractState, asking: readonly Statement[]): Statement[] {
  const from = Math.min(...asking.map(({ period }) => period.start));
  const to = Math.max(...asking.map(({ period }) => period.end));
  return state.contracts.flatMap((open) => {
    const { contract, closedThrough } = open;
    if (closedThrough === null || contract.rateCardId === null) return [];
    return statementsBetween(termsOf(contract), from, Math.min(to, closedThrough)).map(({ start, end }) => ({
      open,
      period: { start, end: Math.min(end, closedThrough) },
      invoiceId: usageInvoiceId(state.accountId, contract.id, start),
    }));
  });
}

/** The balances as a final invoice met them. */
export function balancesBefore(state: ContractState, { period, invoiceId }: Statement): Balance[] {
  return state.balances.map((balance) => ({
    ...balance,
    entries: balance.entries.filter(
      (entry) => entry.type === 'MANUAL' || (entry.timestamp <= period.end && entry.invoiceId !== invoiceId),
    ),
  }));
}
