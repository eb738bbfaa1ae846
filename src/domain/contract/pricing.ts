import type { Instant } from '../period.js';
import { hasPriceOfItsOwn, isEntitled, type PricedThing, priceInForce } from './overrides.js';
import { rateInForce } from './rateCard.js';
import type { Balance } from './balanceTerms.js';
import type { ContractTerms, Override, Rate, RateSegment } from './terms.js';
import type { PriceSchedule } from './tiers.js';

/** The prices of one thing at one instant: without a balance, and for each balance that may pay. */
export interface Pricing {
  list: PriceSchedule;
  /** As on the rate card, before overrides. */
  listRate: Rate;
  forBalance(balance: Balance): PriceSchedule;
}

export interface PricingQuery {
  /** Of the thing, in the order in which they were added. */
  segments: readonly RateSegment[];
  /** Those of `overridesFor`. */
  overrides: readonly Override[];
  prioritization: ContractTerms['prioritization'];
  thing: PricedThing;
  at: Instant;
  /** What the thing itself does to any of its prices, for example the share of a prorated fee. */
  adjust?: (schedule: PriceSchedule) => PriceSchedule;
}

export type PricingResult =
  | { outcome: 'priced'; pricing: Pricing }
  /** `no_rate` is what silently leaks; `not_entitled` is meant. */
  | { outcome: 'no_rate' | 'not_entitled' };

/** The prices in force, or why there are none. */
export function pricingAt(query: PricingQuery): PricingResult {
  const { overrides, at } = query;
  const segment = rateInForce(query.segments, at);
  if (segment === null) return { outcome: 'no_rate' };
  if (overrides.length > 0 || query.adjust !== undefined) return pricingOf(segment, query);
  let plain = plainPricings.get(segment);
  if (plain === undefined) {
    plain = pricingOf(segment, query);
    plainPricings.set(segment, plain);
  }
  return plain;
}

/** Without overrides a rate prices everything alike, and those of a card are asked for at every read. */
const plainPricings = new WeakMap<RateSegment, PricingResult>();

function pricingOf(segment: RateSegment, query: PricingQuery): PricingResult {
  const { overrides, prioritization, thing, at } = query;
  const adjust = query.adjust ?? unchanged;
  if (!isEntitled(segment, overrides, at)) return { outcome: 'not_entitled' };
  const list = adjust(priceInForce(segment, overrides, prioritization, thing, at, null));
  const known = new Map<string, PriceSchedule>();
  const forBalance = (balance: Balance): PriceSchedule => {
    if (!hasPriceOfItsOwn(segment, overrides, thing, at, balance)) return list;
    // Only overrides tell balances of one kind of rate apart.
    const key = overrides.length === 0 ? balance.rateType : balance.id;
    const cached = known.get(key);
    if (cached !== undefined) return cached;
    const schedule = adjust(priceInForce(segment, overrides, prioritization, thing, at, balance));
    known.set(key, schedule);
    return schedule;
  };
  return { outcome: 'priced', pricing: { list, listRate: segment.rate, forBalance } };
}

function unchanged(schedule: PriceSchedule): PriceSchedule {
  return schedule;
}

/** The schedule with every price changed. */
export function mapPrices(
  schedule: PriceSchedule,
  change: (price: PriceSchedule['tiers'][number]['price']) => PriceSchedule['tiers'][number]['price'],
): PriceSchedule {
  return { ...schedule, tiers: schedule.tiers.map(({ upTo, price }) => ({ upTo, price: change(price) })) };
}
