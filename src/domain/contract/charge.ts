import { type Decimal, multiply } from '../decimal.js';
import type { Period } from '../period.js';
import type { GroupValues, PresentationValues, Product } from './terms.js';
import type { Pricing } from './pricing.js';
import { slicesBetween, type TierSlice } from './tiers.js';

export type ChargeKind = 'usage' | 'subscription' | 'composite';

/** What is due for one stretch of one tier, before any balance pays. */
export interface Charge {
  /** Stable over recomputations of the same statement. */
  key: string;
  kind: ChargeKind;
  name: string;
  product: Product;
  /** The cut of the statement that the line shows. */
  period: Period;
  /** The part of `period` the usage fell into; the same as `period` unless a breakdown asks for windows. */
  window: Period;
  pricingGroupValues: GroupValues;
  presentationGroupValues: PresentationValues;
  pricing: Pricing;
  /** Where on the period's counter, how much and at what list price. */
  slice: TierSlice;
  subscriptionId: string | null;
  isProrated: boolean;
  /** Usage of an earlier statement that was final when it came. */
  isLate?: boolean;
}

/** What the charge costs at its list price. */
export function listAmount(charge: Charge): Decimal {
  return multiply(charge.slice.quantity, charge.slice.unitPrice);
}

/** The charges for a way of the counter: one for each tier that it crosses. */
export function chargesBetween(common: Omit<Charge, 'slice'>, from: Decimal, to: Decimal): Charge[] {
  return slicesBetween(common.pricing.list, from, to).map((slice) => ({
    ...common,
    key: slice.tier === null ? common.key : `${common.key}/tier ${slice.tier.level}`,
    slice,
  }));
}
