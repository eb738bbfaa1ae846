import { alertState, alertTransition, type CustomerAlertState } from '../domain/contract/alerts.js';
import { seatBalancesAt } from '../domain/contract/seatLedger.js';
import { compare, type Decimal } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import type { Transaction } from '../storage/db.js';
import { USD_CREDIT_TYPE_ID } from '../storage/pricingUnits.js';
import {
  deleteSeatStates,
  findSeatStates,
  type SeatState,
  type ThresholdAlert,
  writeSeatState,
} from '../storage/thresholdAlerts.js';
import type { OpenInvoices } from './contracts/open.js';
import { balancePasses } from './thresholdReadings.js';

/** What the balance of one seat says, when that has changed. */
export interface SeatNews {
  seatId: string;
  what: 'reached' | 'resolved';
  reading: Decimal;
}

/** The alert over all of its seats: that of the seat with the least, and what has changed for each. */
export interface SeatEvaluation {
  state: Exclude<CustomerAlertState, null>;
  reading: Decimal | null;
  news: SeatNews[];
}

/**
 * Reads the balance of every seat that the alert is about, and keeps each seat's state: what a grant of single seats
 * has left, after the drafts. A seat that is not assigned any more, or has nothing granted, is forgotten without a
 * word (docs.metronome.com, "manage seats": monitor credit balance).
 */
export async function evaluateSeats(
  tx: Transaction,
  accountId: string,
  customerId: string,
  alert: ThresholdAlert,
  open: OpenInvoices,
  at: Instant,
): Promise<SeatEvaluation> {
  const readings = seatReadings(alert, open, at);
  const before = await findSeatStates(tx, accountId, customerId, alert.id);
  const gone = [...before.keys()].filter((seatId) => !readings.has(seatId));
  await deleteSeatStates(tx, accountId, customerId, alert.id, gone);
  const result: SeatEvaluation = { state: 'ok', reading: null, news: [] };
  for (const [seatId, reading] of readings) {
    if (result.reading === null || compare(reading, result.reading) < 0) result.reading = reading;
    const state: SeatState['state'] = alertState(alert, reading) === 'in_alarm' ? 'in_alarm' : 'ok';
    if (state === 'in_alarm') result.state = 'in_alarm';
    const known = before.get(seatId);
    if (known === state) continue;
    await writeSeatState(tx, accountId, customerId, { alertId: alert.id, seatId, state, reading }, at);
    const what = alertTransition(known ?? 'evaluating', state);
    if (what !== null) result.news.push({ seatId, what, reading });
  }
  return result;
}

function seatReadings(alert: ThresholdAlert, open: OpenInvoices, at: Instant): Map<string, Decimal> {
  const filter = alert.seatFilter ?? null;
  if (filter === null) return new Map();
  const watched = open.balances.filter((balance) => balancePasses(balance, alert.customFieldFilters));
  const all = seatBalancesAt(watched, filter.groupKey, alert.creditTypeId ?? USD_CREDIT_TYPE_ID, at);
  return filter.value === null ? all : new Map([...all].filter(([seatId]) => seatId === filter.value));
}
