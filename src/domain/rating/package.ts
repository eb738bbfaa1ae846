import { type Decimal, decimalFromBigint, divide } from '../decimal.js';
import type { TransformQuantity } from '../price.js';
import { type RatedPart, unitPart } from './part.js';

/**
 * Package: the quantity is divided into packages, begun ones counted (`up`) or dropped (`down`), and each
 * package costs the unit price. The part's quantity is the number of packages, its source quantity the
 * usage (docs.stripe.com/billing/subscriptions/usage-based/manage-billing: 150 units in packages of 60 are
 * 3).
 */
export function ratePackage(
  unitAmount: Decimal,
  transform: TransformQuantity,
  quantity: Decimal,
): RatedPart[] {
  const mode = transform.round === 'up' ? 'ceiling' : 'floor';
  const packages = divide(quantity, decimalFromBigint(transform.divideBy), 0, mode);
  return [unitPart(null, packages, unitAmount, quantity)];
}
