import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  bundleWorkflowCode,
  type NativeConnection,
  Worker,
  type WorkflowBundleOption,
} from '@temporalio/worker';
import { createContractActivities } from '../../activities/contract.js';
import { createReconcileActivities } from '../../activities/reconcile.js';
import { createSubscriptionActivities } from '../../activities/subscription.js';
import { createTestClockActivities } from '../../activities/testClock.js';
import type { Core, TestClockRef } from '../core.js';
import type { TemporalGateway } from './gateway.js';

export interface WorkerDeps {
  core: Core;
  gateway: TemporalGateway;
  connection: NativeConnection;
  namespace: string;
  taskQueue: string;
  /** Window over which coinciding period ends are spread, in seconds. */
  dueSpreadSeconds: number;
  settleAlerts(ref: TestClockRef): Promise<void>;
  /** Path of the prebuilt bundle; without it the workflows are bundled now. */
  workflowBundlePath?: string | undefined;
}

export interface RunningWorker {
  /** Stops polling, lets what runs finish within the grace, and returns when it is over. */
  stop(): Promise<void>;
  /** Rejects when the worker dies by itself. */
  readonly finished: Promise<void>;
}

/** About 38 KB of memory each; an uncached subscription is replayed when it is next needed. */
const CACHED_WORKFLOWS_MAX = 2_000;
const SHUTDOWN_GRACE = '10 seconds';
const SHUTDOWN_FORCE = '25 seconds';

/** Starts a worker for all workflows and activities of one installation. */
export async function startWorker(deps: WorkerDeps): Promise<RunningWorker> {
  const { core, gateway } = deps;
  const spreadMs = deps.dueSpreadSeconds * 1000;
  const worker = await Worker.create({
    connection: deps.connection,
    namespace: deps.namespace,
    taskQueue: deps.taskQueue,
    workflowBundle: await workflowBundle(deps.workflowBundlePath),
    activities: {
      ...createSubscriptionActivities(core, (ref) => spreadOf(ref.subscriptionId, spreadMs)),
      ...createContractActivities(core, (ref) => spreadOf(ref.contractId, spreadMs)),
      ...createTestClockActivities({
        core,
        clockAdvanced: (ref, now) => gateway.clockAdvanced(ref, now),
        contractClockAdvanced: (ref, now) => gateway.contractClockAdvanced(ref, now),
        settleAlerts: (ref) => deps.settleAlerts(ref),
      }),
      ...createReconcileActivities({ core, spreadMs }),
    },
    maxCachedWorkflows: CACHED_WORKFLOWS_MAX,
    shutdownGraceTime: SHUTDOWN_GRACE,
    shutdownForceTime: SHUTDOWN_FORCE,
  });
  const finished = worker.run();
  // Whoever composes the process handles a rejection; this keeps it from being unhandled before they attach.
  finished.catch(() => undefined);
  return {
    finished,
    async stop() {
      if (worker.getState() === 'RUNNING') worker.shutdown();
      await finished;
    },
  };
}

async function workflowBundle(path: string | undefined): Promise<WorkflowBundleOption> {
  if (path !== undefined && existsSync(path)) return { codePath: path };
  const source = fileURLToPath(new URL('../../workflows/index.ts', import.meta.url));
  const built = fileURLToPath(new URL('../../workflows/index.js', import.meta.url));
  return bundleWorkflowCode({ workflowsPath: existsSync(source) ? source : built });
}

/** The same shift for a subscription or contract every time: a hash of its id over the window. */
function spreadOf(id: string, windowMs: number): number {
  if (windowMs === 0) return 0;
  let hash = 2_166_136_261;
  for (const character of id) {
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 16_777_619);
  }
  return (hash >>> 0) % windowMs;
}
