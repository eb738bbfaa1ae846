import type {
  BalanceRecord,
  ContractRecord,
  PrepaidThresholdTerms,
  SpendThresholdTerms,
  StoredOverride,
  StoredRecurring,
  StoredScheduledCharge,
  StoredSubscription,
} from '../../../domain/contract/contract.js';
import { termsOf } from '../../../domain/contract/contract.js';
import { statementAnchor } from '../../../domain/contract/statement.js';
import { billingPeriods } from '../../../domain/contract/subscriptions.js';
import type { MoneyRounding } from '../../../domain/contract/terms.js';
import type { Instant } from '../../../domain/period.js';
import { type JsonObject, type JsonValue, jsonNumber } from '../../../json.js';
import { applicabilityObject, type BalanceContext, balanceObject } from './balance.js';
import { creditType, rateObject, rfc3339 } from '../render.js';
import { numberOf, present, rawJson } from './common.js';
import { spendTrackerObjects } from './spendTrackers.js';

export interface ContractContext extends BalanceContext {
  customerUuid: string;
  fiatCreditTypeId: string;
}

/** Metronome's contract as v2 reads it: flat, as it is now (docs.metronome.com/api-reference/contracts). */
export function contractObject(
  context: ContractContext,
  contract: ContractRecord,
  balances: readonly BalanceRecord[],
): JsonObject {
  const { document } = contract;
  const terms = termsOf(contract);
  const own = balances.filter(({ contractId }) => contractId === contract.id);
  return {
    id: contract.id,
    customer_id: context.customerUuid,
    starting_at: rfc3339(contract.startingAt),
    created_at: rfc3339(contract.createdAt),
    created_by: 'api',
    usage_statement_schedule: {
      frequency: document.statements.frequency,
      billing_anchor_date: rfc3339(statementAnchor(terms)),
    },
    multiplier_override_prioritization: document.prioritization,
    ...present({
      name: contract.name ?? undefined,
      rate_card_id: contract.rateCardId ?? undefined,
      package_id: contract.packageId ?? undefined,
      uniqueness_key: contract.uniquenessKey ?? undefined,
      ending_before: contract.endingBefore === null ? undefined : rfc3339(contract.endingBefore),
      archived_at: contract.archivedAt === null ? undefined : rfc3339(contract.archivedAt),
      net_payment_terms_days: document.netPaymentTermsDays ?? undefined,
      total_contract_value: numberOf(document.totalContractValue),
      scheduled_charges_on_usage_invoices: document.consolidatesScheduledCharges ? 'ALL' : undefined,
      customer_billing_provider_configuration: rawJson(document.billingProvider),
      spend_trackers: spendTrackerObjects(contract, balances, context.at),
      spend_threshold_configuration:
        document.spendThreshold === null ? undefined : thresholdObject(document.spendThreshold),
      prepaid_balance_threshold_configuration:
        document.prepaidThreshold === null ? undefined : prepaidObject(document.prepaidThreshold),
    }),
    usage_filter: document.usageFilters.map((filter) =>
      present({
        group_key: filter.groupKey,
        group_values: filter.groupValues,
        starting_at: rfc3339(filter.startingAt),
        ending_before: filter.endingBefore === null ? undefined : rfc3339(filter.endingBefore),
      }),
    ),
    transitions: document.transitions.map(({ type, fromContractId, toContractId }) => ({
      type,
      from_contract_id: fromContractId,
      to_contract_id: toContractId,
    })),
    commits: own.filter(({ type }) => type !== 'CREDIT').map((one) => balanceObject(context, one)),
    credits: own.filter(({ type }) => type === 'CREDIT').map((one) => balanceObject(context, one)),
    overrides: document.overrides.map((one) => overrideObject(context, one)),
    scheduled_charges: document.scheduledCharges.map((one) => chargeObject(context, one)),
    recurring_commits: document.recurring
      .filter(({ type }) => type === 'PREPAID')
      .map((one) => recurringObject(context, contract, one)),
    recurring_credits: document.recurring
      .filter(({ type }) => type === 'CREDIT')
      .map((one) => recurringObject(context, contract, one)),
    subscriptions: document.subscriptions.map((one) => subscriptionObject(context, contract, one)),
    custom_fields: contract.customFields,
  };
}

