import { formatMoney, formatUnitAmount } from './currency.js';
import { compare, type Decimal, ONE, toText } from './decimal.js';
import { formatDay, type Instant, type Period } from './period.js';
import type { Price } from './price.js';
import { type RatedPart, rate } from './rating/rate.js';

/**
 * The description of a rated part in the wording of Stripe's invoices: "31 call × API (Tier 2 at $0.036 /
 * month)", "API (Tier 1 at $9.00 / month)" for a flat fee, "3 × Seat (at $10.00 / every 3 months)", "150 ×
 * Compute (at $10.00 per 60 / month)" for a package price (its units, not its packages).
 */
export function describePart(price: Price, part: RatedPart): string {
  return `${quantified(price, part)} (${rateText(price, part)})`;
}

/** A licensed part billed for the rest of an interval: "Remaining time on 3 × Seat after 14 Nov 2026". */
export function describeRemainingTime(price: Price, part: RatedPart, after: Instant): string {
  const one = part.kind === 'unit' && compare(part.sourceQuantity, ONE) === 0;
  const what = one ? price.productName : quantified(price, part);
  const tier = part.tier === null ? '' : ` (${rateText(price, part)})`;
  return `Remaining time on ${what} after ${formatDay(after)}${tier}`;
}

/**
 * Usage that reached us after its period was invoiced: "Late usage for 14 Oct 2026 – 14 Nov 2026: 30 ×
 * API".
 */
export function describeLateUsage(price: Price, quantity: Decimal, period: Period): string {
  const span = `${formatDay(period.start)} – ${formatDay(period.end)}`;
  return `Late usage for ${span}: ${units(price, quantity)} × ${price.productName}`;
}

/**
 * Why a quantity costs what it costs under a price: one sentence per part, with the exact product and the
 * rounding where there is one: "31 at $0.036 in tier 2 = $1.116, rounded to $1.12".
 */
export function explainParts(price: Price, quantity: Decimal): string[] {
  return rate(price, quantity).map((part) => {
    const tier = part.tier === null ? '' : ` in tier ${part.tier}`;
    const unit = formatUnitAmount(part.unitAmount, price.currency);
    if (part.kind === 'flat') return `flat fee of ${unit}${tier}${rounding(price, part)}`;
    const exact = formatUnitAmount(part.exactAmount, price.currency);
    return `${counted(price, part)} at ${unit}${tier} = ${exact}${rounding(price, part)}`;
  });
}

function counted(price: Price, part: RatedPart): string {
  const quantity = toText(part.quantity);
  const transform = price.transformQuantity;
  if (transform === null) return quantity;
  const source = toText(part.sourceQuantity);
  return `${source} in packages of ${transform.divideBy}, rounded ${transform.round}, is ${quantity}`;
}

function rounding(price: Price, part: RatedPart): string {
  if (part.exactAmount.scale === 0) return '';
  return `, rounded to ${formatMoney(part.amount, price.currency)}`;
}

function quantified(price: Price, part: RatedPart): string {
  if (part.kind === 'flat') return price.productName;
  return `${units(price, part.sourceQuantity)} × ${price.productName}`;
}

function units(price: Price, quantity: Decimal): string {
  return price.unitLabel === null ? toText(quantity) : `${toText(quantity)} ${price.unitLabel}`;
}

function rateText(price: Price, part: RatedPart): string {
  const tier = part.tier === null ? '' : `Tier ${part.tier} `;
  const amount = formatUnitAmount(part.unitAmount, price.currency);
  const packaged = price.transformQuantity;
  const per = packaged === null ? '' : ` per ${packaged.divideBy}`;
  return `${tier}at ${amount}${per}${intervalText(price)}`;
}

function intervalText(price: Price): string {
  if (price.recurring === null) return '';
  const { unit, count } = price.recurring.interval;
  return count === 1 ? ` / ${unit}` : ` / every ${count} ${unit}s`;
}
