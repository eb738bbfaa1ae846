import { fileURLToPath } from 'node:url';
import { Connection } from '@temporalio/client';
import type { Config } from './config.js';
import { isPortFree, PortTakenError } from './ports.js';
import { startServers } from './servers.js';
import type { Servers } from './servers.js';
import { startServices } from './services.js';
import type { ServiceContext } from './services.js';
import { ensureDefaultAccount } from './storage/accounts.js';
import { openDatabase } from './storage/db.js';
import { migrate } from './storage/migrate.js';
import { connectClient } from './temporal/client.js';
import type { TemporalTarget } from './temporal/client.js';
import { ensureTemporal } from './temporal/ensure.js';
import { DEFAULT_TASK_QUEUE, SEARCH_ATTRIBUTES } from './temporal/names.js';
import { installTemporalRuntime } from './temporal/runtime.js';

/** A running engine, as the ready line tells of it. */
export interface Engine {
  /** Null when this process answers no requests. */
  readonly apiUrl: string | null;
  /** `host:port`. */
  readonly temporalAddress: string;
  /** Null when the server is not ours. */
  readonly temporalUiUrl: string | null;
  /** A test-mode secret key of the first account. Not for logs. */
  readonly apiKey: string;
}

const WORKFLOW_BUNDLE = fileURLToPath(new URL('../workflow-bundle.js', import.meta.url));

/**
 * Brings up the whole engine: the servers that are not given by address, the schema, the namespace, the first account,
 * then our own services. Everything started is stopped by the shutdown. Rejects early when the shutdown begins
 * meanwhile.
 */
export async function startEngine(config: Config, context: ServiceContext): Promise<Engine> {
  const { logger, shutdown } = context;
  installTemporalRuntime(logger);
  await refuseTakenPort(config);
  const servers = await startServers(config, context);
  refuseWhenStopping(context);
  const target = temporalTarget(config, servers);
  const [apiKey] = await Promise.all([
    prepareDatabase(config, servers, context),
    prepareTemporal(target, context),
  ]);
  refuseWhenStopping(context);
  const services = await startServices(
    {
      role: config.role,
      databaseUrl: servers.databaseUrl,
      temporal: target,
      taskQueue: DEFAULT_TASK_QUEUE,
      host: config.host,
      port: config.port,
      portIsExplicit: config.portIsExplicit,
      signalBudgetPerSecond: config.signalBudgetPerSecond,
      dueSpreadSeconds: config.dueSpreadSeconds,
      workflowBundlePath: WORKFLOW_BUNDLE,
    },
    context,
  );
  logger.info({ role: config.role, api: services.apiUrl, stopping: shutdown.begun }, 'engine is up');
  const { temporalAddress, temporalUiUrl } = servers;
  return { apiUrl: services.apiUrl, temporalAddress, temporalUiUrl, apiKey };
}

/** Before anything is started: it is the one thing that can be known to fail at the end. */
async function refuseTakenPort({ host, port, portIsExplicit }: Config): Promise<void> {
  if (portIsExplicit && port !== 0 && !(await isPortFree(port, host))) throw new PortTakenError(host, port);
}

async function prepareDatabase(
  config: Config,
  servers: Servers,
  { logger }: ServiceContext,
): Promise<string> {
  const { applied, version } = await migrate(servers.databaseUrl);
  if (applied.length > 0) logger.info({ applied, version }, 'migrated the database');
  const db = openDatabase(servers.databaseUrl, { maxConnections: 1 });
  try {
    const { apiKey } = await ensureDefaultAccount(db, { dataDir: config.dataDir });
    return apiKey;
  } finally {
    await db.close();
  }
}

async function prepareTemporal(target: TemporalTarget, { logger }: ServiceContext): Promise<void> {
  const client = await connectClient(target);
  try {
    const { namespace } = target;
    const { connection } = client;
    if (!(connection instanceof Connection))
      throw new Error('the Temporal client has no connection of its own');
    await ensureTemporal(connection, { namespace, searchAttributes: SEARCH_ATTRIBUTES, logger });
  } finally {
    await client.connection.close();
  }
}

function temporalTarget({ temporal }: Config, servers: Servers): TemporalTarget {
  return {
    address: servers.temporalAddress,
    namespace: temporal.namespace,
    ...(temporal.apiKey === null ? {} : { apiKey: temporal.apiKey }),
    ...(temporal.tlsCertPath === null ? {} : { tlsCertPath: temporal.tlsCertPath }),
    ...(temporal.tlsKeyPath === null ? {} : { tlsKeyPath: temporal.tlsKeyPath }),
  };
}

function refuseWhenStopping({ shutdown }: ServiceContext): void {
  if (shutdown.begun) throw new Error('stopped while starting');
}
