import type { Tier, TransformQuantity } from '../domain/price.js';
import type { JsonObject } from '../json.js';
import type { PriceRecord } from '../storage/prices.js';
import { decimalText, unixSeconds, wholeAmount } from './values.js';

/**
 * A price in Stripe's shape (docs.stripe.com/api/prices/object). `tiers` and `currency_options` are hidden unless
 * they are expanded, see `priceTiers` and `priceCurrencyOptions`.
 */
export function priceObject(price: PriceRecord): JsonObject {
  const { recurring, transformQuantity } = price;
  return {
    id: price.id,
    object: 'price',
    active: price.active,
    billing_scheme: price.scheme,
    created: unixSeconds(price.createdAt),
    currency: price.currency,
    custom_unit_amount: null,
    livemode: price.livemode,
    lookup_key: price.lookupKey,
    metadata: price.metadata,
    nickname: price.nickname,
    product: price.productId,
    recurring:
      recurring === null
        ? null
        : {
            interval: recurring.interval.unit,
            interval_count: recurring.interval.count,
            meter: recurring.meterId,
            trial_period_days: null,
            usage_type: recurring.usageType,
          },
    tax_behavior: price.taxBehavior,
    tiers_mode: price.tiersMode,
    transform_quantity: transformQuantity === null ? null : transformObject(transformQuantity),
    type: recurring === null ? 'one_time' : 'recurring',
    unit_amount: wholeAmount(price.unitAmount),
    unit_amount_decimal: decimalText(price.unitAmount),
  };
}

/** The price as a legacy `plan`, which subscription items still carry beside it (docs.stripe.com/api/plans/object). */
export function planObject(price: PriceRecord): JsonObject {
  const { recurring, transformQuantity } = price;
  return {
    id: price.id,
    object: 'plan',
    active: price.active,
    amount: wholeAmount(price.unitAmount),
    amount_decimal: decimalText(price.unitAmount),
    billing_scheme: price.scheme,
    created: unixSeconds(price.createdAt),
    currency: price.currency,
    interval: recurring?.interval.unit,
    interval_count: recurring?.interval.count,
    livemode: price.livemode,
    metadata: price.metadata,
    meter: recurring?.meterId ?? null,
    nickname: price.nickname,
    product: price.productId,
    tiers_mode: price.tiersMode,
    transform_usage: transformQuantity === null ? null : transformObject(transformQuantity),
    trial_period_days: null,
    usage_type: recurring?.usageType,
  };
}

function transformObject(transform: TransformQuantity): JsonObject {
  return { divide_by: transform.divideBy, round: transform.round };
}

/** The hidden property `tiers`; undefined on a price without tiers, which then has no such property. */
export function priceTiers(price: PriceRecord): JsonObject[] | undefined {
  return price.tiers?.map(tierObject);
}

/** The hidden property `currency_options`: a price has one currency here, so one entry. */
export function priceCurrencyOptions(price: PriceRecord): JsonObject {
  const tiers = priceTiers(price);
  return {
    [price.currency]: {
      custom_unit_amount: null,
      tax_behavior: price.taxBehavior,
      ...(tiers === undefined ? {} : { tiers }),
      unit_amount: wholeAmount(price.unitAmount),
      unit_amount_decimal: decimalText(price.unitAmount),
    },
  };
}

function tierObject(tier: Tier): JsonObject {
  return {
    flat_amount: wholeAmount(tier.flatAmount),
    flat_amount_decimal: decimalText(tier.flatAmount),
    unit_amount: wholeAmount(tier.unitAmount),
    unit_amount_decimal: decimalText(tier.unitAmount),
    up_to: tier.upTo,
  };
}
