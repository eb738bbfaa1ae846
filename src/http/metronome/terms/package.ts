import type { z } from 'zod';
import {
  instantAfter,
  RELATIVE_UNITS,
  type RelativeTime,
  spanAfter,
} from '../../../domain/contract/relative.js';
import { ZERO } from '../../../domain/decimal.js';
import { invalid } from '../../../domain/errors.js';
import type { Instant } from '../../../domain/period.js';
import { boolean, decimal, integer, list, object, oneOf, text, uuid } from '../params.js';
import { contractCommit, contractCredit } from './balances.js';
import { scheduledCharge, subscriptionParams } from './charges.js';
import { type ContractParams, contractParams } from './contract.js';
import { overrideParams } from './overrides.js';
import { recurringCommit, recurringCredit } from './recurring.js';

/** The terms of a package: those of a contract, with times that count from its start. */

const LONGEST: Readonly<Record<RelativeTime['unit'], number>> = {
  DAYS: 36_525,
  WEEKS: 5_217,
  MONTHS: 1_200,
  YEARS: 100,
};

const relative = (min: number) =>
  object({ value: integer({ min, max: LONGEST.DAYS }), unit: oneOf(RELATIVE_UNITS) }).refine(
    ({ value, unit }) => value <= LONGEST[unit],
    { error: 'may be at most 100 years' },
  );
const offset = relative(0);
const duration = relative(1);

const amount = decimal({ min: ZERO });
const starts = { starting_at_offset: offset, duration: duration.optional() };
const CONTRACT_TIMES = { starting_at: true, ending_before: true } as const;
const UNLISTED = {
  netsuite_sales_order_id: true,
  salesforce_opportunity_id: true,
  hierarchy_configuration: true,
} as const;
const RECURRING_UNLISTED = {
  ...CONTRACT_TIMES,
  netsuite_sales_order_id: true,
  hierarchy_configuration: true,
} as const;

const accessSchedule = object({
  credit_type_id: uuid().optional(),
  schedule_items: list(object({ amount, starting_at_offset: offset, duration }), { min: 1, max: 1000 }),
});
const scheduleItems = list(object({ date_offset: offset, unit_price: amount, quantity: amount }), {
  max: 1200,
});

const packageCommit = contractCommit
  .omit({ ...UNLISTED, access_schedule: true, amount: true, spend_tracker_attributes: true })
  .extend({
    access_schedule: accessSchedule,
    invoice_schedule: object({
      credit_type_id: uuid().optional(),
      do_not_invoice: boolean().optional(),
      schedule_items: scheduleItems,
    }).optional(),
  });
const packageCredit = contractCredit
  .omit({ ...UNLISTED, access_schedule: true })
  .extend({ access_schedule: accessSchedule });
const packageCharge = scheduledCharge.omit({ netsuite_sales_order_id: true }).extend({
  schedule: object({ credit_type_id: uuid().optional(), schedule_items: scheduleItems }),
});
const packageOverride = overrideParams
  .omit({ ...CONTRACT_TIMES, product_id: true, applicable_product_tags: true })
  .extend(starts);
const packageSubscription = subscriptionParams.omit(CONTRACT_TIMES).extend({
  starting_at_offset: offset.optional(),
  duration: duration.optional(),
  billing_cycle_config: object({
    invoice_placement: oneOf(['ON_USAGE_INVOICE', 'ON_SCHEDULED_INVOICE']).optional(),
  }).optional(),
  seat_config: object({
    seat_group_key: text(),
    initial_unassigned_seats: amount.optional(),
  }).optional(),
});

const same = contractParams.shape;

export const packageTerms = object({
  contract_name: text({ min: 0 }).optional(),
  duration: duration.optional(),
  rate_card_id: same.rate_card_id,
  rate_card_alias: same.rate_card_alias,
  net_payment_terms_days: same.net_payment_terms_days,
  multiplier_override_prioritization: same.multiplier_override_prioritization,
  scheduled_charges_on_usage_invoices: same.scheduled_charges_on_usage_invoices,
  spend_threshold_configuration: same.spend_threshold_configuration,
  prepaid_balance_threshold_configuration: same.prepaid_balance_threshold_configuration,
  spend_trackers: same.spend_trackers,
  billing_provider: oneOf([
    'stripe',
    'aws_marketplace',
    'azure_marketplace',
    'gcp_marketplace',
    'netsuite',
  ]).optional(),
  delivery_method: oneOf(['direct_to_billing_provider', 'aws_sqs', 'tackle', 'aws_sns']).optional(),
  usage_statement_schedule: object({
    frequency: oneOf(['WEEKLY', 'MONTHLY', 'QUARTERLY', 'ANNUAL']),
    day: oneOf(['FIRST_OF_MONTH', 'CONTRACT_START']).optional(),
    invoice_generation_starting_at_offset: offset.optional(),
  }).optional(),
  commits: list(packageCommit, { max: 1000 }).optional(),
  credits: list(packageCredit, { max: 1000 }).optional(),
  recurring_commits: list(recurringCommit.omit(RECURRING_UNLISTED).extend(starts), { max: 100 }).optional(),
  recurring_credits: list(recurringCredit.omit(RECURRING_UNLISTED).extend(starts), { max: 100 }).optional(),
  overrides: list(packageOverride).optional(),
  scheduled_charges: list(packageCharge, { max: 1000 }).optional(),
  subscriptions: list(packageSubscription, { max: 100 }).optional(),
});

/** The terms in the request's words. */
export type PackageTerms = z.output<typeof packageTerms>;

