import { compare } from '../decimal.js';
import type { Instant } from '../period.js';
import { type ChargeTarget, specifierMatches } from './applicability.js';
import { covers } from './rateCard.js';
import type { Balance } from './balanceTerms.js';
import type { BillingFrequency, ContractTerms, Override, RateSegment } from './terms.js';
import { multiplyByTiers, multiplySchedule, type PriceSchedule, scheduleOf } from './tiers.js';

export type PayingBalance = Pick<Balance, 'id' | 'rateType' | 'recurringId'>;

export interface PricedThing extends ChargeTarget {
  billingFrequency: BillingFrequency | null;
}

/** The overrides that could ever touch the thing, whoever pays. */
export function overridesFor(overrides: readonly Override[], thing: PricedThing): readonly Override[] {
  if (overrides.length === 0) return overrides;
  return overrides.filter(
    ({ specifiers }) => specifiers.length === 0 || specifiers.some((one) => touches(one, thing)),
  );
}

function touches(specifier: Override['specifiers'][number], thing: PricedThing): boolean {
  if (specifier.billingFrequency !== null && specifier.billingFrequency !== thing.billingFrequency)
    return false;
  return specifierMatches(specifier, thing);
}

function touchesFor(override: Override, thing: PricedThing, balance: PayingBalance): boolean {
  if (override.specifiers.length === 0) return true;
  return override.specifiers.some((specifier) => {
    if (!touches(specifier, thing)) return false;
    const { balanceIds, recurringIds } = specifier;
    if (balanceIds.length === 0 && recurringIds.length === 0) return true;
    if (balanceIds.includes(balance.id)) return true;
    return balance.recurringId !== null && recurringIds.includes(balance.recurringId);
  });
}

/**
 * Whether the contract sells the thing: the rate card's word, unless an override has one; the last added
 * wins.
 */
export function isEntitled(segment: RateSegment, overrides: readonly Override[], at: Instant): boolean {
  const word = overrides.findLast((override) => override.entitled !== null && covers(override, at));
  return word?.entitled ?? segment.entitled;
}

/**
 * What a unit costs at an instant: the list rate, or the commit rate where the balance that pays asks for
 * it and there is one, changed by at most one override. Overrides never stack: when a balance pays, those
 * specific to it come first, then the contract's; of each the last added OVERWRITE wins, else the smallest
 * multiplier, or under EXPLICIT the smallest priority (docs.metronome.com, "discounting on commits", "edit
 * or override a contract"). A rate with a minimum ignores commit-specific overrides. `overrides` are those
 * of `overridesFor`.
 */
export function priceInForce(
  segment: RateSegment,
  overrides: readonly Override[],
  prioritization: ContractTerms['prioritization'],
  thing: PricedThing,
  at: Instant,
  balance: PayingBalance | null,
): PriceSchedule {
  const onCommitRate = balance?.rateType === 'COMMIT_RATE' && segment.commitRate !== null;
  const rate = onCommitRate && segment.commitRate !== null ? segment.commitRate : segment.rate;
  const target = onCommitRate ? 'COMMIT_RATE' : 'LIST_RATE';
  const active = overrides.filter(
    (override) => override.type !== null && override.target === target && covers(override, at),
  );
  const specific =
    balance === null || rate.minimum !== null
      ? []
      : active.filter((override) => override.isCommitSpecific && touchesFor(override, thing, balance));
  const general = active.filter((override) => !override.isCommitSpecific);
  const winner = winnerOf(specific, prioritization) ?? winnerOf(general, prioritization);
  const base = scheduleOf(rate);
  return winner === null ? base : overridden(base, winner);
}

function winnerOf(
  candidates: readonly Override[],
  prioritization: ContractTerms['prioritization'],
): Override | null {
  const overwrite = candidates.findLast(({ type }) => type === 'OVERWRITE');
  if (overwrite !== undefined) return overwrite;
  let winner: Override | null = null;
  for (const candidate of candidates) {
    if (prioritization === 'LOWEST_MULTIPLIER' && candidate.type === 'TIERED') {
      throw new RangeError(`Override ${candidate.id}: tiered overrides need EXPLICIT prioritization`);
    }
    if (winner === null || comesFirst(candidate, winner, prioritization)) winner = candidate;
  }
  return winner;
}

function comesFirst(a: Override, b: Override, prioritization: ContractTerms['prioritization']): boolean {
  if (prioritization === 'EXPLICIT') {
    return (a.priority ?? Number.POSITIVE_INFINITY) < (b.priority ?? Number.POSITIVE_INFINITY);
  }
  return compare(multiplierOf(a), multiplierOf(b)) < 0;
}

function overridden(base: PriceSchedule, override: Override): PriceSchedule {
  if (override.type === 'OVERWRITE') {
    if (override.overwriteRate === null) throw new RangeError(`Override ${override.id} has no rate`);
    const schedule = scheduleOf(override.overwriteRate);
    return { ...schedule, overrideId: override.id };
  }
  const changed =
    override.type === 'TIERED'
      ? multiplyByTiers(base, override.tiers)
      : multiplySchedule(base, multiplierOf(override));
  return { ...changed, overrideId: override.id };
}

function multiplierOf(override: Override) {
  if (override.multiplier === null) throw new RangeError(`Override ${override.id} has no multiplier`);
  return override.multiplier;
}

/** Whether a balance can have another price than the list's: the cheap question before `priceInForce`. */
export function hasPriceOfItsOwn(
  segment: RateSegment,
  overrides: readonly Override[],
  thing: PricedThing,
  at: Instant,
  balance: PayingBalance,
): boolean {
  if (balance.rateType === 'COMMIT_RATE' && segment.commitRate !== null) return true;
  return overrides.some((one) => one.isCommitSpecific && covers(one, at) && touchesFor(one, thing, balance));
}
