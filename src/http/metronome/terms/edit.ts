import type { z } from 'zod';
import {
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
  boolean,
  anyObject,
} from '../params.js';
import { ZERO, ONE } from '../../../domain/decimal.js';
import { accessItem, scheduleItem } from './schedules.js';
import { addedCommit, contractCredit } from './balances.js';
import { SEAT_ID_LENGTH_MAX, scheduledCharge, subscriptionParams } from './charges.js';
import { overrideParams } from './overrides.js';
import { recurringCommit, recurringCredit, rounding } from './recurring.js';
import { applicabilityFields } from './applicability.js';
import { spendTrackers } from './spendTrackers.js';
import {
  prepaidThreshold,
  prepaidThresholdUpdate,
  spendThreshold,
  spendThresholdUpdate,
} from './thresholds.js';

/** What `v2/contracts/edit` takes. */

const amount = decimal({ min: ZERO });
const withId = object({ id: uuid() });

const accessEdit = object({
  add_schedule_items: list(accessItem, { max: 1000 }).optional(),
  update_schedule_items: list(
    object({
      id: uuid(),
      amount: amount.optional(),
      starting_at: hourTimestamp().optional(),
      ending_before: hourTimestamp().optional(),
    }),
  ).optional(),
  remove_schedule_items: list(withId).optional(),
});

export const invoiceEdit = object({
  add_schedule_items: list(scheduleItem, { max: 1200 }).optional(),
  update_schedule_items: list(
    object({
      id: uuid(),
      timestamp: hourTimestamp().optional(),
      amount: amount.optional(),
      unit_price: amount.optional(),
      quantity: amount.optional(),
    }),
  ).optional(),
  remove_schedule_items: list(withId).optional(),
});

const balanceEdit = {
  name: text({ min: 0 }).optional(),
  description: text({ min: 0 }).optional(),
  product_id: uuid().optional(),
  priority: decimal().nullable().optional(),
  rollover_fraction: decimal({ min: ZERO, max: ONE }).nullable().optional(),
  rate_type: oneOf(['LIST_RATE', 'COMMIT_RATE']).optional(),
  netsuite_sales_order_id: text().nullable().optional(),
  hierarchy_configuration: anyObject().optional(),
  access_schedule: accessEdit.optional(),
  ...applicabilityFields,
};

export const commitEdit = object({ ...balanceEdit, invoice_schedule: invoiceEdit.optional() });

const { rollover_fraction: _contractEditOnly, ...singleEdit } = balanceEdit;
const whose = { customer_id: customerId(), applicable_contract_ids: list(uuid()).nullable().optional() };

/** What `v2/contracts/commits/edit` and `v2/contracts/credits/edit` take. */
export const singleCommitEdit = object({
  ...singleEdit,
  ...whose,
  commit_id: uuid(),
  invoice_contract_id: uuid().optional(),
  invoice_schedule: invoiceEdit.optional(),
});
export const singleCreditEdit = object({ ...singleEdit, ...whose, credit_id: uuid() });

/** Either of them, whichever id it carries. */
export type SingleBalanceEdit = Omit<z.output<typeof singleCommitEdit>, 'commit_id'>;
export type CommitEdit = z.output<typeof commitEdit>;
export type InvoiceEdit = z.output<typeof invoiceEdit>;
export type AccessEdit = z.output<typeof accessEdit>;

const roundings = object({ access: rounding.nullable().optional(), invoice: rounding.nullable().optional() });

const recurringEdit = {
  access_amount: object({ unit_price: amount.optional(), quantity: amount.optional() }).optional(),
  ending_before: hourTimestamp().nullable().optional(),
  proration_rounding: roundings.nullable().optional(),
  rate_type: oneOf(['LIST_RATE', 'COMMIT_RATE']).optional(),
};

export const recurringCommitEdit = object({
  recurring_commit_id: uuid(),
  ...recurringEdit,
  invoice_amount: object({ unit_price: amount.optional(), quantity: amount.optional() }).optional(),
});
export const recurringCreditEdit = object({ recurring_credit_id: uuid(), ...recurringEdit });

const seats = object({
  seat_ids: list(text({ max: SEAT_ID_LENGTH_MAX }), { min: 1, max: 1000 }),
  starting_at: hourTimestamp(),
});
const unassigned = object({ quantity: decimal({ above: ZERO }), starting_at: hourTimestamp() });

export const subscriptionEdit = object({
  subscription_id: uuid(),
  ending_before: hourTimestamp().nullable().optional(),
  proration_rounding: rounding.nullable().optional(),
  quantity_updates: list(
    object({
      starting_at: hourTimestamp(),
      quantity: amount.optional(),
      quantity_delta: decimal().optional(),
    }),
  ).optional(),
  seat_updates: object({
    add_seat_ids: list(seats).optional(),
    remove_seat_ids: list(seats).optional(),
    add_unassigned_seats: list(unassigned).optional(),
    remove_unassigned_seats: list(unassigned).optional(),
  }).optional(),
  quantity_management_mode_update: object({
    quantity_management_mode: oneOf(['SEAT_BASED']),
    seat_config: object({ seat_group_key: text() }),
  }).optional(),
});

export type SubscriptionEdit = z.output<typeof subscriptionEdit>;

export const editParams = object({
  customer_id: customerId(),
  contract_id: uuid(),
  uniqueness_key: text({ max: 128 }).optional(),
  add_commits: list(addedCommit).optional(),
  add_credits: list(contractCredit).optional(),
  add_recurring_commits: list(recurringCommit).optional(),
  add_recurring_credits: list(recurringCredit).optional(),
  add_overrides: list(overrideParams).optional(),
  add_scheduled_charges: list(scheduledCharge).optional(),
  add_subscriptions: list(subscriptionParams).optional(),
  add_spend_threshold_configuration: spendThreshold.optional(),
  add_prepaid_balance_threshold_configuration: prepaidThreshold.optional(),
  add_spend_trackers: spendTrackers.optional(),
  add_billing_provider_configuration_update: anyObject().optional(),
  add_revenue_system_configuration_update: anyObject().optional(),
  update_contract_name: text({ min: 0 }).nullable().optional(),
  update_contract_end_date: hourTimestamp().nullable().optional(),
  allow_contract_ending_before_finalized_invoice: boolean().optional(),
  update_net_payment_terms_days: integer({ min: 0, max: 3650 }).nullable().optional(),
  update_scheduled_charges: list(
    object({
      scheduled_charge_id: uuid(),
      invoice_schedule: invoiceEdit.optional(),
      netsuite_sales_order_id: text().nullable().optional(),
    }),
  ).optional(),
  update_commits: list(commitEdit.extend({ commit_id: uuid() })).optional(),
  update_credits: list(object({ credit_id: uuid(), ...balanceEdit })).optional(),
  update_recurring_commits: list(recurringCommitEdit).optional(),
  update_recurring_credits: list(recurringCreditEdit).optional(),
  update_subscriptions: list(subscriptionEdit).optional(),
  update_spend_threshold_configuration: spendThresholdUpdate.optional(),
  update_prepaid_balance_threshold_configuration: prepaidThresholdUpdate.optional(),
  archive_commits: list(withId).optional(),
  archive_credits: list(withId).optional(),
  archive_scheduled_charges: list(withId).optional(),
  archive_spend_trackers: list(text()).optional(),
  remove_overrides: list(withId).optional(),
  add_discounts: unsupported,
  add_professional_services: unsupported,
  add_reseller_royalties: unsupported,
});

export type EditParams = z.output<typeof editParams>;
