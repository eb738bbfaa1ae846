import { add, type Decimal, isZero, multiply, ZERO } from '../decimal.js';
import type { Instant, Period } from '../period.js';
import { servesContract } from './applicability.js';
import { availableBySegment, type Deduction, withDeductions } from './balance.js';
import { drawKey, drawOrder } from './burnOrder.js';
import { type PaidCharge, payCharges } from './burndown.js';
import type { Charge } from './charge.js';
import { cutInstantsOf } from './cuts.js';
import { compositeCharges, subscriptionCharges } from './feeCharges.js';
import { type DraftLine, linesOf, PLAIN_LINE, totalsByUnit } from './lines.js';
import { indexRates, type RateIndex } from './rateCard.js';
import { consolidatedLines } from './scheduledInvoices.js';
import { type Spend, spendOf } from './spend.js';
import type { Balance } from './balanceTerms.js';
import type { ContractTerms, PricingUnit, Product, RateCard, UsageSlice } from './terms.js';
import { groupKeyOf, lateCharges, type LateStatement, counterStarts, type CountedUsage } from './late.js';
import { type ChargeContext, type UnbilledUsage, usageCharges } from './usageCharges.js';

/** Everything that a usage invoice depends on, as of now. */
export interface UsageInvoiceInput {
  /** The id that the invoice has or will have; only handed on to its deductions. */
  invoiceId: string;
  terms: ContractTerms;
  rateCard: RateCard;
  /** An index of the same card, where many invoices are computed with it. */
  rates?: RateIndex;
  products: ReadonlyMap<string, Product>;
  units: ReadonlyMap<string, PricingUnit>;
  /**
   * Every commit and credit of the customer, grants of recurring ones included, with the facts about them.
   */
  balances: readonly Balance[];
  /** Of `period`, in time order for each combination. */
  usage: readonly UsageSlice[];
  /** The usage statement. */
  period: Period;
  /** From the end of the period to finalization. */
  graceMs: number;
  /** Scheduled charges that a consolidating contract has already billed by themselves. */
  billedChargeItems?: ReadonlySet<string>;
  /** Inside the period, ascending: see breakdown.ts. */
  windows?: readonly Instant[];
  /** What the customer's other contracts have spent in the period, for composites on all of them. */
  spentElsewhere?: readonly Spend[];
  /** Final statements for which usage has come since; this invoice bills it. */
  late?: readonly LateStatement[];
  /** What later invoices have billed of this statement already; `usage` is without it. */
  billedElsewhere?: readonly CountedUsage[];
  /** What `usage` was imported with: the invoice has nothing but these products, on this date. */
  imported?: ImportedUsage | undefined;
}

/**
 * Quantities of a period before the contract's own statements, given instead of metered
 * (docs.metronome.com, "import existing invoices").
 */
export interface ImportedUsage {
  /** In the metric's units, in time order for each combination. */
  usage: readonly UsageSlice[];
  issuedAt: Instant;
  isBillable: boolean;
  customFields: Readonly<Record<string, string>>;
}

export interface DraftInvoice {
  invoiceId: string;
  contractId: string;
  type: 'USAGE' | 'SCHEDULED';
  /** The unit of the total. */
  creditTypeId: string;
  period: Period | null;
  /** Bills nothing but late usage, of a contract that has no other statement left; of all that time. */
  isLate?: boolean;
  /** What it was made from, of an invoice that was imported. */
  imported?: ImportedUsage;
  issuedAt: Instant;
  lines: DraftLine[];
  /** The lines in the invoice's unit that count, added up, unrounded. */
  total: Decimal;
  deductions: Deduction[];
  unbilled: UnbilledUsage[];
}

/**
 * The usage invoice of a statement. Pure: drafts, previews, balances, alerts and finalization call this one
 * function. Lines come in the order usage, subscription, composite, conversion, scheduled; balances pay for
 * the first three. What a custom pricing unit leaves to pay is converted into the card's currency on one
 * line for each unit. Nothing is rounded: amounts are exact, fractions of a cent included
 * (docs.metronome.com, "how invoicing works").
 */
