import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import { defineSearchAttributeKey, TypedSearchAttributes } from '@temporalio/common';
import { CLOCK_ADVANCED_UPDATE, type ClockAdvancedResult, WAKE_SIGNAL } from '../../workflows/messages.js';
import type { Instant } from '../domain/period.js';

/** How one kind of long-lived workflow, a subscription's or a contract's, is found and started. */
export interface EntityKind<Ref> {
  client: Client;
  taskQueue: string;
  workflowType: string;
  noun: string;
  workflowId(ref: Ref): string;
  /** What it is started with, read from the database; null when there is nothing to run. */
  find(ref: Ref): Promise<{ input: object; customerId: string; name: string } | null>;
  markStarted(ref: Ref): Promise<void>;
}

/** The messages that both kinds take. */
export interface EntityWorkflow<Ref> {
  /** Makes sure that it runs. */
  start(ref: Ref): Promise<void>;
  /** Has it read the database again. */
  wake(ref: Ref): Promise<void>;
  /** Tells it where its test clock stands; returns when everything due there is done. */
  clockAdvanced(ref: Ref, now: Instant): Promise<void>;
  /** False when it has ended or never was. */
  signal(ref: Ref, name: string, argument: unknown): Promise<boolean>;
  /** Carries out an update, starting a workflow that is missing. */
  update<Result>(ref: Ref, name: string, argument: unknown, updateId: string): Promise<Result>;
}

const CUSTOMER_ID = defineSearchAttributeKey('CustomerId', 'KEYWORD');

export function createEntityWorkflow<Ref>(kind: EntityKind<Ref>): EntityWorkflow<Ref> {
  const { client } = kind;
  const handle = (ref: Ref) => client.workflow.getHandle(kind.workflowId(ref));

  async function start(ref: Ref): Promise<void> {
    const found = await kind.find(ref);
    if (found === null) return;
    await client.workflow.start(kind.workflowType, {
      workflowId: kind.workflowId(ref),
      taskQueue: kind.taskQueue,
      args: [found.input],
      workflowIdConflictPolicy: 'USE_EXISTING',
      staticSummary: `${kind.noun} ${found.name} of ${found.customerId}`,
      typedSearchAttributes: new TypedSearchAttributes([{ key: CUSTOMER_ID, value: found.customerId }]),
    });
    await kind.markStarted(ref);
  }

  async function signal(ref: Ref, name: string, ...args: unknown[]): Promise<boolean> {
    try {
      await handle(ref).signal(name, ...args);
      return true;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false;
      throw error;
    }
  }

  async function update<Result>(
    ref: Ref,
    name: string,
    argument: unknown,
    updateId: string,
  ): Promise<Result> {
    const send = () => handle(ref).executeUpdate<Result, [unknown]>(name, { args: [argument], updateId });
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      await start(ref);
      return send();
    }
  }

  return {
    start,
    update,
    signal: (ref, name, argument) => signal(ref, name, argument),
    async wake(ref) {
      await signal(ref, WAKE_SIGNAL);
    },
    async clockAdvanced(ref, now) {
      await update<ClockAdvancedResult>(ref, CLOCK_ADVANCED_UPDATE, { now }, `clock-${String(now)}`);
    },
  };
}
