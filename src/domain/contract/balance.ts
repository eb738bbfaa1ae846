import {
  add,
  compare,
  type Decimal,
  isZero,
  max,
  min,
  multiply,
  negate,
  ONE,
  sign,
  subtract,
  ZERO,
} from '../decimal.js';
import type { Instant } from '../period.js';
import { drawKey, isAccessible } from './burnOrder.js';
import { scheduledTotal } from './schedule.js';
import { assignedRest, isIndividual, restBySeat, seatedLedger } from './seatLedger.js';
import type {
  AccessSegment,
  Balance,
  BalanceType,
  InvoiceSchedule,
  LedgerEntry,
  LedgerEntryType,
} from './balanceTerms.js';

/** What an invoice takes from one segment: one entry for each, dated at the end of the invoice's period. */
export interface Deduction {
  balanceId: string;
  segmentId: string;
  /** Above zero. */
  amount: Decimal;
  invoiceId: string;
  contractId: string;
  timestamp: Instant;
  /** Whose share it is taken from, where the balance is granted seat by seat. */
  seatId?: string;
}

const NOTHING = { invoiceId: null, contractId: null, newContractId: null, reason: null };

/** Derived from the terms; never stored as a fact. */
const DERIVED: readonly LedgerEntryType[] = ['SEGMENT_START', 'INITIAL_BALANCE', 'EXPIRATION'];

/** The name of an entry in the API (docs.metronome.com/api-reference, commit and credit ledgers). */
export function ledgerTypeName(type: BalanceType, entry: LedgerEntryType): string {
  if (type === 'CREDIT') return `CREDIT_${entry}`;
  if (type === 'PREPAID') return `PREPAID_COMMIT_${entry}`;
  return `POSTPAID_COMMIT_${entry}`;
}

/** The balance with the deductions that concern it added to its facts, as drafts pending or as finalized. */
export function withDeductions(balance: Balance, deductions: readonly Deduction[]): Balance {
  const own = deductions.filter(({ balanceId }) => balanceId === balance.id);
  return own.length === 0
    ? balance
    : { ...balance, entries: [...balance.entries, ...own.map(deductionEntry)] };
}

/** A deduction as the ledger keeps it. */
export function deductionEntry(deduction: Deduction): LedgerEntry {
  const { segmentId, timestamp, amount, invoiceId, contractId, seatId } = deduction;
  const type = 'AUTOMATED_INVOICE_DEDUCTION' as const;
  const entry = { ...NOTHING, type, segmentId, timestamp, amount: negate(amount), invoiceId, contractId };
  return seatId === undefined ? entry : { ...entry, seatId };
}

/** What the void of an invoice gives back: an equal entry for each deduction that it made. */
export function voidEntries(balance: Balance, invoiceId: string, voidedAt: Instant): LedgerEntry[] {
  return balance.entries
    .filter((entry) => entry.invoiceId === invoiceId && entry.type === 'AUTOMATED_INVOICE_DEDUCTION')
    .map((entry) => ({ ...entry, type: 'CREDITED', timestamp: voidedAt, amount: negate(entry.amount) }));
}

/**
 * What a segment has left for usage of its own time, whatever the instant: its grant and all facts about
 * it. A segment that has ended still pays for late usage of its time until that is invoiced. May be
 * negative after a manual entry.
 */
export function remainingOf(balance: Balance, segment: AccessSegment): Decimal {
  if (balance.archivedAt !== null) return ZERO;
  if (isIndividual(balance)) return [...restBySeat(balance, segment).values()].reduce(add, ZERO);
  return balance.entries
    .filter((entry) => entry.segmentId === segment.id && !DERIVED.includes(entry.type))
    .reduce((sum, { amount }) => add(sum, amount), segment.amount);
}

/** What every segment, or every seat's share of one, can still pay, by `drawKey`; nothing is below zero. */
export function availableBySegment(balances: readonly Balance[]): Map<string, Decimal> {
  const available = new Map<string, Decimal>();
  for (const balance of balances) {
    for (const segment of balance.access) {
      if (!isIndividual(balance)) {
        available.set(drawKey(segment.id), max(remainingOf(balance, segment), ZERO));
        continue;
      }
      for (const [seatId, left] of restBySeat(balance, segment)) {
        available.set(drawKey(segment.id, seatId), max(left, ZERO));
      }
    }
  }
  return available;
}

/**
 * The balance at an instant: the rest of the segments open then, future-dated manual entries included, each
 * at least zero (docs.metronome.com/api-reference, balance of a commit). Of one granted seat by seat, what
 * the seats assigned then have left. Add the drafts' deductions before.
 */
