import type { ContractRef } from '../../core.js';
import { termsOf } from '../../domain/contract/contract.js';
import { computeLateInvoice, type DraftInvoice } from '../../domain/contract/draft.js';
import { countedLate, type CountedUsage, type LateStatement, uncounted } from '../../domain/contract/late.js';
import type { Balance } from '../../domain/contract/terms.js';
import type { Instant, Period } from '../../domain/period.js';
import type { Transaction } from '../../storage/db.js';
import { insertCountedUsage, type StoredCount } from '../../storage/lateUsage.js';
import { stableId } from './ids.js';
import type { ContractState, OpenContract } from './state.js';
import type { UsageReader } from './usage.js';

/** Events are taken 34 days back: a statement that ended earlier before the next one began gets nothing any more. */
const REACH_MS = 35 * 86_400_000;

/** Whether late usage of the contract was noticed that the account wants billed and no statement has billed. */
export function hasLateUsage(state: Pick<ContractState, 'lateUsage'>, { late }: OpenContract): boolean {
  return state.lateUsage === 'bill' && late !== null && late.noticed > late.billed;
}

/**
 * The final statements that ended by an instant, the next one's start, with the usage that has come for them since:
 * those with any. A voided one waits to be made anew and takes its late usage in then. What was final before counts
 * were kept can't be compared and is left out.
 */
export async function lateStatements(
  state: ContractState,
  open: OpenContract,
  by: Instant,
  reader: UsageReader,
): Promise<LateStatement[]> {
  const { contract, card } = open;
  const counts = await reader.counted(contract.id, by - REACH_MS, by);
  const byStart = new Map<Instant, StoredCount[]>();
  for (const count of counts) {
    byStart.set(count.period.start, [...(byStart.get(count.period.start) ?? []), count]);
  }
  const late: LateStatement[] = [];
  for (const counted of byStart.values()) {
    const own = counted.find(({ isOwn }) => isOwn);
    if (own === undefined || own.isVoid) continue;
    const { period, cuts } = own;
    const products = await reader.products(card, period.end - 1);
    const { usageFilters } = contract.document;
    const now = await reader.slices({ usageFilters, products, period, cuts, at: state.at });
    const usage = uncounted(period, cuts, now, counted);
    if (usage.length > 0) late.push({ period, products, cuts, counted, usage });
  }
  return late;
}

/** What other invoices have billed of a statement that is made anew. */
export async function billedElsewhere(
  open: OpenContract,
  period: Period,
  reader: UsageReader,
): Promise<StoredCount[]> {
  const counts = await reader.counted(open.contract.id, period.start, Number.MAX_SAFE_INTEGER / 2);
  return counts.filter((count) => count.period.start === period.start);
}

/** The draft over late usage of a contract that has no statement left; null where nothing is to be billed. */
export function lateInvoice(
  state: ContractState,
  open: OpenContract,
  late: readonly LateStatement[],
  balances: readonly Balance[],
  products: LateStatement['products'],
  invoiceId: string,
): DraftInvoice | null {
  if (late.length === 0) return null;
  const { contract, card, rates } = open;
  const period = {
    start: Math.min(...late.map(({ period: one }) => one.start)),
    end: Math.max(...late.map(({ period: one }) => one.end)),
  };
  return computeLateInvoice({
    invoiceId,
    terms: termsOf(contract),
    rateCard: card,
    rates,
    products,
    units: state.units,
    balances,
    period,
    late,
    issuedAt: open.late?.dueAt ?? state.at + state.graceMs,
  });
}

/** The id of a contract's next late statement. */
export function lateInvoiceId(state: ContractState, { contract, late }: OpenContract): string {
  return stableId(state.accountId, `late/${contract.id}/${late?.lateStatements ?? 0}`);
}

/** What an invoice counts of each of these statements. */
export function countedOf(late: readonly LateStatement[], { lines }: DraftInvoice): CountedUsage[] {
  return late.map((statement) => countedLate(statement, lines));
}

/** Keeps what an invoice that has become final has counted. */
export async function writeCounted(
  tx: Transaction,
  ref: ContractRef,
  invoiceId: string,
  counted: readonly CountedUsage[],
): Promise<void> {
  for (const one of counted) await insertCountedUsage(tx, ref, invoiceId, one);
}
