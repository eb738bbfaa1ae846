import { compare, type Decimal, decimalFromBigint, ZERO } from '../decimal.js';
import type { Tier } from '../price.js';
import { rateFlat } from './flat.js';
import { type RatedPart, unitPart } from './part.js';

/**
 * Volume: the whole quantity at the price of the one tier that contains it, plus that tier's flat fee.
 * `up_to` is inclusive, so 5.5 is past a tier up to 5; a quantity of 0 is in the first tier
 * (docs.stripe.com/subscriptions/pricing-models/tiered-pricing). Throws RangeError when no tier contains
 * the quantity.
 */
export function rateVolume(tiers: readonly Tier[], quantity: Decimal): RatedPart[] {
  const index = tiers.findIndex(
    ({ upTo }) => upTo === null || compare(quantity, decimalFromBigint(upTo)) <= 0,
  );
  const tier = tiers[index];
  if (tier === undefined) throw new RangeError('No tier contains the quantity: the last tier must be open');
  const number = index + 1;
  const unit = unitPart(number, quantity, tier.unitAmount ?? ZERO);
  return tier.flatAmount === null ? [unit] : [unit, rateFlat(number, tier.flatAmount)];
}
