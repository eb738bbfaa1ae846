import type { Instant } from '../period.js';
import { valuesKey } from './applicability.js';
import type { BillingFrequency, GroupValues, RateCard, RateSegment } from './terms.js';

/** The rates of a card by what they price. */
export type RateIndex = ReadonlyMap<string, readonly RateSegment[]>;

/** A card that is read again and again, with thousands of rates, is indexed once. */
const indexes = new WeakMap<readonly RateSegment[], RateIndex>();

/** The index for lookups. Lists of rates never change once they are made: the same list gives the same index. */
export function indexRates(card: Pick<RateCard, 'rates'>): RateIndex {
  const made = indexes.get(card.rates);
  if (made !== undefined) return made;
  const index = new Map<string, RateSegment[]>();
  for (const segment of card.rates) {
    const key = rateKey(segment.productId, segment.pricingGroupValues, segment.billingFrequency);
    const known = index.get(key);
    if (known === undefined) index.set(key, [segment]);
    else known.push(segment);
  }
  indexes.set(card.rates, index);
  return index;
}

/** The rates that ever price exactly these values, in the order in which they were added. */
export function ratesFor(
  index: RateIndex,
  productId: string,
  values: GroupValues,
  frequency: BillingFrequency | null,
): readonly RateSegment[] {
  return index.get(rateKey(productId, values, frequency)) ?? [];
}

function rateKey(productId: string, values: GroupValues, frequency: BillingFrequency | null): string {
  return `${productId} ${frequency ?? ''} ${valuesKey(values)}`;
}

/**
 * The rate in force: of those that cover the instant the one that starts last, and of these the one added
 * last. So a rate scheduled for later is kept when an earlier start is added, and the end of a bounded rate
 * uncovers the one before it (docs.metronome.com, "rate cards": a later rate opens a new effective
 * segment).
 */
export function rateInForce(segments: readonly RateSegment[], at: Instant): RateSegment | null {
  let found: RateSegment | null = null;
  for (const segment of segments) {
    if (!covers(segment, at)) continue;
    if (found === null || segment.startingAt >= found.startingAt) found = segment;
  }
  return found;
}

/** Whether a span with an optional end contains the instant. */
export function covers(span: { startingAt: Instant; endingBefore: Instant | null }, at: Instant): boolean {
  return span.startingAt <= at && (span.endingBefore === null || at < span.endingBefore);
}
