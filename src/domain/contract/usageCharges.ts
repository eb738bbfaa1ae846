import { add, type Decimal, isZero, ONE, sign, subtract, ZERO } from '../decimal.js';
import type { Instant, Period } from '../period.js';
import { reaches, valuesKey } from './applicability.js';
import { type Charge, chargesBetween, listAmount } from './charge.js';
import { type CounterStart, UsageCounter } from './counter.js';
import { cutAt, cutInstantsOf, pieceIndexAt } from './cuts.js';
import { overridesFor, type PricedThing } from './overrides.js';
import { type Pricing, type PricingResult, pricingAt } from './pricing.js';
import { type RateIndex, ratesFor } from './rateCard.js';
import type { Balance } from './balanceTerms.js';
import type { ContractTerms, GroupValues, PresentationValues, Product, UsageSlice } from './terms.js';

/** What charges are made from; balances only say where the statement is cut. */
export interface ChargeContext {
  terms: ContractTerms;
  rates: RateIndex;
  products: ReadonlyMap<string, Product>;
  balances: readonly Balance[];
  period: Period;
  /** Further instants to cut at without changing what lines show: the windows of a breakdown. */
  windows: readonly Instant[];
  /** The only instants to cut at, where usage was cut before; all that matter unless given. */
  knownCuts?: ReadonlySet<Instant>;
}

/** Usage that no line bills, so that it can be seen. `no_rate`: the rate card lacks the combination. */
export interface UnbilledUsage {
  productId: string;
  pricingGroupValues: GroupValues;
  presentationGroupValues: PresentationValues;
  quantity: Decimal;
  reason: 'no_rate' | 'not_entitled' | 'no_product';
}

export interface UsageCharges {
  charges: Charge[];
  unbilled: UnbilledUsage[];
}

/** What was charged for one combination of group values. */
export interface ChargedGroup {
  productId: string;
  pricingGroupValues: GroupValues;
  presentationGroupValues: PresentationValues;
  charges: Charge[];
}

/** Where the counter of a group starts; undefined is at zero. */
export type CounterStarts = (
  group: Pick<ChargedGroup, 'productId' | 'pricingGroupValues' | 'presentationGroupValues'>,
) => CounterStart | undefined;

const AT_ZERO: CounterStarts = () => undefined;

/** Usage of one combination of group values. */
interface UsageGroup {
  product: Product;
  pricingGroupValues: GroupValues;
  presentationGroupValues: PresentationValues;
  /** One text for both kinds of values. */
  valuesKey: string;
  slices: UsageSlice[];
}

/**
 * The usage charges of a statement: usage by combination of pricing and presentation values, cut wherever a
 * rate, an override or the access to a balance that may pay begins or ends. Each combination has one
 * counter for its tiers: it starts at zero with the statement and goes on over every cut, whatever rate
 * follows. A quantity is converted and rounded as the running total of the statement, and a cut is billed
 * the difference, so the roundings never add up. A product without pricing keys shows a line of zero when
 * it has no usage. `starts` says where a counter starts of which other invoices have billed some places.
 */
export function usageCharges(
  context: ChargeContext,
  usage: readonly UsageSlice[],
  starts: CounterStarts = AT_ZERO,
): UsageCharges {
  const result: UsageCharges = { charges: [], unbilled: [] };
  const groups = groupUsage(context, usage, result.unbilled);
  const seen = new Set(groups.map(({ product }) => product.id));
  for (const product of context.products.values()) {
    if (product.type !== 'USAGE' || seen.has(product.id) || product.pricingGroupKey.length > 0) continue;
    groups.push({ product, pricingGroupValues: {}, presentationGroupValues: {}, valuesKey: '/', slices: [] });
  }
  for (const group of groups) {
    const charges = chargeGroup(context, group, starts, result.unbilled);
    const billed = charges.filter(({ slice }) => !isZero(slice.quantity));
    for (const charge of billed.length > 0 ? billed : charges.slice(0, 1)) result.charges.push(charge);
    result.charges.push(...minimumCharge(charges));
  }
  return result;
}

/** The charges of usage alone, by combination of group values: no lines of zero, no minimum. */
export function chargeUsage(
  context: ChargeContext,
  usage: readonly UsageSlice[],
  starts: CounterStarts,
): { groups: ChargedGroup[]; unbilled: UnbilledUsage[] } {
  const unbilled: UnbilledUsage[] = [];
  const groups = groupUsage(context, usage, unbilled).map((group) => {
    const { product, pricingGroupValues, presentationGroupValues } = group;
    const charges = chargeGroup(context, group, starts, unbilled);
    return { productId: product.id, pricingGroupValues, presentationGroupValues, charges };
  });
  return { groups, unbilled };
}

function groupUsage(
  context: ChargeContext,
  usage: readonly UsageSlice[],
  unbilled: UnbilledUsage[],
): UsageGroup[] {
  const groups = new Map<string, UsageGroup>();
  for (const slice of usage) {
    const { productId, pricingGroupValues, presentationGroupValues, quantity } = slice;
    const product = context.products.get(productId);
    if (product === undefined) {
      unbilled.push({
        productId,
        pricingGroupValues,
        presentationGroupValues,
        quantity,
        reason: 'no_product',
      });
      continue;
    }
    const values = `${valuesKey(pricingGroupValues)}/${valuesKey(presentationGroupValues)}`;
    const key = `${productId} ${values}`;
    const group = groups.get(key);
    if (group !== undefined) group.slices.push(slice);
    else
      groups.set(key, {
        product,
        pricingGroupValues,
        presentationGroupValues,
        valuesKey: values,
        slices: [slice],
      });
  }
  return [...groups.values()];
}

