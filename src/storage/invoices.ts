import { type Decimal, parseDecimal, toText } from '../domain/decimal.js';
import type { InvoiceRecipe } from '../domain/invoiceRecipe.js';
import type { Instant, Period } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';
import { Conditions, type InstantRange, type Page, type PageCursor, pageSql } from './pages.js';

export type InvoiceStatus = 'draft' | 'open' | 'paid' | 'uncollectible' | 'void';
export type BillingReason = 'subscription_create' | 'subscription_cycle';

export interface InvoiceRecord {
  id: string;
  livemode: boolean;
  createdAt: Instant;
  customerId: string;
  subscriptionId: string | null;
  testClockId: string | null;
  /** What the invoice is for, unique within its subscription: `create`, `cycle:<boundary>` or `cancel:<instant>`. */
  step: string | null;
  billingReason: BillingReason;
  status: InvoiceStatus;
  number: string | null;
  currency: string;
  collectionMethod: 'charge_automatically' | 'send_invoice';
  autoAdvance: boolean;
  /** The period the invoice is about, as Stripe's `period_start` and `period_end`. */
  period: Period;
  /** Minor units, all of them. */
  subtotal: bigint;
  total: bigint;
  startingBalance: bigint;
  endingBalance: bigint | null;
  amountDue: bigint;
  amountPaid: bigint;
  paidOutOfBand: boolean;
  attempted: boolean;
  finalizesAt: Instant | null;
  dueAt: Instant | null;
  finalizedAt: Instant | null;
  paidAt: Instant | null;
  voidedAt: Instant | null;
  markedUncollectibleAt: Instant | null;
  recipe: InvoiceRecipe;
  details: InvoiceDetails;
  metadata: Record<string, string>;
}

/** What the invoice shows of its customer and subscription, frozen with it. */
export interface InvoiceDetails {
  customer?: Record<string, unknown>;
  subscriptionMetadata?: Record<string, string>;
  daysUntilDue?: number | null;
}

export interface InvoiceLineRecord {
  id: string;
  invoiceId: string;
  position: number;
  kind: 'usage' | 'licensed' | 'late_usage';
  subscriptionItemId: string | null;
  priceId: string | null;
  productId: string | null;
  meterId: string | null;
  description: string;
  quantity: Decimal;
  unitAmount: Decimal | null;
  amount: bigint;
  tier: number | null;
  proration: boolean;
  period: Period;
  metadata: Record<string, string>;
}

const COLUMNS = `id, livemode, created_at as "createdAt", customer_id as "customerId",
  subscription_id as "subscriptionId", test_clock_id as "testClockId", step, billing_reason as "billingReason",
  status, number, currency, collection_method as "collectionMethod", auto_advance as "autoAdvance",
  period_start as "periodStart", period_end as "periodEnd", subtotal, total,
  starting_balance as "startingBalance", ending_balance as "endingBalance", amount_due as "amountDue",
  amount_paid as "amountPaid", paid_out_of_band as "paidOutOfBand", attempted, finalizes_at as "finalizesAt",
  due_at as "dueAt", finalized_at as "finalizedAt", paid_at as "paidAt", voided_at as "voidedAt",
  marked_uncollectible_at as "markedUncollectibleAt", recipe, details, metadata`;

const LINE_COLUMNS = `id, invoice_id as "invoiceId", position, kind, subscription_item_id as "subscriptionItemId",
  price_id as "priceId", product_id as "productId", meter_id as "meterId", description, quantity,
  unit_amount as "unitAmount", amount, tier, proration, period_start as "periodStart",
  period_end as "periodEnd", metadata`;

interface InvoiceRow extends Omit<InvoiceRecord, 'period'> {
  periodStart: Instant;
  periodEnd: Instant;
}

interface LineRow extends Omit<InvoiceLineRecord, 'period' | 'quantity' | 'unitAmount'> {
  periodStart: Instant;
  periodEnd: Instant;
  quantity: string;
  unitAmount: string | null;
}

function toInvoice({ periodStart, periodEnd, ...row }: InvoiceRow): InvoiceRecord {
  return { ...row, period: { start: periodStart, end: periodEnd } };
}

function toLine({ periodStart, periodEnd, quantity, unitAmount, ...row }: LineRow): InvoiceLineRecord {
  return {
    ...row,
    quantity: parseDecimal(quantity),
    unitAmount: unitAmount === null ? null : parseDecimal(unitAmount),
    period: { start: periodStart, end: periodEnd },
  };
}

