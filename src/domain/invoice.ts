import { type Decimal, isZero, max, subtract, ZERO } from './decimal.js';
import { describeLateUsage, describePart, describeRemainingTime } from './lineText.js';
import { sumMinor } from './money.js';
import type { Period } from './period.js';
import type { Price } from './price.js';
import { type Fraction, isWhole, prorate } from './proration.js';
import { type RatedPart, rate, ratedTotal } from './rating/rate.js';

/** One subscription item over one service period, ready to be priced. */
export interface BillableItem {
  subscriptionItemId: string;
  price: Price;
  /** The whole quantity of the period: aggregated usage, or the number of licences. */
  quantity: Decimal;
  period: Period;
  /** The share of a licensed item's interval that is billed; usage is never prorated. */
  proration: Fraction | null;
  /**
   * Late usage: what the invoices of this closed period have billed so far. Only the difference is billed.
   * The quantity is in units of usage (the sum of the lines' `sourceQuantity`), not in packages.
   */
  alreadyBilled: { amount: bigint; quantity: Decimal } | null;
}

/** One line as it is shown; amounts in minor units. */
export interface InvoiceLine {
  subscriptionItemId: string;
  priceId: string;
  productId: string;
  meterId: string | null;
  description: string;
  /** Units; whole packages for a package price; 0 for a flat fee; the difference for late usage. */
  quantity: Decimal;
  /** The units of usage or licences this line covers, before any division into packages. */
  sourceQuantity: Decimal;
  /**
   * Null where the line is not quantity × one unit price: flat fees, prorations, late usage of tiers or
   * packages.
   */
  unitAmount: Decimal | null;
  amount: bigint;
  period: Period;
  proration: boolean;
  /** 1-based; null where the price has no tiers. */
  tier: number | null;
  kind: 'usage' | 'licensed' | 'late_usage';
}

/** Minor units. A negative balance is credit of the customer, a positive one is owed. */
export interface InvoiceTotals {
  subtotal: bigint;
  total: bigint;
  startingBalance: bigint;
  endingBalance: bigint;
  amountDue: bigint;
}

export interface InvoiceInput {
  currency: string;
  items: readonly BillableItem[];
  /** The customer's balance before this invoice. */
  customerBalance: bigint;
}

export type ComputedInvoice = { lines: InvoiceLine[] } & InvoiceTotals;

/** An invoice on its way through the steps. */
interface Draft extends ComputedInvoice {
  items: readonly BillableItem[];
}

export interface InvoiceStep {
  name: string;
  /** What the step does to the invoice. */
  what: string;
  /** Null where nothing happens here: see `what`. */
  apply: ((draft: Draft) => Draft) | null;
}

/**
 * How an invoice comes about, in order (docs.stripe.com/billing/subscriptions/usage-based/billing-credits:
 * credits come after discounts, before taxes and before the customer's balance). A new rule gets its own
 * function as the `apply` of its step; every step sees what the steps above it made.
 */
export const INVOICE_STEPS: readonly InvoiceStep[] = [
  {
    name: 'usage',
    what: 'Aggregated by the meters before this computation; arrives as item.quantity.',
    apply: null,
  },
  {
    name: 'quantity',
    what: 'Net-negative quantities become 0; contradictory items are refused.',
    apply: settleQuantities,
  },
  {
    name: 'price',
    what: 'Each item becomes lines, each rounded once; subtotal and total are their sum.',
    apply: priceItems,
  },
  {
    name: 'discounts',
    what: 'Not offered: would take item, then invoice discounts off the total.',
    apply: null,
  },
  {
    name: 'commits and credits',
    what: 'Not offered: would draw commits and grants down to zero.',
    apply: null,
  },
  {
    name: 'minimums',
    what: 'Not offered: would add a true-up line where too little was spent.',
    apply: null,
  },
  { name: 'tax', what: 'Not offered: would add taxes to the total.', apply: null },
  {
    name: 'customer balance',
    what: 'The balance pays for, or is added to, the total.',
    apply: applyCustomerBalance,
  },
];

/**
 * The lines and totals of an invoice over the given items, in their order. Pure: the same function serves
 * previews, drafts and finalization; whether the balances take effect is the caller's decision. Throws
 * RangeError on items that contradict themselves (another currency, prorated usage, late licences).
 */
