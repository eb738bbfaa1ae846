import type { Instant } from './domain/period.js';
import type { Ingest } from './metering/ingest.js';
import type { Database } from './storage/db.js';

/** The part of a structured logger that the code uses; pino's own shape. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface SubscriptionRef {
  accountId: string;
  subscriptionId: string;
}

export interface ContractRef {
  accountId: string;
  contractId: string;
}

export interface TestClockRef {
  accountId: string;
  testClockId: string;
}

/** A command to a subscription, carried out by its workflow in order with its period ends. */
export type SubscriptionChange =
  | { type: 'cancel'; invoiceNow: boolean; details: CancellationDetails }
  | { type: 'cancel_at_period_end'; cancelAtPeriodEnd: boolean; details: CancellationDetails };

/** The customer's own words on leaving; a key that is absent leaves what was said before. */
export interface CancellationDetails {
  comment?: string | null;
  feedback?: string | null;
}

/** What the API asks of Temporal. Every call is repeatable. */
export interface WorkflowGateway {
  /** Makes sure that the subscription's workflow runs. */
  startSubscription(ref: SubscriptionRef): Promise<void>;
  /** Tells the workflow that what it waits for has changed in the database (an invoice finalized by hand, a new clock). */
  wakeSubscription(ref: SubscriptionRef): Promise<void>;
  /** Carries out a change and returns when it is in the database. The same `changeId` twice is one change. */
  changeSubscription(ref: SubscriptionRef, change: SubscriptionChange, changeId: string): Promise<void>;
  /** Makes sure that the contract's workflow runs. */
  startContract(ref: ContractRef): Promise<void>;
  /** Tells the contract's workflow that what it waits for has changed in the database. */
  wakeContract(ref: ContractRef): Promise<void>;
  /** Starts moving a test clock to its target time, which is in the database already. Returns at once. */
  advanceTestClock(ref: TestClockRef): Promise<void>;
}

/** What every use case is given. One per process; `now` is wall time, a customer's own time is in its clock. */
export interface Core {
  readonly db: Database;
  readonly log: Log;
  readonly workflows: WorkflowGateway;
  readonly ingest: Ingest;
  now(): Instant;
}
