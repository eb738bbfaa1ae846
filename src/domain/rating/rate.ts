import { type Decimal, max, ZERO } from '../decimal.js';
import { sumMinor } from '../money.js';
import type { Price } from '../price.js';
import { rateGraduated } from './graduated.js';
import { ratePackage } from './package.js';
import type { RatedPart } from './part.js';
import { ratePerUnit } from './perUnit.js';
import { rateVolume } from './volume.js';

export type { RatedPart } from './part.js';

/**
 * What a quantity costs under a price, in the parts that an invoice shows. The one function behind
 * invoices, previews, live balances and alerts. A negative quantity (more corrections than usage) is billed
 * as 0. Throws RangeError on a price that `validatePrice` refuses.
 */
export function rate(price: Price, quantity: Decimal): RatedPart[] {
  const billed = max(quantity, ZERO);
  if (price.scheme === 'tiered') {
    if (price.tiers === null || price.tiersMode === null)
      throw new RangeError(`Price ${price.id} has no tiers`);
    return price.tiersMode === 'graduated'
      ? rateGraduated(price.tiers, billed)
      : rateVolume(price.tiers, billed);
  }
  if (price.unitAmount === null) throw new RangeError(`Price ${price.id} has no unit amount`);
  return price.transformQuantity === null
    ? ratePerUnit(price.unitAmount, billed)
    : ratePackage(price.unitAmount, price.transformQuantity, billed);
}

/** The sum of the parts' rounded amounts in minor units: the total is what is shown. */
export function ratedTotal(parts: readonly RatedPart[]): bigint {
  return sumMinor(parts.map((part) => part.amount));
}
