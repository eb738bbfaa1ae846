/**
 * The contract of the workflows: names, inputs and messages. Imported by workflows, activities, the notifier and the
 * API alike, so no string is typed twice. Everything here is plain JSON: instants are epoch milliseconds, quantities
 * are decimal strings, and no money passes through Temporal.
 */
export const SUBSCRIPTION_WORKFLOW = 'subscription';
export const TEST_CLOCK_WORKFLOW = 'testClock';
export const RECONCILE_WORKFLOW = 'reconcile';

export const METER_EVENTS_SIGNAL = 'meterEvents';
export const WAKE_SIGNAL = 'wake';
export const CHANGE_UPDATE = 'change';
export const CLOCK_ADVANCED_UPDATE = 'clockAdvanced';
export const STATE_QUERY = 'state';

/** Failure type of an expected refusal that crosses the Temporal boundary; its details carry a BillingError's fields. */
export const BILLING_ERROR_TYPE = 'BillingError';

/** One signal, many meter events: cumulative readings, so a lost, doubled or reordered signal does no harm. */
export interface MeterEventsBatch {
  /** Arrival number of the newest event that the readings include; the workflow keeps the highest. */
  watermark: string;
  /** How many events have arrived since the last signal, for people to read. */
  events: string;
  readings: MeterReading[];
  /** Alerts whose threshold the readings have passed. */
  alertIds: string[];
}

export interface MeterReading {
  meterId: string;
  periodStart: number;
  /** The meter's aggregate over the open period, an exact decimal. */
  value: string;
}

/** What the subscription waits for next; decided from the database by the activities. */
export type DueStep =
  | { kind: 'period_end'; at: number }
  | { kind: 'finalize'; at: number; invoiceId: string };

export interface PlanItem {
  label: string;
  meterId: string | null;
  periodStart: number;
  periodEnd: number;
}

/** The workflow's picture of its subscription. Postgres holds the facts; this is what to do next and what to show. */
export interface SubscriptionPlan {
  customerId: string;
  customerName: string | null;
  status: string;
  priceIds: string[];
  items: PlanItem[];
  /** The earliest end of an open period; null once the subscription has ended. */
  periodEnd: number | null;
  next: DueStep | null;
  /** The frozen time of the customer's test clock; null on wall time. */
  clockNow: number | null;
  /** How far this subscription's wake-ups are shifted after a due instant, to spread coinciding period ends. */
  spreadMs: number;
}

export interface SubscriptionInput {
  v: 1;
  accountId: string;
  subscriptionId: string;
  /** Handed from run to run; absent in the first. */
  carried?: CarriedState;
}

export interface CarriedState {
  watermark: string;
  readings: MeterReading[];
  events: string;
  clockNow: number | null;
}

export interface SubscriptionState {
  plan: SubscriptionPlan | null;
  watermark: string;
  readings: MeterReading[];
  now: number;
}

/** The subscription after a change. */
export interface ChangeResult {
  status: string;
}

export interface ClockAdvancedResult {
  /** The next due instant after the one reached, or null. */
  nextDueAt: number | null;
}

export interface TestClockInput {
  accountId: string;
  testClockId: string;
}

export interface ReconcileReport {
  started: string[];
  woken: string[];
  clocks: string[];
}

export const CONTRACT_WORKFLOW = 'contract';

export interface ContractInput {
  v: 1;
  accountId: string;
  contractId: string;
  /** Handed from run to run; absent in the first. */
  carried?: { clockNow: number | null };
}

/** The workflow's picture of its contract: when there is something to do next, and what to show. */
export interface ContractPlan {
  customerId: string;
  nextDueAt: number | null;
  nextStep: string;
  /** The frozen time of the customer's test clock; null on wall time. */
  clockNow: number | null;
  spreadMs: number;
}

export interface ContractWorkflowState {
  plan: ContractPlan | null;
  now: number;
}
