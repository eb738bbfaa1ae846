import type { Core } from '../core.js';
import { compare, type Decimal } from '../domain/decimal.js';
import { invalid, notFound } from '../domain/errors.js';
import { newId } from '../ids.js';
import { readLifetimeUsage } from '../metering/lifetime.js';
import {
  type AlertRecord,
  countAlerts,
  findAlert,
  hasFired,
  insertAlert,
  insertAlertFiring,
  setAlertStatus,
} from '../storage/alerts.js';
import { findCustomer } from '../storage/customers.js';
import { isUniqueViolation, type Queryable, type Transaction } from '../storage/db.js';
import { alertTriggeredObject } from '../stripe/alert.js';
import type { ChangeContext } from './catalogue.js';
import { customerNow, wallSecond } from './clock.js';
import { requireCustomer } from './customers.js';
import { emitEvent } from './events.js';
import { requireMeter } from './meters.js';

/** docs.stripe.com/billing/subscriptions/usage-based/alerts */
const ALERTS_PER_METER_AND_CUSTOMER_MAX = 25;

export interface NewAlert {
  title: string;
  meterId: string;
  /** null: every customer, each by itself. */
  customerId: string | null;
  threshold: Decimal;
}

/** Names of the request parameters, for refusals. */
export interface AlertParams {
  meter: string;
  customer: string;
}

export async function requireAlert(
  q: Queryable,
  accountId: string,
  id: string,
  lock: 'update' | 'none' = 'none',
): Promise<AlertRecord> {
  const alert = await findAlert(q, accountId, id, lock);
  if (alert === null) throw notFound('alert', id, 'id');
  return alert;
}

/**
 * Creates an active alert. It is looked at when new usage arrives, and then counts the usage from before it; it fires
 * once a customer, the first time that usage since the customer's first event reaches the threshold.
 */
export async function createAlert(
  ctx: Omit<ChangeContext, 'request'>,
  input: NewAlert,
  params: AlertParams,
): Promise<AlertRecord> {
  const { tx, accountId } = ctx;
  // The meter's row, locked, makes the count below hold.
  const meter = await requireMeter(tx, accountId, input.meterId, params.meter, 'update');
  if (meter.status !== 'active') {
    throw invalid(`The meter ${meter.id} is not active.`, { param: params.meter });
  }
  const customer =
    input.customerId === null
      ? null
      : await requireCustomer(tx, accountId, input.customerId, params.customer);
  const existing = await countAlerts(tx, accountId, meter.id, input.customerId);
  if (existing >= ALERTS_PER_METER_AND_CUSTOMER_MAX) {
    const most = ALERTS_PER_METER_AND_CUSTOMER_MAX;
    throw invalid(`There can be at most ${most} alerts for the same meter and customer.`, {
      param: params.meter,
    });
  }
  const alert: AlertRecord = {
    ...input,
    id: newId('alert'),
    livemode: ctx.livemode,
    createdAt:
      customer === null ? wallSecond(ctx.core) : await customerNow(tx, ctx.core, accountId, customer),
    status: 'active',
    recurrence: 'one_time',
  };
  await insertAlert(tx, accountId, alert);
  return alert;
}

/** Makes an alert active or inactive. Repeatable; an archived alert stays archived. */
export async function switchAlert(
  tx: Transaction,
  accountId: string,
  id: string,
  status: 'active' | 'inactive',
): Promise<AlertRecord> {
  const alert = await requireAlert(tx, accountId, id, 'update');
  if (alert.status === 'archived') throw invalid(`The alert ${id} is archived and can no longer be changed.`);
  await setAlertStatus(tx, accountId, id, status);
  return { ...alert, status };
}

/** Ends an alert for good; it is left out of lists. Repeatable. */
export async function archiveAlert(tx: Transaction, accountId: string, id: string): Promise<AlertRecord> {
  const alert = await requireAlert(tx, accountId, id, 'update');
  await setAlertStatus(tx, accountId, id, 'archived');
  return { ...alert, status: 'archived' };
}

export interface FireAlertInput {
  accountId: string;
  alertId: string;
  customerId: string;
}

/**
 * Records that usage has passed an alert's threshold and tells of it, at the customer's own time. Looks again first:
 * does nothing when the alert has fired for the customer, is no longer active, or usage is below the threshold after
 * all. Repeatable, from anywhere, at the same time too. Returns whether it fired now.
 */
export async function fireAlert(core: Pick<Core, 'db' | 'now'>, input: FireAlertInput): Promise<boolean> {
  try {
    return await core.db.transaction((tx) => fireOnce(tx, core, input));
  } catch (error) {
    // Another has fired it at the same moment; what this one wrote is rolled back.
    if (isUniqueViolation(error, 'billing_alert_firings_pkey')) return false;
    throw error;
  }
}

async function fireOnce(tx: Transaction, core: Pick<Core, 'now'>, input: FireAlertInput): Promise<boolean> {
  const { accountId, alertId, customerId } = input;
  const alert = await findAlert(tx, accountId, alertId);
  if (alert?.status !== 'active' || (alert.customerId !== null && alert.customerId !== customerId))
    return false;
  if (await hasFired(tx, accountId, alertId, customerId)) return false;
  const value = await readLifetimeUsage(tx, accountId, alert.meterId, customerId);
  if (value === null || compare(value, alert.threshold) < 0) return false;
  const customer = await findCustomer(tx, accountId, customerId);
  if (customer === null) return false;
  const at = await customerNow(tx, core, accountId, customer);
  const eventId = await emitEvent(tx, {
    accountId,
    livemode: alert.livemode,
    type: 'billing.alert.triggered',
    object: alertTriggeredObject(alert, { customerId, value, at }),
    at,
  });
  await insertAlertFiring(tx, accountId, { alertId, customerId, value, firedAt: at, eventId });
  return true;
}
