import { type Decimal, DecimalFormatError, parseDecimal } from '../domain/decimal.js';

/** Stripe's usage counts have 15 significant digits; they may stand on either side of the point. */
const SIGNIFICANT_DIGITS_MAX = 15;
const FRACTION_DIGITS_MAX = 30;
const INTEGER_DIGITS_MAX = 30;

export type ValueProblem = 'meter_event_invalid_value' | 'meter_event_value_too_many_digits';

/**
 * The exact value of a meter event, or why it has none: `meter_event_value_too_many_digits` for more than 15
 * significant digits, `meter_event_invalid_value` for anything else that is not a decimal number of sensible size.
 * Negative values are corrections and allowed.
 */
export function parseEventValue(text: string): Decimal | ValueProblem {
  if (/^\d{1,15}$/.test(text)) return { coefficient: BigInt(text), scale: 0 };
  let value: Decimal;
  try {
    value = parseDecimal(text, {
      maxFractionDigits: FRACTION_DIGITS_MAX,
      maxIntegerDigits: INTEGER_DIGITS_MAX,
    });
  } catch (error) {
    if (!(error instanceof DecimalFormatError)) throw error;
    const plain = error.reason !== 'syntax' && !/[eE]/.test(text);
    return plain ? 'meter_event_value_too_many_digits' : 'meter_event_invalid_value';
  }
  return significantDigits(value) > SIGNIFICANT_DIGITS_MAX ? 'meter_event_value_too_many_digits' : value;
}

function significantDigits(value: Decimal): number {
  return value.coefficient.toString().replace(/^-/, '').replace(/0+$/, '').length;
}
