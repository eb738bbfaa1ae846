import type { Core } from '../core.js';
import { isAccessible } from '../domain/contract/burnOrder.js';
import type { Instant } from '../domain/period.js';
import { daysMark } from '../domain/contract/alerts.js';
import {
  type CheckRef,
  type CheckResult,
  type CustomerCheck,
  findLookDate,
  finishCheck,
} from '../storage/customerChecks.js';
import { findCustomer } from '../storage/customers.js';
import type { Transaction } from '../storage/db.js';
import { findAlertsOfCustomer, type ThresholdAlert } from '../storage/thresholdAlerts.js';
import { customerNow } from './clock.js';
import { dateLateStatements } from './contracts/lateDates.js';
import { nextToTell, tellOfLifecycle } from './contracts/notifications.js';
import { type OpenInvoices, openInvoicesOf } from './contracts/open.js';
import { loadContractState } from './contracts/state.js';
import { evaluateThresholds, hasThreshold } from './recharge.js';
import { evaluateAlerts } from './thresholdAlerts.js';

const NOTHING: CheckResult = { watched: false, nextLookAt: null };

/**
 * Looks at a customer's spend and balances, at the customer's own time: tells of what has begun and ended, of alerts,
 * then buys what thresholds ask for. One
 * transaction that holds the customer's row, so whoever looks at the same time sees what this one has done; what is
 * asked for meanwhile stays to be done.
 */
export function lookAtCustomer(core: Core, check: CustomerCheck): Promise<void> {
  return core.db.transaction(async (tx) => {
    await finishCheck(tx, check, await look(tx, core, check));
  });
}

async function look(tx: Transaction, core: Core, { accountId, customerId }: CheckRef): Promise<CheckResult> {
  const customer = await findCustomer(tx, accountId, customerId, 'update');
  if (customer === null || customer.deletedAt !== null) return NOTHING;
  const at = await customerNow(tx, core, accountId, customer);
  const since = await findLookDate(tx, { accountId, customerId });
  await dateLateStatements(tx, core, accountId, customer, at);
  const alerts = await findAlertsOfCustomer(tx, accountId, customerId);
  const state = await loadContractState(tx, core, accountId, customer, at);
  if (since !== null && since <= at) await tellOfLifecycle(tx, { accountId, customer }, state, since, at);
  if (alerts.length === 0 && !state.contracts.some(({ contract }) => hasThreshold(contract))) {
    return { watched: false, nextLookAt: nextToTell(state, at) };
  }
  const open = await openInvoicesOf(tx, state, { at });
  await evaluateAlerts(tx, accountId, customer, alerts, open, at);
  await evaluateThresholds(tx, core, accountId, customer, open, at);
  const next = [nextChange(open, alerts, at), nextToTell(open.state, at)].filter((one) => one !== null);
  return { watched: true, nextLookAt: next.length === 0 ? null : Math.min(...next) };
}

/** The next instant at which what is watched may change without anybody doing anything. */
export function nextChange(
  open: OpenInvoices,
  alerts: readonly ThresholdAlert[],
  at: Instant,
): Instant | null {
  const instants = [
    ...open.balances
      .filter(({ archivedAt }) => archivedAt === null)
      .flatMap(({ access }) => access.flatMap(({ startingAt, endingBefore }) => [startingAt, endingBefore])),
    ...open.drafts.flatMap(({ type, period }) => (type === 'USAGE' && period !== null ? [period.end] : [])),
    ...open.state.contracts.flatMap(({ contract }) => [
      contract.startingAt,
      ...(contract.endingBefore === null ? [] : [contract.endingBefore]),
      ...contract.document.recurring.map(({ startingAt }) => startingAt),
      ...contract.document.subscriptions.flatMap(({ quantities, seats, endingBefore }) => [
        ...[...quantities, ...seats].map(({ startingAt }) => startingAt),
        ...(endingBefore === null ? [] : [endingBefore]),
      ]),
    ]),
    ...dayMarks(open, alerts, at),
  ].filter((instant) => instant > at);
  return instants.length === 0 ? null : Math.min(...instants);
}

/** When an open segment comes so near its end that an alert about days fires. */
function dayMarks(open: OpenInvoices, alerts: readonly ThresholdAlert[], at: Instant): Instant[] {
  const days = alerts.filter(({ type }) => type.includes('_days_'));
  return days.flatMap(({ threshold }) =>
    open.balances.flatMap(({ access }) =>
      access
        .filter((segment) => isAccessible(segment, at))
        .map(({ endingBefore }) => daysMark(endingBefore, threshold)),
    ),
  );
}