/** Refuses a name twice, and an override that is for a part which the package does not have. */
export function checkReferences(terms: PackageTerms): void {
  const names = new Set<string>();
  const { commits, credits, recurring_commits: grants, recurring_credits: gifts, subscriptions } = terms;
  const parts: (readonly { temporary_id?: string | undefined }[] | undefined)[] = [
    commits,
    credits,
    grants,
    gifts,
    subscriptions,
  ];
  for (const { temporary_id: name } of parts.flatMap((some) => some ?? [])) {
    if (name === undefined) continue;
    if (names.has(name)) throw invalid(`Invalid 'temporary_id': '${name}' is used twice.`);
    names.add(name);
  }
  for (const [i, { override_specifiers: specifiers }] of (terms.overrides ?? []).entries()) {
    for (const [j, one] of (specifiers ?? []).entries()) {
      for (const field of REFERENCES) {
        const unknown = one[field]?.find((name) => !names.has(name));
        if (unknown === undefined) continue;
        throw invalid(
          `Invalid 'overrides[${i}].override_specifiers[${j}].${field}': no temporary_id '${unknown}' in the package.`,
        );
      }
    }
  }
}

const REFERENCES = [
  'commit_ids',
  'recurring_commit_ids',
  'recurring_credit_ids',
  'any_commit_or_credit_ids',
] as const;

/** What a contract that is made from a package may say itself. */
export type PackagedContract = Pick<
  ContractParams,
  'customer_id' | 'starting_at' | 'uniqueness_key' | 'transition' | 'custom_fields'
>;

/** The request for a contract with the terms of a package, resolved from the contract's start. */
export function contractParamsFrom(terms: PackageTerms, contract: PackagedContract): ContractParams {
  const start = contract.starting_at;
  const statements = terms.usage_statement_schedule;
  const generated = statements?.invoice_generation_starting_at_offset;
  return {
    ...contract,
    name: terms.contract_name,
    ending_before: terms.duration === undefined ? undefined : instantAfter(start, terms.duration),
    rate_card_id: terms.rate_card_id,
    rate_card_alias: terms.rate_card_alias,
    net_payment_terms_days: terms.net_payment_terms_days,
    multiplier_override_prioritization: terms.multiplier_override_prioritization,
    scheduled_charges_on_usage_invoices: terms.scheduled_charges_on_usage_invoices,
    spend_threshold_configuration: terms.spend_threshold_configuration,
    prepaid_balance_threshold_configuration: terms.prepaid_balance_threshold_configuration,
    spend_trackers: terms.spend_trackers,
    usage_statement_schedule:
      statements === undefined
        ? undefined
        : {
            frequency: statements.frequency,
            day: statements.day,
            invoice_generation_starting_at:
              generated === undefined ? undefined : instantAfter(start, generated),
          },
    ...balancesAt(terms, start),
    ...spansAt(terms, start),
  };
}

function balancesAt(
  terms: PackageTerms,
  start: Instant,
): Pick<ContractParams, 'commits' | 'credits' | 'scheduled_charges'> {
  return {
    commits: terms.commits?.map(({ invoice_schedule: invoice, access_schedule: access, ...rest }) => ({
      ...rest,
      access_schedule: accessAt(access, start),
      invoice_schedule: invoice === undefined ? undefined : { ...invoice, ...itemsAt(invoice, start) },
    })),
    credits: terms.credits?.map(({ access_schedule: access, ...rest }) => ({
      ...rest,
      access_schedule: accessAt(access, start),
    })),
    scheduled_charges: terms.scheduled_charges?.map(({ schedule, ...rest }) => ({
      ...rest,
      schedule: { ...schedule, ...itemsAt(schedule, start) },
    })),
  };
}

function accessAt(
  { credit_type_id, schedule_items: items }: z.output<typeof accessSchedule>,
  start: Instant,
) {
  return {
    credit_type_id,
    schedule_items: items.map((item) => {
      const span = spanAfter(start, item.starting_at_offset, item.duration);
      return { amount: item.amount, starting_at: span.start, ending_before: span.end };
    }),
  };
}

function itemsAt(
  { schedule_items: items }: { schedule_items: z.output<typeof scheduleItems> },
  start: Instant,
) {
  return {
    schedule_items: items.map(({ date_offset: date, unit_price, quantity }) => ({
      timestamp: instantAfter(start, date),
      unit_price,
      quantity,
    })),
  };
}

function spansAt(
  terms: PackageTerms,
  start: Instant,
): Pick<ContractParams, 'overrides' | 'recurring_commits' | 'recurring_credits' | 'subscriptions'> {
  return {
    overrides: terms.overrides?.map((one) => withSpan(one, start)),
    recurring_commits: terms.recurring_commits?.map((one) => withSpan(one, start)),
    recurring_credits: terms.recurring_credits?.map((one) => withSpan(one, start)),
    subscriptions: terms.subscriptions?.map(({ starting_at_offset: begin, ...rest }) =>
      withSpan({ ...rest, starting_at_offset: begin ?? NOW }, start),
    ),
  };
}

const NOW: RelativeTime = { unit: 'DAYS', value: 0 };

function withSpan<T extends { starting_at_offset: RelativeTime; duration?: RelativeTime | undefined }>(
  { starting_at_offset: begin, duration: lasting, ...rest }: T,
  start: Instant,
) {
  const span = lasting === undefined ? null : spanAfter(start, begin, lasting);
  return {
    ...rest,
    starting_at: instantAfter(start, begin),
    ending_before: span === null ? undefined : span.end,
  };
}
