import { type Decimal, divide, multiply, type RoundingMode, roundToScale } from '../decimal.js';
import type { MoneyRounding, Product, QuantityRounding } from './terms.js';

/** Decimal places that a division keeps where nothing else is asked for. */
export const DIVISION_PLACES = 20;

const QUANTITY_MODES: Record<QuantityRounding['method'], RoundingMode> = {
  round_up: 'ceiling',
  round_down: 'floor',
  round_half_up: 'half_away_from_zero',
};

const MONEY_MODES: Record<MoneyRounding['method'], RoundingMode> = {
  HALF_UP: 'half_away_from_zero',
  FLOOR: 'floor',
  CEILING: 'ceiling',
};

/**
 * The billed quantity for a metered one: converted, then rounded (docs.metronome.com, "create products":
 * aggregate, convert, round, rate). A division that does not come out is kept to 20 places.
 */
export function billedQuantity(
  product: Pick<Product, 'quantityConversion' | 'quantityRounding'>,
  metered: Decimal,
): Decimal {
  const conversion = product.quantityConversion;
  let quantity = metered;
  if (conversion?.operation === 'multiply') quantity = multiply(metered, conversion.factor);
  if (conversion?.operation === 'divide') {
    quantity = divide(metered, conversion.factor, DIVISION_PLACES, 'half_away_from_zero');
  }
  const rounding = product.quantityRounding;
  return rounding === null
    ? quantity
    : roundToScale(quantity, rounding.places, QUANTITY_MODES[rounding.method]);
}

/** The amount rounded as asked; negative places round to tens, hundreds and so on of the stored unit. */
export function roundMoney(amount: Decimal, rounding: MoneyRounding): Decimal {
  const mode = MONEY_MODES[rounding.method];
  if (rounding.places >= 0) return roundToScale(amount, rounding.places, mode);
  const unit: Decimal = { coefficient: 10n ** BigInt(-rounding.places), scale: 0 };
  return multiply(divide(amount, unit, 0, mode), unit);
}

/** amount × numerator ÷ denominator, rounded once as asked. */
export function roundedShare(
  amount: Decimal,
  share: { numerator: bigint; denominator: bigint },
  rounding: MoneyRounding,
): Decimal {
  const product = multiply(amount, { coefficient: share.numerator, scale: 0 });
  const unit: Decimal = { coefficient: 10n ** BigInt(Math.max(0, -rounding.places)), scale: 0 };
  const denominator = multiply({ coefficient: share.denominator, scale: 0 }, unit);
  const places = Math.max(0, rounding.places);
  return multiply(divide(product, denominator, places, MONEY_MODES[rounding.method]), unit);
}
