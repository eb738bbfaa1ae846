import type { ContractRef, SubscriptionRef, TestClockRef } from '../core.js';

/** The task queue of all workers of one installation; test engines use one of their own. */
export const DEFAULT_TASK_QUEUE = 'durabill';

/** The search attributes by which a person finds a subscription in the Temporal UI. */
export const SEARCH_ATTRIBUTES = {
  AccountId: 'Keyword',
  CustomerId: 'Keyword',
  SubscriptionStatus: 'Keyword',
  PeriodEnd: 'Datetime',
  PriceId: 'KeywordList',
} as const;

/** The id of the one workflow that runs a subscription for all its life. */
export function subscriptionWorkflowId(ref: SubscriptionRef): string {
  return `subscription/${ref.accountId}/${ref.subscriptionId}`;
}

/** The id of the one workflow that runs a contract for all its life. */
export function contractWorkflowId(ref: ContractRef): string {
  return `contract/${ref.accountId}/${ref.contractId}`;
}

/** The id of the workflow of one advance. The target is part of it, so that the next advance need not wait. */
export function testClockWorkflowId(ref: TestClockRef, target: number): string {
  return `testClock/${ref.accountId}/${ref.testClockId}/${String(target)}`;
}

/** The schedule that runs `reconcile`; one an installation. */
export function reconcileScheduleId(taskQueue: string): string {
  return `reconcile/${taskQueue}`;
}
