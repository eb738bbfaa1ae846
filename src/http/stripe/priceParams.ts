import { type NewPrice, type ParamNaming, oneAmount } from '../../billing/prices.js';
import type { Decimal } from '../../domain/decimal.js';
import type { BillingInterval } from '../../domain/period.js';
import type { Recurring, Tier, TransformQuantity } from '../../domain/price.js';
import type { PriceRecord } from '../../storage/prices.js';
import type { Codec } from '../codec.js';
import { array, bigintParam, decimal, integer, object, oneOf, text, wordOr } from '../params.js';

/** Parameters that prices and the default price of a product share, and how they become a price. */

/** Amounts of this size are exact in every JSON reader. */
const AMOUNT_MAX = 999_999_999_999_999n;
const TIERS_MAX = 1000;

/** A whole amount of minor units. */
export function amount(): Codec<bigint> {
  return bigintParam({ min: 0n, max: AMOUNT_MAX });
}

export const recurringParams = object({
  interval: oneOf(['day', 'week', 'month', 'year']),
  interval_count: integer({ min: 1 }).optional(),
  meter: text().optional(),
  usage_type: oneOf(['licensed', 'metered']).optional(),
});

/** Of a product's `default_price_data`, which has no usage. */
export const licensedRecurringParams = object({
  interval: oneOf(['day', 'week', 'month', 'year']),
  interval_count: integer({ min: 1 }).optional(),
});

export const tiersParams = array(
  object({
    flat_amount: amount().optional(),
    flat_amount_decimal: decimal().optional(),
    unit_amount: amount().optional(),
    unit_amount_decimal: decimal().optional(),
    up_to: wordOr(['inf'], bigintParam({ min: 1n, max: AMOUNT_MAX })),
  }),
  { max: TIERS_MAX },
);

export const transformParams = object({
  divide_by: bigintParam({ min: 1n, max: AMOUNT_MAX }),
  round: oneOf(['down', 'up']),
});

export function taxBehaviorParam(): Codec<PriceRecord['taxBehavior']> {
  return oneOf(['exclusive', 'inclusive', 'unspecified']);
}

interface TierInput {
  flat_amount?: bigint | undefined;
  flat_amount_decimal?: Decimal | undefined;
  unit_amount?: bigint | undefined;
  unit_amount_decimal?: Decimal | undefined;
  up_to: bigint | 'inf';
}

export interface PriceTermsInput {
  billing_scheme?: 'per_unit' | 'tiered' | undefined;
  currency: string;
  recurring?:
    | {
        interval: BillingInterval['unit'];
        interval_count?: number | undefined;
        meter?: string | undefined;
        usage_type?: 'licensed' | 'metered' | undefined;
      }
    | undefined;
  tax_behavior?: PriceRecord['taxBehavior'] | undefined;
  tiers?: readonly TierInput[] | undefined;
  tiers_mode?: 'graduated' | 'volume' | undefined;
  transform_quantity?: { divide_by: bigint; round: 'up' | 'down' } | undefined;
  unit_amount?: bigint | undefined;
  unit_amount_decimal?: Decimal | undefined;
}

/** The money of a price: everything that can never change. `named` puts the parameters' names in refusals. */
export function priceTerms(
  input: PriceTermsInput,
  named: ParamNaming = (name) => name,
): Pick<
  NewPrice,
  | 'currency'
  | 'scheme'
  | 'unitAmount'
  | 'tiersMode'
  | 'tiers'
  | 'transformQuantity'
  | 'recurring'
  | 'taxBehavior'
> {
  const prefix = named('tiers');
  return {
    currency: input.currency.toLowerCase(),
    scheme: input.billing_scheme ?? 'per_unit',
    unitAmount: oneAmount(input.unit_amount, input.unit_amount_decimal, 'unit_amount', named),
    tiersMode: input.tiers_mode ?? null,
    tiers: input.tiers?.map((tier, index) => tierOf(tier, (name) => `${prefix}[${index}][${name}]`)) ?? null,
    transformQuantity: transformOf(input.transform_quantity),
    recurring: recurringOf(input.recurring),
    taxBehavior: input.tax_behavior ?? 'unspecified',
  };
}

function tierOf(tier: TierInput, named: ParamNaming): Tier {
  return {
    upTo: tier.up_to === 'inf' ? null : tier.up_to,
    unitAmount: oneAmount(tier.unit_amount, tier.unit_amount_decimal, 'unit_amount', named),
    flatAmount: oneAmount(tier.flat_amount, tier.flat_amount_decimal, 'flat_amount', named),
  };
}

function transformOf(transform: PriceTermsInput['transform_quantity']): TransformQuantity | null {
  return transform === undefined ? null : { divideBy: transform.divide_by, round: transform.round };
}

function recurringOf(recurring: PriceTermsInput['recurring']): Recurring | null {
  if (recurring === undefined) return null;
  return {
    interval: { unit: recurring.interval, count: recurring.interval_count ?? 1 },
    usageType: recurring.usage_type ?? 'licensed',
    meterId: recurring.meter ?? null,
  };
}
