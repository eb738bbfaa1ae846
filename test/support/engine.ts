import { randomBytes } from 'node:crypto';
import Metronome from '@metronome/sdk';
import { ScheduleNotFoundError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import Stripe from 'stripe';
import { inject } from 'vitest';
import './provided.js';
import type { Role } from '../../src/config.js';
import type { Core } from '../../src/core.js';
import { createLogger } from '../../src/logging.js';
import type { LogLevel } from '../../src/logging.js';
import { startServices } from '../../src/services.js';
import { Shutdown } from '../../src/shutdown.js';
import { ensureDefaultAccount } from '../../src/storage/accounts.js';
import type { Database } from '../../src/storage/db.js';
import type { TemporalGateway } from '../../src/temporal/gateway.js';
import { reconcileScheduleId } from '../../src/temporal/names.js';
import { installTemporalRuntime } from '../../src/temporal/runtime.js';
import { createTestDatabase } from './database.js';
import type { TestDatabase } from './database.js';
import { makeRunDirectory } from './runDirectory.js';

export interface TestEngineOptions {
  readonly role?: Role;
  readonly signalBudgetPerSecond?: number;
  readonly dueSpreadSeconds?: number;
  /** Goes on where this stopped engine was: same database, task queue and key. It must have been stopped with `pause`. */
  readonly resume?: TestEngine;
  /** `warn` unless told otherwise: a test that provokes trouble may want `silent`. */
  readonly logLevel?: LogLevel;
  readonly stripe?: Stripe.StripeConfig;
}

/** API, ingest, notifier and worker in this process, on a database and a task queue of their own. */
export interface TestEngine {
  /** The official SDK, pointed at this engine. */
  readonly stripe: Stripe;
  /** The same account through the other official SDK. */
  readonly metronome: Metronome;
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly accountId: string;
  readonly db: Database;
  readonly core: Core;
  readonly gateway: TemporalGateway;
  /** A client of the run's shared Temporal server. */
  readonly temporal: Client;
  readonly taskQueue: string;
  /** Stops everything but keeps database and workflows for `resume`. */
  pause(): Promise<void>;
  /** Stops everything and removes the database. */
  stop(): Promise<void>;
}

interface Ground {
  readonly database: TestDatabase;
  readonly dataDir: string;
  readonly taskQueue: string;
}

const grounds = new WeakMap<TestEngine, Ground>();
let runtimeInstalled = false;

/** Starts an engine for a test, in about a second. Every test file stops its engines in `afterEach` or `afterAll`. */
export async function startTestEngine(options: TestEngineOptions = {}): Promise<TestEngine> {
  const logger = createLogger(options.logLevel ?? 'warn');
  if (!runtimeInstalled) installTemporalRuntime(logger);
  runtimeInstalled = true;
  const ground = await groundOf(options);
  const { database, dataDir, taskQueue } = ground;
  const { accountId, apiKey } = await ensureDefaultAccount(database.db, { dataDir });
  const shutdown = new Shutdown(logger);
  const services = await startServices(
    {
      role: options.role ?? 'all',
      databaseUrl: database.url,
      temporal: { address: inject('durabill').temporalAddress, namespace: 'default' },
      taskQueue,
      host: '127.0.0.1',
      port: 0,
      portIsExplicit: true,
      signalBudgetPerSecond: options.signalBudgetPerSecond ?? 100,
      dueSpreadSeconds: options.dueSpreadSeconds ?? 0,
      workflowBundlePath: bundlePath(),
    },
    {
      logger,
      shutdown,
      onFatal: (error) => {
        throw error;
      },
    },
  );
  const baseUrl = services.apiUrl ?? '';
  const engine: TestEngine = {
    stripe: stripeFor(baseUrl, apiKey, options.stripe),
    metronome: metronomeFor(baseUrl, apiKey),
    baseUrl,
    apiKey,
    accountId,
    db: database.db,
    core: services.core,
    gateway: services.gateway,
    temporal: services.client,
    taskQueue,
    async pause() {
      if (!(await shutdown.run())) throw new Error('the test engine did not stop cleanly; see its log');
    },
    async stop() {
      await removeSchedule(services.client, taskQueue);
      await engine.pause();
      await database.drop();
    },
  };
  grounds.set(engine, ground);
  return engine;
}

async function groundOf({ resume }: TestEngineOptions): Promise<Ground> {
  if (resume === undefined) {
    return {
      database: await createTestDatabase(),
      dataDir: makeRunDirectory('engine'),
      taskQueue: `test-${randomBytes(6).toString('hex')}`,
    };
  }
  const ground = grounds.get(resume);
  if (ground === undefined) throw new Error('this engine was not started by startTestEngine');
  return ground;
}

function bundlePath(): string {
  const { workflowBundle } = inject('durabill');
  if ('path' in workflowBundle) return workflowBundle.path;
  throw new Error(`the workflows could not be bundled: ${workflowBundle.problem}`);
}

/** The official SDK with a key, pointed at an address of ours. */
export function stripeFor(baseUrl: string, apiKey: string, config: Stripe.StripeConfig = {}): Stripe {
  if (baseUrl === '') return new Stripe(apiKey, config);
  const { hostname, port } = new URL(baseUrl);
  return new Stripe(apiKey, { host: hostname, port, protocol: 'http', telemetry: false, ...config });
}

/** Metronome's official SDK with a key, pointed at an address of ours. */
export function metronomeFor(baseUrl: string, apiKey: string): Metronome {
  return new Metronome({ bearerToken: apiKey, baseURL: `${baseUrl}/metronome`, webhookSecret: null });
}

/** The server is shared by the whole run: a schedule left behind would fire for ever. */
async function removeSchedule(client: Client, taskQueue: string): Promise<void> {
  try {
    await client.schedule.getHandle(reconcileScheduleId(taskQueue)).delete();
  } catch (error) {
    // An engine without a worker makes none.
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  }
}
