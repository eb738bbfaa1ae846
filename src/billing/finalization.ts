import { max, ZERO } from '../domain/decimal.js';
import { type BillingError, invalid, notFound } from '../domain/errors.js';
import type { BillableItem } from '../domain/invoice.js';
import { sumMinor } from '../domain/money.js';
import type { Instant } from '../domain/period.js';
import { addBilledUsage } from '../storage/billedUsage.js';
import type { Transaction } from '../storage/db.js';
import {
  addCustomerBalance,
  findInvoice,
  findInvoiceLines,
  type InvoiceLineRecord,
  type InvoiceRecord,
  takeInvoiceNumber,
  updateInvoice,
} from '../storage/invoices.js';
import { findSubscription } from '../storage/subscriptions.js';
import type { EventRequest } from './events.js';
import { emitInvoiceEvent, refreshDraft } from './invoicing.js';
import { recordNextDue } from './subscriptionPlan.js';

const DAY_MS = 86_400_000;

export interface InvoiceTransition {
  accountId: string;
  invoiceId: string;
  /** The customer's time. */
  at: Instant;
  request: EventRequest | null;
}

/**
 * Locks an invoice for a change of state, its subscription first: everything that bills a subscription takes its row
 * before any of its invoices, so two of them wait for each other and never deadlock.
 */
export async function lockInvoice(
  tx: Transaction,
  accountId: string,
  invoiceId: string,
): Promise<InvoiceRecord> {
  const found = await findInvoice(tx, accountId, invoiceId);
  if (found === null) throw notFound('invoice', invoiceId, 'invoice');
  if (found.subscriptionId !== null) await findSubscription(tx, accountId, found.subscriptionId, true);
  const invoice = await findInvoice(tx, accountId, invoiceId, true);
  if (invoice === null) throw notFound('invoice', invoiceId, 'invoice');
  return invoice;
}

/**
 * Draft → open, or paid when nothing is due: refreshes the lines from the usage known now, gives the number, applies
 * the customer's balance and records what has been billed of each period. Refuses an invoice that is not a draft.
 */
export async function finalizeInvoice(
  tx: Transaction,
  transition: InvoiceTransition,
): Promise<InvoiceRecord> {
  const { accountId, at, request } = transition;
  const draft = await lockInvoice(tx, accountId, transition.invoiceId);
  if (draft.status !== 'draft') {
    throw invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.");
  }
  const { number, balance } = await takeInvoiceNumber(tx, accountId, draft.customerId);
  const { invoice, lines, computed } = await refreshDraft(tx, accountId, draft, balance);
  const finalized: InvoiceRecord = {
    ...invoice,
    status: 'open',
    number,
    startingBalance: computed.startingBalance,
    endingBalance: computed.endingBalance,
    amountDue: computed.amountDue,
    finalizedAt: at,
    finalizesAt: null,
    dueAt: dueInstant(invoice, at),
  };
  if (computed.endingBalance !== computed.startingBalance) {
    const change = computed.endingBalance - computed.startingBalance;
    await addCustomerBalance(tx, accountId, draft.customerId, change);
  }
  await updateInvoice(tx, accountId, finalized);
  await recordBilledUsage(tx, accountId, finalized, computed.billables, lines);
  await emitInvoiceEvent(tx, accountId, 'invoice.finalized', finalized, lines, at, request);
  if (finalized.amountDue > 0n) return finalized;
  return settle(tx, transition, finalized, lines, { amountPaid: 0n, attempted: true, paidOutOfBand: false });
}

/**
 * What the workflow does when a draft's grace is over: finalizes it, unless somebody has done so by hand, and notes what
 * the subscription waits for next.
 */
export async function finalizeDueInvoice(tx: Transaction, transition: InvoiceTransition): Promise<void> {
  const invoice = await lockInvoice(tx, transition.accountId, transition.invoiceId);
  if (invoice.status === 'draft') await finalizeInvoice(tx, transition);
  if (invoice.subscriptionId === null) return;
  await recordNextDue(tx, { accountId: transition.accountId, subscriptionId: invoice.subscriptionId });
}

