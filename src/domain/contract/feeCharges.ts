import { add, type Decimal, isZero, sign, ZERO } from '../decimal.js';
import type { Instant } from '../period.js';
import { reaches } from './applicability.js';
import { type Charge, chargesBetween } from './charge.js';
import { cutAt, cutInstantsOf, pieceIndexAt } from './cuts.js';
import { overridesFor, type PricedThing } from './overrides.js';
import { mapPrices, type Pricing, pricingAt } from './pricing.js';
import { roundedShare } from './quantity.js';
import { ratesFor } from './rateCard.js';
import type { Spend } from './spend.js';
import { isOnStatement, type SubscriptionFee, subscriptionFees } from './subscriptions.js';
import type { PricingUnit, Product } from './terms.js';
import { type ChargeContext, minimumCharge } from './usageCharges.js';

/** The subscription charges that the usage statement of the context collects. */
export function subscriptionCharges(
  context: ChargeContext,
  units: ReadonlyMap<string, PricingUnit>,
): Charge[] {
  const { terms, period } = context;
  return terms.subscriptions.flatMap((subscription) =>
    subscriptionFees(subscription, terms, period.start, period.end + 1)
      .filter((fee) => isOnStatement(fee, terms, period))
      .flatMap((fee) => feeCharges(context, units, fee)),
  );
}

/**
 * A fee as charges: quantity × price, the price of a prorated one being the exact share of the rate,
 * rounded as the subscription says, half up on whole cents by default. None where the rate is missing or
 * not entitled.
 */
export function feeCharges(
  context: Pick<ChargeContext, 'terms' | 'rates' | 'products'>,
  units: ReadonlyMap<string, PricingUnit>,
  fee: SubscriptionFee,
): Charge[] {
  const { subscription, period, share, quantity } = fee;
  const product = context.products.get(subscription.productId);
  if (product === undefined || isZero(quantity)) return [];
  const thing = plainThing(product, subscription.frequency);
  const overrides = overridesFor(context.terms.overrides, thing);
  const segments = ratesFor(context.rates, product.id, {}, subscription.frequency);
  const prorated = (creditTypeId: string) => (price: Decimal) => {
    const places = units.get(creditTypeId)?.places ?? 2;
    const rounding = subscription.proration.rounding ?? { method: 'HALF_UP' as const, places };
    return share === null ? price : roundedShare(price, share, rounding);
  };
  const result = pricingAt({
    segments,
    overrides,
    prioritization: context.terms.prioritization,
    thing,
    at: fee.rateAt,
    adjust: (schedule) => mapPrices(schedule, prorated(schedule.creditTypeId)),
  });
  if (result.outcome !== 'priced') return [];
  const { pricing } = result;
  const common = {
    key: fee.key,
    kind: 'subscription' as const,
    name: subscription.name,
    product,
    period,
    window: period,
    pricingGroupValues: {},
    presentationGroupValues: {},
    pricing,
    subscriptionId: subscription.id,
    isProrated: share !== null,
  };
  return chargesBetween(common, ZERO, quantity);
}

function plainThing(product: Product, billingFrequency: PricedThing['billingFrequency']): PricedThing {
  return { product, pricingGroupValues: {}, presentationGroupValues: {}, billingFrequency };
}

/**
 * A composite product's charges: its rate, a fraction, times what the products it names have cost, in the unit of
 * the rate (docs.metronome.com, "composite products"). `spends` is what was charged before.
 */
export function compositeCharges(
  context: ChargeContext,
  product: Product,
  spends: readonly Spend[],
): Charge[] {
  const { composite } = product;
  if (composite === null) return [];
  const thing = plainThing(product, null);
  const segments = ratesFor(context.rates, product.id, {}, null);
  const overrides = overridesFor(context.terms.overrides, thing);
  const balances = context.balances.filter(({ applicability }) => reaches(applicability, thing));
  const cuts = cutAt(
    context.period,
    cutInstantsOf(context.period, { segments, overrides, balances, usage: thing }),
  );
  const named = spends.filter((spend) => isNamed(product, spend));
  const charges: Charge[] = [];
  let spent = ZERO;
  for (const [index, cut] of cuts.entries()) {
    const { prioritization } = context.terms;
    const result = pricingAt({ segments, overrides, prioritization, thing, at: cut.start });
    if (result.outcome !== 'priced') continue;
    const { pricing } = result;
    for (const window of windowsOf(cut, context.windows)) {
      const inside = named.filter(
        ({ at }) => pieceIndexAt(cuts, at) === index && isInWindow(at, window, cut),
      );
      const spend = sumOf(inside, pricing, composite.excludeFreeUsage);
      if (isZero(spend)) continue;
      charges.push(
        ...chargesBetween(compositeCommon(product, cut, window, pricing), spent, add(spent, spend)),
      );
      spent = add(spent, spend);
    }
  }
  const all = charges.length > 0 ? charges : zeroComposite(product, context, segments, overrides, thing);
  return [...all, ...minimumCharge(all)];
}

function compositeCommon(
  product: Product,
  cut: Charge['period'],
  window: Charge['window'],
  pricing: Pricing,
) {
  return {
    key: `composite/${product.id}/${cut.start}${window.start === cut.start ? '' : `/${window.start}`}`,
    kind: 'composite' as const,
    name: product.name,
    product,
    period: cut,
    window,
    pricingGroupValues: {},
    presentationGroupValues: {},
    pricing,
    subscriptionId: null,
    isProrated: false,
  };
}

function zeroComposite(
  product: Product,
  context: ChargeContext,
  segments: Parameters<typeof pricingAt>[0]['segments'],
  overrides: Parameters<typeof pricingAt>[0]['overrides'],
  thing: PricedThing,
): Charge[] {
  const { period, terms } = context;
  const at = Math.max(period.start, segments[0]?.startingAt ?? period.start);
  const result = pricingAt({ segments, overrides, prioritization: terms.prioritization, thing, at });
  if (result.outcome !== 'priced' || at >= period.end) return [];
  const shown = { start: at, end: period.end };
  return chargesBetween(compositeCommon(product, shown, shown, result.pricing), ZERO, ZERO);
}

function windowsOf(cut: Charge['period'], instants: readonly Instant[]): Charge['period'][] {
  return cutAt(
    cut,
    instants.filter((instant) => cut.start < instant && instant < cut.end),
  );
}

/** Fees may start outside the statement: they count where the cut begins or ends. */
function isInWindow(at: Instant, window: Charge['period'], cut: Charge['period']): boolean {
  if (at < cut.start) return window.start === cut.start;
  if (at >= cut.end) return window.end === cut.end;
  return window.start <= at && at < window.end;
}

function isNamed({ id, composite }: Product, { product, kind }: Spend): boolean {
  if (composite === null || product.id === id) return false;
  if (kind === 'composite' && !composite.includeCompositeSpend) return false;
  return (
    composite.productIds.includes(product.id) || composite.tags.some((tag) => product.tags.includes(tag))
  );
}

function sumOf(spends: readonly Spend[], pricing: Pricing, excludeFreeUsage: boolean): Decimal {
  const sum = spends
    .filter(({ creditTypeId }) => creditTypeId === pricing.list.creditTypeId)
    .filter(({ isFree }) => !(isFree && excludeFreeUsage))
    .reduce((total, { amount }) => add(total, amount), ZERO);
  return sign(sum) < 0 ? ZERO : sum;
}
