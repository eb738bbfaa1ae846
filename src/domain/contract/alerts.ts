import {
  add,
  compare,
  type Decimal,
  decimalFromBigint,
  divide,
  isZero,
  max,
  multiply,
  roundToInteger,
  ZERO,
} from '../decimal.js';
import { type Instant, instantFrom } from '../period.js';
import { balanceAt, grantedAt } from './balance.js';
import { isAccessible } from './burnOrder.js';
import type { DraftInvoice } from './draft.js';
import type { Balance, BalanceType } from './balanceTerms.js';
import type { PresentationValues } from './terms.js';

export type AlertType =
  | 'spend_threshold_reached'
  | 'monthly_invoice_total_spend_threshold_reached'
  | 'invoice_total_reached'
  | 'usage_threshold_reached'
  | 'low_remaining_commit_balance_reached'
  | 'low_remaining_commit_percentage_reached'
  | 'low_remaining_contract_credit_balance_reached'
  | 'low_remaining_contract_credit_percentage_reached'
  | 'low_remaining_contract_credit_and_commit_balance_reached'
  | 'low_remaining_days_for_commit_segment_reached'
  | 'low_remaining_days_for_contract_credit_segment_reached'
  | 'low_remaining_seat_balance_reached';

export type AlertStatus = 'enabled' | 'disabled' | 'archived';

/** `evaluating` until the first reading; null when archived or switched off. */
export type CustomerAlertState = 'ok' | 'in_alarm' | 'evaluating' | null;

export interface Alert {
  type: AlertType;
  status: AlertStatus;
  /** In the stored unit, units of usage, 0 to 100 for percentages, or days. */
  threshold: Decimal;
}

const DAY_MS = 86_400_000n;

/** Whether the alert fires downwards: at or below its threshold instead of at or above. */
export function isLowAlert(type: AlertType): boolean {
  return type.startsWith('low_remaining_');
}

/**
 * The state for what the alert watches: `undefined` before anything was read, null where there is nothing
 * to read, which is ok. Spend, totals and usage fire when they reach the threshold or exceed it, what
 * remains when it reaches it or drops below (docs.metronome.com, "threshold notifications").
 */
export function alertState(alert: Alert, reading: Decimal | null | undefined): CustomerAlertState {
  if (alert.status !== 'enabled') return null;
  if (reading === undefined) return 'evaluating';
  if (reading === null) return 'ok';
  const order = compare(reading, alert.threshold);
  return (isLowAlert(alert.type) ? order <= 0 : order >= 0) ? 'in_alarm' : 'ok';
}

/** What a change of state announces: the alarm, or that it is over. */
export function alertTransition(
  before: CustomerAlertState,
  after: CustomerAlertState,
): 'reached' | 'resolved' | null {
  if (after === 'in_alarm' && before !== 'in_alarm') return 'reached';
  return before === 'in_alarm' && after === 'ok' ? 'resolved' : null;
}

/** Only usage whose values, pricing or presentation, equal these; of a key without one each value is read by itself. */
export type GroupFilter = PresentationValues;

/**
 * Spend on usage before commits and credits in one pricing unit: usage and composite lines, without
 * applications, purchases, fees or conversions. Of a group with open keys the value that spent most counts. Null without
 * an invoice.
 */
export function spendReading(
  invoices: readonly DraftInvoice[],
  creditTypeId: string,
  group: GroupFilter = {},
): Decimal | null {
  const usage = invoices.filter(({ type }) => type === 'USAGE');
  if (usage.length === 0) return null;
  const spends = new Map<string, Decimal>();
  for (const line of usage.flatMap(({ lines }) => lines)) {
    if (line.type !== 'usage' && line.type !== 'composite') continue;
    if (line.creditTypeId !== creditTypeId) continue;
    const key = groupWithin({ ...line.pricingGroupValues, ...line.presentationGroupValues }, group);
    if (key !== null) spends.set(key, add(spends.get(key) ?? ZERO, line.total));
  }
  const [first = ZERO, ...rest] = spends.values();
  return rest.reduce(max, first);
}

/** The values of the group's open keys as one text; null outside of the group. */
function groupWithin(values: PresentationValues, group: GroupFilter): string | null {
  const open: string[] = [];
  for (const [key, wanted] of Object.entries(group)) {
    const value = values[key] ?? null;
    if (value === null || (wanted !== null && value !== wanted)) return null;
    if (wanted === null) open.push(value);
  }
  return JSON.stringify(open);
}

/**
 * The largest total of the invoices of the kinds asked for, as each is compared by itself; null without
 * one.
 */
export function invoiceTotalReading(
  invoices: readonly DraftInvoice[],
  types: readonly DraftInvoice['type'][] | null,
): Decimal | null {
  const totals = invoices
    .filter(({ type }) => types === null || types.includes(type))
    .map(({ total }) => total);
  return totals.reduce<Decimal | null>(
    (most, total) => (most === null || compare(total, most) > 0 ? total : most),
    null,
  );
}

/** Which balances an alert of remaining balance or days is about. */
export function balanceTypesOf(type: AlertType): readonly BalanceType[] {
  if (type.includes('credit_and_commit') || type.includes('seat')) return ['PREPAID', 'POSTPAID', 'CREDIT'];
  return type.includes('credit') ? ['CREDIT'] : ['PREPAID', 'POSTPAID'];
}

/**
 * What an alert on balances reads: the sum, the percentage of the open grants, or the days to the end of
 * the segment that ends first and still holds something. Null without an open segment. Deduct the drafts
 * before.
 */
export function balanceReading(
  type: AlertType,
  balances: readonly Balance[],
  creditTypeId: string,
  at: Instant,
): Decimal | null {
  const types = balanceTypesOf(type);
  const open = balances.filter(
    (balance) =>
      balance.archivedAt === null &&
      types.includes(balance.type) &&
      balance.creditTypeId === creditTypeId &&
      balance.access.some((segment) => isAccessible(segment, at)),
  );
  if (open.length === 0) return null;
  if (type.includes('_days_')) return daysLeft(open, at);
  const left = open.reduce((sum, balance) => add(sum, balanceAt(balance, at)), ZERO);
  if (!type.includes('percentage')) return left;
  const granted = open.reduce((sum, balance) => add(sum, grantedAt(balance, at)), ZERO);
  if (isZero(granted)) return null;
  return divide(multiply(left, decimalFromBigint(100n)), granted, 12, 'half_away_from_zero');
}

function daysLeft(balances: readonly Balance[], at: Instant): Decimal | null {
  const ends = balances
    .filter((balance) => !isZero(balanceAt(balance, at)))
    .flatMap(({ access }) => access.filter((segment) => isAccessible(segment, at)))
    .map(({ endingBefore }) => endingBefore);
  if (ends.length === 0) return null;
  const left = decimalFromBigint(BigInt(Math.min(...ends) - at));
  return divide(left, decimalFromBigint(DAY_MS), 12, 'half_away_from_zero');
}

/** The instant from which on an alert about the days left of a segment is in alarm: so many days before its end. */
export function daysMark(end: Instant, days: Decimal): Instant {
  return instantFrom(BigInt(end) - roundToInteger(multiply(days, decimalFromBigint(DAY_MS)), 'toward_zero'));
}