function chargeGroup(
  context: ChargeContext,
  group: UsageGroup,
  starts: CounterStarts,
  unbilled: UnbilledUsage[],
): Charge[] {
  const { product, pricingGroupValues, presentationGroupValues } = group;
  const thing: PricedThing = { product, pricingGroupValues, presentationGroupValues, billingFrequency: null };
  const segments = ratesFor(context.rates, product.id, pricingGroupValues, null);
  const overrides = overridesFor(context.terms.overrides, thing);
  const balances = context.balances.filter(({ applicability }) => reaches(applicability, thing));
  const instants = cutInstantsOf(context.period, { segments, overrides, balances, usage: thing });
  const { knownCuts } = context;
  const cuts = cutAt(
    context.period,
    knownCuts === undefined ? instants : instants.filter((instant) => knownCuts.has(instant)),
  );
  const { prioritization } = context.terms;
  const prices = cuts.map(({ start }) =>
    pricingAt({ segments, overrides, prioritization, thing, at: start }),
  );
  const charges: Charge[] = [];
  const counter = new UsageCounter(
    product,
    starts({ productId: product.id, pricingGroupValues, presentationGroupValues }),
  );
  for (const piece of meteredPieces(context, cuts, group.slices)) {
    const price = prices[piece.cut];
    const cut = cuts[piece.cut];
    if (price === undefined || cut === undefined) continue;
    if (price.outcome !== 'priced') {
      if (isZero(piece.quantity)) continue;
      const { quantity } = piece;
      const reason = price.outcome;
      unbilled.push({
        productId: product.id,
        pricingGroupValues,
        presentationGroupValues,
        quantity,
        reason,
      });
      continue;
    }
    const common = commonOf(group, cut, piece.window, price.pricing);
    for (const { from, to } of counter.add(piece.quantity)) charges.push(...chargesBetween(common, from, to));
  }
  return charges.length > 0 ? charges : zeroCharge(group, cuts, prices);
}

interface MeteredPiece {
  cut: number;
  window: Period;
  quantity: Decimal;
  at: Instant;
}

/** The metered quantity by cut and window, in time order; pieces without usage are left out. */
function meteredPieces(
  context: ChargeContext,
  cuts: readonly Period[],
  slices: readonly UsageSlice[],
): MeteredPiece[] {
  const [first] = slices;
  const [only] = cuts;
  if (first === undefined) return [];
  if (only !== undefined && cuts.length === 1 && slices.length === 1 && context.windows.length === 0) {
    return [{ cut: 0, window: only, quantity: first.quantity, at: only.start }];
  }
  const windows = cutAt(context.period, context.windows);
  const pieces = new Map<string, MeteredPiece>();
  for (const slice of slices) {
    const cut = pieceIndexAt(cuts, slice.start);
    const whole = cuts[cut] ?? context.period;
    const part =
      context.windows.length === 0 ? whole : (windows[pieceIndexAt(windows, slice.start)] ?? whole);
    const window = { start: Math.max(whole.start, part.start), end: Math.min(whole.end, part.end) };
    const key = `${cut} ${window.start}`;
    const piece = pieces.get(key);
    if (piece === undefined) pieces.set(key, { cut, window, quantity: slice.quantity, at: window.start });
    else piece.quantity = add(piece.quantity, slice.quantity);
  }
  return [...pieces.values()].sort((a, b) => a.at - b.at);
}

function commonOf(group: UsageGroup, cut: Period, window: Period, pricing: Pricing): Omit<Charge, 'slice'> {
  const { product, pricingGroupValues, presentationGroupValues } = group;
  const windowKey = window.start === cut.start && window.end === cut.end ? '' : `/${window.start}`;
  return {
    key: `usage/${product.id}/${group.valuesKey}/${cut.start}${windowKey}`,
    kind: 'usage',
    name: product.name,
    product,
    period: cut,
    window,
    pricingGroupValues,
    presentationGroupValues,
    pricing,
    subscriptionId: null,
    isProrated: false,
  };
}

/** One line of zero from the first instant at which an unused product is sold. */
function zeroCharge(group: UsageGroup, cuts: readonly Period[], prices: readonly PricingResult[]): Charge[] {
  if (group.slices.length > 0) return [];
  const index = prices.findIndex(({ outcome }) => outcome === 'priced');
  const price = prices[index];
  const cut = cuts[index];
  if (price?.outcome !== 'priced' || cut === undefined) return [];
  const period = { start: cut.start, end: cuts.at(-1)?.end ?? cut.end };
  return chargesBetween(commonOf(group, period, period, price.pricing), ZERO, ZERO);
}

/**
 * What is missing to the minimum that the last rate of the period asks for, as a charge of its own:
 * together with the others it makes the larger of the two (docs.metronome.com/api-reference,
 * minimum_config).
 */
export function minimumCharge(charges: readonly Charge[]): Charge[] {
  const last = charges.at(-1);
  const minimum = last?.pricing.list.minimum ?? null;
  if (last === undefined || minimum === null || sign(minimum) <= 0) return [];
  const sum = charges.reduce((total, charge) => add(total, listAmount(charge)), ZERO);
  const missing = subtract(minimum, sum);
  if (sign(missing) <= 0) return [];
  const unit = {
    ...last.pricing.list,
    isTiered: false,
    minimum: null,
    tiers: [{ upTo: null, price: missing }],
  };
  const pricing: Pricing = { list: unit, listRate: last.pricing.listRate, forBalance: () => unit };
  const key = `${last.kind}/${last.product.id}/${valuesKey(last.pricingGroupValues)}/minimum`;
  return chargesBetween({ ...last, key, pricing }, ZERO, ONE);
}
