import { add, type Decimal, isZero, ONE, sign, subtract, ZERO } from '../decimal.js';
import type { Instant, Period } from '../period.js';
import { reaches, valuesKey } from './applicability.js';
import { type Charge, chargesBetween, listAmount } from './charge.js';
import { cutAt, cutInstantsOf, pieceIndexAt } from './cuts.js';
import { overridesFor, type PricedThing } from './overrides.js';
import { type Pricing, type PricingResult, pricingAt } from './pricing.js';
import { type RateIndex, ratesFor } from './rateCard.js';
import { billedQuantity } from './quantity.js';
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
 * it has no usage.
 */
export function usageCharges(context: ChargeContext, usage: readonly UsageSlice[]): UsageCharges {
  const result: UsageCharges = { charges: [], unbilled: [] };
  const groups = groupUsage(context, usage, result.unbilled);
  const seen = new Set(groups.map(({ product }) => product.id));
  for (const product of context.products.values()) {
    if (product.type !== 'USAGE' || seen.has(product.id) || product.pricingGroupKey.length > 0) continue;
    groups.push({ product, pricingGroupValues: {}, presentationGroupValues: {}, valuesKey: '/', slices: [] });
  }
  for (const group of groups) chargeGroup(context, group, result);
  return result;
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

function chargeGroup(context: ChargeContext, group: UsageGroup, result: UsageCharges): void {
  const { product, pricingGroupValues, presentationGroupValues } = group;
  const thing: PricedThing = { product, pricingGroupValues, presentationGroupValues, billingFrequency: null };
  const segments = ratesFor(context.rates, product.id, pricingGroupValues, null);
  const overrides = overridesFor(context.terms.overrides, thing);
  const balances = context.balances.filter(({ applicability }) => reaches(applicability, thing));
  const cuts = cutAt(context.period, cutInstantsOf(context.period, { segments, overrides, balances }));
  const { prioritization } = context.terms;
  const prices = cuts.map(({ start }) =>
    pricingAt({ segments, overrides, prioritization, thing, at: start }),
  );
  const charges: Charge[] = [];
  const counter = { metered: ZERO, billed: ZERO };
  for (const piece of meteredPieces(context, cuts, group.slices)) {
    const price = prices[piece.cut];
    const cut = cuts[piece.cut];
    if (price === undefined || cut === undefined) continue;
    if (price.outcome !== 'priced') {
      if (isZero(piece.quantity)) continue;
      const { quantity } = piece;
      const reason = price.outcome;
      result.unbilled.push({
        productId: product.id,
        pricingGroupValues,
        presentationGroupValues,
        quantity,
        reason,
      });
      continue;
    }
    const from = counter.billed;
    counter.metered = add(counter.metered, piece.quantity);
    counter.billed = billedQuantity(product, counter.metered);
    const common = commonOf(group, cut, piece.window, price.pricing);
    charges.push(...chargesBetween(common, from, counter.billed));
  }
  if (charges.length === 0) charges.push(...zeroCharge(group, cuts, prices));
  const billed = charges.filter(({ slice }) => !isZero(slice.quantity));
  result.charges.push(...(billed.length > 0 ? billed : charges.slice(0, 1)), ...minimumCharge(charges));
}

/** The metered quantity by cut and window, in time order; pieces without usage are left out. */
function meteredPieces(context: ChargeContext, cuts: readonly Period[], slices: readonly UsageSlice[]) {
  const windows = cutAt(context.period, context.windows);
  const pieces = new Map<string, { cut: number; window: Period; quantity: Decimal; at: Instant }>();
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
