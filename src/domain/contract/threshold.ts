import { compare, type Decimal, multiply, ONE, parseDecimal, subtract, ZERO } from '../decimal.js';
import { invalid } from '../errors.js';
import { roundMoney } from './quantity.js';
import type { PricingUnit } from './terms.js';

/** Priority of the commits that thresholds make (docs.metronome.com, "prioritization rules"). */
export const THRESHOLD_COMMIT_PRIORITY = 100;

const MINIMUM_THRESHOLD_DOLLARS = parseDecimal('5');
const MINIMUM_RISE_DOLLARS = parseDecimal('10');

/** A share paid, 0.9 for 10 % off, until what the tracker counts reaches the cap. */
export interface ThresholdDiscount {
  paymentFraction: Decimal;
  /** Null is no cap. In the tracker's stored unit. */
  cap: { amount: Decimal; accumulated: Decimal } | null;
}

export interface RechargeConfig {
  isEnabled: boolean;
  /** In the stored unit of the balance, as `rechargeTo`. */
  threshold: Decimal;
  rechargeTo: Decimal;
  /** The currency's stored unit for one of the balance's; one where they are the same. */
  fiatPerUnit: Decimal;
  discount: ThresholdDiscount | null;
}

/** A commit to make: how much access it gives, and what it costs in the currency's stored unit. */
export interface TopUp {
  access: Decimal;
  invoice: Decimal;
  /** Whether only a share of the price is paid. */
  isDiscounted: boolean;
}

/**
 * The top-up of a prepaid balance at or below its threshold: up to the recharge level, at its price times
 * the share paid, rounded half up on whole cents. Null above the threshold or switched off. One crossing
 * makes one top-up: ask only while none is under way (docs.metronome.com, "prepaid balance thresholds").
 */
export function rechargeFor(config: RechargeConfig, balance: Decimal, currency: PricingUnit): TopUp | null {
  if (!config.isEnabled || compare(balance, config.threshold) > 0) return null;
  const access = subtract(config.rechargeTo, balance);
  if (compare(access, ZERO) <= 0) return null;
  return { access, ...priceOf(multiply(access, config.fiatPerUnit), config.discount, currency) };
}

export interface SpendThresholdConfig {
  isEnabled: boolean;
  /** In the currency's stored unit, as the spend. */
  threshold: Decimal;
  discount: ThresholdDiscount | null;
}

/**
 * The charge when unpaid spend reaches the threshold: all that has accrued, so that the commit it buys
 * covers the usage that it charged and the count starts again from zero. Null below. `accrued` is what the
 * open usage invoices leave to pay: their total (docs.metronome.com, "set customer spend control").
 */
export function spendChargeFor(
  config: SpendThresholdConfig,
  accrued: Decimal,
  currency: PricingUnit,
): TopUp | null {
  if (!config.isEnabled || compare(accrued, ZERO) <= 0 || compare(accrued, config.threshold) < 0) return null;
  return { access: accrued, ...priceOf(accrued, config.discount, currency) };
}

function priceOf(
  amount: Decimal,
  discount: ThresholdDiscount | null,
  currency: PricingUnit,
): Pick<TopUp, 'invoice' | 'isDiscounted'> {
  const capped = discount?.cap != null && compare(discount.cap.accumulated, discount.cap.amount) >= 0;
  const fraction = discount === null || capped ? ONE : discount.paymentFraction;
  const invoice = roundMoney(multiply(amount, fraction), { method: 'HALF_UP', places: currency.places });
  return { invoice, isDiscounted: compare(fraction, ONE) < 0 };
}

/**
 * Refuses a recharge below Metronome's minimums: threshold at least 5.00 and recharge level at least 10.00
 * above it, custom units at their price in currency. Throws BillingError `invalid`.
 */
export function checkRecharge(
  config: Pick<RechargeConfig, 'threshold' | 'rechargeTo' | 'fiatPerUnit'>,
  currency: PricingUnit,
  minorPerMajor: Decimal,
): void {
  const inMajor = (dollars: Decimal) => multiply(dollars, minorPerMajor);
  if (compare(multiply(config.threshold, config.fiatPerUnit), inMajor(MINIMUM_THRESHOLD_DOLLARS)) < 0) {
    throw invalid(`threshold_amount must be worth at least 5 ${currency.name}`);
  }
  const rise = multiply(subtract(config.rechargeTo, config.threshold), config.fiatPerUnit);
  if (compare(rise, inMajor(MINIMUM_RISE_DOLLARS)) < 0) {
    throw invalid(`recharge_to_amount must be at least 10 ${currency.name} above threshold_amount`);
  }
}
