import { add, type Decimal, multiply, sign, ZERO } from '../decimal.js';
import type { Instant } from '../period.js';
import { prorationFactor } from '../proration.js';
import type { Balance, LedgerEntry, SeatShare, SeatTerms, Span } from './balanceTerms.js';
import { roundedShare } from './quantity.js';
import { increasesWithin } from './subscriptions.js';
import type { ContractTerms, Subscription } from './terms.js';

/** Who is assigned when, by seat; an open end is null. */
export type SeatSpans = ReadonlyMap<string, readonly Span[]>;

/** The times for which each seat id is assigned, within the life of the subscription and the contract. */
export function seatSpans(subscription: Subscription, terms: Pick<ContractTerms, 'endingBefore'>): SeatSpans {
  const ends = [subscription.endingBefore, terms.endingBefore].filter((end) => end !== null);
  const last = ends.length === 0 ? null : Math.min(...ends);
  const spans = new Map<string, Span[]>();
  const changes = subscription.seats ?? [];
  for (const [index, { startingAt: start, seatIds }] of changes.entries()) {
    const next = changes[index + 1]?.startingAt ?? null;
    const end = next === null ? last : last === null ? next : Math.min(next, last);
    if (end !== null && end <= start) continue;
    for (const seatId of seatIds) {
      const known = spans.get(seatId) ?? [];
      const before = known.at(-1);
      if (before?.end === start) known[known.length - 1] = { start: before.start, end };
      else known.push({ start, end });
      spans.set(seatId, known);
    }
  }
  return spans;
}

/**
 * The grant with what follows from the seats of its subscription, as these are known now. A pool gets an
 * entry for each rise of the quantity within its period. A grant of single seats gets a share for each seat
 * that is assigned at some time of the period: from its start, or from when the seat joins, then prorated
 * where the grant says so. Unassigned seats earn nothing, and a seat earns once in a period however often
 * it comes and goes (docs.metronome.com, "manage seats", "provision your customer").
 */
export function withSeats<B extends Balance>(balance: B, terms: ContractTerms): B {
  const { seats } = balance;
  if (seats === undefined) return balance;
  const subscription = terms.subscriptions.find(({ id }) => id === seats.subscriptionId);
  if (subscription === undefined)
    throw new RangeError(`${balance.id}: no subscription ${seats.subscriptionId}`);
  if (seats.allocation === 'POOLED') {
    return { ...balance, entries: [...poolIncreases(seats, subscription, terms.id), ...balance.entries] };
  }
  const bySeat = new Map<string, SeatShare>();
  let atStart = ZERO;
  for (const [seatId, spans] of seatSpans(subscription, terms)) {
    const share = shareOf(seats, seatId, spans);
    if (share === null) continue;
    bySeat.set(seatId, share);
    if (share.grantedAt === seats.period.start) atStart = add(atStart, share.amount);
  }
  const access = balance.access.map((segment) =>
    segment.id === seats.segmentId ? { ...segment, amount: atStart } : segment,
  );
  return { ...balance, access, shares: { groupKey: subscription.seatGroupKey ?? '', bySeat } };
}

function shareOf(seats: SeatTerms, seatId: string, spans: readonly Span[]): SeatShare | null {
  const { period, atStart } = seats;
  const first = spans.find(({ start, end }) => start < period.end && (end === null || end > period.start));
  if (first === undefined) return null;
  const grantedAt = Math.max(first.start, period.start);
  const amount = grantedAt === period.start ? atStart : joined(seats, seats.perSeat, grantedAt);
  return { seatId, amount, grantedAt, spans };
}

/** For seats that come in the midst of the period. */
function joined(
  { period, full, prorateIncreases, rounding }: SeatTerms,
  amount: Decimal,
  at: Instant,
): Decimal {
  if (!prorateIncreases) return amount;
  return roundedShare(amount, prorationFactor({ start: at, end: period.end }, full), rounding);
}

function poolIncreases(seats: SeatTerms, subscription: Subscription, contractId: string): LedgerEntry[] {
  return increasesWithin(subscription.quantities, seats.period)
    .map(({ at, quantity }) => ({ at, amount: joined(seats, multiply(seats.perSeat, quantity), at) }))
    .filter(({ amount }) => sign(amount) > 0)
    .map(({ at, amount }) => ({
      type: 'SEAT_BASED_ADJUSTMENT',
      segmentId: seats.segmentId,
      timestamp: at,
      amount,
      invoiceId: null,
      contractId,
      newContractId: null,
      reason: null,
    }));
}
