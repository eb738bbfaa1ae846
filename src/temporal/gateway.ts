import {
  type Client,
  isGrpcServiceError,
  ScheduleAlreadyRunning,
  ScheduleOverlapPolicy,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { defineSearchAttributeKey, TypedSearchAttributes } from '@temporalio/common';
import { billingErrorOf } from '../../activities/failures.js';
import {
  CHANGE_UPDATE,
  CLOCK_ADVANCED_UPDATE,
  type ClockAdvancedResult,
  METER_EVENTS_SIGNAL,
  type MeterEventsBatch,
  RECONCILE_WORKFLOW,
  SUBSCRIPTION_WORKFLOW,
  type SubscriptionInput,
  TEST_CLOCK_WORKFLOW,
  type TestClockInput,
  WAKE_SIGNAL,
} from '../../workflows/messages.js';
import type { Log, SubscriptionRef, WorkflowGateway } from '../core.js';
import { BillingError } from '../domain/errors.js';
import type { Instant } from '../domain/period.js';
import type { Database } from '../storage/db.js';
import { markWorkflowStarted } from '../storage/schedule.js';
import { findSubscription } from '../storage/subscriptions.js';
import { findTestClock } from '../storage/testClocks.js';
import { reconcileScheduleId, subscriptionWorkflowId, testClockWorkflowId } from './names.js';

export interface GatewayDeps {
  client: Client;
  taskQueue: string;
  db: Database;
  log: Log;
  now(): Instant;
}

/** What the rest of the process asks of Temporal: the API through WorkflowGateway, the worker and notifier the rest. */
export interface TemporalGateway extends WorkflowGateway {
  /** Hands a batch of meter events to a subscription. False when its workflow has ended or never was. */
  signalMeterEvents(ref: SubscriptionRef, batch: MeterEventsBatch): Promise<boolean>;
  /** Tells a subscription where its test clock stands; returns when everything due there is done. */
  clockAdvanced(ref: SubscriptionRef, now: Instant): Promise<void>;
  /** Makes sure that `reconcile` runs every minute, and once now. */
  scheduleReconcile(): Promise<void>;
}

/** A person waits for the answer; a worker that is away must not hold the request for ever. */
const CHANGE_DEADLINE_MS = 30_000;
const RECONCILE_EVERY = '1 minute';
const CUSTOMER_ID = defineSearchAttributeKey('CustomerId', 'KEYWORD');

export function createGateway(deps: GatewayDeps): TemporalGateway {
  const { client, taskQueue } = deps;
  const handle = (ref: SubscriptionRef) => client.workflow.getHandle(subscriptionWorkflowId(ref));

  async function startSubscription(ref: SubscriptionRef): Promise<void> {
    const subscription = await findSubscription(deps.db, ref.accountId, ref.subscriptionId);
    if (subscription === null) return;
    const input: SubscriptionInput = { v: 1, ...ref };
    await client.workflow.start(SUBSCRIPTION_WORKFLOW, {
      workflowId: subscriptionWorkflowId(ref),
      taskQueue,
      args: [input],
      workflowIdConflictPolicy: 'USE_EXISTING',
      staticSummary: `Subscription ${ref.subscriptionId} of ${subscription.customerId}`,
      typedSearchAttributes: new TypedSearchAttributes([
        { key: CUSTOMER_ID, value: subscription.customerId },
      ]),
    });
    await markWorkflowStarted(deps.db, ref, deps.now());
  }

  /** Sends a message to a subscription; one whose workflow is missing gets it started and the message once more. */
  async function running<T>(ref: SubscriptionRef, send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      await startSubscription(ref);
      return send();
    }
  }

  return {
    startSubscription,

    async wakeSubscription(ref) {
      await ignoringNotFound(handle(ref).signal(WAKE_SIGNAL));
    },

    async changeSubscription(ref, change, changeId) {
      const options = { args: [change] as [typeof change], updateId: changeId };
      try {
        await client.withDeadline(Date.now() + CHANGE_DEADLINE_MS, () =>
          running(ref, () => handle(ref).executeUpdate(CHANGE_UPDATE, options)),
        );
      } catch (error) {
        throw changeFailure(error);
      }
    },

    async advanceTestClock(ref) {
      const clock = await findTestClock(deps.db, ref.accountId, ref.testClockId);
      if (clock === null || clock.targetTime === null) return;
      const input: TestClockInput = ref;
      await client.workflow.start(TEST_CLOCK_WORKFLOW, {
        workflowId: testClockWorkflowId(ref, clock.targetTime),
        taskQueue,
        args: [input],
        workflowIdConflictPolicy: 'USE_EXISTING',
        staticSummary: `Test clock ${ref.testClockId} to ${new Date(clock.targetTime).toISOString()}`,
      });
    },

    async signalMeterEvents(ref, batch) {
      return ignoringNotFound(handle(ref).signal(METER_EVENTS_SIGNAL, batch));
    },

    async clockAdvanced(ref, now) {
      const options = { args: [{ now }] as [{ now: number }], updateId: `clock-${String(now)}` };
      await running(ref, () =>
        handle(ref).executeUpdate<ClockAdvancedResult, [{ now: number }]>(CLOCK_ADVANCED_UPDATE, options),
      );
    },

    scheduleReconcile: () => scheduleReconcile(client, taskQueue),
  };
}

async function scheduleReconcile(client: Client, taskQueue: string): Promise<void> {
  const scheduleId = reconcileScheduleId(taskQueue);
  try {
    await client.schedule.create({
      scheduleId,
      spec: { intervals: [{ every: RECONCILE_EVERY }] },
      action: { type: 'startWorkflow', workflowType: RECONCILE_WORKFLOW, taskQueue, workflowId: scheduleId },
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: RECONCILE_EVERY },
      state: { triggerImmediately: true },
    });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    await client.schedule.getHandle(scheduleId).trigger();
  }
}

async function ignoringNotFound(signal: Promise<void>): Promise<boolean> {
  try {
    await signal;
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

/** The refusal of the change, or a plain statement that nobody could carry it out in time. */
function changeFailure(error: unknown): unknown {
  const refusal = billingErrorOf(error);
  if (refusal !== null) return refusal;
  if (!isGrpcServiceError(error) && !(error instanceof Error && error.name.includes('Timeout'))) return error;
  return new BillingError(
    'unavailable',
    'The change was handed to the subscription and has not been confirmed yet. Send it again with the same idempotency key.',
    { retry: true },
  );
}