export function overrideObject(context: ContractContext, override: StoredOverride): JsonObject {
  return {
    id: override.id,
    starting_at: rfc3339(override.startingAt),
    target: override.target,
    is_commit_specific: override.isCommitSpecific,
    ...present({
      ending_before: override.endingBefore === null ? undefined : rfc3339(override.endingBefore),
      entitled: override.entitled ?? undefined,
      type: override.type ?? undefined,
      multiplier: numberOf(override.multiplier),
      priority: override.priority ?? undefined,
      overwrite_rate:
        override.overwriteRate === null ? undefined : rateObject(override.overwriteRate, context.units),
      override_tiers:
        override.tiers.length === 0
          ? undefined
          : override.tiers.map((tier) =>
              present({ size: numberOf(tier.size), multiplier: jsonNumber(tier.multiplier) }),
            ),
    }),
    ...(override.raw as JsonObject),
    ...productOf(context, override),
  };
}

function productOf(context: ContractContext, { raw }: StoredOverride): JsonObject {
  const id = (raw as { product_id?: string } | null)?.product_id;
  return id === undefined ? {} : { product: { id, name: context.products.get(id)?.name ?? id } };
}

export function chargeObject(context: ContractContext, charge: StoredScheduledCharge): JsonObject {
  return {
    id: charge.id,
    product: { id: charge.productId, name: context.products.get(charge.productId)?.name ?? charge.productId },
    name: charge.name,
    schedule: {
      credit_type: creditType(context.units, charge.creditTypeId),
      schedule_items: charge.items.map(({ id, timestamp, amount, unitPrice, quantity }) => ({
        id,
        timestamp: rfc3339(timestamp),
        amount: jsonNumber(amount),
        unit_price: jsonNumber(unitPrice),
        quantity: jsonNumber(quantity),
        invoice_id: context.invoiceOf.get(`scheduled/${id}`) ?? null,
      })),
    },
    custom_fields: charge.customFields,
    ...(charge.archivedAt === null ? {} : { archived_at: rfc3339(charge.archivedAt) }),
  };
}

export function recurringObject(
  context: ContractContext,
  contract: ContractRecord,
  recurring: StoredRecurring,
): JsonObject {
  const { access, invoice, subscription } = recurring;
  return {
    id: recurring.id,
    product: {
      id: recurring.productId,
      name: context.products.get(recurring.productId)?.name ?? recurring.productId,
    },
    contract: { id: contract.id },
    priority: recurring.priority,
    rate_type: recurring.rateType,
    access_amount: present({
      credit_type_id: access.creditTypeId,
      unit_price: jsonNumber(access.unitPrice),
      quantity: numberOf(access.quantity),
    }),
    commit_duration: { value: recurring.durationPeriods, unit: 'PERIODS' },
    starting_at: rfc3339(recurring.startingAt),
    proration: recurring.proration,
    ...present({
      name: recurring.givenName ?? undefined,
      description: recurring.description ?? undefined,
      ending_before: recurring.endingBefore === null ? undefined : rfc3339(recurring.endingBefore),
      recurrence_frequency: recurring.frequency ?? undefined,
      rollover_fraction: numberOf(recurring.rolloverFraction),
      invoice_amount:
        invoice === null
          ? undefined
          : {
              credit_type_id: invoice.creditTypeId,
              unit_price: jsonNumber(invoice.unitPrice),
              quantity: jsonNumber(invoice.quantity),
            },
      proration_rounding: roundings(recurring.accessRounding, recurring.invoiceRounding),
      subscription_config:
        subscription === null
          ? undefined
          : {
              subscription_id: subscription.subscriptionId,
              allocation: recurring.allocation ?? 'POOLED',
              apply_seat_increase_config: { is_prorated: subscription.prorateIncreases },
            },
    }),
    ...applicabilityObject(recurring.applicability),
    custom_fields: recurring.customFields,
  };
}

