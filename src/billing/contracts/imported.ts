import type { Balance } from '../../domain/contract/balanceTerms.js';
import type { DraftInvoice, ImportedUsage } from '../../domain/contract/draft.js';
import { add, ZERO } from '../../domain/decimal.js';
import { BillingError } from '../../domain/errors.js';
import type { Period } from '../../domain/period.js';
import { findContractInvoicesOf } from '../../storage/contractInvoices.js';
import type { Queryable } from '../../storage/db.js';
import type { ContractState, OpenContract } from './state.js';

/** A usage invoice over quantities that are given. */
export interface ImportedStatement {
  contractId: string;
  invoiceId: string;
  period: Period;
  imported: ImportedUsage;
}

/** The imported statements of contracts that are not archived, with their contracts. */
export function importedStatements(
  state: Pick<ContractState, 'contracts'>,
  imports: readonly ImportedStatement[],
): (ImportedStatement & { open: OpenContract })[] {
  return imports.flatMap((statement) => {
    const open = state.contracts.find(({ contract }) => contract.id === statement.contractId);
    return open === undefined ? [] : [{ ...statement, open }];
  });
}

/** Of the card's products those that an import has quantities of; all where nothing is imported. */
export function soldIn<P>(
  products: ReadonlyMap<string, P>,
  imported: ImportedUsage | undefined,
): ReadonlyMap<string, P> {
  if (imported === undefined) return products;
  const ids = new Set(imported.usage.map(({ productId }) => productId));
  return new Map([...products].filter(([id]) => ids.has(id)));
}

/**
 * Balances that have just what the invoice took of them: times may be imported in any order, so what they had is not
 * known from the dates of entries.
 */
export function balancesTaken(
  balances: readonly Balance[],
  { deductions }: Pick<DraftInvoice, 'deductions'>,
): Balance[] {
  return balances.map((balance) => ({
    ...balance,
    entries: [],
    access: balance.access.map((segment) => ({
      ...segment,
      amount: deductions
        .filter(({ segmentId }) => segmentId === segment.id)
        .reduce((sum, { amount }) => add(sum, amount), ZERO),
    })),
  }));
}

/** Throws a `conflict` where the contract has a usage invoice that is not void and reaches into the period. */
export async function requireUnbilled(
  q: Queryable,
  accountId: string,
  customerId: string,
  { contractId, period }: Pick<ImportedStatement, 'contractId' | 'period'>,
  where: string,
): Promise<void> {
  const invoices = await findContractInvoicesOf(q, accountId, customerId);
  const billed = invoices.find(
    ({ contractId: other, status, type, invoice }) =>
      other === contractId &&
      status === 'FINALIZED' &&
      type === 'USAGE' &&
      invoice.isLate !== true &&
      invoice.period !== null &&
      overlaps(invoice.period, period),
  );
  if (billed === undefined) return;
  throw new BillingError('conflict', `Invalid '${where}': invoice ${billed.id} bills that time already.`);
}

export function overlaps(a: Period, b: Period): boolean {
  return a.start < b.end && b.start < a.end;
}
