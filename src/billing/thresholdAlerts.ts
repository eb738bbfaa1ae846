import {
  type AlertType,
  alertState,
  alertTransition,
  type CustomerAlertState,
} from '../domain/contract/alerts.js';
import { type Decimal, toText } from '../domain/decimal.js';
import { invalid, notFound } from '../domain/errors.js';
import type { Core } from '../core.js';
import type { Instant } from '../domain/period.js';
import { jsonNumber } from '../json.js';
import { loadMetrics } from '../storage/billableMetrics.js';
import { isCheckPending, requestCheck, requestChecksOfAccount } from '../storage/customerChecks.js';
import type { CustomerRecord } from '../storage/customers.js';
import type { Queryable, Transaction } from '../storage/db.js';
import { findCustomerByAnyId, type MetronomeCustomer } from '../storage/ingestAliases.js';
import { loadPricingUnits } from '../storage/pricingUnits.js';
import {
  type AlertDefinition,
  archiveThresholdAlert,
  findAlertGroupKeys,
  findAlertsOfCustomer,
  findAlertStates,
  findThresholdAlert,
  insertThresholdAlert,
  type StoredAlertState,
  type ThresholdAlert,
  writeAlertState,
} from '../storage/thresholdAlerts.js';
import { customerNow } from './clock.js';
import { newUuid } from './contracts/ids.js';
import { openInvoices, type OpenInvoices } from './contracts/open.js';
import { emitEvent } from './events.js';
import { readAlert, readingName } from './thresholdReadings.js';

const GROUP_KEYS_MAX = 3;

export interface NewThresholdAlert extends AlertDefinition {
  type: AlertType;
  name: string;
  /** Any id or alias; null is every customer. */
  customer: string | null;
  uniquenessKey: string | null;
}

/**
 * Makes an alert. One about a single customer has its state when this returns; one about all of them within seconds.
 * Refuses what does not exist, and what the type has no use for.
 */
export async function createThresholdAlert(
  tx: Transaction,
  core: Core,
  accountId: string,
  input: NewThresholdAlert,
): Promise<ThresholdAlert> {
  const { customer: name, ...definition } = input;
  const customer = name === null ? null : await requireByAnyId(tx, accountId, name);
  await checkDefinition(tx, accountId, input);
  await checkGroupKeys(tx, accountId, customer?.id ?? null, input);
  const now = customer === null ? core.now() : await customerNow(tx, core, accountId, customer);
  const alert: ThresholdAlert = {
    ...definition,
    id: newUuid(),
    customerId: customer?.id ?? null,
    status: 'enabled',
    createdAt: now,
    updatedAt: now,
  };
  await insertThresholdAlert(tx, accountId, alert);
  if (customer === null) await requestChecksOfAccount(tx, accountId);
  else {
    await requestCheck(tx, { accountId, customerId: customer.id });
    const open = await openInvoices(tx, core, accountId, customer, { at: now });
    await evaluateAlerts(tx, accountId, customer, [alert], open, now);
  }
  return alert;
}

async function checkDefinition(tx: Transaction, accountId: string, input: NewThresholdAlert): Promise<void> {
  const { creditTypeId, billableMetricId, type } = input;
  if (type === 'low_remaining_seat_balance_reached') {
    throw invalid("Invalid 'alert_type': Durabill has no balances of single seats.");
  }
  if (creditTypeId !== null && !(await loadPricingUnits(tx, accountId)).has(creditTypeId)) {
    throw invalid(`Invalid 'credit_type_id': no such pricing unit: ${creditTypeId}.`);
  }
  if ((type === 'usage_threshold_reached') !== (billableMetricId !== null)) {
    throw invalid(
      billableMetricId === null
        ? "Invalid 'billable_metric_id': is required for usage_threshold_reached."
        : `Invalid 'billable_metric_id': ${type} has no use for it.`,
    );
  }
  if (billableMetricId !== null) {
    const metrics = await loadMetrics(tx, accountId);
    if (!metrics.some(({ id }) => id === billableMetricId)) {
      throw invalid(`Invalid 'billable_metric_id': no such billable metric: ${billableMetricId}.`);
    }
  }
  if (input.groupValues.length > 0 && type !== 'spend_threshold_reached') {
    throw invalid("Invalid 'group_values': only spend_threshold_reached takes them.");
  }
  if (input.invoiceTypes !== null && type !== 'invoice_total_reached') {
    throw invalid("Invalid 'invoice_types_filter': only invoice_total_reached takes it.");
  }
}

/** Of those that watch a customer; each key is another rating of all its usage. */
async function checkGroupKeys(
  tx: Transaction,
  accountId: string,
  customerId: string | null,
  { groupValues }: NewThresholdAlert,
): Promise<void> {
  if (groupValues.length === 0) return;
  const asked = groupValues.map(({ key }) => key);
  if (new Set(asked).size < asked.length) throw invalid("Invalid 'group_values': a key is given twice.");
  const common = new Set(asked);
  const byCustomer = new Map<string, Set<string>>();
  for (const { customerId: watched, key } of await findAlertGroupKeys(tx, accountId)) {
    if (watched === null || watched === customerId) common.add(key);
    else if (customerId === null) byCustomer.set(watched, (byCustomer.get(watched) ?? new Set()).add(key));
  }
  const most = [...byCustomer.values()].map((keys) => new Set([...keys, ...common]).size);
  if (Math.max(common.size, ...most) > GROUP_KEYS_MAX) {
    throw invalid(
      `Invalid 'group_values': the alerts of a customer may have at most ${GROUP_KEYS_MAX} different keys.`,
    );
  }
}

