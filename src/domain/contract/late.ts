import { add, type Decimal, isZero, min, negate, ONE, sign, ZERO } from '../decimal.js';
import type { Instant, Period } from '../period.js';
import { valuesKey } from './applicability.js';
import { type Charge, chargesBetween, listAmount } from './charge.js';
import { type CounterRange, type CounterStart, FRESH_COUNTER, placesTaken, waysOf } from './counter.js';
import { cutAt, pieceIndexAt } from './cuts.js';
import type { DraftLine } from './lines.js';
import type { Pricing } from './pricing.js';
import type { GroupValues, PresentationValues, Product, UsageSlice } from './terms.js';
import { type ChargeContext, chargeUsage, type UsageCharges } from './usageCharges.js';

/** What one invoice has counted of one combination of group values. */
export interface CountedGroup {
  productId: string;
  pricingGroupValues: GroupValues;
  presentationGroupValues: PresentationValues;
  /** In the metric's units, by the start of the cut. */
  quantities: readonly { at: Instant; quantity: Decimal }[];
  /** The places on the group's counter that were billed. */
  ranges: readonly CounterRange[];
  /** What was billed up to a minimum charge; below zero where late usage took some of it back. */
  minimum: Decimal;
}

/** What one invoice has counted of one statement, its own or an earlier one. */
export interface CountedUsage {
  period: Period;
  isOwn: boolean;
  /** Inside the period, ascending: where usage was cut. */
  cuts: readonly Instant[];
  groups: readonly CountedGroup[];
}

/** A final statement with the usage that has come for it since. */
export interface LateStatement {
  period: Period;
  /** As they were in the period. */
  products: ReadonlyMap<string, Product>;
  cuts: readonly Instant[];
  /** What the invoices so far have counted of it. */
  counted: readonly CountedUsage[];
  /** What is to be counted on top, which may be negative, in time order. */
  usage: readonly UsageSlice[];
}

type GroupOf = Pick<UsageSlice, 'productId' | 'pricingGroupValues' | 'presentationGroupValues'>;

export function groupKeyOf({ productId, pricingGroupValues, presentationGroupValues }: GroupOf): string {
  return `${productId} ${valuesKey(pricingGroupValues)}/${valuesKey(presentationGroupValues)}`;
}

function byGroup<T extends GroupOf>(entries: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const entry of entries) {
    const key = groupKeyOf(entry);
    const known = groups.get(key);
    if (known === undefined) groups.set(key, [entry]);
    else known.push(entry);
  }
  return groups;
}

/**
 * The usage of a statement that its invoices have not counted: what is known now less what they have, cut by cut. A
 * cancelled event, or a maximum that moved to an earlier cut, makes it negative.
 */
export function uncounted(
  period: Period,
  cuts: readonly Instant[],
  now: readonly UsageSlice[],
  counted: readonly CountedUsage[],
): UsageSlice[] {
  const pieces = cutAt(period, cuts);
  const left = new Map<string, UsageSlice>();
  const note = (group: GroupOf, at: Instant, quantity: Decimal) => {
    const piece = pieces[pieceIndexAt(pieces, at)] ?? period;
    const key = `${groupKeyOf(group)} ${piece.start}`;
    const { productId, pricingGroupValues, presentationGroupValues } = group;
    const known = left.get(key);
    if (known !== undefined) known.quantity = add(known.quantity, quantity);
    else left.set(key, { productId, pricingGroupValues, presentationGroupValues, ...piece, quantity });
  };
  for (const slice of now) note(slice, slice.start, slice.quantity);
  for (const { groups } of counted) {
    for (const group of groups) {
      for (const { at, quantity } of group.quantities) note(group, at, negate(quantity));
    }
  }
  return [...left.values()].filter(({ quantity }) => !isZero(quantity)).sort((a, b) => a.start - b.start);
}

/**
 * The charges for late usage as they would have been in its own period: that period's rates, the tier counter going
 * on from what was counted before. Where the period's minimum charge was billed, late usage takes back as much of it.
 */
export function lateCharges(context: ChargeContext, late: LateStatement): UsageCharges {
  const { period, products, usage } = late;
  const starts = counterStarts(late.counted);
  const own = { ...context, period, products, windows: [], knownCuts: new Set(late.cuts) };
  const { groups, unbilled } = chargeUsage(own, usage, (group) => starts.get(groupKeyOf(group)));
  const charges = groups.flatMap((group) => {
    const used = group.charges.filter(({ slice }) => !isZero(slice.quantity));
    return [...used, ...minimumTakenBack(used, minimumOf(late, group))];
  });
  return { charges: charges.map((charge) => asLate(charge, period)), unbilled };
}

