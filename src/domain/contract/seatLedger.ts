import { add, type Decimal, isZero, max, negate, sign, ZERO } from '../decimal.js';
import type { Instant } from '../period.js';
import { isAccessible } from './burnOrder.js';
import type { AccessSegment, Balance, LedgerEntry, SeatShare } from './balanceTerms.js';

const NOTHING = { invoiceId: null, contractId: null, newContractId: null, reason: null };

/** Whether the balance is granted to each seat by itself instead of to all together. */
export function isIndividual(balance: Balance): boolean {
  return balance.seats?.allocation === 'INDIVIDUAL';
}

/** Whether the seat is assigned at the instant. */
export function isAssigned({ spans }: SeatShare, at: Instant): boolean {
  return spans.some(({ start, end }) => start <= at && (end === null || at < end));
}

/**
 * What each seat has left of a segment, whatever the instant: its share and all facts about it. Seats that
 * have facts and lost their share stand with these alone.
 */
export function restBySeat({ shares, entries }: Balance, segment: AccessSegment): Map<string, Decimal> {
  const rest = new Map<string, Decimal>();
  for (const { seatId, amount } of shares?.bySeat.values() ?? []) rest.set(seatId, amount);
  for (const { segmentId, seatId, amount } of entries) {
    if (segmentId !== segment.id || seatId == null) continue;
    rest.set(seatId, add(rest.get(seatId) ?? ZERO, amount));
  }
  return rest;
}

/**
 * What the seats under a property may spend at an instant, by seat, in one pricing unit; nothing is below
 * zero. Seats that are not assigned then, or have no share of anything open then, are left out.
 */
export function seatBalancesAt(
  balances: readonly Balance[],
  groupKey: string,
  creditTypeId: string,
  at: Instant,
): Map<string, Decimal> {
  const left = new Map<string, Decimal>();
  for (const balance of balances) {
    const { shares, access } = balance;
    if (shares?.groupKey !== groupKey) continue;
    if (balance.creditTypeId !== creditTypeId || balance.archivedAt !== null) continue;
    for (const segment of access.filter((one) => isAccessible(one, at))) {
      for (const [seatId, rest] of restBySeat(balance, segment)) {
        const share = shares.bySeat.get(seatId);
        if (share === undefined || !isAssigned(share, at)) continue;
        left.set(seatId, add(left.get(seatId) ?? ZERO, max(rest, ZERO)));
      }
    }
  }
  return left;
}

/** The sum of what the seats assigned at an instant have left of a segment. */
export function assignedRest(balance: Balance, segment: AccessSegment, at: Instant): Decimal {
  let sum = ZERO;
  for (const [seatId, left] of restBySeat(balance, segment)) {
    const share = balance.shares?.bySeat.get(seatId);
    if (share !== undefined && isAssigned(share, at)) sum = add(sum, max(left, ZERO));
  }
  return sum;
}

/**
 * The ledger of each seat in a segment that has begun: its share at the start, or as an adjustment when it
 * joined later; the facts; and what it left behind when it went, or what expired with the segment. Seats
 * that have not joined yet have none.
 */
export function seatLedgers(
  balance: Balance,
  segment: AccessSegment,
  at: Instant,
): Map<string, LedgerEntry[]> {
  const facts = new Map<string, LedgerEntry[]>();
  for (const entry of balance.entries) {
    if (entry.segmentId !== segment.id || entry.seatId == null) continue;
    const known = facts.get(entry.seatId);
    if (known === undefined) facts.set(entry.seatId, [entry]);
    else known.push(entry);
  }
  const ledgers = new Map<string, LedgerEntry[]>();
  for (const [seatId, rest] of restBySeat(balance, segment)) {
    const share = balance.shares?.bySeat.get(seatId);
    if (share !== undefined && share.grantedAt > at) continue;
    const granted = share === undefined ? [] : [grantEntry(balance, segment, share)];
    const closing = isZero(rest) ? null : closingEntry(balance, segment, share, rest, at);
    const ends = closing === null ? [] : [{ ...closing, seatId }];
    ledgers.set(seatId, [...granted, ...(facts.get(seatId) ?? []), ...ends]);
  }
  return ledgers;
}

/** What ends a seat's share at the instant; a share that later changes have taken away ends where it began. */
function closingEntry(
  { contractId }: Balance,
  segment: AccessSegment,
  share: SeatShare | undefined,
  rest: Decimal,
  at: Instant,
): LedgerEntry | null {
  const own = { ...NOTHING, segmentId: segment.id, amount: negate(rest) };
  const inside = Math.min(at, segment.endingBefore - 1);
  const gone = share === undefined ? segment.startingAt : goneSince(share, inside);
  if (gone !== null) return { ...own, contractId, type: 'SEAT_BASED_ADJUSTMENT', timestamp: gone };
  if (segment.endingBefore > at) return null;
  return { ...own, type: 'EXPIRATION', timestamp: segment.endingBefore };
}

function grantEntry(balance: Balance, segment: AccessSegment, share: SeatShare): LedgerEntry {
  const { seatId, amount, grantedAt } = share;
  const own = { ...NOTHING, segmentId: segment.id, seatId, amount };
  if (grantedAt <= segment.startingAt) {
    return { ...own, type: 'SEGMENT_START', timestamp: segment.startingAt };
  }
  return {
    ...own,
    contractId: balance.contractId,
    type: 'SEAT_BASED_ADJUSTMENT',
    timestamp: grantedAt,
  };
}

/** When the seat went, if it is not assigned at the instant. */
function goneSince({ spans }: SeatShare, at: Instant): Instant | null {
  const last = spans.findLast(({ start }) => start <= at);
  return last === undefined || last.end === null || last.end > at ? null : last.end;
}

/** The ledger of a segment over all seats: what happened to several at once is one entry. */
export function seatedLedger(balance: Balance, segment: AccessSegment, at: Instant): LedgerEntry[] {
  const start: LedgerEntry = {
    ...NOTHING,
    type: 'SEGMENT_START',
    segmentId: segment.id,
    timestamp: segment.startingAt,
    amount: ZERO,
  };
  const merged = new Map<string, LedgerEntry>([[mergeKey(start), start]]);
  for (const ledger of seatLedgers(balance, segment, at).values()) {
    for (const { seatId: _one, ...entry } of ledger) {
      const key = mergeKey(entry);
      const known = merged.get(key);
      merged.set(key, known === undefined ? entry : { ...known, amount: add(known.amount, entry.amount) });
    }
  }
  return [...merged.values()];
}

function mergeKey({ type, timestamp, invoiceId, reason, amount }: LedgerEntry): string {
  const side = type === 'SEAT_BASED_ADJUSTMENT' && sign(amount) < 0 ? 'taken' : '';
  return `${type} ${timestamp} ${invoiceId ?? ''} ${side} ${reason ?? ''}`;
}
