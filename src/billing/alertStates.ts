import type { Core } from '../core.js';
import { alertState, type CustomerAlertState } from '../domain/contract/alerts.js';
import { invalid, notFound } from '../domain/errors.js';
import { isCheckPending } from '../storage/customerChecks.js';
import type { Queryable } from '../storage/db.js';
import type { MetronomeCustomer } from '../storage/ingestAliases.js';
import {
  findAlertsOfCustomer,
  findAlertStates,
  findSeatStates,
  findThresholdAlert,
  type SeatFilter,
  type ThresholdAlert,
} from '../storage/thresholdAlerts.js';
import { customerNow } from './clock.js';
import { openInvoices } from './contracts/open.js';
import { requireByAnyId } from './thresholdAlerts.js';
import { readAlert } from './thresholdReadings.js';

/** An alert and what it says about a customer. */
export interface AlertOfCustomer {
  alert: ThresholdAlert;
  state: CustomerAlertState;
}

/**
 * The state of alerts for a customer; `evaluating` until somebody has looked, `ok` where there is nothing to look at,
 * null where the alert is over.
 */
export async function statesOf(
  q: Queryable,
  accountId: string,
  customerId: string,
  alerts: readonly ThresholdAlert[],
): Promise<AlertOfCustomer[]> {
  const states = await findAlertStates(
    q,
    accountId,
    customerId,
    alerts.map(({ id }) => id),
  );
  const unseen = (await isCheckPending(q, accountId, customerId)) ? 'evaluating' : 'ok';
  return alerts.map((alert) => ({
    alert,
    state: alert.status === 'enabled' ? (states.get(alert.id)?.state ?? unseen) : null,
  }));
}

/** A part of what an alert watches: values of groups, or a seat. */
export interface AlertPart {
  groupValues: ThresholdAlert['groupValues'];
  seat: SeatFilter | null;
}

/**
 * The alert and its state for a customer; for these values of its groups, read now; or for one of the customer's
 * seats. Throws `not_found` where one of them doesn't exist, `invalid` for values or a seat that the alert does not
 * tell apart.
 */
export async function alertOfCustomer(
  q: Queryable,
  core: Core,
  accountId: string,
  alertId: string,
  customerName: string,
  { groupValues, seat }: AlertPart,
): Promise<AlertOfCustomer> {
  const customer = await requireByAnyId(q, accountId, customerName);
  const alert = await findThresholdAlert(q, accountId, alertId);
  if (alert === null || (alert.customerId !== null && alert.customerId !== customer.id)) {
    throw notFound('alert', alertId, 'alert_id');
  }
  if (groupValues.length > 0) return stateWithin(q, core, accountId, customer, narrowed(alert, groupValues));
  const [found] = await statesOf(q, accountId, customer.id, [alert]);
  if (found === undefined) throw new Error('no state');
  return seat === null ? found : { alert, state: await seatState(q, accountId, customer.id, found, seat) };
}

function narrowed(alert: ThresholdAlert, values: ThresholdAlert['groupValues']): ThresholdAlert {
  for (const { key, value } of values) {
    const own = alert.groupValues.find((one) => one.key === key);
    if (own === undefined || (own.value !== null && value !== null && own.value !== value)) {
      throw invalid(
        `Invalid 'group_values': alert ${alert.id} does not watch ${key} ${value ?? ''}`.trimEnd() + '.',
      );
    }
  }
  const groupValues = alert.groupValues.map(({ key, value }) => ({
    key,
    value: value ?? values.find((one) => one.key === key)?.value ?? null,
  }));
  return { ...alert, groupValues };
}

async function stateWithin(
  q: Queryable,
  core: Core,
  accountId: string,
  customer: MetronomeCustomer,
  alert: ThresholdAlert,
): Promise<AlertOfCustomer> {
  const at = await customerNow(q, core, accountId, customer);
  const open = await openInvoices(q, core, accountId, customer, { at });
  return { alert, state: alertState(alert, await readAlert(q, alert, open, at)) };
}

async function seatState(
  q: Queryable,
  accountId: string,
  customerId: string,
  { alert, state }: AlertOfCustomer,
  { groupKey, value }: SeatFilter,
): Promise<CustomerAlertState> {
  const own = alert.seatFilter ?? null;
  if (own?.groupKey !== groupKey || (own.value !== null && value !== null && own.value !== value)) {
    throw invalid(`Invalid 'seat_filter': alert ${alert.id} is not about this.`);
  }
  if (value === null || state === null || state === 'evaluating') return state;
  return (await findSeatStates(q, accountId, customerId, alert.id)).get(value) ?? 'ok';
}

/** All alerts of these statuses that watch a customer. */
export async function alertsOfCustomer(
  q: Queryable,
  accountId: string,
  customerName: string,
  statuses: readonly ThresholdAlert['status'][],
): Promise<AlertOfCustomer[]> {
  const customer = await requireByAnyId(q, accountId, customerName);
  return statesOf(q, accountId, customer.id, await findAlertsOfCustomer(q, accountId, customer.id, statuses));
}
