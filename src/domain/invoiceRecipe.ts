import type { Instant, Period } from './period.js';

/**
 * What an invoice bills, kept with it as JSON: enough to compute its lines again from the usage known by then. A
 * draft, its refresh, its finalization and a preview are all computed from it, so they can't disagree.
 */
export interface InvoiceRecipe {
  customerId: string;
  currency: string;
  items: RecipeItem[];
  /**
   * Closed periods of the metered items that ended after this instant are looked at again for late usage; null when
   * this invoice bills none.
   */
  lateUsageSince: Instant | null;
}

export interface RecipeItem {
  subscriptionItemId: string;
  priceId: string;
  period: Period;
  /** Licensed quantity as text; null where the quantity is the meter's. */
  quantity: string | null;
  /** The share of the interval that a shortened licensed period is billed for, as texts; null for all of it. */
  proration: { numerator: string; denominator: string } | null;
}
