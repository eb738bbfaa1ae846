import type { z } from 'zod';
import { newUuid } from '../../../billing/contracts/ids.js';
import type { StoredOverride } from '../../../domain/contract/contract.js';
import type { OverrideSpecifier, Rate } from '../../../domain/contract/terms.js';
import { ZERO } from '../../../domain/decimal.js';
import { invalid } from '../../../domain/errors.js';
import { boolean, decimal, hourTimestamp, list, object, oneOf, text, unsupported, uuid } from '../params.js';
import { priceFields, priceOf } from '../rateParams.js';
import { specifierFields } from './applicability.js';
import { priorityOf } from './balances.js';
import { requireProduct, requireUnit, type TermsContext } from './context.js';

const overwriteRate = object({
  ...priceFields,
  credit_type_id: uuid().optional(),
  quantity: decimal().optional(),
  is_prorated: boolean().optional(),
  custom_rate: unsupported,
});

const overrideSpecifier = object({
  ...specifierFields,
  billing_frequency: oneOf(['WEEKLY', 'MONTHLY', 'QUARTERLY', 'ANNUAL']).optional(),
  commit_ids: list(text(), { max: 1000 }).optional(),
  recurring_commit_ids: list(text(), { max: 1000 }).optional(),
  recurring_credit_ids: list(text(), { max: 1000 }).optional(),
  any_commit_or_credit_ids: list(text(), { max: 1000 }).optional(),
});

export const overrideParams = object({
  starting_at: hourTimestamp(),
  ending_before: hourTimestamp().optional(),
  entitled: boolean().optional(),
  type: oneOf(['OVERWRITE', 'MULTIPLIER', 'TIERED']).optional(),
  multiplier: decimal({ min: ZERO }).optional(),
  priority: decimal({ above: ZERO }).optional(),
  overwrite_rate: overwriteRate.optional(),
  tiers: list(object({ size: decimal({ above: ZERO }).optional(), multiplier: decimal({ min: ZERO }) }), {
    min: 1,
    max: 1000,
  }).optional(),
  product_id: uuid().optional(),
  applicable_product_tags: list(text(), { max: 100 }).optional(),
  override_specifiers: list(overrideSpecifier, { max: 1000 }).optional(),
  is_commit_specific: boolean().optional(),
  target: oneOf(['LIST_RATE', 'COMMIT_RATE']).optional(),
});

type OverrideParams = z.output<typeof overrideParams>;

/** The override with an id; refuses what could not be priced (docs.metronome.com, "edit or override a contract"). */
export function overrideOf(
  context: TermsContext,
  params: OverrideParams,
  prioritization: 'LOWEST_MULTIPLIER' | 'EXPLICIT',
  where: string,
): StoredOverride {
  const type = params.type ?? impliedType(params);
  if (params.ending_before !== undefined && params.ending_before <= params.starting_at) {
    throw invalid(`Invalid '${where}': ending_before must be after starting_at.`);
  }
  checkType(params, type, prioritization, where);
  const specifiers = specifiersOf(context, params, where);
  if (type === 'OVERWRITE' && specifiers.some(({ productId }) => productId === null)) {
    throw invalid(`Invalid '${where}': an OVERWRITE must name its product.`);
  }
  return {
    id: newUuid(),
    startingAt: params.starting_at,
    endingBefore: params.ending_before ?? null,
    entitled: params.entitled ?? null,
    type,
    multiplier: type === 'MULTIPLIER' ? (params.multiplier ?? null) : null,
    priority: params.priority === undefined ? null : priorityOf(params.priority),
    overwriteRate:
      params.overwrite_rate === undefined
        ? null
        : rateOf(context, params.overwrite_rate, `${where}.overwrite_rate`),
    tiers: (params.tiers ?? []).map((tier) => ({ size: tier.size ?? null, multiplier: tier.multiplier })),
    specifiers,
    isCommitSpecific: params.is_commit_specific ?? false,
    target: params.target ?? 'LIST_RATE',
    raw: {
      ...(params.product_id === undefined ? {} : { product_id: params.product_id }),
      ...(params.applicable_product_tags === undefined
        ? {}
        : { applicable_product_tags: params.applicable_product_tags }),
      ...(params.override_specifiers === undefined
        ? {}
        : { override_specifiers: params.override_specifiers }),
    },
  };
}