/** Inserts an invoice. False when the subscription has one for this step already: then nothing is written. */
export async function insertInvoice(
  q: Queryable,
  accountId: string,
  invoice: InvoiceRecord,
): Promise<boolean> {
  const rows = await q.query<{ id: string }>(
    `insert into invoices (account_id, id, livemode, created_at, customer_id, subscription_id, test_clock_id, step,
       billing_reason, status, currency, collection_method, auto_advance, period_start, period_end, subtotal, total,
       amount_due, finalizes_at, recipe, details, metadata)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'draft', $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
       $21)
     on conflict (account_id, subscription_id, step) where step is not null do nothing returning id`,
    [
      accountId,
      invoice.id,
      invoice.livemode,
      timestamp(invoice.createdAt),
      invoice.customerId,
      invoice.subscriptionId,
      invoice.testClockId,
      invoice.step,
      invoice.billingReason,
      invoice.currency,
      invoice.collectionMethod,
      invoice.autoAdvance,
      timestamp(invoice.period.start),
      timestamp(invoice.period.end),
      invoice.subtotal,
      invoice.total,
      invoice.amountDue,
      timestamp(invoice.finalizesAt),
      JSON.stringify(invoice.recipe),
      JSON.stringify(invoice.details),
      JSON.stringify(invoice.metadata),
    ],
  );
  return rows.length > 0;
}

/** Writes every column that changes in an invoice's life. The caller holds the row's lock. */
export async function updateInvoice(q: Queryable, accountId: string, invoice: InvoiceRecord): Promise<void> {
  await q.query(
    `update invoices set status = $3, number = $4, auto_advance = $5, subtotal = $6, total = $7,
       starting_balance = $8, ending_balance = $9, amount_due = $10, amount_paid = $11, paid_out_of_band = $12,
       attempted = $13, finalizes_at = $14, due_at = $15, finalized_at = $16, paid_at = $17, voided_at = $18,
       marked_uncollectible_at = $19, details = $20, metadata = $21
     where account_id = $1 and id = $2`,
    [
      accountId,
      invoice.id,
      invoice.status,
      invoice.number,
      invoice.autoAdvance,
      invoice.subtotal,
      invoice.total,
      invoice.startingBalance,
      invoice.endingBalance,
      invoice.amountDue,
      invoice.amountPaid,
      invoice.paidOutOfBand,
      invoice.attempted,
      timestamp(invoice.finalizesAt),
      timestamp(invoice.dueAt),
      timestamp(invoice.finalizedAt),
      timestamp(invoice.paidAt),
      timestamp(invoice.voidedAt),
      timestamp(invoice.markedUncollectibleAt),
      JSON.stringify(invoice.details),
      JSON.stringify(invoice.metadata),
    ],
  );
}

export async function findInvoice(
  q: Queryable,
  accountId: string,
  id: string,
  lock = false,
): Promise<InvoiceRecord | null> {
  const rows = await q.query<InvoiceRow>(
    `select ${COLUMNS} from invoices where account_id = $1 and id = $2${lock ? ' for update' : ''}`,
    [accountId, id],
  );
  return rows[0] === undefined ? null : toInvoice(rows[0]);
}

export async function findInvoices(
  q: Queryable,
  accountId: string,
  ids: readonly string[],
): Promise<InvoiceRecord[]> {
  const rows = await q.query<InvoiceRow>(
    `select ${COLUMNS} from invoices where account_id = $1 and id = any($2)`,
    [accountId, ids],
  );
  return rows.map(toInvoice);
}

/** The invoice that bills this step of the subscription, or null. */
export async function findInvoiceByStep(
  q: Queryable,
  accountId: string,
  subscriptionId: string,
  step: string,
): Promise<InvoiceRecord | null> {
  const rows = await q.query<InvoiceRow>(
    `select ${COLUMNS} from invoices where account_id = $1 and subscription_id = $2 and step = $3`,
    [accountId, subscriptionId, step],
  );
  return rows[0] === undefined ? null : toInvoice(rows[0]);
}

export interface InvoiceFilter {
  customerId?: string | undefined;
  subscriptionId?: string | undefined;
  status?: string | undefined;
  collectionMethod?: string | undefined;
  created?: InstantRange | undefined;
  dueAt?: InstantRange | undefined;
}

/** Invoices in the order of the page. Those on a test clock show only when customer or subscription is asked for. */
export async function listInvoices(
  q: Queryable,
  accountId: string,
  filter: InvoiceFilter,
  page: Page,
): Promise<InvoiceRecord[]> {
  const conditions = new Conditions();
  conditions.equal('account_id', accountId);
  conditions.equal('customer_id', filter.customerId);
  conditions.equal('subscription_id', filter.subscriptionId);
  conditions.equal('status', filter.status);
  conditions.equal('collection_method', filter.collectionMethod);
  conditions.within('created_at', filter.created);
  conditions.within('due_at', filter.dueAt);
  if (filter.customerId === undefined && filter.subscriptionId === undefined) {
    conditions.where('test_clock_id is null');
  }
  const end = pageSql(conditions, page, 'invoices');
  const rows = await q.query<InvoiceRow>(`select ${COLUMNS} from invoices ${end}`, conditions.values);
  return rows.map(toInvoice);
}

