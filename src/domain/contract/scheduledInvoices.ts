import { add, type Decimal, isZero, multiply, ONE, ZERO } from '../decimal.js';
import type { Instant, Period } from '../period.js';
import { trueUpAmount } from './balance.js';
import type { DraftInvoice } from './draft.js';
import { feeCharges } from './feeCharges.js';
import { type IssueDates, issueDateOf } from './issueDates.js';
import { dayOf, type DraftLine, PLAIN_LINE } from './lines.js';
import type { RateIndex } from './rateCard.js';
import { statementAt } from './statement.js';
import { hasStatement, subscriptionFees } from './subscriptions.js';
import type { Balance, ScheduleItem } from './balanceTerms.js';
import type { ContractTerms, PricingUnit, Product, ScheduledCharge } from './terms.js';

export interface ScheduledInvoicesInput {
  terms: ContractTerms;
  rates: RateIndex;
  products: ReadonlyMap<string, Product>;
  units: ReadonlyMap<string, PricingUnit>;
  /**
   * Those whose invoices this contract carries, drafts' deductions included, so that true-ups are up to
   * date.
   */
  balances: readonly Balance[];
  /** The dates asked for. */
  from: Instant;
  to: Instant;
  /** Where fees end, which of an open contract go on for ever; `to` unless given. */
  feesTo?: Instant;
  /**
   * Items of a consolidating contract whose statement was final too early: they are invoiced by themselves.
   */
  missedChargeItems?: ReadonlySet<string>;
  /** Drafts that were moved. */
  issueDates?: IssueDates | undefined;
  /** Whether an invoice has the line already, by its key; none unless given. */
  isBilled?: (lineKey: string) => boolean;
  idOf: (key: string) => string;
}

/** A dated line on its way to an invoice; a true-up waits for usage and has an invoice of its own. */
interface DatedLine {
  timestamp: Instant;
  line: DraftLine;
  trueUpOf?: string;
}

/**
 * The scheduled invoices with a date in `[from, to)`: purchases of prepaid commits, shortfalls of postpaid
 * ones, scheduled charges, and subscription fees that no usage statement collects. What has the same
 * instant and pricing unit shares an invoice, whose id follows from these, so it is the same at every
 * computation. No period, no grace: it is due at its date (docs.metronome.com, "how invoicing works").
 */
export function scheduledInvoices(input: ScheduledInvoicesInput): DraftInvoice[] {
  const lines = [
    ...input.balances.flatMap((balance) => purchaseLines(balance)),
    ...input.terms.scheduledCharges.flatMap((charge) => chargeLines(input, charge)),
    ...feeLines(input),
  ].filter(
    ({ timestamp, line }) =>
      input.from <= timestamp && timestamp < input.to && input.isBilled?.(line.key) !== true,
  );
  const invoices = new Map<string, DraftInvoice>();
  const keyOf = ({ timestamp, line, trueUpOf }: DatedLine) => {
    const kind = trueUpOf === undefined ? 'scheduled' : `trueup/${trueUpOf}`;
    return `${kind}/${input.terms.id}/${timestamp}/${line.creditTypeId}`;
  };
  const dateOf = ({ timestamp, line }: DatedLine) => issueDateOf(input.issueDates, line.key, timestamp);
  const moved = new Set(lines.filter((one) => dateOf(one) !== one.timestamp).map(keyOf));
  for (const dated of lines.sort((a, b) => a.timestamp - b.timestamp)) {
    const { timestamp, line } = dated;
    const date = dateOf(dated);
    // What joins a date whose invoice was moved away stays on it, by itself.
    const key = date === timestamp && moved.has(keyOf(dated)) ? `${keyOf(dated)}/stays` : keyOf(dated);
    const invoice = invoices.get(key) ?? emptyInvoice(input, key, date, line.creditTypeId);
    invoice.lines.push(line);
    if (line.isInTotal) invoice.total = add(invoice.total, line.total);
    invoices.set(key, invoice);
  }
  return [...invoices.values()];
}

function emptyInvoice(
  { terms, idOf }: ScheduledInvoicesInput,
  key: string,
  issuedAt: Instant,
  creditTypeId: string,
): DraftInvoice {
  return {
    invoiceId: idOf(key),
    contractId: terms.id,
    type: 'SCHEDULED',
    creditTypeId,
    period: null,
    issuedAt,
    lines: [],
    total: ZERO,
    deductions: [],
    unbilled: [],
  };
}

