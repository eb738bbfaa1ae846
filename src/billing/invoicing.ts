import type { InvoiceLine } from '../domain/invoice.js';
import type { InvoiceRecipe } from '../domain/invoiceRecipe.js';
import type { Instant, Period } from '../domain/period.js';
import { newId } from '../ids.js';
import type { CustomerRecord } from '../storage/customers.js';
import type { Queryable, Transaction } from '../storage/db.js';
import {
  type BillingReason,
  findInvoiceByStep,
  findInvoiceLines,
  type InvoiceLineRecord,
  type InvoiceRecord,
  insertInvoice,
  replaceInvoiceLines,
  updateInvoice,
} from '../storage/invoices.js';
import type { SubscriptionRecord } from '../storage/subscriptions.js';
import { invoiceObject } from '../stripe/invoice.js';
import { type EventRequest, emitEvent } from './events.js';
import { type ComputedRecipe, computeRecipe, type ItemUsage } from './recipe.js';

export interface NewInvoice {
  subscription: SubscriptionRecord;
  customer: CustomerRecord;
  /** What this invoice is for; a second invoice for the same step is never made. */
  step: string;
  billingReason: BillingReason;
  /** The instant the invoice is about: its own date, whenever it is really made. */
  at: Instant;
  period: Period;
  recipe: InvoiceRecipe;
  /** When it finalizes by itself; null when the caller finalizes it. */
  finalizesAt: Instant | null;
  usage?: readonly ItemUsage[] | null;
  request: EventRequest | null;
}

/**
 * Writes a draft with its lines and `invoice.created`, once for each step of the subscription: a repeated call
 * returns the invoice that exists.
 */
export async function createDraft(
  tx: Transaction,
  accountId: string,
  draft: NewInvoice,
): Promise<InvoiceRecord> {
  const existing = await findInvoiceByStep(tx, accountId, draft.subscription.id, draft.step);
  if (existing !== null) return existing;
  const computed = await computeRecipe(tx, accountId, draft.recipe, 0n, draft.usage ?? null);
  const invoice = draftRecord(draft, computed);
  if (!(await insertInvoice(tx, accountId, invoice))) {
    throw new Error(`step ${draft.step} of ${draft.subscription.id} was billed by somebody without its lock`);
  }
  const lines = lineRecords(invoice.id, computed.lines);
  await replaceInvoiceLines(tx, accountId, invoice.id, lines);
  await emitInvoiceEvent(tx, accountId, 'invoice.created', invoice, lines, draft.at, draft.request);
  return invoice;
}

/** A draft as it would be if it were finalized now. */
export interface CurrentDraft {
  invoice: InvoiceRecord;
  lines: InvoiceLineRecord[];
  computed: ComputedRecipe;
}

/**
 * A draft with its lines and totals computed from the usage known now: what a reader is shown, and what is written when
 * it is finalized. Writes nothing. The due amount is before the customer's balance, which applies at finalization.
 */
export async function currentDraft(
  q: Queryable,
  accountId: string,
  invoice: InvoiceRecord,
  customerBalance = 0n,
): Promise<CurrentDraft> {
  const computed = await computeRecipe(q, accountId, invoice.recipe, customerBalance);
  const kept = await findInvoiceLines(q, accountId, [invoice.id]);
  const { subtotal, total } = computed;
  return {
    invoice: { ...invoice, subtotal, total, amountDue: total > 0n ? total : 0n },
    lines: keepLineIds(lineRecords(invoice.id, computed.lines), kept),
    computed,
  };
}

/** `currentDraft`, written. The caller holds the locks of the subscription and of the invoice. */
export async function refreshDraft(
  tx: Transaction,
  accountId: string,
  draft: InvoiceRecord,
  customerBalance: bigint,
): Promise<CurrentDraft> {
  const current = await currentDraft(tx, accountId, draft, customerBalance);
  await replaceInvoiceLines(tx, accountId, draft.id, current.lines);
  await updateInvoice(tx, accountId, current.invoice);
  return current;
}

/** Emits one of the `invoice.*` events with the invoice as it is now. */
export async function emitInvoiceEvent(
  tx: Transaction,
  accountId: string,
  type: string,
  invoice: InvoiceRecord,
  lines: readonly InvoiceLineRecord[],
  at: Instant,
  request: EventRequest | null,
): Promise<void> {
  await emitEvent(tx, {
    accountId,
    livemode: invoice.livemode,
    type,
    object: invoiceObject(invoice, lines),
    at,
    request,
  });
}