/** The draft of this subscription that finalizes next, or null. */
export async function findNextFinalization(
  q: Queryable,
  accountId: string,
  subscriptionId: string,
): Promise<{ invoiceId: string; at: Instant } | null> {
  const rows = await q.query<{ invoiceId: string; at: Instant }>(
    `select id as "invoiceId", finalizes_at as at from invoices
     where account_id = $1 and subscription_id = $2 and status = 'draft' and finalizes_at is not null
     order by finalizes_at, id limit 1`,
    [accountId, subscriptionId],
  );
  return rows[0] ?? null;
}

/** Replaces the lines of a draft. */
export async function replaceInvoiceLines(
  q: Queryable,
  accountId: string,
  invoiceId: string,
  lines: readonly InvoiceLineRecord[],
): Promise<void> {
  await q.query('delete from invoice_lines where account_id = $1 and invoice_id = $2', [
    accountId,
    invoiceId,
  ]);
  for (const line of lines) {
    await q.query(
      `insert into invoice_lines (account_id, id, invoice_id, position, kind, subscription_item_id, price_id,
         product_id, meter_id, description, quantity, unit_amount, amount, tier, proration, period_start,
         period_end, metadata)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
      [
        accountId,
        line.id,
        invoiceId,
        line.position,
        line.kind,
        line.subscriptionItemId,
        line.priceId,
        line.productId,
        line.meterId,
        line.description,
        toText(line.quantity),
        line.unitAmount === null ? null : toText(line.unitAmount),
        line.amount,
        line.tier,
        line.proration,
        timestamp(line.period.start),
        timestamp(line.period.end),
        JSON.stringify(line.metadata),
      ],
    );
  }
}

/** Lines of these invoices, in the order they are shown; at most `limitEach` of each when given. */
export async function findInvoiceLines(
  q: Queryable,
  accountId: string,
  invoiceIds: readonly string[],
  limitEach: number | null = null,
): Promise<InvoiceLineRecord[]> {
  const rows = await q.query<LineRow>(
    `select ${LINE_COLUMNS} from invoice_lines
     where account_id = $1 and invoice_id = any($2) and ($3::int is null or position < $3)
     order by invoice_id, position`,
    [accountId, invoiceIds, limitEach],
  );
  return rows.map(toLine);
}

export async function countInvoiceLines(
  q: Queryable,
  accountId: string,
  invoiceIds: readonly string[],
): Promise<Map<string, number>> {
  const rows = await q.query<{ invoiceId: string; count: number }>(
    `select invoice_id as "invoiceId", count(*)::int as count from invoice_lines
     where account_id = $1 and invoice_id = any($2) group by invoice_id`,
    [accountId, invoiceIds],
  );
  return new Map(rows.map((row) => [row.invoiceId, row.count]));
}

/**
 * Takes the customer's next invoice number and applies the customer's balance, both under the customer's row lock:
 * numbers have no gaps because the number and the finalized invoice commit together.
 */
export async function takeInvoiceNumber(
  q: Queryable,
  accountId: string,
  customerId: string,
): Promise<{ number: string; balance: bigint }> {
  const rows = await q.query<{ prefix: string; sequence: number; balance: bigint }>(
    `update customers set next_invoice_sequence = next_invoice_sequence + 1
     where account_id = $1 and id = $2
     returning invoice_prefix as prefix, next_invoice_sequence - 1 as sequence, balance`,
    [accountId, customerId],
  );
  const row = rows[0];
  if (row === undefined) throw new Error(`customer ${customerId} of a finalized invoice does not exist`);
  return { number: `${row.prefix}-${String(row.sequence).padStart(4, '0')}`, balance: row.balance };
}

/** Adds to the customer's balance (negative: credit to the customer), in minor units. */
export async function addCustomerBalance(
  q: Queryable,
  accountId: string,
  customerId: string,
  change: bigint,
): Promise<void> {
  await q.query('update customers set balance = balance + $3 where account_id = $1 and id = $2', [
    accountId,
    customerId,
    change,
  ]);
}

export async function findInvoiceCursor(
  q: Queryable,
  accountId: string,
  id: string,
): Promise<PageCursor | null> {
  const rows = await q.query<PageCursor>(
    'select created_at as "createdAt", id from invoices where account_id = $1 and id = $2',
    [accountId, id],
  );
  return rows[0] ?? null;
}