function purchaseLines(balance: Balance): DatedLine[] {
  const { invoiceSchedule, archivedAt, type } = balance;
  if (invoiceSchedule === null || invoiceSchedule.doNotInvoice || archivedAt !== null) return [];
  const { creditTypeId, items } = invoiceSchedule;
  return items.flatMap((item) => {
    const amounts = type === 'POSTPAID' ? shortfallOf(balance) : item;
    if (amounts === null) return [];
    const line: DraftLine = {
      ...PLAIN_LINE,
      key: `purchase/${item.id}`,
      type: 'commit_purchase',
      name: balance.name,
      productId: balance.productId,
      productType: 'FIXED',
      creditTypeId,
      quantity: amounts.quantity,
      unitPrice: amounts.unitPrice,
      total: amounts.amount,
      balance: { id: balance.id, segmentId: null, type },
    };
    const own = type === 'POSTPAID' ? { trueUpOf: balance.id } : {};
    return [{ timestamp: item.timestamp, line, ...own }];
  });
}

/** A postpaid commit has one item: what is missing at its date. Nothing missing, nothing to invoice. */
function shortfallOf(balance: Balance): { quantity: Decimal; unitPrice: Decimal; amount: Decimal } | null {
  const amount = trueUpAmount(balance);
  return isZero(amount) ? null : { quantity: ONE, unitPrice: amount, amount };
}

function chargeLines(
  { terms, missedChargeItems }: ScheduledInvoicesInput,
  charge: ScheduledCharge,
): DatedLine[] {
  return charge.items
    .filter((item) => chargeStatement(terms, item) === null || missedChargeItems?.has(item.id))
    .map((item) => ({ timestamp: item.timestamp, line: chargeLine(charge, item) }));
}

function chargeLine(charge: ScheduledCharge, item: ScheduleItem): DraftLine {
  return {
    ...PLAIN_LINE,
    key: `scheduled/${item.id}`,
    type: 'scheduled',
    name: charge.name,
    productId: charge.productId,
    productType: 'FIXED',
    creditTypeId: charge.creditTypeId,
    quantity: item.quantity,
    unitPrice: item.unitPrice,
    total: item.amount,
    scheduledChargeId: charge.id,
  };
}

/** The statement that a consolidating contract puts the item on: the one that ends on the item's day. */
export function chargeStatement(terms: ContractTerms, item: Pick<ScheduleItem, 'timestamp'>): Period | null {
  if (!terms.consolidatesScheduledCharges) return null;
  const statement = statementAt(terms, item.timestamp - 1);
  if (statement !== null && dayOf(statement.end) === dayOf(item.timestamp)) return statement;
  const before = statement === null ? null : statementAt(terms, statement.start - 1);
  return before !== null && dayOf(before.end) === dayOf(item.timestamp) ? before : null;
}

/**
 * The scheduled charges that join the usage statement under `scheduled_charges_on_usage_invoices: ALL`:
 * those of the day on which it ends, less those billed by themselves (docs.metronome.com, "provision a
 * customer").
 */
export function consolidatedLines(
  terms: ContractTerms,
  statement: Period,
  billed: ReadonlySet<string>,
): DraftLine[] {
  return terms.scheduledCharges.flatMap((charge) =>
    charge.items
      .filter((item) => !billed.has(item.id) && chargeStatement(terms, item)?.end === statement.end)
      .map((item) => chargeLine(charge, item)),
  );
}

function feeLines(input: ScheduledInvoicesInput): DatedLine[] {
  const { terms, units } = input;
  return terms.subscriptions.flatMap((subscription) =>
    subscriptionFees(subscription, terms, input.from - 1, input.feesTo ?? input.to)
      .filter((fee) => !hasStatement(terms, fee))
      .flatMap((fee) =>
        feeCharges(input, units, fee).map(({ slice, key, name, product, pricing, period, isProrated }) => ({
          timestamp: fee.billedAt,
          line: {
            ...PLAIN_LINE,
            key,
            type: 'subscription' as const,
            name,
            productId: product.id,
            productType: product.type,
            creditTypeId: pricing.list.creditTypeId,
            quantity: slice.quantity,
            unitPrice: slice.unitPrice,
            listRate: pricing.listRate,
            total: multiply(slice.quantity, slice.unitPrice),
            period,
            tier: slice.tier,
            isProrated,
            subscriptionId: subscription.id,
          },
        })),
      ),
  );
}
