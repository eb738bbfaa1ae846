import { type AlertType, alertState, alertTransition } from '../domain/contract/alerts.js';
import { type Decimal, toText } from '../domain/decimal.js';
import { invalid, notFound } from '../domain/errors.js';
import type { Core } from '../core.js';
import type { Instant } from '../domain/period.js';
import { type JsonObject, jsonNumber } from '../json.js';
import { loadMetrics } from '../storage/billableMetrics.js';
import { requestCheck, requestChecksOfAccount } from '../storage/customerChecks.js';
import type { CustomerRecord } from '../storage/customers.js';
import type { Queryable, Transaction } from '../storage/db.js';
import { findCustomerByAnyId, type MetronomeCustomer } from '../storage/ingestAliases.js';
import { loadPricingUnits } from '../storage/pricingUnits.js';
import {
  type AlertDefinition,
  archiveThresholdAlert,
  deleteSeatStates,
  findAlertGroupKeys,
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
import { evaluateSeats } from './seatAlerts.js';
import { readAlert, readingName } from './thresholdReadings.js';

const GROUP_KEYS_MAX = 3;
const SEAT_ALERT: AlertType = 'low_remaining_seat_balance_reached';

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
  if ((type === SEAT_ALERT) !== (input.seatFilter != null)) {
    throw invalid(
      type === SEAT_ALERT
        ? `Invalid 'seat_filter': is required for ${SEAT_ALERT}.`
        : `Invalid 'seat_filter': only ${SEAT_ALERT} takes it.`,
    );
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
  await deleteSeatStates(tx, accountId, customer.id, alertId, 'all');
  await requestCheck(tx, { accountId, customerId: customer.id });
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
    const known = before.get(alert.id);
    if (alert.type === SEAT_ALERT) {
      await evaluateSeatAlert(tx, accountId, customer, alert, open, at, known);
      continue;
    }
    const reading = await readAlert(tx, alert, open, at);
    const state = alertState(alert, reading);
    if (state === null) continue;
    if (known?.state === state) continue;
    await writeAlertState(tx, accountId, customer.id, { alertId: alert.id, state, reading }, at);
    const what = alertTransition(known?.state ?? 'evaluating', state);
    if (what === null || isOldNews(alert, customer, known)) continue;
    await tellOf(tx, accountId, customer, alert, what, reading, at);
  }
}

/** Tells of each seat by itself; the alert's own state is the worst of them. */
async function evaluateSeatAlert(
  tx: Transaction,
  accountId: string,
  customer: CustomerRecord,
  alert: ThresholdAlert,
  open: OpenInvoices,
  at: Instant,
  known: StoredAlertState | undefined,
): Promise<void> {
  if (alert.status !== 'enabled') return;
  const { state, reading, news } = await evaluateSeats(tx, accountId, customer.id, alert, open, at);
  if (known?.state !== state) {
    await writeAlertState(tx, accountId, customer.id, { alertId: alert.id, state, reading }, at);
  }
  if (isOldNews(alert, customer, known)) return;
  for (const { seatId, what, reading: left } of news) {
    const seat = { seat_group_key: alert.seatFilter?.groupKey ?? '', seat_group_value: seatId };
    await tellOf(tx, accountId, customer, alert, what, left, at, { seat_filter: seat });
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
  more: JsonObject = {},
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
      ...more,
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
