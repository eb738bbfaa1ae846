import type { Decimal } from '../decimal.js';
import { type RatedPart, unitPart } from './part.js';

/** Per unit: quantity × unit price. */
export function ratePerUnit(unitAmount: Decimal, quantity: Decimal): RatedPart[] {
  return [unitPart(null, quantity, unitAmount)];
}
