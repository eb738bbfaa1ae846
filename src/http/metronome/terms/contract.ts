import type { z } from 'zod';
import type {
  BalanceRecord,
  ContractDocument,
  StoredRecurring,
  StoredSubscription,
  UsageFilter,
} from '../../../domain/contract/contract.js';
import type { StatementSchedule } from '../../../domain/contract/terms.js';
import { ZERO } from '../../../domain/decimal.js';
import { invalid } from '../../../domain/errors.js';
import type { NewContract } from '../../../billing/contracts/create.js';
import {
  anyObject,
  customFields,
  customerId,
  decimal,
  hourTimestamp,
  integer,
  list,
  object,
  oneOf,
  text,
  unsupported,
  uuid,
} from '../params.js';
import { type BalanceOwner, commitOf, contractCommit, contractCredit, creditOf } from './balances.js';
import { scheduledCharge, scheduledChargeOf, subscriptionOf, subscriptionParams } from './charges.js';
import type { TermsContext } from './context.js';
import { overrideOf, overrideParams } from './overrides.js';
import { checkDaily, recurringCommit, recurringCredit, recurringOf } from './recurring.js';
import { spendTrackers, spendTrackersOf } from './spendTrackers.js';
import { prepaidThreshold, prepaidThresholdOf, spendThreshold, spendThresholdOf } from './thresholds.js';

export const usageFilter = object({
  group_key: text(),
  group_values: list(text(), { min: 1, max: 1000 }),
  starting_at: hourTimestamp().optional(),
});

const statementSchedule = object({
  frequency: oneOf(['WEEKLY', 'MONTHLY', 'QUARTERLY', 'ANNUAL']),
  day: oneOf(['FIRST_OF_MONTH', 'CONTRACT_START', 'CUSTOM_DATE']).optional(),
  billing_anchor_date: hourTimestamp().optional(),
  invoice_generation_starting_at: hourTimestamp().optional(),
});

export const contractParams = object({
  customer_id: customerId(),
  starting_at: hourTimestamp(),
  ending_before: hourTimestamp().optional(),
  name: text({ min: 0 }).optional(),
  rate_card_id: uuid().optional(),
  rate_card_alias: text().optional(),
  package_id: uuid().optional(),
  package_alias: text().optional(),
  uniqueness_key: text({ max: 128 }).optional(),
  net_payment_terms_days: integer({ min: 0, max: 3650 }).optional(),
  total_contract_value: decimal({ min: ZERO }).optional(),
  custom_fields: customFields().optional(),
  commits: list(contractCommit, { max: 1000 }).optional(),
  credits: list(contractCredit, { max: 1000 }).optional(),
  recurring_commits: list(recurringCommit, { max: 100 }).optional(),
  recurring_credits: list(recurringCredit, { max: 100 }).optional(),
  overrides: list(overrideParams).optional(),
  multiplier_override_prioritization: oneOf(['LOWEST_MULTIPLIER', 'EXPLICIT']).optional(),
  scheduled_charges: list(scheduledCharge, { max: 1000 }).optional(),
  scheduled_charges_on_usage_invoices: oneOf(['ALL']).optional(),
  subscriptions: list(subscriptionParams, { max: 100 }).optional(),
  transition: object({
    type: oneOf(['RENEWAL']),
    from_contract_id: uuid(),
    future_invoice_behavior: object({ trueup: oneOf(['REMOVE', 'AS_IS']).nullable().optional() }).optional(),
  }).optional(),
  usage_filter: usageFilter.optional(),
  usage_statement_schedule: statementSchedule.optional(),
  billing_provider_configuration: anyObject().optional(),
  revenue_system_configuration: anyObject().optional(),
  spend_threshold_configuration: spendThreshold.optional(),
  prepaid_balance_threshold_configuration: prepaidThreshold.optional(),
  spend_trackers: spendTrackers.optional(),
  salesforce_opportunity_id: text().optional(),
  netsuite_sales_order_id: text().optional(),
  discounts: unsupported,
  professional_services: unsupported,
  reseller_royalties: unsupported,
  hierarchy_configuration: unsupported,
});

export type ContractParams = z.output<typeof contractParams>;