export function computeUsageInvoice(input: UsageInvoiceInput): DraftInvoice {
  if (input.imported !== undefined) return computeImportedInvoice(input, input.imported);
  const { terms, period } = input;
  const context = contextOf(input, servingBalances(input));
  const starts = counterStarts(input.billedElsewhere ?? []);
  const { charges, unbilled } = usageCharges(context, input.usage, (group) => starts.get(groupKeyOf(group)));
  const late = (input.late ?? []).map((statement) => lateCharges(context, statement));
  const pay = payer(input, [period, ...(input.late ?? []).map((statement) => statement.period)]);
  const all = [
    ...late.flatMap((one) => one.charges),
    ...charges,
    ...subscriptionCharges(context, input.units),
  ];
  const paid = pay(all);
  for (const product of composites(input.products)) {
    for (const charge of pay(compositeCharges(context, product, spendsFor(product, input, paid)))) {
      paid.push(charge);
    }
  }
  const scheduled = consolidatedLines(terms, period, input.billedChargeItems ?? new Set());
  const unseen = [...unbilled, ...late.flatMap((one) => one.unbilled)];
  return settled(input, paid, scheduled, unseen, period.end + input.graceMs);
}

/** Fees, composites and scheduled charges have no quantities to give: they are on no imported invoice. */
function computeImportedInvoice(input: UsageInvoiceInput, imported: ImportedUsage): DraftInvoice {
  const { charges, unbilled } = usageCharges(contextOf(input, servingBalances(input)), input.usage);
  const paid = payer(input, [input.period])(charges);
  return { ...settled(input, paid, [], unbilled, imported.issuedAt), imported };
}

/** What a late statement is computed from; `period` is the time that it is about. */
export type LateInvoiceInput = Omit<UsageInvoiceInput, 'usage' | 'graceMs' | 'late'> & {
  late: readonly LateStatement[];
  issuedAt: Instant;
};

/** The invoice over nothing but late usage, for a contract that has no statement left to put it on. */
export function computeLateInvoice(input: LateInvoiceInput): DraftInvoice {
  const context = contextOf(input, servingBalances(input));
  const late = input.late.map((statement) => lateCharges(context, statement));
  const pay = payer(
    input,
    input.late.map(({ period }) => period),
  );
  const paid = pay(late.flatMap(({ charges }) => charges));
  const unbilled = late.flatMap((one) => one.unbilled);
  return { ...settled(input, paid, [], unbilled, input.issuedAt), isLate: true };
}

type CommonInput = Omit<UsageInvoiceInput, 'usage' | 'graceMs'>;

function servingBalances({ balances, terms }: CommonInput): Balance[] {
  return balances.filter((balance) => servesContract(balance, terms.id) && balance.access.length > 0);
}

/** Lets the balances pay for charges of these periods, one lot after the other. */
function payer(input: CommonInput, periods: readonly Period[]): (charges: readonly Charge[]) => PaidCharge[] {
  const from = Math.min(...periods.map(({ start }) => start));
  // Grants of single seats have a draw for each: those that are long over are not even put in order.
  const balances = servingBalances(input).filter(({ access }) =>
    access.some(({ endingBefore }) => endingBefore > from),
  );
  const draws = drawOrder(balances).filter(({ segment }) => segment.endingBefore > from);
  const available = availableBySegment(balances);
  return (charges) => payCharges(charges, draws, available);
}

function settled(
  input: CommonInput,
  paid: readonly PaidCharge[],
  scheduled: readonly DraftLine[],
  unbilled: UnbilledUsage[],
  issuedAt: Instant,
): DraftInvoice {
  const { terms, period, rateCard } = input;
  const lines = linesOf(paid);
  lines.push(...conversionLines(lines, input));
  lines.push(...scheduled);
  return {
    invoiceId: input.invoiceId,
    contractId: terms.id,
    type: 'USAGE',
    creditTypeId: rateCard.fiatCreditTypeId,
    period,
    issuedAt,
    lines,
    total: totalsByUnit(lines).get(rateCard.fiatCreditTypeId) ?? ZERO,
    deductions: deductionsOf(paid, input),
    unbilled,
  };
}

