import { compare, type Decimal, decimalFromBigint, min, subtract, ZERO } from '../decimal.js';
import type { Tier } from '../price.js';
import { rateFlat } from './flat.js';
import { type RatedPart, unitPart } from './part.js';

/**
 * Graduated: each slice of the quantity at its own tier's price, plus the flat fee of every tier reached.
 * The first tier is always reached, a later one when the quantity is above the end of the tier before it.
 * Each tier reached gives a unit part and then, if it has a flat amount (0 included), a flat part
 * (docs.stripe.com/subscriptions/pricing-models/tiered-pricing). Throws RangeError when the tiers end below
 * the quantity.
 */
export function rateGraduated(tiers: readonly Tier[], quantity: Decimal): RatedPart[] {
  const parts: RatedPart[] = [];
  let reached = ZERO;
  for (const [index, tier] of tiers.entries()) {
    const number = index + 1;
    const end = tier.upTo === null ? quantity : min(quantity, decimalFromBigint(tier.upTo));
    parts.push(unitPart(number, subtract(end, reached), tier.unitAmount ?? ZERO));
    if (tier.flatAmount !== null) parts.push(rateFlat(number, tier.flatAmount));
    reached = end;
    if (compare(reached, quantity) >= 0) return parts;
  }
  throw new RangeError('No tier contains the quantity: the last tier must be open');
}
