import type { z } from 'zod';
import { newUuid } from '../../../billing/contracts/ids.js';
import type { StoredRecurring, StoredSubscription } from '../../../domain/contract/contract.js';
import type { ContractTerms, MoneyRounding } from '../../../domain/contract/terms.js';
import { ONE, sign, ZERO } from '../../../domain/decimal.js';
import { invalid } from '../../../domain/errors.js';
import {
  anyObject,
  boolean,
  customFields,
  decimal,
  hourTimestamp,
  integer,
  object,
  oneOf,
  text,
  uuid,
} from '../params.js';
import { applicabilityFields, applicabilityOf } from './applicability.js';
import { priorityOf } from './balances.js';
import { requireProduct, requireUnit, type TermsContext } from './context.js';

export const rounding = object({
  rounding_method: oneOf(['HALF_UP', 'FLOOR', 'CEILING']),
  decimal_places: integer({ min: -5, max: 5 }),
});

const shared = {
  product_id: uuid(),
  priority: decimal(),
  name: text({ min: 0 }).optional(),
  description: text({ min: 0 }).optional(),
  access_amount: object({
    unit_price: decimal({ min: ZERO }),
    quantity: decimal({ min: ZERO }).optional(),
    credit_type_id: uuid().optional(),
  }),
  commit_duration: object({ value: integer({ min: 1, max: 1200 }), unit: oneOf(['PERIODS']).optional() }),
  recurrence_frequency: oneOf(['DAILY', 'WEEKLY', 'MONTHLY', 'QUARTERLY', 'ANNUAL']).optional(),
  starting_at: hourTimestamp(),
  ending_before: hourTimestamp().optional(),
  proration: oneOf(['NONE', 'FIRST', 'LAST', 'FIRST_AND_LAST']).optional(),
  proration_rounding: object({ access: rounding.optional(), invoice: rounding.optional() }).optional(),
  rate_type: oneOf(['LIST_RATE', 'COMMIT_RATE']).optional(),
  rollover_fraction: decimal({ min: ZERO, max: ONE }).optional(),
  subscription_config: object({
    subscription_id: text(),
    allocation: oneOf(['POOLED', 'INDIVIDUAL']).optional(),
    apply_seat_increase_config: object({ is_prorated: boolean() }),
  }).optional(),
  custom_fields: customFields().optional(),
  netsuite_sales_order_id: text().optional(),
  hierarchy_configuration: anyObject().optional(),
  temporary_id: text().optional(),
  ...applicabilityFields,
};

export const recurringCommit = object({
  ...shared,
  invoice_amount: object({
    unit_price: decimal({ min: ZERO }),
    quantity: decimal({ min: ZERO }),
    credit_type_id: uuid().optional(),
  }).optional(),
});
export const recurringCredit = object(shared);

type RecurringParams = z.output<typeof recurringCommit>;

/** A recurring commit or credit, with an id. */
export function recurringOf(
  context: TermsContext,
  params: RecurringParams,
  type: 'PREPAID' | 'CREDIT',
  subscriptions: readonly StoredSubscription[],
  where: string,
): StoredRecurring {
  const product = requireProduct(context, params.product_id, `${where}.product_id`, ['FIXED']);
  const { access_amount: access, invoice_amount: invoice } = params;
  const id = newUuid();
  if (params.temporary_id !== undefined) context.temporary.set(params.temporary_id, id);
  const subscription = subscriptionRef(context, params, subscriptions, where);
  if (access.quantity === undefined && subscription === null) {
    throw invalid(`Invalid '${where}.access_amount.quantity': is required without a subscription_config.`);
  }
  if (params.ending_before !== undefined && params.ending_before <= params.starting_at) {
    throw invalid(`Invalid '${where}': ending_before must be after starting_at.`);
  }
  return {
    id,
    type,
    name: params.name === undefined || params.name === '' ? product.name : params.name,
    givenName: params.name ?? null,
    description: params.description ?? null,
    customFields: params.custom_fields ?? {},
    productId: product.id,
    priority: priorityOf(params.priority),
    access: {
      creditTypeId: requireUnit(context, access.credit_type_id, `${where}.access_amount.credit_type_id`),
      unitPrice: access.unit_price,
      quantity: access.quantity ?? null,
    },
    invoice:
      invoice === undefined
        ? null
        : {
            creditTypeId: requireUnit(
              context,
              invoice.credit_type_id,
              `${where}.invoice_amount.credit_type_id`,
            ),
            unitPrice: invoice.unit_price,
            quantity: invoice.quantity,
          },
    durationPeriods: params.commit_duration.value,
    frequency: params.recurrence_frequency ?? null,
    startingAt: params.starting_at,
    endingBefore: params.ending_before ?? null,
    proration: params.proration ?? 'FIRST_AND_LAST',
    accessRounding: roundingOf(params.proration_rounding?.access),
    invoiceRounding: roundingOf(params.proration_rounding?.invoice),
    rateType: params.rate_type ?? 'LIST_RATE',
    rolloverFraction: params.rollover_fraction ?? null,
    applicability: applicabilityOf(context, params, where),
    subscription,
    allocation:
      params.subscription_config === undefined ? null : (params.subscription_config.allocation ?? 'POOLED'),
    createdAt: context.now,
  };
}

function subscriptionRef(
  context: TermsContext,
  params: RecurringParams,
  subscriptions: readonly StoredSubscription[],
  where: string,
): StoredRecurring['subscription'] {
  const config = params.subscription_config;
  if (config === undefined) return null;
  if (params.recurrence_frequency === 'DAILY') {
    throw invalid(`Invalid '${where}.recurrence_frequency': DAILY does not go with a subscription.`);
  }
  const subscriptionId = context.temporary.get(config.subscription_id) ?? config.subscription_id;
  const subscription = subscriptions.find(({ id }) => id === subscriptionId);
  if (subscription === undefined) {
    throw invalid(`Invalid '${where}.subscription_config.subscription_id': no such subscription.`);
  }
  if (config.allocation === 'INDIVIDUAL') checkIndividual(params, subscription, where);
  return { subscriptionId, prorateIncreases: config.apply_seat_increase_config.is_prorated };
}

/** Grants to single seats need to know the seats, and stay with these (docs.metronome.com, "provision your customer"). */
function checkIndividual(params: RecurringParams, { mode }: StoredSubscription, where: string): void {
  if (mode !== 'SEAT_BASED') {
    throw invalid(
      `Invalid '${where}.subscription_config.allocation': INDIVIDUAL needs a SEAT_BASED subscription.`,
    );
  }
  if (params.rollover_fraction !== undefined && sign(params.rollover_fraction) > 0) {
    throw invalid(`Invalid '${where}.rollover_fraction': what single seats have does not roll over.`);
  }
}

export function roundingOf(params: z.output<typeof rounding> | null | undefined): MoneyRounding | null {
  return params == null ? null : { method: params.rounding_method, places: params.decimal_places };
}

/** At most one daily one on a contract (docs.metronome.com/api-reference/contracts). */
export function checkDaily(recurring: ContractTerms['recurring']): void {
  if (recurring.filter(({ frequency }) => frequency === 'DAILY').length > 1) {
    throw invalid(
      'A contract may have at most one recurring commit or credit with recurrence_frequency DAILY.',
    );
  }
}