function asLate(charge: Charge, period: Period): Charge {
  return {
    ...charge,
    key: `late/${period.start}/${charge.key}`,
    name: `${charge.name} (late usage)`,
    isLate: true,
  };
}

function meteredOf({ quantities }: CountedGroup): Decimal {
  return quantities.reduce<Decimal>((sum, { quantity }) => add(sum, quantity), ZERO);
}

function minimumOf({ counted }: LateStatement, group: GroupOf): Decimal {
  const key = groupKeyOf(group);
  return counted
    .flatMap(({ groups }) => groups)
    .filter((one) => groupKeyOf(one) === key)
    .reduce<Decimal>((sum, { minimum }) => add(sum, minimum), ZERO);
}

function minimumTakenBack(charges: readonly Charge[], billed: Decimal): Charge[] {
  const last = charges.at(-1);
  if (last === undefined || sign(billed) <= 0) return [];
  const amount = charges.reduce<Decimal>((sum, charge) => add(sum, listAmount(charge)), ZERO);
  const price = negate(min(billed, amount));
  const unit = { ...last.pricing.list, isTiered: false, minimum: null, tiers: [{ upTo: null, price }] };
  const pricing: Pricing = { list: unit, listRate: last.pricing.listRate, forBalance: () => unit };
  const key = `${last.kind}/${last.product.id}/${valuesKey(last.pricingGroupValues)}/minimum`;
  return chargesBetween({ ...last, key, pricing }, ZERO, ONE);
}

/**
 * Where the counters of a statement stand for who bills more of it: the places that were billed before are left out,
 * so late usage goes on behind them, and a statement that is made anew fills the hole that its void has left.
 */
export function counterStarts(counted: readonly CountedUsage[]): Map<string, CounterStart> {
  const groups = byGroup(counted.flatMap((one) => one.groups));
  return new Map(
    [...groups].map(([key, same]) => {
      const metered = same.reduce<Decimal>((sum, group) => add(sum, meteredOf(group)), ZERO);
      return [key, { metered, ...placesTaken(same.flatMap(({ ranges }) => ranges)) }];
    }),
  );
}

/** What an invoice counts of its own statement, beside what others have billed of it. */
export function countedOwn(
  input: { period: Period; usage: readonly UsageSlice[]; billedElsewhere?: readonly CountedUsage[] },
  cuts: readonly Instant[],
  lines: readonly DraftLine[],
): CountedUsage {
  const { period, usage, billedElsewhere = [] } = input;
  return { period, isOwn: true, cuts, groups: countedGroups(usage, lines, '', billedElsewhere) };
}

/** What an invoice counts of an earlier statement. */
export function countedLate(late: LateStatement, lines: readonly DraftLine[]): CountedUsage {
  const { period, cuts, usage, counted } = late;
  const groups = countedGroups(usage, lines, `late/${period.start}/`, counted);
  return { period, isOwn: false, cuts, groups };
}

function countedGroups(
  usage: readonly UsageSlice[],
  lines: readonly DraftLine[],
  prefix: string,
  before: readonly CountedUsage[],
): CountedGroup[] {
  const starts = counterStarts(before);
  const billed = billedOf(lines, prefix);
  return [...byGroup(usage)].flatMap(([key, slices]) => {
    const [first] = slices;
    if (first === undefined) return [];
    const { productId, pricingGroupValues, presentationGroupValues } = first;
    const quantities = slices.map(({ start, quantity }) => ({ at: start, quantity }));
    const { quantity, minimum } = billed.get(key) ?? NOTHING_BILLED;
    const { position, taken } = starts.get(key) ?? FRESH_COUNTER;
    const ranges = waysOf(quantity, { position, taken });
    return [{ productId, pricingGroupValues, presentationGroupValues, quantities, ranges, minimum }];
  });
}

const NOTHING_BILLED = { quantity: ZERO, minimum: ZERO };

/** By group, the quantity that the lines bill, whoever pays, and what they bill up to a minimum. */
function billedOf(lines: readonly DraftLine[], prefix: string): Map<string, typeof NOTHING_BILLED> {
  const billed = new Map<string, typeof NOTHING_BILLED>();
  for (const line of lines) {
    const { key, productId, type, total, quantity } = line;
    if (productId === null || quantity === null || type !== 'usage' || !key.startsWith(`${prefix}usage/`)) {
      continue;
    }
    const group = groupKeyOf({ ...line, productId });
    const known = billed.get(group) ?? NOTHING_BILLED;
    const minimum = `${prefix}usage/${productId}/${valuesKey(line.pricingGroupValues)}/minimum`;
    billed.set(
      group,
      key.startsWith(minimum)
        ? { ...known, minimum: add(known.minimum, total) }
        : { ...known, quantity: add(known.quantity, quantity) },
    );
  }
  return billed;
}