export function computeInvoice(input: InvoiceInput): ComputedInvoice {
  for (const { price } of input.items) {
    if (price.currency === input.currency) continue;
    throw new RangeError(`Price ${price.id} is in ${price.currency}, the invoice in ${input.currency}`);
  }
  let draft: Draft = {
    items: input.items,
    lines: [],
    subtotal: 0n,
    total: 0n,
    startingBalance: input.customerBalance,
    endingBalance: input.customerBalance,
    amountDue: 0n,
  };
  for (const step of INVOICE_STEPS) draft = step.apply?.(draft) ?? draft;
  const { lines, subtotal, total, startingBalance, endingBalance, amountDue } = draft;
  return { lines, subtotal, total, startingBalance, endingBalance, amountDue };
}

function settleQuantities(draft: Draft): Draft {
  return { ...draft, items: draft.items.map(settleQuantity) };
}

function settleQuantity(item: BillableItem): BillableItem {
  const metered = isMetered(item.price);
  if (metered && item.proration !== null) {
    throw new RangeError(`${item.subscriptionItemId} is metered: usage is never prorated`);
  }
  if (!metered && item.alreadyBilled !== null) {
    throw new RangeError(`${item.subscriptionItemId} is licensed: only usage can be late`);
  }
  return { ...item, quantity: max(item.quantity, ZERO) };
}

function priceItems(draft: Draft): Draft {
  const lines = draft.items.flatMap((item) =>
    item.alreadyBilled === null ? itemLines(item) : lateUsageLines(item, item.alreadyBilled),
  );
  const subtotal = sumMinor(lines.map((line) => line.amount));
  return { ...draft, lines, subtotal, total: subtotal };
}

function itemLines(item: BillableItem): InvoiceLine[] {
  const share = item.proration !== null && !isWhole(item.proration) ? item.proration : null;
  return rate(item.price, item.quantity).map((part) => ({
    ...lineOf(item),
    description:
      share === null
        ? describePart(item.price, part)
        : describeRemainingTime(item.price, part, item.period.start),
    quantity: part.quantity,
    sourceQuantity: part.sourceQuantity,
    unitAmount: share === null ? shownUnitAmount(item.price, part) : null,
    amount: share === null ? part.amount : prorate(part.exactAmount, share),
    proration: share !== null,
    tier: part.tier,
    kind: isMetered(item.price) ? 'usage' : 'licensed',
  }));
}

/**
 * The full period is rated again, so that tiers are right; the difference to what was billed is one line,
 * or none.
 */
function lateUsageLines(item: BillableItem, billed: { amount: bigint; quantity: Decimal }): InvoiceLine[] {
  const amount = ratedTotal(rate(item.price, item.quantity)) - billed.amount;
  const quantity = subtract(item.quantity, max(billed.quantity, ZERO));
  if (amount === 0n && isZero(quantity)) return [];
  const line: InvoiceLine = {
    ...lineOf(item),
    description: describeLateUsage(item.price, quantity, item.period),
    quantity,
    sourceQuantity: quantity,
    unitAmount: item.price.transformQuantity === null ? item.price.unitAmount : null,
    amount,
    proration: false,
    tier: null,
    kind: 'late_usage',
  };
  return [line];
}

function lineOf(item: BillableItem) {
  return {
    subscriptionItemId: item.subscriptionItemId,
    priceId: item.price.id,
    productId: item.price.productId,
    meterId: item.price.recurring?.meterId ?? null,
    period: item.period,
  };
}

function isMetered(price: Price): boolean {
  return price.recurring?.usageType === 'metered';
}

/** A flat fee is not a unit price, and a tier may have no unit price of its own. */
function shownUnitAmount(price: Price, part: RatedPart): Decimal | null {
  if (part.kind === 'flat') return null;
  if (part.tier === null) return part.unitAmount;
  return price.tiers?.[part.tier - 1]?.unitAmount ?? null;
}

/**
 * Credit pays for the total as far as it goes, what is owed is added to the amount due, and a negative
 * total moves to the balance, never to the amount due (docs.stripe.com/billing/customer/balance).
 */
function applyCustomerBalance(draft: Draft): Draft {
  const after = draft.startingBalance + draft.total;
  if (draft.total < 0n) return { ...draft, amountDue: 0n, endingBalance: after };
  return { ...draft, amountDue: after > 0n ? after : 0n, endingBalance: after < 0n ? after : 0n };
}