/** Everything that the request agrees to, with ids; what it names by an alias is resolved already. */
export function newContractOf(
  context: TermsContext,
  params: ContractParams,
  owner: { customerId: string; contractId: string; rateCardId: string | null; packageId: string | null },
): NewContract {
  const { starting_at: startingAt } = params;
  const endingBefore = params.ending_before ?? null;
  if (endingBefore !== null && endingBefore <= startingAt) {
    throw invalid("Invalid 'ending_before': must be after starting_at.");
  }
  const prioritization = params.multiplier_override_prioritization ?? 'LOWEST_MULTIPLIER';
  const balanceOwner = {
    customerId: owner.customerId,
    contractId: owner.contractId,
    applicableContractIds: null,
    invoiceContractId: null,
    uniquenessKey: null,
    contractEnd: endingBefore,
  };
  const subscriptions: StoredSubscription[] = (params.subscriptions ?? []).map((one, i) =>
    subscriptionOf(context, one, startingAt, `subscriptions[${i}]`),
  );
  const balances = balancesOf(context, params, balanceOwner);
  const recurring = recurringTerms(context, params, subscriptions);
  checkDaily(recurring);
  return {
    id: owner.contractId,
    rateCardId: owner.rateCardId,
    packageId: owner.packageId,
    name: params.name ?? null,
    startingAt,
    endingBefore,
    uniquenessKey: params.uniqueness_key ?? null,
    customFields: params.custom_fields ?? {},
    balances,
    transition:
      params.transition === undefined
        ? null
        : {
            fromContractId: params.transition.from_contract_id,
            removeTrueUps: params.transition.future_invoice_behavior?.trueup === 'REMOVE',
          },
    document: {
      statements: statementsOf(params, startingAt),
      prioritization,
      consolidatesScheduledCharges: params.scheduled_charges_on_usage_invoices === 'ALL',
      overrides: (params.overrides ?? []).map((one, i) =>
        overrideOf(context, one, prioritization, `overrides[${i}]`),
      ),
      recurring,
      subscriptions,
      scheduledCharges: (params.scheduled_charges ?? []).map((one, i) =>
        scheduledChargeOf(context, one, `scheduled_charges[${i}]`),
      ),
      usageFilters: params.usage_filter === undefined ? [] : [usageFilterOf(params.usage_filter, startingAt)],
      transitions: [],
      ...thresholdsOf(context, params),
      spendTrackers: spendTrackersOf(context, params.spend_trackers, 'spend_trackers'),
      netPaymentTermsDays: params.net_payment_terms_days ?? null,
      totalContractValue: params.total_contract_value ?? null,
      billingProvider: params.billing_provider_configuration ?? null,
      revenueSystem: params.revenue_system_configuration ?? null,
    },
  };
}

function balancesOf(context: TermsContext, params: ContractParams, owner: BalanceOwner): BalanceRecord[] {
  return [
    ...(params.commits ?? []).map((one, i) => commitOf(context, one, owner, `commits[${i}]`)),
    ...(params.credits ?? []).map((one, i) => creditOf(context, one, owner, `credits[${i}]`)),
  ];
}

function recurringTerms(
  context: TermsContext,
  params: ContractParams,
  subscriptions: readonly StoredSubscription[],
): StoredRecurring[] {
  return [
    ...(params.recurring_commits ?? []).map((one, i) =>
      recurringOf(context, one, 'PREPAID', subscriptions, `recurring_commits[${i}]`),
    ),
    ...(params.recurring_credits ?? []).map((one, i) =>
      recurringOf(context, one, 'CREDIT', subscriptions, `recurring_credits[${i}]`),
    ),
  ];
}

function thresholdsOf(
  context: TermsContext,
  params: ContractParams,
): Pick<ContractDocument, 'spendThreshold' | 'prepaidThreshold'> {
  return {
    spendThreshold:
      params.spend_threshold_configuration === undefined
        ? null
        : spendThresholdOf(context, params.spend_threshold_configuration, 'spend_threshold_configuration'),
    prepaidThreshold:
      params.prepaid_balance_threshold_configuration === undefined
        ? null
        : prepaidThresholdOf(
            context,
            params.prepaid_balance_threshold_configuration,
            'prepaid_balance_threshold_configuration',
          ),
  };
}

function statementsOf(params: ContractParams, startingAt: number): StatementSchedule {
  const schedule = params.usage_statement_schedule;
  const day =
    schedule?.day ?? (schedule?.billing_anchor_date === undefined ? 'FIRST_OF_MONTH' : 'CUSTOM_DATE');
  const anchor = schedule?.billing_anchor_date ?? null;
  if (day === 'CUSTOM_DATE' && anchor === null) {
    throw invalid("Invalid 'usage_statement_schedule.billing_anchor_date': is required with CUSTOM_DATE.");
  }
  const generated = schedule?.invoice_generation_starting_at ?? null;
  if (generated !== null && generated < startingAt) {
    throw invalid(
      "Invalid 'usage_statement_schedule.invoice_generation_starting_at': is before starting_at.",
    );
  }
  return {
    frequency: schedule?.frequency ?? 'MONTHLY',
    day,
    anchor: day === 'CUSTOM_DATE' ? anchor : null,
    generationStartingAt: generated,
  };
}

export function usageFilterOf(params: z.output<typeof usageFilter>, contractStart: number): UsageFilter {
  const startingAt = Math.max(params.starting_at ?? contractStart, contractStart);
  return { groupKey: params.group_key, groupValues: params.group_values, startingAt, endingBefore: null };
}
