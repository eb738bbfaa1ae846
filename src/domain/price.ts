import { type Decimal, sign } from './decimal.js';
import { type BillingInterval, compareIntervals } from './period.js';

/**
 * One step of a tiered price. `upTo` is inclusive; null is "and everything above". Amounts in minor units.
 */
export interface Tier {
  upTo: bigint | null;
  unitAmount: Decimal | null;
  flatAmount: Decimal | null;
}

export interface Recurring {
  interval: BillingInterval;
  usageType: 'licensed' | 'metered';
  meterId: string | null;
}

/** Bill by packages of `divideBy` units: the quantity is divided and made whole before it is multiplied. */
export interface TransformQuantity {
  divideBy: bigint;
  round: 'up' | 'down';
}

/** What something costs. All amounts are in minor units of the currency with up to 12 decimal places. */
export interface Price {
  id: string;
  productId: string;
  productName: string;
  unitLabel: string | null;
  currency: string;
  recurring: Recurring | null;
  scheme: 'per_unit' | 'tiered';
  unitAmount: Decimal | null;
  tiersMode: 'graduated' | 'volume' | null;
  tiers: readonly Tier[] | null;
  transformQuantity: TransformQuantity | null;
}

/** The part of a price that can be wrong in itself. */
export type PriceTerms = Pick<
  Price,
  'scheme' | 'unitAmount' | 'tiersMode' | 'tiers' | 'transformQuantity'
> & {
  recurring?: Recurring | null;
};

/**
 * Why a price is refused: Stripe's error code, the parameter in bracket notation, a sentence for the
 * caller.
 */
export interface PriceProblem {
  code: string;
  param: string;
  message: string;
}

export const MAX_PRICE_FRACTION_DIGITS = 12;

const LONGEST_INTERVALS: Record<BillingInterval['unit'], number> = {
  day: 1095,
  week: 156,
  month: 36,
  year: 3,
};

/**
 * Everything that is wrong with a price, in the order of its parameters; empty when it can be billed. The
 * rules are those of docs.stripe.com/api/prices/create: an amount or tiers but never both; ascending tiers
 * that end at `inf`; no negative amounts; at most 12 decimal places; packages only without tiers; intervals
 * of at most three years.
 */
export function validatePrice(price: PriceTerms): PriceProblem[] {
  return [
    ...recurringProblems(price.recurring ?? null),
    ...(price.scheme === 'tiered' ? tieredProblems(price) : perUnitProblems(price)),
    ...transformProblems(price),
  ];
}

function problem(code: string, param: string, message: string): PriceProblem {
  return { code, param, message };
}

function recurringProblems(recurring: Recurring | null): PriceProblem[] {
  if (recurring === null) return [];
  const { interval, usageType, meterId } = recurring;
  const found: PriceProblem[] = [];
  const longest = LONGEST_INTERVALS[interval.unit];
  if (!Number.isSafeInteger(interval.count) || interval.count < 1) {
    found.push(
      problem(
        'parameter_invalid_integer',
        'recurring[interval_count]',
        'The interval count must be at least 1.',
      ),
    );
  } else if (compareIntervals(interval, { unit: interval.unit, count: longest }) > 0) {
    const message = `The interval must not be longer than three years (${longest} ${interval.unit}s).`;
    found.push(problem('parameter_invalid_integer', 'recurring[interval_count]', message));
  }
  if (usageType === 'metered' && meterId === null) {
    found.push(problem('parameter_missing', 'recurring[meter]', 'A metered price needs a meter.'));
  }
  if (usageType === 'licensed' && meterId !== null) {
    found.push(problem('parameters_exclusive', 'recurring[meter]', 'Only a metered price can have a meter.'));
  }
  return found;
}

