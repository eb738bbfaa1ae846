import { Decimal as DecimalJs } from 'decimal.js';

/**
 * What Stripe's documentation says an invoice costs, written again with another decimal library. It shares no code with
 * the product on purpose.
 */

/** Enough digits that nothing below is ever rounded but where it says so. */
const Exact = DecimalJs.clone({ precision: 80, rounding: DecimalJs.ROUND_HALF_UP });

/** Decimal texts; amounts in minor units. `upTo` is inclusive, null is "and everything above". */
export interface ExpectedTier {
  readonly upTo: string | null;
  readonly unit?: string;
  readonly flat?: string;
}

export type Pricing =
  | { readonly model: 'licensed'; readonly unit: string }
  | { readonly model: 'package'; readonly size: string; readonly unit: string }
  | { readonly model: 'graduated' | 'volume'; readonly tiers: readonly ExpectedTier[] };

/** One line: minor units, and the quantity as `quantity_decimal` writes it. */
export interface ExpectedLine {
  readonly amount: number;
  readonly quantity: string;
}

/**
 * The lines of a quantity under a price (docs.stripe.com/subscriptions/pricing-models/tiered-pricing and
 * docs.stripe.com/products-prices/pricing-models): each line is rounded to whole minor units by itself, half away from
 * zero, and usage below zero is billed as zero.
 */
export function expectedLines(pricing: Pricing, quantity: string): ExpectedLine[] {
  const billed = Exact.max(new Exact(quantity), 0);
  switch (pricing.model) {
    case 'licensed':
      return [line(billed, pricing.unit)];
    case 'package':
      // Transformed by `transform_quantity` with `round: up` before it is multiplied.
      return [line(billed.div(pricing.size).ceil(), pricing.unit)];
    case 'volume': {
      const tier = pricing.tiers.find(({ upTo }) => upTo === null || billed.lte(upTo));
      if (tier === undefined) throw new RangeError('the last tier must be open');
      return tierLines(tier, billed);
    }
    case 'graduated':
      return graduatedLines(pricing.tiers, billed);
  }
}

function graduatedLines(tiers: readonly ExpectedTier[], billed: DecimalJs): ExpectedLine[] {
  const lines: ExpectedLine[] = [];
  let below = new Exact(0);
  for (const tier of tiers) {
    // The first tier is always reached, a later one only by what is above the one before it.
    if (below.gt(0) && billed.lte(below)) break;
    const end = tier.upTo === null ? billed : Exact.min(billed, tier.upTo);
    lines.push(...tierLines(tier, end.minus(below)));
    if (tier.upTo === null) break;
    below = new Exact(tier.upTo);
  }
  return lines;
}

/** A tier with a flat amount has two lines, the flat one with quantity 0. */
function tierLines({ unit, flat }: ExpectedTier, quantity: DecimalJs): ExpectedLine[] {
  const usage = line(quantity, unit ?? '0');
  return flat === undefined ? [usage] : [usage, { amount: rounded(new Exact(flat)), quantity: '0' }];
}

function line(quantity: DecimalJs, unit: string): ExpectedLine {
  return { amount: rounded(quantity.times(unit)), quantity: quantity.toFixed() };
}

function rounded(amount: DecimalJs): number {
  return amount.toDecimalPlaces(0).toNumber();
}

/** Adds up decimal texts without losing a digit. */
export function exactSum(values: Iterable<string>): string {
  let sum = new Exact(0);
  for (const value of values) sum = sum.plus(value);
  return sum.toFixed();
}

/** Whole minor units; every one of them is far below 2^53. */
export function totalOf(lines: Iterable<{ readonly amount: number }>): number {
  let sum = 0;
  for (const { amount } of lines) sum += amount;
  return sum;
}