/** Ends an alert at once; repeatable. With `releaseKey` its uniqueness key may be used again. */
export async function endThresholdAlert(
  tx: Transaction,
  core: Core,
  accountId: string,
  id: string,
  releaseKey: boolean,
): Promise<void> {
  const alert = await findThresholdAlert(tx, accountId, id, true);
  if (alert === null) throw notFound('alert', id, 'id');
  await archiveThresholdAlert(tx, accountId, id, core.now(), releaseKey);
}

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

/** Forgets what the alert said about the customer and looks again at once: it may fire anew. */
export async function resetAlert(
  tx: Transaction,
  core: Core,
  accountId: string,
  alertId: string,
  customerName: string,
): Promise<void> {
  const customer = await requireByAnyId(tx, accountId, customerName);
  const alert = await findThresholdAlert(tx, accountId, alertId);
  if (alert === null || (alert.customerId !== null && alert.customerId !== customer.id)) {
    throw notFound('alert', alertId, 'alert_id');
  }
  if (alert.status !== 'enabled') return;
  const at = await customerNow(tx, core, accountId, customer);
  await writeAlertState(tx, accountId, customer.id, { alertId, state: 'evaluating', reading: null }, at);
  await requestCheck(tx, { accountId, customerId: customer.id });
}

/**
 * The alert and its state for a customer, or for these values of its groups, read now. Throws `not_found` where one of
 * them doesn't exist, `invalid` for values that the alert does not tell apart.
 */
export async function alertOfCustomer(
  q: Queryable,
  core: Core,
  accountId: string,
  alertId: string,
  customerName: string,
  groupValues: ThresholdAlert['groupValues'],
): Promise<AlertOfCustomer> {
  const customer = await requireByAnyId(q, accountId, customerName);
  const alert = await findThresholdAlert(q, accountId, alertId);
  if (alert === null || (alert.customerId !== null && alert.customerId !== customer.id)) {
    throw notFound('alert', alertId, 'alert_id');
  }
  if (groupValues.length > 0) return stateWithin(q, core, accountId, customer, narrowed(alert, groupValues));
  const [found] = await statesOf(q, accountId, customer.id, [alert]);
  if (found === undefined) throw new Error('no state');
  return found;
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

/**
 * Reads each alert, keeps its state where it has changed, and tells of those that were reached or are over. The
 * caller holds the customer's row, so one crossing is told of once.
 */
export async function evaluateAlerts(
  tx: Transaction,
  accountId: string,
  customer: CustomerRecord,
  alerts: readonly ThresholdAlert[],
  open: OpenInvoices,
  at: Instant,
): Promise<void> {
  const before = await findAlertStates(
    tx,
    accountId,
    customer.id,
    alerts.map(({ id }) => id),
  );
  for (const alert of alerts) {
    const reading = await readAlert(tx, alert, open, at);
    const state = alertState(alert, reading);
    if (state === null) continue;
    const known = before.get(alert.id);
    if (known?.state === state) continue;
    await writeAlertState(tx, accountId, customer.id, { alertId: alert.id, state, reading }, at);
    const what = alertTransition(known?.state ?? 'evaluating', state);
    if (what === null || isOldNews(alert, customer, known)) continue;
    await tellOf(tx, accountId, customer, alert, what, reading, at);
  }
}

/** Without `evaluate_on_create` only those that cross the threshold from then on are told of. */
function isOldNews(
  alert: ThresholdAlert,
  customer: CustomerRecord,
  known: StoredAlertState | undefined,
): boolean {
  return !alert.evaluateOnCreate && known === undefined && customer.createdAt <= alert.createdAt;
}

async function tellOf(
  tx: Transaction,
  accountId: string,
  customer: CustomerRecord,
  alert: ThresholdAlert,
  what: 'reached' | 'resolved',
  reading: Decimal | null,
  at: Instant,
): Promise<void> {
  const { uuid } = await requireByAnyId(tx, accountId, customer.id);
  await emitEvent(tx, {
    accountId,
    livemode: customer.livemode,
    type: `alerts.${alert.type}${what === 'resolved' ? '_resolved' : ''}`,
    at,
    object: {
      id: alert.id,
      object: 'alert',
      customer_id: uuid,
      alert_id: alert.id,
      alert_name: alert.name,
      timestamp: new Date(at).toISOString(),
      threshold: jsonNumber(alert.threshold),
      credit_type_id: alert.creditTypeId ?? undefined,
      billable_metric_id: alert.billableMetricId ?? undefined,
      [readingName(alert.type)]: reading === null ? undefined : jsonNumber(reading),
      triggered_by: reading === null ? null : `${readingName(alert.type)} ${toText(reading)}`,
    },
  });
}

/** The customer under any of its names; `not_found` for none. */
export async function requireByAnyId(
  q: Queryable,
  accountId: string,
  name: string,
  param = 'customer_id',
): Promise<MetronomeCustomer> {
  const customer = await findCustomerByAnyId(q, accountId, name);
  if (customer === null) throw notFound('customer', name, param);
  return customer;
}