/** Open → paid by money that did not pass through us. A draft is finalized first, as Stripe does. */
export async function payOutOfBand(tx: Transaction, transition: InvoiceTransition): Promise<InvoiceRecord> {
  let invoice = await lockInvoice(tx, transition.accountId, transition.invoiceId);
  if (invoice.status === 'draft') invoice = await finalizeInvoice(tx, transition);
  else if (invoice.status === 'paid') throw invalid('Invoice is already paid');
  else if (invoice.status === 'void') throw invalid('Voided invoices cannot be paid.');
  if (invoice.status === 'paid') return invoice;
  const lines = await findInvoiceLines(tx, transition.accountId, [invoice.id]);
  return settle(tx, transition, invoice, lines, {
    amountPaid: invoice.amountDue,
    attempted: invoice.attempted,
    paidOutOfBand: true,
  });
}

/** Open → void: nobody owes it any more, and the customer's balance that it used comes back. */
export async function voidInvoice(tx: Transaction, transition: InvoiceTransition): Promise<InvoiceRecord> {
  const { accountId, at, request } = transition;
  const invoice = await lockInvoice(tx, accountId, transition.invoiceId);
  if (invoice.status !== 'open' && invoice.status !== 'uncollectible') throw notOpen(invoice);
  const voided: InvoiceRecord = { ...invoice, status: 'void', voidedAt: at };
  const used = (invoice.endingBalance ?? 0n) - invoice.startingBalance;
  if (used !== 0n) await addCustomerBalance(tx, accountId, invoice.customerId, -used);
  await updateInvoice(tx, accountId, voided);
  const lines = await findInvoiceLines(tx, accountId, [invoice.id]);
  await emitInvoiceEvent(tx, accountId, 'invoice.voided', voided, lines, at, request);
  return voided;
}

function notOpen(invoice: InvoiceRecord): BillingError {
  if (invoice.status === 'paid') return invalid('Invoices with `paid` payments cannot be voided.');
  return invalid("You can only pass in open invoices. This invoice isn't open.");
}

async function settle(
  tx: Transaction,
  { accountId, at, request }: InvoiceTransition,
  invoice: InvoiceRecord,
  lines: readonly InvoiceLineRecord[],
  payment: { amountPaid: bigint; attempted: boolean; paidOutOfBand: boolean },
): Promise<InvoiceRecord> {
  const paid: InvoiceRecord = { ...invoice, ...payment, status: 'paid', paidAt: at };
  await updateInvoice(tx, accountId, paid);
  await emitInvoiceEvent(tx, accountId, 'invoice.paid', paid, lines, at, request);
  await emitInvoiceEvent(tx, accountId, 'invoice.payment_succeeded', paid, lines, at, request);
  return paid;
}

function dueInstant(invoice: InvoiceRecord, at: Instant): Instant | null {
  if (invoice.collectionMethod !== 'send_invoice') return null;
  return at + (invoice.details.daysUntilDue ?? 30) * DAY_MS;
}

/** What this invoice has billed of each metered period, so that later usage is billed as the difference to it. */
async function recordBilledUsage(
  tx: Transaction,
  accountId: string,
  invoice: InvoiceRecord,
  billables: readonly BillableItem[],
  lines: readonly InvoiceLineRecord[],
): Promise<void> {
  for (const item of billables) {
    if (item.price.recurring?.usageType !== 'metered') continue;
    const own = lines.filter(
      (line) =>
        line.subscriptionItemId === item.subscriptionItemId && line.period.start === item.period.start,
    );
    if (item.alreadyBilled !== null && own.length === 0) continue;
    await addBilledUsage(tx, accountId, invoice.id, {
      subscriptionItemId: item.subscriptionItemId,
      period: item.period,
      priceId: item.price.id,
      quantity: max(item.quantity, ZERO),
      amount: sumMinor(own.map((line) => line.amount)),
    });
  }
}
