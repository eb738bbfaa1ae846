import { type Decimal, multiply, ONE } from '../decimal.js';
import { boundary, type Instant } from '../period.js';
import { isWhole, prorationFactor } from '../proration.js';
import { roundedShare } from './quantity.js';
import { withSeats } from './seats.js';
import { type CutPeriod, cutPeriodsBetween, intervalOf, statementAnchor } from './statement.js';
import { quantityAt } from './subscriptions.js';
import type { Balance, InvoiceSchedule, SeatTerms } from './balanceTerms.js';
import type { ContractTerms, MoneyRounding, PricingUnit, RecurringBalance } from './terms.js';

/** What the computation needs to know beside the terms. */
export interface GrantContext {
  terms: ContractTerms;
  units: ReadonlyMap<string, PricingUnit>;
  /** Makes the stable id of a grant, its segment or its invoice item from a key that never changes. */
  idOf: (key: string) => string;
}

/**
 * The commits or credits that a recurring one has made by `through`: each period's own, with its own
 * ledger, once the period has begun. Without a frequency the periods are the usage statements, else they
 * count from its start. Grants and what they cost are prorated by the exact share of a cut period, then
 * rounded: half up on whole cents unless told otherwise. Access lasts the given number of periods and ends
 * with the contract. A grant for seats follows them: see seats.ts (docs.metronome.com/api-reference/contracts,
 * recurring_commits).
 */
export function recurringGrants(
  recurring: RecurringBalance,
  context: GrantContext,
  through: Instant,
): Balance[] {
  const { terms } = context;
  const ends = [recurring.endingBefore, terms.endingBefore].filter((end) => end !== null);
  const span = {
    startingAt: Math.max(recurring.startingAt, terms.startingAt),
    endingBefore: ends.length === 0 ? null : Math.min(...ends),
  };
  const anchor = recurring.frequency === null ? statementAnchor(terms) : recurring.startingAt;
  const frequency = recurring.frequency ?? terms.statements.frequency;
  return cutPeriodsBetween(anchor, frequency, span, span.startingAt, through + 1).map((period) => {
    const accessEnd =
      recurring.durationPeriods === 1
        ? period.end
        : boundary(anchor, intervalOf(frequency), period.index + recurring.durationPeriods);
    return grantOf(recurring, context, period, Math.min(accessEnd, terms.endingBefore ?? accessEnd));
  });
}

function grantOf(
  recurring: RecurringBalance,
  context: GrantContext,
  period: CutPeriod,
  accessEnd: Instant,
): Balance {
  const key = `${recurring.id}/${period.start}`;
  const { creditTypeId, unitPrice } = recurring.access;
  const individual = recurring.allocation === 'INDIVIDUAL';
  const quantity =
    recurring.access.quantity ?? (individual ? ONE : seatsAt(recurring, context.terms, period.start));
  const rounding = recurring.accessRounding ?? defaultRounding(context, creditTypeId);
  const amount = prorated(multiply(unitPrice, quantity), recurring, period, rounding);
  const segment = {
    id: context.idOf(`${key}/segment`),
    amount,
    startingAt: period.start,
    endingBefore: accessEnd,
  };
  const { type, name, productId, priority, rateType, rolloverFraction, applicability, createdAt } = recurring;
  const grant: Balance = {
    id: context.idOf(key),
    type,
    name,
    productId,
    creditTypeId,
    priority,
    rateType,
    access: [segment],
    invoiceSchedule: invoiceOf(recurring, context, period, key),
    rolloverFraction,
    applicability,
    contractId: context.terms.id,
    applicableContractIds: null,
    rolledOverFrom: null,
    recurringId: recurring.id,
    createdAt,
    archivedAt: null,
    entries: [],
    trueUpDisabled: false,
  };
  const grows = recurring.subscription !== null && (individual || recurring.access.quantity === null);
  if (recurring.subscription === null || !grows) return grant;
  const { subscriptionId, prorateIncreases } = recurring.subscription;
  const seats: SeatTerms = {
    subscriptionId,
    allocation: individual ? 'INDIVIDUAL' : 'POOLED',
    segmentId: segment.id,
    atStart: amount,
    perSeat: individual ? multiply(unitPrice, quantity) : unitPrice,
    prorateIncreases,
    rounding,
    period: { start: period.start, end: period.end },
    full: period.full,
  };
  return withSeats({ ...grant, seats }, context.terms);
}

function invoiceOf(
  recurring: RecurringBalance,
  context: GrantContext,
  period: CutPeriod,
  key: string,
): InvoiceSchedule | null {
  if (recurring.invoice === null) return null;
  const { creditTypeId, unitPrice, quantity } = recurring.invoice;
  const rounding = recurring.invoiceRounding ?? defaultRounding(context, creditTypeId);
  const amount = prorated(multiply(unitPrice, quantity), recurring, period, rounding);
  const id = context.idOf(`${key}/invoice`);
  const whole = isWhole(shareOf(recurring, period));
  const item = whole
    ? { id, timestamp: period.start, amount, unitPrice, quantity }
    : { id, timestamp: period.start, amount, unitPrice: amount, quantity: ONE };
  return { creditTypeId, items: [item], doNotInvoice: false };
}

function shareOf({ proration }: RecurringBalance, period: CutPeriod) {
  const first = proration === 'FIRST' || proration === 'FIRST_AND_LAST';
  const last = proration === 'LAST' || proration === 'FIRST_AND_LAST';
  const part = {
    start: first ? period.start : period.full.start,
    end: last ? period.end : period.full.end,
  };
  return prorationFactor(part, period.full);
}

function prorated(
  amount: Decimal,
  recurring: RecurringBalance,
  period: CutPeriod,
  rounding: MoneyRounding,
): Decimal {
  const share = shareOf(recurring, period);
  return isWhole(share) ? amount : roundedShare(amount, share, rounding);
}

function defaultRounding({ units }: GrantContext, creditTypeId: string): MoneyRounding {
  return { method: 'HALF_UP', places: units.get(creditTypeId)?.places ?? 2 };
}

function seatsAt(recurring: RecurringBalance, terms: ContractTerms, at: Instant): Decimal {
  if (recurring.subscription === null) return ONE;
  const { subscriptionId } = recurring.subscription;
  const found = terms.subscriptions.find(({ id }) => id === subscriptionId);
  if (found === undefined) throw new RangeError(`${recurring.id}: no subscription ${subscriptionId}`);
  return quantityAt(found.quantities, at);
}
