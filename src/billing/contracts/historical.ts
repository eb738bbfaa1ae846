import { type ContractRecord, termsOf } from '../../domain/contract/contract.js';
import type { DraftInvoice } from '../../domain/contract/draft.js';
import { statementsBetween } from '../../domain/contract/statement.js';
import { BillingError, invalid, notFound } from '../../domain/errors.js';
import type { Instant } from '../../domain/period.js';
import type { ContractChange } from './create.js';
import { writeFinal, writeRollovers } from './finalize.js';
import { type ImportedStatement, overlaps, requireUnbilled } from './imported.js';
import { type OpenInvoices, openInvoicesOf } from './open.js';
import { contractsChanged } from './plan.js';
import { loadContractState, type OpenContract } from './state.js';

/** One invoice of an import, and where in the request it stands. */
export interface HistoricalInvoice extends ImportedStatement {
  creditTypeId: string;
  where: string;
}

export interface HistoricalInvoices {
  open: OpenInvoices;
  /** In the order asked for. */
  invoices: DraftInvoice[];
}

/**
 * What invoices over given quantities of one customer come to by the contracts' rates, overrides, tiers and what the
 * balances have left, the earliest period first; nothing is written. Refused: a time that the contract's own statements
 * are for or that has an invoice already (`conflict`), and usage that has no price
 * (docs.metronome.com/api-reference/contracts/create-historical-invoices).
 */
export async function computeHistoricalInvoices(
  change: ContractChange,
  asked: readonly HistoricalInvoice[],
): Promise<HistoricalInvoices> {
  const { tx, core, accountId, customer, now } = change;
  const state = await loadContractState(tx, core, accountId, customer, now);
  for (const [index, one] of asked.entries()) {
    const open = state.contracts.find(({ contract }) => contract.id === one.contractId);
    if (open === undefined) throw notFound('contract', one.contractId, `${one.where}.contract_id`);
    checkTime(open, one, now);
    await requireUnbilled(tx, accountId, customer.id, one, one.where);
    const twin = asked
      .slice(0, index)
      .find(({ contractId, period }) => contractId === one.contractId && overlaps(period, one.period));
    if (twin !== undefined) {
      throw new BillingError('conflict', `Invalid '${one.where}': ${twin.where} bills that time already.`);
    }
  }
  const open = await openInvoicesOf(tx, state, { at: now, imports: asked });
  const invoices = asked.map(({ invoiceId, where }) => {
    const invoice = open.drafts.find((draft) => draft.invoiceId === invoiceId);
    if (invoice === undefined) throw new Error(`the import ${where} has not been computed`);
    const [unbilled] = invoice.unbilled;
    if (unbilled !== undefined) {
      throw invalid(`Invalid '${where}': product ${unbilled.productId} has no price (${unbilled.reason}).`);
    }
    return invoice;
  });
  return { open, invoices };
}

/**
 * The same written as final invoices with their deductions. In the caller's transaction, with the customer locked: so
 * all of them or none, and a time is imported once.
 */
export async function createHistoricalInvoices(
  change: ContractChange,
  asked: readonly HistoricalInvoice[],
): Promise<HistoricalInvoices> {
  const { tx, core, accountId, customer, now } = change;
  const computed = await computeHistoricalInvoices(change, asked);
  const byTime = computed.invoices.toSorted((a, b) => endOf(a) - endOf(b));
  for (const invoice of byTime) {
    await writeFinal(tx, accountId, customer, invoice, now, null);
    const ref = { accountId, contractId: invoice.contractId };
    await writeRollovers(tx, ref, computed.open, endOf(invoice));
  }
  await contractsChanged(tx, core, accountId, customer, now);
  return computed;
}

function endOf({ period, issuedAt }: DraftInvoice): Instant {
  return period?.end ?? issuedAt;
}

function checkTime({ contract, card }: OpenContract, one: HistoricalInvoice, now: Instant): void {
  const { period, imported, creditTypeId, where } = one;
  if (contract.rateCardId === null) {
    throw invalid(`Invalid '${where}.contract_id': the contract has no rate card.`);
  }
  if (creditTypeId !== card.fiatCreditTypeId) {
    throw invalid(`Invalid '${where}.credit_type_id': the rate card's currency is ${card.fiatCreditTypeId}.`);
  }
  if (period.start < contract.startingAt) {
    throw invalid(`Invalid '${where}.inclusive_start_date': is before the contract's start.`);
  }
  const end = `${where}.exclusive_end_date`;
  if (contract.endingBefore !== null && period.end > contract.endingBefore) {
    throw invalid(`Invalid '${end}': is after the contract's end.`);
  }
  if (period.end > now) throw invalid(`Invalid '${end}': is in the future.`);
  if (imported.issuedAt > now) throw invalid(`Invalid '${where}.issue_date': is in the future.`);
  const own = firstOwnStatement(contract);
  if (own !== null && period.end > own) {
    const since = new Date(own).toISOString();
    throw invalid(
      `Invalid '${end}': the contract's own statements begin at ${since}; ` +
        'usage_statement_schedule.invoice_generation_starting_at says when.',
    );
  }
}

/** Where the contract's own statements begin; null where it has none. */
function firstOwnStatement(contract: ContractRecord): Instant | null {
  const terms = termsOf(contract);
  const from = Math.max(terms.statements.generationStartingAt ?? contract.startingAt, contract.startingAt);
  return statementsBetween(terms, from, from + 1)[0]?.start ?? null;
}