function roundings(access: MoneyRounding | null, invoice: MoneyRounding | null): JsonValue {
  if (access === null && invoice === null) return undefined;
  return present({ access: roundingObject(access), invoice: roundingObject(invoice) });
}

function roundingObject(rounding: MoneyRounding | null): JsonValue {
  return rounding === null
    ? undefined
    : { rounding_method: rounding.method, decimal_places: rounding.places };
}

export function subscriptionObject(
  context: ContractContext,
  contract: ContractRecord,
  subscription: StoredSubscription,
): JsonObject {
  const { proration, quantities, mode } = subscription;
  return {
    id: subscription.id,
    subscription_rate: {
      billing_frequency: subscription.frequency,
      product: {
        id: subscription.productId,
        name: context.products.get(subscription.productId)?.name ?? subscription.productId,
      },
    },
    collection_schedule: subscription.collection,
    proration: present({
      is_prorated: proration.isProrated,
      invoice_behavior: proration.behavior,
      rounding: roundingObject(proration.rounding),
    }),
    quantity_management_mode: mode,
    quantity_schedule: quantities.map(({ quantity, startingAt }, index) => {
      const next = quantities[index + 1]?.startingAt;
      return present({
        quantity: jsonNumber(quantity),
        starting_at: rfc3339(startingAt),
        ending_before: next === undefined ? undefined : rfc3339(next),
      });
    }),
    billing_periods: periods(contract, subscription, context.at),
    billing_cycle_config: present({
      anchor_date: subscription.anchor === null ? undefined : rfc3339(subscription.anchor),
      invoice_placement: subscription.placement,
    }),
    starting_at: rfc3339(subscription.startingAt),
    fiat_credit_type_id: context.fiatCreditTypeId,
    ...present({
      ending_before: subscription.endingBefore === null ? undefined : rfc3339(subscription.endingBefore),
      name: subscription.givenName ?? undefined,
      description: subscription.description ?? undefined,
      seat_config:
        subscription.seatGroupKey === null ? undefined : { seat_group_key: subscription.seatGroupKey },
    }),
    custom_fields: subscription.customFields,
  };
}

function periods(contract: ContractRecord, subscription: StoredSubscription, at: Instant): JsonObject {
  const terms = termsOf(contract);
  const [current] = billingPeriods(subscription, terms, at, at + 1);
  const next = current && billingPeriods(subscription, terms, current.end, current.end + 1)[0];
  const previous = current && billingPeriods(subscription, terms, current.start - 1, current.start)[0];
  const shown = (period: { start: Instant; end: Instant } | undefined) =>
    period === undefined
      ? undefined
      : { starting_at: rfc3339(period.start), ending_before: rfc3339(period.end) };
  return present({ previous: shown(previous), current: shown(current), next: shown(next) });
}

function thresholdObject(terms: SpendThresholdTerms): JsonObject {
  const { commit, discount, gate } = terms;
  return present({
    is_enabled: terms.isEnabled,
    threshold_amount: jsonNumber(terms.threshold),
    commit: present({
      product_id: commit.productId,
      name: commit.name ?? undefined,
      description: commit.description ?? undefined,
      priority: commit.priority ?? undefined,
      ...applicabilityObject({
        productIds: commit.applicableProductIds,
        productTags: commit.applicableProductTags,
        specifiers: commit.specifiers,
      }),
    }),
    payment_gate_config: rawJson(gate.raw),
    discount_configuration:
      discount === null
        ? undefined
        : present({
            payment_fraction: jsonNumber(discount.paymentFraction),
            cap:
              discount.cap === null
                ? undefined
                : {
                    spend_tracker_alias: discount.cap.spendTrackerAlias,
                    amount: jsonNumber(discount.cap.amount),
                  },
          }),
  });
}

function prepaidObject(terms: PrepaidThresholdTerms): JsonObject {
  return {
    ...thresholdObject(terms),
    recharge_to_amount: jsonNumber(terms.rechargeTo),
    ...present({
      custom_credit_type_id: terms.customCreditTypeId ?? undefined,
      threshold_balance_specifiers: rawJson(terms.balanceSpecifiers),
    }),
  };
}
