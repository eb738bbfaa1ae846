import type { Instant } from '../period.js';
import { valuesKey } from './applicability.js';
import { rateInForce } from './rateCard.js';
import type { GroupValues, Product, RateSegment } from './terms.js';

/** A rate for as long as it is the one in force; an open end is null. */
export interface EffectiveRate<R extends RateSegment = RateSegment> {
  rate: R;
  startingAt: Instant;
  endingBefore: Instant | null;
}

/** Which rates are asked for: all that is given must hold. */
export interface RateSelector {
  productId: string | null;
  /** All of them. */
  productTags: readonly string[] | null;
  /** Exactly these. */
  pricingGroupValues: GroupValues | null;
  /** At least these. */
  partialPricingGroupValues: GroupValues | null;
  billingFrequency: string | null;
}

/** What one price belongs to: the product, its pricing values and the frequency. */
export function priceKey(
  rate: Pick<RateSegment, 'productId' | 'pricingGroupValues' | 'billingFrequency'>,
): string {
  return `${rate.productId} ${rate.billingFrequency ?? ''} ${valuesKey(rate.pricingGroupValues)}`;
}

/**
 * The rates in force over time for everything that the list prices, in the order in which it was first priced: the
 * end of a segment is where the next one takes over (see `rateInForce`).
 */
export function effectiveRates<R extends RateSegment>(rates: readonly R[]): EffectiveRate<R>[] {
  const byKey = new Map<string, R[]>();
  for (const rate of rates) {
    const key = priceKey(rate);
    const known = byKey.get(key);
    if (known === undefined) byKey.set(key, [rate]);
    else known.push(rate);
  }
  return [...byKey.values()].flatMap(segmentsOf);
}

function segmentsOf<R extends RateSegment>(rates: readonly R[]): EffectiveRate<R>[] {
  const bounds = rates.flatMap(({ startingAt, endingBefore }) =>
    endingBefore === null ? [startingAt] : [startingAt, endingBefore],
  );
  const instants = [...new Set(bounds)].sort((a, b) => a - b);
  const segments: EffectiveRate<R>[] = [];
  for (const [index, startingAt] of instants.entries()) {
    const rate = rateInForce(rates, startingAt) as R | null;
    if (rate === null) continue;
    const endingBefore = instants[index + 1] ?? null;
    const last = segments.at(-1);
    if (last?.rate === rate && last.endingBefore === startingAt) last.endingBefore = endingBefore;
    else segments.push({ rate, startingAt, endingBefore });
  }
  return segments;
}

/** Whether a rate is asked for: no selector asks for all, several are alternatives. */
export function isSelected(
  rate: RateSegment,
  product: Pick<Product, 'tags'> | undefined,
  selectors: readonly RateSelector[],
): boolean {
  return selectors.length === 0 || selectors.some((selector) => selects(selector, rate, product?.tags ?? []));
}

function selects(selector: RateSelector, rate: RateSegment, tags: readonly string[]): boolean {
  const { productId, productTags, pricingGroupValues: exact, partialPricingGroupValues: partial } = selector;
  if (productId !== null && productId !== rate.productId) return false;
  if (productTags !== null && !productTags.every((tag) => tags.includes(tag))) return false;
  if (selector.billingFrequency !== null && selector.billingFrequency !== rate.billingFrequency) return false;
  if (exact !== null && valuesKey(exact) !== valuesKey(rate.pricingGroupValues)) return false;
  return (
    partial === null ||
    Object.entries(partial).every(([name, value]) => rate.pricingGroupValues[name] === value)
  );
}
