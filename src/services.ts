import type { Client } from '@temporalio/client';
import { fireAlert } from './billing/alerts.js';
import { startWatcher, type Watcher } from './billing/watcher.js';
import type { Role } from './config.js';
import type { Core } from './core.js';
import { notFound } from './domain/errors.js';
import { startHttpServer } from './http/server.js';
import type { HttpServer, Readiness } from './http/server.js';
import type { Logger } from './logging.js';
import { startMeterErrorReports } from './billing/meterErrorReports.js';
import { createIngest } from './metering/ingest.js';
import { startNotifier } from './metering/notifier.js';
import type { Notifier } from './metering/notifier.js';
import { PortTakenError } from './ports.js';
import type { Shutdown } from './shutdown.js';
import { findApiKey } from './storage/accounts.js';
import { openDatabase } from './storage/db.js';
import type { Database } from './storage/db.js';
import { connectClient, connectWorker } from './temporal/client.js';
import type { TemporalTarget } from './temporal/client.js';
import { createGateway } from './temporal/gateway.js';
import type { TemporalGateway } from './temporal/gateway.js';
import { startWorker } from './temporal/worker.js';

/** What the services of one process are told; the addresses are of servers that run, on a migrated database. */
export interface ServiceSettings {
  readonly role: Role;
  readonly databaseUrl: string;
  readonly temporal: TemporalTarget;
  readonly taskQueue: string;
  readonly host: string;
  readonly port: number;
  /** A port that nobody asked for gives way to a free one when it is taken. */
  readonly portIsExplicit: boolean;
  readonly signalBudgetPerSecond: number;
  readonly dueSpreadSeconds: number;
  readonly workflowBundlePath: string | undefined;
}

export interface ServiceContext {
  readonly logger: Logger;
  readonly shutdown: Shutdown;
  /** Called when a part dies that the process cannot do without. */
  readonly onFatal: (error: Error) => void;
}

export interface Services {
  readonly core: Core;
  readonly client: Client;
  readonly gateway: TemporalGateway;
  /** `http://host:port`, or null when this process answers no requests. */
  readonly apiUrl: string | null;
}

const READINESS_MILLIS_MAX = 3_000;

/**
 * Starts what runs inside our own process: pool, client, ingest, notifier, worker and API, as the role has it. Each is
 * stopped by the shutdown in reverse: no new requests, then the open ones, then what they feed, then the pool.
 */
export async function startServices(settings: ServiceSettings, context: ServiceContext): Promise<Services> {
  const { logger, shutdown } = context;
  const db = openDatabase(settings.databaseUrl, {
    // The error holds the whole client; what it says is enough.
    onError: ({ message }) => logger.warn({ reason: message }, 'lost a connection to Postgres'),
  });
  await shutdown.add('database pool', () => db.close());
  const client = await connectClient(settings.temporal);
  await shutdown.add('temporal client', () => client.connection.close());

  const now = () => Date.now();
  const gateway = createGateway({ client, taskQueue: settings.taskQueue, db, log: logger, now });
  const notifier = startNotifier({
    db,
    log: logger,
    budgetPerSecond: settings.signalBudgetPerSecond,
    async signal(ref, batch) {
      if (!(await gateway.signalMeterEvents(ref, batch))) throw notFound('subscription', ref.subscriptionId);
    },
    async fireAlert(alert) {
      await fireAlert({ db, now }, alert);
    },
  });
  const ingest = createIngest({
    db,
    now,
    log: logger,
    onCommitted: () => {
      notifier.wake();
      watcher.wake();
    },
  });
  const core: Core = { db, log: logger, workflows: gateway, ingest, now };
  const watcher = startWatcher(core);
  await shutdown.add('watcher', () => watcher.stop());
  const errorReports = startMeterErrorReports(core);
  await shutdown.add('meter error reports', () => errorReports.stop());
  await shutdown.add('notifier', () => notifier.stop());
  await shutdown.add('ingest', () => ingest.drain());

  const worker = settings.role !== 'api';
  if (worker) await runWorker(settings, context, { core, gateway, notifier, watcher });
  const http = await serve(settings, context, core, client);
  const apiUrl =
    http === null || settings.role === 'worker' ? null : `http://${urlHost(settings.host)}:${http.port}`;
  return { core, client, gateway, apiUrl };
}

async function runWorker(
  settings: ServiceSettings,
  { logger, shutdown, onFatal }: ServiceContext,
  {
    core,
    gateway,
    notifier,
    watcher,
  }: { core: Core; gateway: TemporalGateway; notifier: Notifier; watcher: Watcher },
): Promise<void> {
  const connection = await connectWorker(settings.temporal);
  await shutdown.add('worker connection', () => connection.close());
  const worker = await startWorker({
    core,
    gateway,
    connection,
    namespace: settings.temporal.namespace,
    taskQueue: settings.taskQueue,
    dueSpreadSeconds: settings.dueSpreadSeconds,
    workflowBundlePath: settings.workflowBundlePath,
    settleAlerts: async ({ accountId, testClockId }) => {
      await notifier.settle(accountId, testClockId);
      await watcher.settle(accountId, testClockId);
    },
  });
  await shutdown.add('worker', () => worker.stop());
  worker.finished.catch((error: unknown) => {
    onFatal(new Error('the workflow worker died', { cause: error }));
  });
  await gateway.scheduleReconcile();
  logger.info({ taskQueue: settings.taskQueue }, 'worker is running');
}

/** The API; for a mere worker only its health, and only on a port that was asked for. */
async function serve(
  settings: ServiceSettings,
  { logger, shutdown }: ServiceContext,
  core: Core,
  client: Client,
): Promise<HttpServer | null> {
  const isWorker = settings.role === 'worker';
  if (isWorker && !settings.portIsExplicit) return null;
  const deps = {
    core,
    findApiKey: (secret: string) => findApiKey(core.db, secret),
    readiness: () => readiness(core.db, client, shutdown),
  };
  const { host, port } = settings;
  const routes = isWorker ? { endpoints: [], expansions: [] } : undefined;
  let http: HttpServer;
  try {
    http = await startHttpServer(deps, { host, port }, routes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    if (settings.portIsExplicit) throw new PortTakenError(host, port);
    logger.warn({ port }, 'the default port is taken; using a free one');
    http = await startHttpServer(deps, { host, port: 0 }, routes);
  }
  await shutdown.add('http', () => http.close());
  return http;
}

async function readiness(db: Database, client: Client, shutdown: Shutdown): Promise<Readiness> {
  const [database, temporal] = await Promise.all([
    check(() => db.query('select 1')),
    check(() =>
      client.withDeadline(Date.now() + READINESS_MILLIS_MAX, () => client.workflowService.getSystemInfo({})),
    ),
  ]);
  const checks = { database, temporal, engine: shutdown.begun ? 'stopping' : 'ok' };
  return { ok: Object.values(checks).every((state) => state === 'ok'), checks };
}

async function check(probe: () => Promise<unknown>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('does not answer'), READINESS_MILLIS_MAX);
  });
  const answer = probe().then(
    () => 'ok',
    () => 'unreachable',
  );
  const state = await Promise.race([answer, late]);
  clearTimeout(timer);
  return state;
}

/** An address that listens everywhere is reached through loopback. */
function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}
