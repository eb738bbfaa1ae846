import { createThresholdAlert, endThresholdAlert } from '../../billing/thresholdAlerts.js';
import { releaseThreshold } from '../../billing/recharge.js';
import type { AlertType } from '../../domain/contract/alerts.js';
import { type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { EMPTY } from './endpoint.js';
import { boolean, customerId, decimal, list, object, oneOf, text, uuid } from './params.js';
import type { z } from 'zod';
import type { SeatFilter } from '../../storage/thresholdAlerts.js';
import { ZERO } from '../../domain/decimal.js';

const ALERT_TYPES = [
  'spend_threshold_reached',
  'monthly_invoice_total_spend_threshold_reached',
  'invoice_total_reached',
  'usage_threshold_reached',
  'low_remaining_commit_balance_reached',
  'low_remaining_commit_percentage_reached',
  'low_remaining_contract_credit_balance_reached',
  'low_remaining_contract_credit_percentage_reached',
  'low_remaining_contract_credit_and_commit_balance_reached',
  'low_remaining_days_for_commit_segment_reached',
  'low_remaining_days_for_contract_credit_segment_reached',
  'low_remaining_seat_balance_reached',
] as const satisfies readonly AlertType[];

const ENTITIES = ['Contract', 'Commit', 'ContractCredit', 'ContractCreditOrCommit'] as const;

export const customFieldFilter = object({
  entity: oneOf(ENTITIES),
  key: text(),
  value: text({ min: 0 }).optional(),
});

const filters = () => list(customFieldFilter, { max: 50 });

export const alertSpecifiers = list(
  object({
    custom_field_filters: filters().optional(),
    exclude: list(object({ custom_field_filters: filters().optional() }), { max: 50 }).optional(),
  }),
  { max: 50 },
);

export const groupValues = list(object({ key: text(), value: text({ min: 0 }).optional() }), { max: 100 });

export const seatFilter = object({ seat_group_key: text(), seat_group_value: text().optional() });

/** The filter in our words; without a value every seat is meant. */
export function seatFilterOf(filter: z.output<typeof seatFilter> | undefined): SeatFilter | null {
  if (filter === undefined) return null;
  return { groupKey: filter.seat_group_key, value: filter.seat_group_value ?? null };
}

type Filter = { entity: (typeof ENTITIES)[number]; key: string; value?: string | undefined };

const filterOf = ({ entity, key, value }: Filter) => ({ entity, key, value: value ?? null });

const create = metronomeEndpoint({
  method: 'POST',
  path: '/v1/alerts/create',
  body: object({
    alert_type: oneOf(ALERT_TYPES),
    name: text({ max: 500 }),
    threshold: decimal({ min: ZERO }),
    customer_id: customerId().optional(),
    credit_type_id: uuid().optional(),
    billable_metric_id: uuid().optional(),
    evaluate_on_create: boolean().optional(),
    uniqueness_key: text({ max: 128 }).optional(),
    custom_field_filters: filters().optional(),
    group_values: groupValues.optional(),
    invoice_types_filter: list(
      oneOf(['USAGE', 'SCHEDULED'], {
        CONTRACT_USAGE: 'USAGE',
        PLAN_ARREARS: 'USAGE',
        CONTRACT_SCHEDULED: 'SCHEDULED',
      }),
    ).optional(),
    seat_filter: seatFilter.optional(),
    alert_specifiers: alertSpecifiers.optional(),
  }),
  async handle({ tx, core, accountId }, body) {
    const alert = await createThresholdAlert(tx, core, accountId, {
      type: body.alert_type,
      name: body.name,
      threshold: body.threshold,
      customer: body.customer_id ?? null,
      creditTypeId: body.credit_type_id ?? null,
      billableMetricId: body.billable_metric_id ?? null,
      evaluateOnCreate: body.evaluate_on_create ?? true,
      uniquenessKey: body.uniqueness_key ?? null,
      customFieldFilters: (body.custom_field_filters ?? []).map(filterOf),
      groupValues: (body.group_values ?? []).map(({ key, value }) => ({ key, value: value ?? null })),
      invoiceTypes: body.invoice_types_filter ?? null,
      seatFilter: seatFilterOf(body.seat_filter),
      specifiers: (body.alert_specifiers ?? []).map((one) => ({
        filters: (one.custom_field_filters ?? []).map(filterOf),
        exclude: (one.exclude ?? []).map(({ custom_field_filters: out }) => (out ?? []).map(filterOf)),
      })),
    });
    return { data: { id: alert.id } };
  },
});

const archive = metronomeEndpoint({
  method: 'POST',
  path: '/v1/alerts/archive',
  body: object({ id: uuid(), release_uniqueness_key: boolean().optional() }),
  async handle({ tx, core, accountId }, { id, release_uniqueness_key: releaseKey }) {
    await endThresholdAlert(tx, core, accountId, id, releaseKey ?? false);
    return { data: { id } };
  },
});

/** docs.metronome.com, "prepaid balance thresholds": the answer to `payment_gate.external_initiate`. */
const releasePayment = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/commits/threshold-billing/release',
  body: object({ workflow_id: uuid(), outcome: oneOf(['paid', 'failed']) }),
  async handle({ tx, core, accountId }, { workflow_id: workflowId, outcome }) {
    await releaseThreshold(tx, core, accountId, workflowId, outcome);
    return EMPTY;
  },
});

export const alertEndpoints: readonly MetronomeEndpoint[] = [create, archive, releasePayment];
