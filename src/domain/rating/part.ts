import { type Decimal, multiply, roundToInteger } from '../decimal.js';

/** One priced piece of a quantity: what an invoice shows as one line. */
export interface RatedPart {
  kind: 'unit' | 'flat';
  /** 1-based; null where the price has no tiers. */
  tier: number | null;
  /**
   * What the unit price is multiplied by: units, or whole packages for a package price. Zero for a flat
   * fee.
   */
  quantity: Decimal;
  /** The units of usage this part covers, before any division into packages. Zero for a flat fee. */
  sourceQuantity: Decimal;
  /** The price of one in minor units, or the whole flat fee. */
  unitAmount: Decimal;
  /** Minor units, unrounded. */
  exactAmount: Decimal;
  /** Minor units, the exact amount rounded once, half away from zero. */
  amount: bigint;
}

/** A part that is quantity × unit price. */
export function unitPart(
  tier: number | null,
  quantity: Decimal,
  unitAmount: Decimal,
  sourceQuantity: Decimal = quantity,
): RatedPart {
  const exactAmount = multiply(quantity, unitAmount);
  return {
    kind: 'unit',
    tier,
    quantity,
    sourceQuantity,
    unitAmount,
    exactAmount,
    amount: roundToInteger(exactAmount, 'half_away_from_zero'),
  };
}