function impliedType(params: OverrideParams): StoredOverride['type'] {
  if (params.overwrite_rate !== undefined) return 'OVERWRITE';
  if (params.tiers !== undefined) return 'TIERED';
  return params.multiplier === undefined ? null : 'MULTIPLIER';
}

function checkType(
  params: OverrideParams,
  type: StoredOverride['type'],
  prioritization: 'LOWEST_MULTIPLIER' | 'EXPLICIT',
  where: string,
): void {
  const needed = { OVERWRITE: 'overwrite_rate', MULTIPLIER: 'multiplier', TIERED: 'tiers' } as const;
  if (type === null) {
    if (params.entitled === undefined) throw invalid(`Invalid '${where}': give a type or entitled.`);
    return;
  }
  if (params[needed[type]] === undefined) throw invalid(`Invalid '${where}.${needed[type]}': is required.`);
  if (type === 'TIERED' && prioritization !== 'EXPLICIT') {
    throw invalid(`Invalid '${where}': tiered overrides need multiplier_override_prioritization EXPLICIT.`);
  }
  if (prioritization === 'EXPLICIT' && type !== 'OVERWRITE' && params.priority === undefined) {
    throw invalid(`Invalid '${where}.priority': is required with EXPLICIT prioritization.`);
  }
}

function specifiersOf(context: TermsContext, params: OverrideParams, where: string): OverrideSpecifier[] {
  const { product_id: productId, applicable_product_tags: tags, override_specifiers: given } = params;
  if (given !== undefined && (productId !== undefined || tags !== undefined)) {
    throw invalid(`Invalid '${where}.override_specifiers': cannot be combined with product_id or tags.`);
  }
  if (productId !== undefined) {
    requireProduct(context, productId, `${where}.product_id`);
    return [{ ...EVERYTHING, productId, productTags: tags ?? [] }];
  }
  if (tags !== undefined) return tags.map((tag) => ({ ...EVERYTHING, productTags: [tag] }));
  return (given ?? []).map((one, index) => {
    const here = `${where}.override_specifiers[${index}]`;
    if (one.product_id !== undefined) requireProduct(context, one.product_id, `${here}.product_id`);
    const known = (ids: readonly string[] | undefined) =>
      (ids ?? []).map((id) => context.temporary.get(id) ?? id);
    return {
      ...EVERYTHING,
      productId: one.product_id ?? null,
      productTags: one.product_tags ?? [],
      pricingGroupValues: one.pricing_group_values ?? {},
      presentationGroupValues: one.presentation_group_values ?? {},
      billingFrequency: one.billing_frequency ?? null,
      balanceIds: [...known(one.commit_ids), ...known(one.any_commit_or_credit_ids)],
      recurringIds: [
        ...known(one.recurring_commit_ids),
        ...known(one.recurring_credit_ids),
        ...known(one.any_commit_or_credit_ids),
      ],
    };
  });
}

const EVERYTHING: OverrideSpecifier = {
  productId: null,
  productTags: [],
  pricingGroupValues: {},
  presentationGroupValues: {},
  excludedTags: [],
  billingFrequency: null,
  balanceIds: [],
  recurringIds: [],
};

function rateOf(context: TermsContext, params: z.output<typeof overwriteRate>, where: string): Rate {
  return {
    ...priceOf(params, `${where}.`),
    creditTypeId: requireUnit(context, params.credit_type_id, `${where}.credit_type_id`),
  };
}
