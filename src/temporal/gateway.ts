import {
  type Client,
  isGrpcServiceError,
  ScheduleAlreadyRunning,
  ScheduleOverlapPolicy,
} from '@temporalio/client';
import { billingErrorOf } from '../../activities/failures.js';
import {
  CHANGE_UPDATE,
  type ChangeResult,
  CONTRACT_WORKFLOW,
  type ContractInput,
  METER_EVENTS_SIGNAL,
  type MeterEventsBatch,
  RECONCILE_WORKFLOW,
  SUBSCRIPTION_WORKFLOW,
  type SubscriptionInput,
  TEST_CLOCK_WORKFLOW,
  type TestClockInput,
} from '../../workflows/messages.js';
import type { ContractRef, Log, SubscriptionRef, WorkflowGateway } from '../core.js';
import { BillingError } from '../domain/errors.js';
import type { Instant } from '../domain/period.js';
import { findContract, markContractStarted } from '../storage/contracts.js';
import type { Database } from '../storage/db.js';
import { markWorkflowStarted } from '../storage/schedule.js';
import { findSubscription } from '../storage/subscriptions.js';
import { findTestClock } from '../storage/testClocks.js';
import { createEntityWorkflow, type EntityKind } from './entityWorkflow.js';
import {
  contractWorkflowId,
  reconcileScheduleId,
  subscriptionWorkflowId,
  testClockWorkflowId,
} from './names.js';

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
  /** The same for a contract. */
  contractClockAdvanced(ref: ContractRef, now: Instant): Promise<void>;
  /** Makes sure that `reconcile` runs every minute, and once now. */
  scheduleReconcile(): Promise<void>;
}

/** A person waits for the answer; a worker that is away must not hold the request for ever. */
const CHANGE_DEADLINE_MS = 30_000;
const RECONCILE_EVERY = '1 minute';

export function createGateway(deps: GatewayDeps): TemporalGateway {
  const { client, taskQueue } = deps;
  const subscriptions = createEntityWorkflow(subscriptionKind(deps));
  const contracts = createEntityWorkflow(contractKind(deps));
  return {
    startSubscription: (ref) => subscriptions.start(ref),
    wakeSubscription: (ref) => subscriptions.wake(ref),
    clockAdvanced: (ref, now) => subscriptions.clockAdvanced(ref, now),
    signalMeterEvents: (ref, batch) => subscriptions.signal(ref, METER_EVENTS_SIGNAL, batch),
    startContract: (ref) => contracts.start(ref),
    wakeContract: (ref) => contracts.wake(ref),
    contractClockAdvanced: (ref, now) => contracts.clockAdvanced(ref, now),

    async changeSubscription(ref, change, changeId) {
      try {
        await client.withDeadline(Date.now() + CHANGE_DEADLINE_MS, () =>
          subscriptions.update<ChangeResult>(ref, CHANGE_UPDATE, change, changeId),
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

    scheduleReconcile: () => scheduleReconcile(client, taskQueue),
  };
}

function subscriptionKind(deps: GatewayDeps): EntityKind<SubscriptionRef> {
  const { client, taskQueue, db } = deps;
  return {
    client,
    taskQueue,
    workflowType: SUBSCRIPTION_WORKFLOW,
    noun: 'Subscription',
    workflowId: subscriptionWorkflowId,
    async find(ref) {
      const subscription = await findSubscription(db, ref.accountId, ref.subscriptionId);
      if (subscription === null) return null;
      const input: SubscriptionInput = { v: 1, ...ref };
      return { input, customerId: subscription.customerId, name: subscription.id };
    },
    markStarted: (ref) => markWorkflowStarted(db, ref, deps.now()),
  };
}

function contractKind(deps: GatewayDeps): EntityKind<ContractRef> {
  const { client, taskQueue, db } = deps;
  return {
    client,
    taskQueue,
    workflowType: CONTRACT_WORKFLOW,
    noun: 'Contract',
    workflowId: contractWorkflowId,
    async find(ref) {
      const contract = await findContract(db, ref.accountId, ref.contractId);
      if (contract === null) return null;
      const input: ContractInput = { v: 1, ...ref };
      return { input, customerId: contract.customerId, name: ref.contractId };
    },
    markStarted: (ref) => markContractStarted(db, ref, deps.now()),
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
