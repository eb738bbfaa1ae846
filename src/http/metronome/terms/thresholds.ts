import type { z } from 'zod';
import type { PrepaidThresholdTerms, SpendThresholdTerms } from '../../../domain/contract/contract.js';
import { compare, ONE, ZERO } from '../../../domain/decimal.js';
import { invalid } from '../../../domain/errors.js';
import { anyObject, boolean, decimal, list, object, oneOf, text, uuid } from '../params.js';
import { applicabilityFields, applicabilityOf } from './applicability.js';
import { priorityOf } from './balances.js';
import { requireProduct, requireUnit, type TermsContext } from './context.js';

const gate = object({
  payment_gate_type: oneOf(['NONE', 'STRIPE', 'EXTERNAL']),
  tax_type: oneOf(['NONE', 'STRIPE', 'ANROK', 'AVALARA', 'PRECALCULATED']).optional(),
  stripe_config: anyObject().optional(),
  precalculated_tax_config: anyObject().optional(),
});

const discount = object({
  payment_fraction: decimal({ above: ZERO, max: ONE }),
  cap: object({ spend_tracker_alias: text(), amount: decimal({ min: ZERO }) }).optional(),
});

const commit = {
  product_id: uuid(),
  name: text({ min: 0 }).optional(),
  description: text({ min: 0 }).optional(),
  priority: decimal().optional(),
};

const shared = {
  is_enabled: boolean(),
  threshold_amount: decimal({ min: ZERO }),
  payment_gate_config: gate,
  discount_configuration: discount.nullable().optional(),
};

export const spendThreshold = object({ ...shared, commit: object(commit) });
export const prepaidThreshold = object({
  ...shared,
  commit: object({ ...commit, ...applicabilityFields }),
  recharge_to_amount: decimal({ above: ZERO }),
  custom_credit_type_id: uuid().nullable().optional(),
  threshold_balance_specifiers: list(anyObject(), { max: 100 }).optional(),
});

/** An edit may name a part; the rest stays. */
export const spendThresholdUpdate = object({
  is_enabled: boolean().optional(),
  threshold_amount: decimal({ min: ZERO }).optional(),
  payment_gate_config: gate.optional(),
  discount_configuration: discount.nullable().optional(),
  commit: object({ ...commit, product_id: uuid().optional() }).optional(),
});
export const prepaidThresholdUpdate = spendThresholdUpdate.extend({
  commit: object({ ...commit, product_id: uuid().optional(), ...applicabilityFields }).optional(),
  recharge_to_amount: decimal({ above: ZERO }).optional(),
  custom_credit_type_id: uuid().nullable().optional(),
  threshold_balance_specifiers: list(anyObject(), { max: 100 }).optional(),
});

type SharedParams = z.output<typeof spendThreshold>;

export function spendThresholdOf(
  context: TermsContext,
  params: SharedParams & { commit: z.output<typeof prepaidThreshold>['commit'] },
  where: string,
): SpendThresholdTerms {
  const product = requireProduct(context, params.commit.product_id, `${where}.commit.product_id`, ['FIXED']);
  const { productIds, productTags, specifiers } = applicabilityOf(context, params.commit, `${where}.commit`);
  const { discount_configuration: discounted, payment_gate_config: gated } = params;
  return {
    isEnabled: params.is_enabled,
    threshold: params.threshold_amount,
    commit: {
      productId: product.id,
      name: params.commit.name ?? null,
      description: params.commit.description ?? null,
      priority: params.commit.priority === undefined ? null : priorityOf(params.commit.priority),
      applicableProductIds: productIds,
      applicableProductTags: productTags,
      specifiers,
    },
    gate: { type: gated.payment_gate_type, raw: gated },
    discount: discountOf(discounted),
  };
}

export function prepaidThresholdOf(
  context: TermsContext,
  params: z.output<typeof prepaidThreshold>,
  where: string,
): PrepaidThresholdTerms {
  if (compare(params.recharge_to_amount, params.threshold_amount) <= 0) {
    throw invalid(`Invalid '${where}.recharge_to_amount': must be above threshold_amount.`);
  }
  const custom = params.custom_credit_type_id ?? null;
  if (custom !== null) requireUnit(context, custom, `${where}.custom_credit_type_id`);
  return {
    ...spendThresholdOf(context, params, where),
    rechargeTo: params.recharge_to_amount,
    customCreditTypeId: custom,
    balanceSpecifiers: params.threshold_balance_specifiers ?? null,
  };
}

/** The configuration after an edit; what it does not name stays. */
export function editedSpendThreshold(
  before: SpendThresholdTerms,
  change: z.output<typeof spendThresholdUpdate>,
): SpendThresholdTerms {
  const { commit: given, payment_gate_config: gated, discount_configuration: discounted } = change;
  return {
    ...before,
    isEnabled: change.is_enabled ?? before.isEnabled,
    threshold: change.threshold_amount ?? before.threshold,
    commit: {
      ...before.commit,
      productId: given?.product_id ?? before.commit.productId,
      name: given?.name ?? before.commit.name,
      description: given?.description ?? before.commit.description,
      priority: given?.priority === undefined ? before.commit.priority : priorityOf(given.priority),
    },
    gate: gated === undefined ? before.gate : { type: gated.payment_gate_type, raw: gated },
    discount: discounted === undefined ? before.discount : discountOf(discounted),
  };
}

export function editedPrepaidThreshold(
  context: TermsContext,
  before: PrepaidThresholdTerms,
  change: z.output<typeof prepaidThresholdUpdate>,
): PrepaidThresholdTerms {
  const spend = editedSpendThreshold(before, change);
  const rechargeTo = change.recharge_to_amount ?? before.rechargeTo;
  if (compare(rechargeTo, spend.threshold) <= 0) {
    throw invalid("Invalid 'recharge_to_amount': must be above threshold_amount.");
  }
  const custom =
    change.custom_credit_type_id === undefined ? before.customCreditTypeId : change.custom_credit_type_id;
  if (custom !== null) requireUnit(context, custom, 'custom_credit_type_id');
  const scope = change.commit;
  const scoped =
    scope?.applicable_product_ids !== undefined ||
    scope?.applicable_product_tags !== undefined ||
    scope?.specifiers !== undefined;
  const applicability = scoped ? applicabilityOf(context, scope, 'commit') : null;
  return {
    ...before,
    ...spend,
    rechargeTo,
    customCreditTypeId: custom,
    balanceSpecifiers: change.threshold_balance_specifiers ?? before.balanceSpecifiers,
    ...(applicability === null
      ? {}
      : {
          commit: {
            ...spend.commit,
            applicableProductIds: applicability.productIds,
            applicableProductTags: applicability.productTags,
            specifiers: applicability.specifiers,
          },
        }),
  };
}

function discountOf(params: z.output<typeof discount> | null | undefined): SpendThresholdTerms['discount'] {
  if (params == null) return null;
  const { payment_fraction: paymentFraction, cap } = params;
  return {
    paymentFraction,
    cap: cap === undefined ? null : { spendTrackerAlias: cap.spend_tracker_alias, amount: cap.amount },
  };
}
