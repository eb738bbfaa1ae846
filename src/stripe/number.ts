import { type Decimal, toText } from '../domain/decimal.js';

/**
 * A decimal where Stripe's shape wants a JSON number: every digit of a whole number, the nearest double of any other.
 * The exact value is in the places that have a decimal string.
 */
export function jsonNumber(value: Decimal): bigint | number {
  return value.scale === 0 ? value.coefficient : Number(toText(value));
}
