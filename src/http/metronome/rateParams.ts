import type { z } from 'zod';
import { checkRate, type NewRate } from '../../billing/metronome/rates.js';
import type { RateSelector } from '../../domain/contract/rateSchedule.js';
import type { Rate } from '../../domain/contract/terms.js';
import { toText, ZERO } from '../../domain/decimal.js';
import { invalid } from '../../domain/errors.js';
import {
  boolean,
  decimal,
  hourTimestamp,
  list,
  object,
  oneOf,
  rateType,
  text,
  textMap,
  unsupported,
  uuid,
} from './params.js';

export const BILLING_FREQUENCIES = ['WEEKLY', 'MONTHLY', 'QUARTERLY', 'ANNUAL'] as const;
const TIERS_MAX = 1000;

/** What every price is made of, on cards, in commit rates and in overwrites. */
export const priceFields = {
  rate_type: rateType(),
  price: decimal().optional(),
  tiers: list(object({ size: decimal().nullable().optional(), price: decimal() }), {
    max: TIERS_MAX,
  }).optional(),
  minimum_config: object({ minimum: decimal({ min: ZERO }) }).optional(),
};

const commitRate = object(priceFields);

export const rateFields = {
  ...priceFields,
  product_id: uuid(),
  starting_at: hourTimestamp(),
  ending_before: hourTimestamp().nullable().optional(),
  entitled: boolean(),
  credit_type_id: uuid().optional(),
  pricing_group_values: textMap().optional(),
  billing_frequency: oneOf(BILLING_FREQUENCIES).optional(),
  quantity: decimal({ min: ZERO }).optional(),
  is_prorated: boolean().optional(),
  custom_rate: unsupported,
  commit_rate: commitRate.optional(),
};

/** A rate for a card. */
export const rateInput = object(rateFields);

type RateInput = z.output<typeof rateInput>;

/** The price, checked; `field` is what its fields are named under, for example `rates[3].`. */
export function priceOf(input: z.output<typeof commitRate>, field = ''): Omit<Rate, 'creditTypeId'> {
  const rate = {
    rateType: input.rate_type,
    price: input.price ?? null,
    tiers: (input.tiers ?? []).map(({ size, price }) => ({ size: size ?? null, price })),
    minimum: input.minimum_config?.minimum ?? null,
  };
  checkRate(rate, field);
  return rate;
}

/** The rate, checked by itself; `field` as for `priceOf`. */
export function newRateOf(input: RateInput, field = ''): NewRate {
  const isSubscription = input.rate_type === 'SUBSCRIPTION';
  if (isSubscription && (input.quantity === undefined || input.is_prorated === undefined)) {
    throw invalid(`Invalid '${field}rate_type': SUBSCRIPTION rates need quantity and is_prorated.`);
  }
  return {
    productId: input.product_id,
    pricingGroupValues: input.pricing_group_values ?? {},
    billingFrequency: input.billing_frequency ?? null,
    startingAt: input.starting_at,
    endingBefore: input.ending_before ?? null,
    entitled: input.entitled,
    creditTypeId: input.credit_type_id ?? null,
    rate: priceOf(input, field),
    commitRate: input.commit_rate === undefined ? null : priceOf(input.commit_rate, `${field}commit_rate.`),
    details: {
      quantity: input.quantity === undefined ? null : toText(input.quantity),
      isProrated: input.is_prorated ?? null,
    },
  };
}

/** Which rates a list shows. */
export const selectors = list(
  object({
    product_id: uuid().optional(),
    product_tags: list(text(), { max: 100 }).optional(),
    pricing_group_values: textMap().optional(),
    partial_pricing_group_values: textMap().optional(),
    billing_frequency: oneOf(BILLING_FREQUENCIES).optional(),
  }),
  { max: 1000 },
);

export function selectorsOf(input: z.output<typeof selectors> | undefined): RateSelector[] {
  return (input ?? []).map((selector) => ({
    productId: selector.product_id ?? null,
    productTags: selector.product_tags ?? null,
    pricingGroupValues: selector.pricing_group_values ?? null,
    partialPricingGroupValues: selector.partial_pricing_group_values ?? null,
    billingFrequency: selector.billing_frequency ?? null,
  }));
}
