import { Client, Connection } from '@temporalio/client';
import { METER_EVENTS_SIGNAL } from '../workflows/messages.js';

/** What the runs of a workflow amount to, from its first to the one that is open. */
export interface WorkflowCost {
  readonly runs: number;
  readonly signals: number;
  readonly historyEvents: number;
  readonly historyBytes: number;
  /** Of the longest run. */
  readonly longestRunEvents: number;
}

export async function connectTemporal(address: string): Promise<Client> {
  return new Client({ connection: await Connection.connect({ address }) });
}

/** Follows a workflow back through the runs that it continued from, and adds them up. */
export async function costOfWorkflow(client: Client, workflowId: string): Promise<WorkflowCost> {
  const cost = { runs: 0, signals: 0, historyEvents: 0, historyBytes: 0, longestRunEvents: 0 };
  let runId: string | undefined;
  do {
    const handle = client.workflow.getHandle(workflowId, runId);
    const { historyLength, historySize } = await handle.describe();
    const { events } = await handle.fetchHistory();
    cost.runs += 1;
    cost.historyEvents += historyLength;
    cost.historyBytes += historySize ?? 0;
    cost.longestRunEvents = Math.max(cost.longestRunEvents, historyLength);
    for (const event of events ?? []) {
      const { signalName } = event.workflowExecutionSignaledEventAttributes ?? {};
      if (signalName === METER_EVENTS_SIGNAL) cost.signals += 1;
    }
    const before = events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId;
    runId = before === undefined || before === null || before === '' ? undefined : before;
  } while (runId !== undefined);
  return cost;
}