/**
 * The instants inside a statement at which usage must be cut before it is added up: a usage query that
 * buckets by these (and by combination of group values) is as fine as any invoice needs.
 */
export function cutInstants(
  input: Pick<UsageInvoiceInput, 'terms' | 'rateCard' | 'balances' | 'period'>,
): readonly Instant[] {
  return cutInstantsOf(input.period, {
    segments: input.rateCard.rates,
    overrides: input.terms.overrides,
    balances: input.balances.filter((balance) => servesContract(balance, input.terms.id)),
  });
}

/**
 * The open invoices of a customer one after the other, each on what the ones before have left: give them in
 * the order in which they will be finalized, earliest period end first. `balances` are the customer's after
 * all of them.
 */
export function computeOpenInvoices(
  inputs: readonly Omit<UsageInvoiceInput, 'balances'>[],
  balances: readonly Balance[],
): { invoices: DraftInvoice[]; balances: Balance[] } {
  let left: Balance[] = [...balances];
  const invoices = inputs.map((input) => {
    const invoice = computeUsageInvoice({ ...input, balances: left });
    left = left.map((balance) => withDeductions(balance, invoice.deductions));
    return invoice;
  });
  return { invoices, balances: left };
}

function contextOf(input: CommonInput, balances: readonly Balance[]): ChargeContext {
  const { terms, rateCard, products, period } = input;
  const rates = input.rates ?? indexRates(rateCard);
  return { terms, rates, products, balances, period, windows: input.windows ?? [] };
}

function spendsFor(product: Product, input: UsageInvoiceInput, paid: readonly PaidCharge[]): Spend[] {
  const own = paid.flatMap(spendOf);
  return product.composite?.scope === 'customer' ? [...own, ...(input.spentElsewhere ?? [])] : own;
}

/** Those on products first, then those that count other composites. */
function composites(products: ReadonlyMap<string, Product>): Product[] {
  const all = [...products.values()].filter(({ type }) => type === 'COMPOSITE');
  const includes = ({ composite }: Product) => (composite?.includeCompositeSpend ? 1 : 0);
  return all.sort((a, b) => includes(a) - includes(b));
}

function conversionLines(lines: readonly DraftLine[], { rateCard, units }: CommonInput): DraftLine[] {
  const conversions: DraftLine[] = [];
  for (const [unitId, quantity] of totalsByUnit(lines)) {
    if (unitId === rateCard.fiatCreditTypeId || isZero(quantity)) continue;
    const unitPrice = rateCard.fiatPerUnit.get(unitId);
    if (unitPrice === undefined)
      throw new RangeError(`Rate card ${rateCard.id} has no price for unit ${unitId}`);
    conversions.push({
      ...PLAIN_LINE,
      key: `conversion/${unitId}`,
      type: 'cpu_conversion',
      name: `${units.get(unitId)?.name ?? unitId} conversion`,
      productId: null,
      productType: null,
      creditTypeId: rateCard.fiatCreditTypeId,
      quantity,
      unitPrice,
      total: multiply(quantity, unitPrice),
    });
  }
  return conversions;
}

function deductionsOf(paid: readonly PaidCharge[], input: CommonInput): Deduction[] {
  const deductions = new Map<string, Deduction>();
  for (const { draw, amount } of paid.flatMap(({ covered }) => covered)) {
    if (isZero(amount)) continue;
    const { balance, segment, seat } = draw;
    const key = drawKey(segment.id, seat?.share.seatId);
    const known = deductions.get(key);
    deductions.set(key, {
      ...(seat === null ? {} : { seatId: seat.share.seatId }),
      balanceId: balance.id,
      segmentId: segment.id,
      amount: add(known?.amount ?? ZERO, amount),
      invoiceId: input.invoiceId,
      contractId: input.terms.id,
      timestamp: input.period.end,
    });
  }
  return [...deductions.values()];
}
