import type { LedgerEntry } from '../../domain/contract/balanceTerms.js';
import { negate } from '../../domain/decimal.js';
import { invalid, notFound } from '../../domain/errors.js';
import type { Instant } from '../../domain/period.js';
import { findEntriesOfInvoice, insertBalanceEntries } from '../../storage/balances.js';
import {
  type ContractInvoiceRecord,
  deleteBilledLines,
  findContractInvoice,
  findRegenerated,
  markContractInvoiceVoid,
} from '../../storage/contractInvoices.js';
import { deleteCountedUsage } from '../../storage/lateUsage.js';
import type { ContractChange } from './create.js';
import { writeFinal, writeTrueUps } from './finalize.js';
import { newUuid } from './ids.js';
import { requireUnbilled } from './imported.js';
import { writeCounted } from './late.js';
import { type OpenOptions, openInvoices } from './open.js';
import { contractsChanged } from './plan.js';

/** Finalized → void: every deduction and true-up that the invoice made is given back by an equal entry. */
export async function voidContractInvoice(
  change: ContractChange,
  invoice: ContractInvoiceRecord,
): Promise<void> {
  const { tx, accountId, now } = change;
  if (invoice.status !== 'FINALIZED') throw invalid(`Invoice ${invoice.id} is void already.`);
  const entries = await findEntriesOfInvoice(tx, accountId, invoice.id);
  await insertBalanceEntries(
    tx,
    accountId,
    entries
      .filter(({ type }) => type === 'AUTOMATED_INVOICE_DEDUCTION' || type === 'TRUEUP')
      .map((entry): LedgerEntry & { balanceId: string } => ({
        ...entry,
        type: 'CREDITED',
        timestamp: now,
        amount: negate(entry.amount),
      })),
  );
  await markContractInvoiceVoid(tx, accountId, invoice.id, now);
}

/**
 * Makes a voided invoice anew, final at once and under a new id, from today's terms, rates, usage and balances
 * (docs.metronome.com/api-reference/invoices, regenerate). Once for each invoice. Returns the new id.
 */
export async function regenerateInvoice(change: ContractChange, invoiceId: string): Promise<string> {
  const { tx, core, accountId, customer, now } = change;
  const voided = await findContractInvoice(tx, accountId, invoiceId);
  if (voided === null || voided.customerId !== customer.id) throw notFound('invoice', invoiceId, 'id');
  if (voided.status !== 'VOID') throw invalid('Only a voided invoice can be regenerated.');
  if (await findRegenerated(tx, accountId, invoiceId)) {
    throw invalid(`Invoice ${invoiceId} has been regenerated already.`);
  }
  const { invoice, contractId } = voided;
  const id = newUuid();
  await deleteBilledLines(tx, accountId, invoiceId);
  await deleteCountedUsage(tx, accountId, { id: invoiceId, contractId, ownStart: ownStartOf(voided) });
  const at = Math.max(now, invoice.issuedAt);
  const open = await openInvoices(tx, core, accountId, customer, {
    at,
    ...(await reopening(change, voided, id)),
  });
  const keys = new Set(invoice.lines.map(({ key }) => key));
  const draft =
    invoice.period === null
      ? open.drafts.find(
          (one) =>
            one.type === 'SCHEDULED' &&
            one.contractId === contractId &&
            one.lines.some(({ key }) => keys.has(key)),
        )
      : open.drafts.find((one) => one.invoiceId === id);
  if (draft === undefined) throw invalid(`Invoice ${invoiceId} has nothing left to bill.`);
  const anew = {
    ...draft,
    invoiceId: id,
    deductions: draft.deductions.map((one) => ({ ...one, invoiceId: id })),
  };
  await writeFinal(tx, accountId, customer, anew, now, invoiceId);
  await writeCounted(tx, { accountId, contractId }, id, open.counted.get(id)?.() ?? []);
  if (anew.type === 'SCHEDULED') await writeTrueUps(tx, accountId, open, anew, now);
  await contractsChanged(tx, core, accountId, customer, now);
  return id;
}

/** The start of the invoice's own statement; null of a late statement, and of one without a period. */
function ownStartOf({ invoice }: ContractInvoiceRecord): Instant | null {
  return invoice.isLate === true ? null : (invoice.period?.start ?? null);
}

/** How the voided usage invoice is computed once more: from today's usage, or from what it was imported with. */
async function reopening(
  { tx, accountId, customer }: ContractChange,
  voided: ContractInvoiceRecord,
  id: string,
): Promise<Pick<OpenOptions, 'reopen' | 'imports'>> {
  const { contractId, invoice } = voided;
  const { period, imported } = invoice;
  if (period === null) return {};
  if (imported === undefined) {
    return { reopen: { contractId, periodStart: ownStartOf(voided), invoiceId: id } };
  }
  const statement = { contractId, invoiceId: id, period, imported };
  await requireUnbilled(tx, accountId, customer.id, statement, 'id');
  return { imports: [statement] };
}
