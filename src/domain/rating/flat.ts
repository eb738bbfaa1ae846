import { type Decimal, roundToInteger, ZERO } from '../decimal.js';
import type { RatedPart } from './part.js';

/**
 * Flat fee: due once whatever the quantity, for a tier that is reached. Shown with quantity 0, as Stripe
 * does.
 */
export function rateFlat(tier: number | null, fee: Decimal): RatedPart {
  return {
    kind: 'flat',
    tier,
    quantity: ZERO,
    sourceQuantity: ZERO,
    unitAmount: fee,
    exactAmount: fee,
    amount: roundToInteger(fee, 'half_away_from_zero'),
  };
}
