import { add, compare, type Decimal, max, min, multiply, ONE, subtract, ZERO } from '../decimal.js';
import type { Rate } from './terms.js';

/** One step of a price: units up to and including `upTo` on the period's counter; null is open. */
export interface PriceTier {
  upTo: Decimal | null;
  price: Decimal;
}

/** A price as a function of the position on the period's counter, and where it came from. */
export interface PriceSchedule {
  tiers: readonly PriceTier[];
  /** Whether lines show a tier. */
  isTiered: boolean;
  creditTypeId: string;
  minimum: Decimal | null;
  overrideId: string | null;
}

/** The tier as a line shows it: level from 1, the position where it starts and its width. */
export interface ShownTier {
  level: number;
  startingAt: Decimal;
  size: Decimal | null;
}

/** A stretch of the counter at one price; `quantity` is negative when the counter goes down. */
export interface TierSlice {
  from: Decimal;
  to: Decimal;
  quantity: Decimal;
  unitPrice: Decimal;
  tier: ShownTier | null;
}

/** The schedule of a rate. Throws RangeError on a priceless one. */
export function scheduleOf(rate: Rate): PriceSchedule {
  const isTiered = rate.rateType === 'TIERED' || rate.rateType === 'TIERED_PERCENTAGE';
  const common = { creditTypeId: rate.creditTypeId, minimum: rate.minimum, overrideId: null, isTiered };
  if (isTiered)
    return { ...common, tiers: cumulative(rate.tiers.map(({ size, price }) => ({ size, value: price }))) };
  if (rate.price === null) throw new RangeError(`A ${rate.rateType} rate needs a price`);
  return { ...common, tiers: [{ upTo: null, price: rate.price }] };
}

function cumulative(tiers: readonly { size: Decimal | null; value: Decimal }[]): PriceTier[] {
  let reached = ZERO;
  const steps = tiers.map(({ size, value }, index) => {
    if (size === null && index < tiers.length - 1) throw new RangeError('Only the last tier may be open');
    if (size !== null) reached = add(reached, size);
    return { upTo: size === null ? null : reached, price: value };
  });
  if (steps.at(-1)?.upTo !== null) throw new RangeError('The last tier must be open');
  return steps;
}

/** Every price of the schedule times the multiplier. */
export function multiplySchedule(schedule: PriceSchedule, multiplier: Decimal): PriceSchedule {
  return {
    ...schedule,
    tiers: schedule.tiers.map(({ upTo, price }) => ({ upTo, price: multiply(price, multiplier) })),
  };
}

/**
 * The schedule with a multiplier of its own for every tier of a TIERED override. Beyond the override's last
 * size the price is the unchanged one.
 */
export function multiplyByTiers(
  schedule: PriceSchedule,
  tiers: readonly { size: Decimal | null; multiplier: Decimal }[],
): PriceSchedule {
  const closed = tiers.at(-1)?.size === null ? tiers : [...tiers, { size: null, multiplier: ONE }];
  const factors = cumulative(closed.map(({ size, multiplier }) => ({ size, value: multiplier })));
  const ends = [...schedule.tiers, ...factors]
    .flatMap(({ upTo }) => (upTo === null ? [] : [upTo]))
    .sort(compare);
  const distinct = ends.filter((end, index) => index === 0 || compare(end, ends[index - 1] ?? ZERO) !== 0);
  const merged = [...distinct, null].map((upTo) => ({
    upTo,
    price: multiply(priceUpTo(schedule.tiers, upTo), priceUpTo(factors, upTo)),
  }));
  return { ...schedule, isTiered: true, tiers: merged };
}

function priceUpTo(tiers: readonly PriceTier[], upTo: Decimal | null): Decimal {
  const tier = tiers.find(
    (candidate) => candidate.upTo === null || (upTo !== null && compare(upTo, candidate.upTo) <= 0),
  );
  if (tier === undefined) throw new RangeError('The last tier must be open');
  return tier.price;
}

/**
 * The way of the counter from one position to another in slices of one price, in the direction it moves. A
 * tier's lower bound is exclusive and its upper one inclusive (docs.metronome.com, "rate cards": tiered
 * rates); below zero the first tier's price holds. No movement is one slice of quantity 0.
 */
export function slicesBetween(schedule: PriceSchedule, from: Decimal, to: Decimal): TierSlice[] {
  const [only] = schedule.tiers;
  if (only?.upTo === null && !schedule.isTiered) {
    return [{ from, to, quantity: subtract(to, from), unitPrice: only.price, tier: null }];
  }
  const direction = compare(to, from);
  const low = min(from, to);
  const high = max(from, to);
  const slices: TierSlice[] = [];
  for (const [index, tier] of schedule.tiers.entries()) {
    const start = schedule.tiers[index - 1]?.upTo ?? ZERO;
    const lower = index === 0 ? low : max(low, start);
    const upper = tier.upTo === null ? high : min(high, tier.upTo);
    const reached = direction === 0 ? isHere(tier, low) && slices.length === 0 : compare(lower, upper) < 0;
    if (!reached) continue;
    const span = subtract(upper, lower);
    slices.push({
      from: direction < 0 ? upper : lower,
      to: direction < 0 ? lower : upper,
      quantity: direction < 0 ? { ...span, coefficient: -span.coefficient } : direction === 0 ? ZERO : span,
      unitPrice: tier.price,
      tier: schedule.isTiered ? shownTier(index, start, tier.upTo) : null,
    });
  }
  return direction < 0 ? slices.reverse() : slices;
}

function isHere(tier: PriceTier, position: Decimal): boolean {
  return tier.upTo === null || compare(position, tier.upTo) < 0;
}

function shownTier(index: number, start: Decimal, upTo: Decimal | null): ShownTier {
  return { level: index + 1, startingAt: start, size: upTo === null ? null : subtract(upTo, start) };
}
