import type { Decimal } from '../decimal.js';
import type { Instant } from '../period.js';
import type { IssueDates } from './issueDates.js';
import type { SpendTracker } from './spendTracker.js';
import type {
  Balance,
  ContractTerms,
  Override,
  QuantityChange,
  RecurringBalance,
  ScheduledCharge,
  SeatAllocation,
  SeatChange,
  Subscription,
} from './terms.js';

/** Labels that a caller has put on something; they change nothing. */
export interface Labels {
  name: string | null;
  description: string | null;
  customFields: Readonly<Record<string, string>>;
}

/** Events with one of the values of the key go to this contract, from `startingAt` on. */
export interface UsageFilter {
  groupKey: string;
  groupValues: readonly string[];
  startingAt: Instant;
  endingBefore: Instant | null;
}

/** The contract that another one continues, and what becomes of the old one's true-ups. */
export interface Transition {
  type: 'RENEWAL';
  fromContractId: string;
  toContractId: string;
}

/** What a threshold buys. `name` is the commit's, as its request gave it. */
export interface ThresholdCommit {
  productId: string;
  name: string | null;
  description: string | null;
  priority: number | null;
  applicableProductIds: readonly string[];
  applicableProductTags: readonly string[];
  specifiers: Balance['applicability']['specifiers'];
}

export interface PaymentGate {
  type: 'NONE' | 'STRIPE' | 'EXTERNAL';
  /** The rest of the request's words, kept for reads. */
  raw: unknown;
}

export interface ThresholdDiscountTerms {
  paymentFraction: Decimal;
  cap: { spendTrackerAlias: string; amount: Decimal } | null;
}

export interface SpendThresholdTerms {
  isEnabled: boolean;
  threshold: Decimal;
  commit: ThresholdCommit;
  gate: PaymentGate;
  discount: ThresholdDiscountTerms | null;
}

export interface PrepaidThresholdTerms extends SpendThresholdTerms {
  rechargeTo: Decimal;
  customCreditTypeId: string | null;
  /** `threshold_balance_specifiers` in the request's words. */
  balanceSpecifiers: unknown;
}

export interface StoredOverride extends Override {
  /** As the request spelt its scope, for reads. */
  raw: unknown;
}

export interface StoredRecurring extends RecurringBalance, Omit<Labels, 'name'> {
  /** The name as given; `name` of the core falls back to the product's. */
  givenName: string | null;
  allocation: SeatAllocation | null;
}

export interface StoredSubscription extends Subscription, Omit<Labels, 'name'> {
  givenName: string | null;
  mode: 'QUANTITY_ONLY' | 'SEAT_BASED';
  seatGroupKey: string | null;
  seats: readonly SeatChange[];
  quantities: readonly QuantityChange[];
}

export interface StoredScheduledCharge extends ScheduledCharge, Omit<Labels, 'name'> {
  givenName: string | null;
  archivedAt: Instant | null;
}

/** The words of a contract beside what its columns hold. */
export interface ContractDocument {
  statements: ContractTerms['statements'];
  prioritization: ContractTerms['prioritization'];
  consolidatesScheduledCharges: boolean;
  overrides: readonly StoredOverride[];
  recurring: readonly StoredRecurring[];
  subscriptions: readonly StoredSubscription[];
  scheduledCharges: readonly StoredScheduledCharge[];
  usageFilters: readonly UsageFilter[];
  transitions: readonly Transition[];
  spendThreshold: SpendThresholdTerms | null;
  prepaidThreshold: PrepaidThresholdTerms | null;
  spendTrackers: readonly SpendTracker[];
  /** None in the documents of before. */
  issueDates?: IssueDates;
  netPaymentTermsDays: number | null;
  totalContractValue: Decimal | null;
  billingProvider: unknown;
  revenueSystem: unknown;
}

export interface ContractRecord {
  id: string;
  customerId: string;
  testClockId: string | null;
  rateCardId: string | null;
  /** The package that it was made from. */
  packageId: string | null;
  name: string | null;
  startingAt: Instant;
  endingBefore: Instant | null;
  uniquenessKey: string | null;
  document: ContractDocument;
  customFields: Readonly<Record<string, string>>;
  createdAt: Instant;
  archivedAt: Instant | null;
  nextDueAt: Instant | null;
}

/** What the computation reads of a contract. */
export function termsOf(contract: ContractRecord): ContractTerms {
  const { id, startingAt, endingBefore, document } = contract;
  const { statements, prioritization, consolidatesScheduledCharges } = document;
  return {
    id,
    startingAt,
    endingBefore,
    statements,
    prioritization,
    consolidatesScheduledCharges,
    overrides: document.overrides,
    recurring: document.recurring,
    subscriptions: document.subscriptions,
    scheduledCharges: document.scheduledCharges.filter(({ archivedAt }) => archivedAt === null),
  };
}

/** A commit or credit as it is stored: the balance of the core and what only reads show. */
export interface BalanceRecord extends Balance {
  customerId: string;
  /** As given; `name` falls back to the product's. */
  givenName: string | null;
  description: string | null;
  customFields: Readonly<Record<string, string>>;
  uniquenessKey: string | null;
  /** The contract whose invoices carry a customer's commit. */
  invoiceContractId: string | null;
  /** Whether spend trackers count its purchase as one at a discount. */
  countsAsDiscounted: boolean;
  /** What made it: a request, or a threshold. */
  origin: 'request' | 'threshold_recharge' | 'spend_threshold' | 'rollover' | 'recurring';
}