export function balanceAt(balance: Balance, at: Instant): Decimal {
  const open = balance.access.filter((segment) => isAccessible(segment, at));
  if (isIndividual(balance)) {
    if (balance.archivedAt !== null) return ZERO;
    return open.reduce((sum, segment) => add(sum, assignedRest(balance, segment, at)), ZERO);
  }
  return open.reduce((sum, segment) => add(sum, max(remainingOf(balance, segment), ZERO)), ZERO);
}

/** What the open segments granted: the whole that an alert's percentage is of. */
export function grantedAt(balance: Balance, at: Instant): Decimal {
  if (balance.archivedAt !== null) return ZERO;
  return balance.access
    .filter((segment) => isAccessible(segment, at))
    .reduce((sum, { amount }) => add(sum, amount), ZERO);
}

/** One alternative of the filter of a net balance; all that is given must hold. */
export interface BalanceFilter {
  types: readonly BalanceType[] | null;
  ids: readonly string[] | null;
}

/**
 * The sum of the balances of one pricing unit at an instant that any filter lets through; no filter lets all
 * through (docs.metronome.com/api-reference, getNetBalance).
 */
export function netBalance(
  balances: readonly Balance[],
  creditTypeId: string,
  at: Instant,
  filters: readonly BalanceFilter[] = [],
): Decimal {
  return balances
    .filter((balance) => balance.creditTypeId === creditTypeId && passes(balance, filters))
    .reduce((sum, balance) => add(sum, balanceAt(balance, at)), ZERO);
}

/**
 * What may still be spent at an instant: prepaid commits and credits open then, less the open holds, at
 * least zero. What single seats have is theirs alone and left out. Holds are ours; Metronome has none.
 */
export function spendableBalance(
  balances: readonly Balance[],
  creditTypeId: string,
  at: Instant,
  held: Decimal,
): Decimal {
  const types: BalanceType[] = ['PREPAID', 'CREDIT'];
  const shared = balances.filter((balance) => !isIndividual(balance));
  return max(subtract(netBalance(shared, creditTypeId, at, [{ types, ids: null }]), held), ZERO);
}

function passes(balance: Balance, filters: readonly BalanceFilter[]): boolean {
  if (filters.length === 0) return true;
  return filters.some(
    ({ types, ids }) =>
      (types === null || types.includes(balance.type)) && (ids === null || ids.includes(balance.id)),
  );
}

/**
 * The ledger at an instant, oldest first: the start of every segment begun, the facts about these, and what
 * expired with a segment that has ended. Its amounts add up to the rest of the open segments; where a
 * manual entry has not overdrawn one that is `balanceAt`. A postpaid commit expires only where its true-up
 * is off (docs.metronome.com, "get remaining balance").
 */
export function ledgerAt(balance: Balance, at: Instant): LedgerEntry[] {
  if (balance.archivedAt !== null) return [];
  const begun = balance.access.filter(({ startingAt }) => startingAt <= at);
  return chronological(begun.flatMap((segment) => segmentLedger(balance, segment, at)));
}

/** Oldest first; at one instant what was granted comes before what was taken, and what expired last. */
export function chronological(entries: readonly LedgerEntry[]): LedgerEntry[] {
  return entries
    .map((entry, index) => ({ entry, index }))
    .sort(
      (a, b) => a.entry.timestamp - b.entry.timestamp || rank(a.entry) - rank(b.entry) || a.index - b.index,
    )
    .map(({ entry }) => entry);
}

function segmentLedger(balance: Balance, segment: AccessSegment, at: Instant): LedgerEntry[] {
  if (isIndividual(balance)) return seatedLedger(balance, segment, at);
  const postpaid = balance.type === 'POSTPAID';
  const own = { ...NOTHING, segmentId: segment.id };
  const type = postpaid ? ('INITIAL_BALANCE' as const) : ('SEGMENT_START' as const);
  const start: LedgerEntry = { ...own, type, timestamp: segment.startingAt, amount: segment.amount };
  const facts = balance.entries.filter(
    (entry) => entry.segmentId === segment.id && !DERIVED.includes(entry.type),
  );
  const left = remainingOf(balance, segment);
  const expires = segment.endingBefore <= at && !isZero(left) && (!postpaid || balance.trueUpDisabled);
  const end: LedgerEntry = {
    ...own,
    type: 'EXPIRATION',
    timestamp: segment.endingBefore,
    amount: negate(left),
  };
  return expires ? [start, ...facts, end] : [start, ...facts];
}

function rank({ type }: LedgerEntry): number {
  if (type === 'SEGMENT_START' || type === 'INITIAL_BALANCE') return 0;
  return type === 'EXPIRATION' ? 2 : 1;
}

/** A sum of entries. */
export function ledgerSum(entries: readonly LedgerEntry[]): Decimal {
  return entries.reduce((sum, { amount }) => add(sum, amount), ZERO);
}