function perUnitProblems(price: PriceTerms): PriceProblem[] {
  const found: PriceProblem[] = [];
  if (price.tiers !== null) {
    const message = 'Tiers need `billing_scheme=tiered`.';
    found.push(problem('parameters_exclusive', 'tiers', message));
  }
  if (price.tiersMode !== null) {
    const message = '`tiers_mode` needs `billing_scheme=tiered`.';
    found.push(problem('parameters_exclusive', 'tiers_mode', message));
  }
  if (price.unitAmount === null) {
    const message = 'A price needs one of `unit_amount` and `unit_amount_decimal`, or tiers.';
    found.push(problem('parameter_missing', 'unit_amount', message));
  }
  return [...found, ...amountProblems(price.unitAmount, 'unit_amount', (name) => name)];
}

function tieredProblems(price: PriceTerms): PriceProblem[] {
  const found: PriceProblem[] = [];
  if (price.unitAmount !== null) {
    const message = 'A tiered price has its amounts in its tiers: `unit_amount` cannot be used with them.';
    found.push(problem('parameters_exclusive', 'unit_amount', message));
  }
  if (price.tiersMode === null) {
    const message = 'A tiered price needs a `tiers_mode`: graduated or volume.';
    found.push(problem('parameter_missing', 'tiers_mode', message));
  }
  const tiers = price.tiers ?? [];
  if (tiers.length === 0) {
    found.push(problem('parameter_missing', 'tiers', 'A tiered price needs at least one tier.'));
  }
  tiers.forEach((tier, index) => {
    found.push(...upToProblems(tiers, index), ...tierAmountProblems(tier, index));
  });
  return found;
}

function upToProblems(tiers: readonly Tier[], index: number): PriceProblem[] {
  const upTo = tiers[index]?.upTo ?? null;
  const param = `tiers[${index}][up_to]`;
  const last = index === tiers.length - 1;
  if (upTo === null) {
    return last ? [] : [problem('parameter_invalid', param, 'Only the last tier can have `up_to` of `inf`.')];
  }
  if (last) return [problem('parameter_invalid', param, 'The last tier must have `up_to` of `inf`.')];
  const before = index === 0 ? 0n : (tiers[index - 1]?.upTo ?? null);
  if (before === null || upTo > before) return [];
  const message =
    index === 0
      ? 'The `up_to` of the first tier must be at least 1.'
      : `Tiers must be in ascending order: ${upTo} does not come after ${before}.`;
  return [problem('parameter_invalid', param, message)];
}

function tierAmountProblems(tier: Tier, index: number): PriceProblem[] {
  const named = (name: string) => `tiers[${index}][${name}]`;
  if (tier.unitAmount === null && tier.flatAmount === null) {
    const message = 'Each tier needs a `unit_amount` or a `flat_amount`.';
    return [problem('parameter_missing', named('unit_amount'), message)];
  }
  return [
    ...amountProblems(tier.unitAmount, 'unit_amount', named),
    ...amountProblems(tier.flatAmount, 'flat_amount', named),
  ];
}

/** Only the `_decimal` twin of a parameter can carry a fraction, so an amount with one is named by it. */
function amountProblems(
  amount: Decimal | null,
  field: string,
  named: (name: string) => string,
): PriceProblem[] {
  if (amount === null) return [];
  const param = named(amount.scale === 0 ? field : `${field}_decimal`);
  const found: PriceProblem[] = [];
  if (sign(amount) < 0) found.push(problem('parameter_invalid', param, 'An amount must not be negative.'));
  if (amount.scale > MAX_PRICE_FRACTION_DIGITS) {
    const message = `An amount can have at most ${MAX_PRICE_FRACTION_DIGITS} decimal places.`;
    found.push(problem('parameter_invalid', param, message));
  }
  return found;
}

function transformProblems(price: PriceTerms): PriceProblem[] {
  if (price.transformQuantity === null) return [];
  const found: PriceProblem[] = [];
  if (price.tiers !== null || price.scheme === 'tiered') {
    const message = '`transform_quantity` cannot be used with tiers.';
    found.push(problem('parameters_exclusive', 'transform_quantity', message));
  }
  if (price.transformQuantity.divideBy < 1n) {
    const message = '`divide_by` must be at least 1.';
    found.push(problem('parameter_invalid_integer', 'transform_quantity[divide_by]', message));
  }
  return found;
}
