import type { Decimal } from '../decimal.js';
import type { Instant, Period } from '../period.js';
import type { Applicability, MoneyRounding, SeatAllocation } from './terms.js';

export type BalanceType = 'PREPAID' | 'POSTPAID' | 'CREDIT';

/** A grant that usage inside `[startingAt, endingBefore)` may burn. */
export interface AccessSegment {
  id: string;
  amount: Decimal;
  startingAt: Instant;
  endingBefore: Instant;
}

/** A dated amount to invoice; `amount` = unit price × quantity. */
export interface ScheduleItem {
  id: string;
  timestamp: Instant;
  amount: Decimal;
  unitPrice: Decimal;
  quantity: Decimal;
}

export interface InvoiceSchedule {
  creditTypeId: string;
  items: readonly ScheduleItem[];
  doNotInvoice: boolean;
}

export type LedgerEntryType =
  | 'SEGMENT_START'
  | 'INITIAL_BALANCE'
  | 'AUTOMATED_INVOICE_DEDUCTION'
  | 'ROLLOVER'
  | 'EXPIRATION'
  | 'CANCELED'
  | 'CREDITED'
  | 'SEAT_BASED_ADJUSTMENT'
  | 'MANUAL'
  | 'TRUEUP';

/** A change of one segment of a balance; what is taken is negative. */
export interface LedgerEntry {
  type: LedgerEntryType;
  segmentId: string;
  timestamp: Instant;
  amount: Decimal;
  invoiceId: string | null;
  contractId: string | null;
  newContractId: string | null;
  reason: string | null;
  /** Whose share is changed, where the balance is granted seat by seat. */
  seatId?: string | null;
}

/** What a grant for seats was reckoned by, so that later changes of the seats are reckoned alike. */
export interface SeatTerms {
  subscriptionId: string;
  allocation: SeatAllocation;
  segmentId: string;
  /** For one seat: of the period as it is, and of a whole one. */
  atStart: Decimal;
  perSeat: Decimal;
  prorateIncreases: boolean;
  rounding: MoneyRounding;
  period: Period;
  /** The whole interval around `period`. */
  full: Period;
}

/** A span that may be open. */
export interface Span {
  start: Instant;
  end: Instant | null;
}

/** What one seat got, and when the seat was assigned: only then may its usage burn the share. */
export interface SeatShare {
  seatId: string;
  amount: Decimal;
  grantedAt: Instant;
  spans: readonly Span[];
}

/** Shares by seat; `groupKey` is the property of usage that names the seat. */
export interface SeatShares {
  groupKey: string;
  bySeat: ReadonlyMap<string, SeatShare>;
}

/** A commit or credit. A credit is a free commit; a postpaid commit is a promise that usage shrinks. */
export interface Balance {
  id: string;
  type: BalanceType;
  name: string;
  productId: string;
  creditTypeId: string;
  /** Smallest first; null comes last. */
  priority: number | null;
  rateType: 'LIST_RATE' | 'COMMIT_RATE';
  access: readonly AccessSegment[];
  invoiceSchedule: InvoiceSchedule | null;
  /** A share, 0 to 1. */
  rolloverFraction: Decimal | null;
  applicability: Applicability;
  /** Null for a balance of the customer. */
  contractId: string | null;
  /** Of a balance of the customer; null is every contract. */
  applicableContractIds: readonly string[] | null;
  rolledOverFrom: { balanceId: string; contractId: string } | null;
  recurringId: string | null;
  createdAt: Instant;
  archivedAt: Instant | null;
  /** Facts only: deductions of finalized invoices, manual entries, roll-overs, true-ups, credits of voids. */
  entries: readonly LedgerEntry[];
  /** `disableTrueup`, or removed by a transition. */
  trueUpDisabled: boolean;
  /** Of a grant for the seats of a subscription. */
  seats?: SeatTerms;
  /** Of a grant to each seat by itself. Follows from `seats` and the subscription; never stored. */
  shares?: SeatShares;
}