/** An invoice that is shown and never stored: what would be billed at `at` if nothing more happened. */
export async function previewInvoice(
  q: Queryable,
  accountId: string,
  draft: Omit<NewInvoice, 'step' | 'request'>,
): Promise<{ invoice: InvoiceRecord; lines: InvoiceLineRecord[] }> {
  const computed = await computeRecipe(
    q,
    accountId,
    draft.recipe,
    draft.customer.balance,
    draft.usage ?? null,
  );
  const record = draftRecord({ ...draft, step: 'preview', request: null }, computed);
  const invoice: InvoiceRecord = {
    ...record,
    id: record.id.replace('in_', 'upcoming_in_'),
    step: null,
    startingBalance: computed.startingBalance,
    endingBalance: computed.endingBalance,
    amountDue: computed.amountDue,
  };
  const lines = lineRecords(invoice.id, computed.lines).map((line) => ({
    ...line,
    id: line.id.replace('il_', 'il_tmp_'),
  }));
  return { invoice, lines };
}

function draftRecord(draft: NewInvoice, computed: ComputedRecipe): InvoiceRecord {
  const { subscription, customer } = draft;
  return {
    id: newId('invoice'),
    livemode: subscription.livemode,
    createdAt: draft.at,
    customerId: customer.id,
    subscriptionId: subscription.id,
    testClockId: subscription.testClockId,
    step: draft.step,
    billingReason: draft.billingReason,
    status: 'draft',
    number: null,
    currency: subscription.currency,
    collectionMethod: subscription.collectionMethod,
    autoAdvance: true,
    period: draft.period,
    subtotal: computed.subtotal,
    total: computed.total,
    startingBalance: 0n,
    endingBalance: null,
    amountDue: computed.total > 0n ? computed.total : 0n,
    amountPaid: 0n,
    paidOutOfBand: false,
    attempted: false,
    finalizesAt: draft.finalizesAt,
    dueAt: null,
    finalizedAt: null,
    paidAt: null,
    voidedAt: null,
    markedUncollectibleAt: null,
    recipe: draft.recipe,
    details: {
      customer: customerSnapshot(customer),
      subscriptionMetadata: subscription.metadata,
      daysUntilDue: subscription.daysUntilDue,
    },
    metadata: {},
  };
}

/** What the invoice says of its customer, kept as it was: later changes of the customer must not change a bill. */
function customerSnapshot(customer: CustomerRecord): Record<string, unknown> {
  return {
    name: customer.name,
    email: customer.email,
    phone: customer.details.phone ?? null,
    address: customer.details.address ?? null,
    shipping: customer.details.shipping ?? null,
    tax_exempt: customer.details.tax_exempt ?? 'none',
  };
}

function lineRecords(invoiceId: string, lines: readonly InvoiceLine[]): InvoiceLineRecord[] {
  return lines.map((line, position) => ({
    id: newId('invoiceLine'),
    invoiceId,
    position,
    kind: line.kind,
    subscriptionItemId: line.subscriptionItemId,
    priceId: line.priceId,
    productId: line.productId,
    meterId: line.meterId,
    description: line.description,
    quantity: line.quantity,
    unitAmount: line.unitAmount,
    amount: line.amount,
    tier: line.tier,
    proration: line.proration,
    period: line.period,
    metadata: {},
  }));
}

/** A refreshed line that is about the same thing keeps its id, so that a caller can follow it. */
function keepLineIds(
  fresh: readonly InvoiceLineRecord[],
  kept: readonly InvoiceLineRecord[],
): InvoiceLineRecord[] {
  const unused = [...kept];
  return fresh.map((line) => {
    const index = unused.findIndex(
      (old) =>
        old.subscriptionItemId === line.subscriptionItemId &&
        old.period.start === line.period.start &&
        old.kind === line.kind &&
        old.tier === line.tier &&
        (old.unitAmount === null) === (line.unitAmount === null),
    );
    if (index < 0) return line;
    const [old] = unused.splice(index, 1);
    return { ...line, id: old?.id ?? line.id };
  });
}

/** Grace before finalization, from the boundary. */
export function finalizationInstant(at: Instant, settings: { invoiceGraceSeconds: number }): Instant {
  return at + settings.invoiceGraceSeconds * 1000;
}