/**
 * The shortfall of a postpaid commit: what was promised less what usage has burned, at least zero. It is
 * due on the commit's invoice date and stays a draft until the last usage statement of its time is final.
 */
export function trueUpAmount(balance: Balance): Decimal {
  if (balance.type !== 'POSTPAID' || balance.trueUpDisabled || balance.archivedAt !== null) return ZERO;
  return balance.access.reduce((sum, segment) => add(sum, max(remainingOf(balance, segment), ZERO)), ZERO);
}

/** The entries that close a postpaid commit to zero when its true-up is final. */
export function trueUpEntries(balance: Balance, invoiceId: string, finalizedAt: Instant): LedgerEntry[] {
  if (isZero(trueUpAmount(balance))) return [];
  return balance.access.flatMap((segment) => {
    const left = remainingOf(balance, segment);
    if (sign(left) <= 0) return [];
    const own = { ...NOTHING, segmentId: segment.id, invoiceId, contractId: balance.contractId };
    return [{ ...own, type: 'TRUEUP' as const, timestamp: finalizedAt, amount: negate(left) }];
  });
}

/** A balance carried into a renewal: what leaves the old one, and the new one, which burns first. */
export interface Rollover {
  entries: LedgerEntry[];
  renewed: Balance;
}

/**
 * Carries the rest of a balance into the contract that renews its own: of each segment open at the renewal,
 * or ending with it, min(unused, fraction × grant); later segments end with the old contract. Null where
 * nothing moves (docs.metronome.com, "manage customer lifecycle": share of the original amount). Deduct
 * what the old contract's drafts take before.
 */
export function rollOver(
  balance: Balance,
  renewal: { contractId: string; at: Instant; accessUntil: Instant; balanceId: string; segmentId: string },
): Rollover | null {
  const fraction = balance.rolloverFraction;
  if (fraction === null || balance.archivedAt !== null || balance.contractId === null) return null;
  if (isIndividual(balance)) return null;
  const moves = balance.access
    .filter(({ startingAt, endingBefore }) => startingAt < renewal.at && renewal.at <= endingBefore)
    .map((segment) => ({
      segment,
      amount: min(remainingOf(balance, segment), multiply(fraction, segment.amount)),
    }))
    .filter(({ amount }) => compare(amount, ZERO) > 0);
  if (moves.length === 0) return null;
  const total = moves.reduce((sum, { amount }) => add(sum, amount), ZERO);
  const access = [
    { id: renewal.segmentId, amount: total, startingAt: renewal.at, endingBefore: renewal.accessUntil },
  ];
  return {
    entries: moves.map(({ segment, amount }) => ({
      ...NOTHING,
      type: 'ROLLOVER',
      segmentId: segment.id,
      timestamp: renewal.at,
      amount: negate(amount),
      newContractId: renewal.contractId,
    })),
    renewed: {
      ...withoutSeats(balance),
      id: renewal.balanceId,
      contractId: renewal.contractId,
      access,
      entries: [],
      invoiceSchedule: carriedPromise(balance, total, renewal),
      rolledOverFrom: { balanceId: balance.id, contractId: balance.contractId },
      recurringId: null,
      createdAt: renewal.at,
    },
  };
}

/** What was paid for is not paid for again; what a postpaid commit still promises is due when its access ends. */
function carriedPromise(
  { type, invoiceSchedule }: Balance,
  amount: Decimal,
  { segmentId, accessUntil }: { segmentId: string; accessUntil: Instant },
): InvoiceSchedule | null {
  if (type !== 'POSTPAID' || invoiceSchedule === null) return null;
  const item = { id: segmentId, timestamp: accessUntil, quantity: ONE, unitPrice: amount, amount };
  return { ...invoiceSchedule, items: [item] };
}

/** What is carried over grows no more with the seats of the old contract. */
function withoutSeats({ seats: _terms, shares: _shares, ...balance }: Balance): Balance {
  return balance;
}

/** The whole grant of a balance. */
export function grantTotal(balance: Balance): Decimal {
  return balance.access.reduce((sum, { amount }) => add(sum, amount), ZERO);
}

/** The discount in a cost basis below the grant, in the stored unit: 2,000 of 10,000 that cost 8,000. */
export function costBasisDiscount(balance: Balance): Decimal {
  return subtract(grantTotal(balance), scheduledTotal(balance.invoiceSchedule));
}

/** The balance under a contract that ends early: later segments are gone, open ones end with it. */
export function truncateAccess(balance: Balance, end: Instant): Balance {
  const access = balance.access
    .filter(({ startingAt }) => startingAt < end)
    .map((segment) => ({ ...segment, endingBefore: Math.min(segment.endingBefore, end) }));
  const kept = new Set(access.map(({ id }) => id));
  return { ...balance, access, entries: balance.entries.filter(({ segmentId }) => kept.has(segmentId)) };
}
