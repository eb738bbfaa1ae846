import type { Decimal } from '../decimal.js';
import type { Instant, Period } from '../period.js';
import type { ScheduleItem } from './balanceTerms.js';

export type { Balance, ScheduleItem } from './balanceTerms.js';

/**
 * The words of a contract as the computation reads them. Every amount and price is an exact Decimal in the
 * stored unit of its pricing unit: cents for USD, whole units for every other currency and for custom
 * pricing units (docs.metronome.com/api-reference, "credit types"). Every span is half-open, an open end is
 * null, and where several entries compete the array's order is the order in which they were added.
 */
export type GroupValues = Readonly<Record<string, string>>;

/** A presentation key that an event did not carry is null. */
export type PresentationValues = Readonly<Record<string, string | null>>;

export interface PricingUnit {
  id: string;
  name: string;
  isCurrency: boolean;
  /**
   * Decimal places of the stored unit that make a whole cent: 0 for USD (cents) and JPY, 2 for the others.
   */
  places: number;
}

export type ProductType = 'USAGE' | 'SUBSCRIPTION' | 'COMPOSITE' | 'FIXED' | 'PRO_SERVICE';

export interface QuantityConversion {
  factor: Decimal;
  operation: 'multiply' | 'divide';
}

export interface QuantityRounding {
  method: 'round_up' | 'round_down' | 'round_half_up';
  places: number;
}

export interface CompositeTerms {
  productIds: readonly string[];
  /** A product with any of the tags counts. */
  tags: readonly string[];
  /** Leaves out spend that a free balance (no cost basis) paid for. */
  excludeFreeUsage: boolean;
  includeCompositeSpend: boolean;
  /** Whose spend counts: of the contract alone, or of all of the customer's. */
  scope: 'contract' | 'customer';
}

/** The version of a product in force for the period that is computed. */
export interface Product {
  id: string;
  name: string;
  type: ProductType;
  tags: readonly string[];
  pricingGroupKey: readonly string[];
  presentationGroupKey: readonly string[];
  quantityConversion: QuantityConversion | null;
  quantityRounding: QuantityRounding | null;
  composite: CompositeTerms | null;
}

export type BillingFrequency = 'WEEKLY' | 'MONTHLY' | 'QUARTERLY' | 'ANNUAL';

export type RateType = 'FLAT' | 'PERCENTAGE' | 'SUBSCRIPTION' | 'TIERED' | 'TIERED_PERCENTAGE';

/** `size` is the width of the tier in units; null on the last, which is open. */
export interface RateTier {
  size: Decimal | null;
  price: Decimal;
}

/** A price. Percentages are fractions (0.05 is 5 %); `minimum` is the least charge of a period. */
export interface Rate {
  rateType: RateType;
  price: Decimal | null;
  tiers: readonly RateTier[];
  minimum: Decimal | null;
  creditTypeId: string;
}

export interface RateSegment {
  productId: string;
  pricingGroupValues: GroupValues;
  billingFrequency: BillingFrequency | null;
  startingAt: Instant;
  endingBefore: Instant | null;
  entitled: boolean;
  rate: Rate;
  commitRate: Rate | null;
}

export interface RateCardAlias {
  name: string;
  startingAt: Instant | null;
  endingBefore: Instant | null;
}

export interface RateCard {
  id: string;
  fiatCreditTypeId: string;
  /** Fiat (stored unit) for one custom pricing unit, by the unit's id. */
  fiatPerUnit: ReadonlyMap<string, Decimal>;
  rates: readonly RateSegment[];
}

/**
 * Which charges something reaches: all that are given must hold (docs.metronome.com, target credits and
 * commits).
 */
export interface Specifier {
  productId: string | null;
  /** All of them. */
  productTags: readonly string[];
  pricingGroupValues: GroupValues;
  presentationGroupValues: PresentationValues;
  /** Out of reach: products that carry all the tags of one of these sets. */
  excludedTags: readonly (readonly string[])[];
}

/**
 * Nothing set reaches every usage, subscription and composite charge; several specifiers are alternatives.
 */
export interface Applicability {
  productIds: readonly string[];
  /** Any of them. */
  productTags: readonly string[];
  specifiers: readonly Specifier[];
}

export interface OverrideSpecifier extends Specifier {
  billingFrequency: BillingFrequency | null;
  /**
   * Commits and credits by id; with `recurringIds` also empty, any balance. Read only when commit-specific.
   */
  balanceIds: readonly string[];
  recurringIds: readonly string[];
}

export interface Override {
  id: string;
  startingAt: Instant;
  endingBefore: Instant | null;
  /** Null leaves the entitlement as the rate card has it. */
  entitled: boolean | null;
  /** Null changes the entitlement alone. */
  type: 'OVERWRITE' | 'MULTIPLIER' | 'TIERED' | null;
  multiplier: Decimal | null;
  /** Smallest first; read under EXPLICIT only. */
  priority: number | null;
  overwriteRate: Rate | null;
  tiers: readonly { size: Decimal | null; multiplier: Decimal }[];
  /** Alternatives; none reaches every product. */
  specifiers: readonly OverrideSpecifier[];
  isCommitSpecific: boolean;
  target: 'LIST_RATE' | 'COMMIT_RATE';
}

export interface StatementSchedule {
  frequency: BillingFrequency;
  day: 'FIRST_OF_MONTH' | 'CONTRACT_START' | 'CUSTOM_DATE';
  /** Only for CUSTOM_DATE. */
  anchor: Instant | null;
  /** Statements that end at or before it are not made. */
  generationStartingAt: Instant | null;
}

export interface MoneyRounding {
  method: 'HALF_UP' | 'FLOOR' | 'CEILING';
  /** −5 to 5, on the stored unit: −2 on cents is whole dollars. */
  places: number;
}

export type GrantFrequency = BillingFrequency | 'DAILY';

export interface RecurringBalance {
  id: string;
  type: 'PREPAID' | 'CREDIT';
  name: string;
  productId: string;
  priority: number;
  access: { creditTypeId: string; unitPrice: Decimal; quantity: Decimal | null };
  invoice: { creditTypeId: string; unitPrice: Decimal; quantity: Decimal } | null;
  /** In periods, at least 1. */
  durationPeriods: number;
  /** Null follows the usage statements; else the periods count from `startingAt`. */
  frequency: GrantFrequency | null;
  startingAt: Instant;
  endingBefore: Instant | null;
  proration: 'NONE' | 'FIRST' | 'LAST' | 'FIRST_AND_LAST';
  accessRounding: MoneyRounding | null;
  invoiceRounding: MoneyRounding | null;
  rateType: 'LIST_RATE' | 'COMMIT_RATE';
  rolloverFraction: Decimal | null;
  applicability: Applicability;
  /** As much for each seat of the subscription. */
  subscription: { subscriptionId: string; prorateIncreases: boolean } | null;
  /** Of the grants for seats: shared by all of them, or one for each assigned seat. */
  allocation?: SeatAllocation | null;
  createdAt: Instant;
}

export type SeatAllocation = 'POOLED' | 'INDIVIDUAL';

/** The quantity from `startingAt` until the next entry. */
export interface QuantityChange {
  startingAt: Instant;
  quantity: Decimal;
}

/** The seats from `startingAt` until the next entry; together they are the quantity. */
export interface SeatChange {
  startingAt: Instant;
  seatIds: readonly string[];
  /** Paid for, and nobody's. */
  unassigned: Decimal;
}

export interface Subscription {
  id: string;
  name: string;
  productId: string;
  frequency: BillingFrequency;
  collection: 'ADVANCE' | 'ARREARS';
  proration: {
    isProrated: boolean;
    behavior: 'BILL_IMMEDIATELY' | 'BILL_ON_NEXT_COLLECTION_DATE';
    rounding: MoneyRounding | null;
  };
  placement: 'ON_USAGE_INVOICE' | 'ON_SCHEDULED_INVOICE';
  /** Null is the contract's statement anchor. */
  anchor: Instant | null;
  startingAt: Instant;
  endingBefore: Instant | null;
  /** Ascending; the first one is at `startingAt`. */
  quantities: readonly QuantityChange[];
  /** The property of usage that names the seat. */
  seatGroupKey?: string | null;
  /** Ascending; none where only the quantity is managed. */
  seats?: readonly SeatChange[];
}

export interface ScheduledCharge {
  id: string;
  name: string;
  productId: string;
  creditTypeId: string;
  items: readonly ScheduleItem[];
}

export interface ContractTerms {
  id: string;
  startingAt: Instant;
  endingBefore: Instant | null;
  statements: StatementSchedule;
  overrides: readonly Override[];
  prioritization: 'LOWEST_MULTIPLIER' | 'EXPLICIT';
  recurring: readonly RecurringBalance[];
  subscriptions: readonly Subscription[];
  scheduledCharges: readonly ScheduledCharge[];
  /** Scheduled charges join the usage statement that ends on their day. */
  consolidatesScheduledCharges: boolean;
}

/**
 * Usage of one combination of a product's group values, in the metric's own units, that falls into `[start,
 * end)`: for MAX, LATEST, UNIQUE and the like the *increment* over the earlier slices of the statement (see
 * metric.ts). A slice lies between two neighbouring instants of `cutInstants`; the finest is an hour.
 */
export interface UsageSlice extends Period {
  productId: string;
  pricingGroupValues: GroupValues;
  presentationGroupValues: PresentationValues;
  quantity: Decimal;
}
