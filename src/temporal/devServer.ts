import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import type { Logger } from '../logging.js';
import { rememberPorts } from '../ports.js';
import { supervise } from '../supervise.js';
import type { ServerGaveUpError, SupervisedServer } from '../supervise.js';

export interface DevServerOptions {
  /** The `temporal` program. */
  readonly binary: string;
  /** Holds ports, pid, log and (unless `inMemory`) the SQLite file. */
  readonly dataDir: string;
  /** Name → type (Keyword, KeywordList, Datetime, …), registered in the default namespace. */
  readonly searchAttributes: Readonly<Record<string, string>>;
  readonly logger: Logger;
  readonly onFatal: (error: ServerGaveUpError) => void;
  /** For tests: nothing on disk, native time skipping, and timers without slack. */
  readonly inMemory?: boolean;
}

/** A running development server of Temporal, kept alive on its data and ports. */
export interface TemporalDevServer {
  /** `host:port` of the gRPC service. */
  readonly address: string;
  readonly uiUrl: string;
  pid(): number | null;
  restarts(): number;
  stop(): Promise<void>;
}

type PortName = 'temporal' | 'temporalUi' | 'temporalHttp' | 'temporalMetrics';

const HOST = '127.0.0.1';
/** Go's heap grows to 1–2 GB under load unless told otherwise. */
const GO_MEMORY_LIMIT = '1GiB';

/** The stock limits (2,400 requests a second, and less inside) throttle a batch of signals long before the machine does. */
const RAISED_LIMITS: readonly string[] = [
  'frontend.rps=20000',
  'frontend.namespaceRPS=20000',
  'frontend.namespaceRPS.visibility=1000',
  'frontend.namespaceCount=20000',
  'history.rps=20000',
  'history.persistenceMaxQPS=45000',
  'history.shardIOConcurrency=8',
  'matching.rps=20000',
  'matching.persistenceMaxQPS=20000',
];

const TEST_SETTINGS: readonly string[] = [
  'frontend.WorkflowTimeSkippingEnabled=true',
  'history.timerProcessorMaxTimeShift="10ms"',
  'history.workflowIdReuseMinimalInterval="0s"',
];

/**
 * Starts `temporal server start-dev` with its Web UI on loopback ports that are remembered in the data folder, and
 * keeps it alive. Resolves when the default namespace answers.
 */
export async function startDevServer(options: DevServerOptions): Promise<TemporalDevServer> {
  const folder = join(options.dataDir, 'temporal');
  mkdirSync(folder, { recursive: true });
  const names: PortName[] = ['temporal', 'temporalUi', 'temporalHttp', 'temporalMetrics'];
  const ports = await rememberPorts(join(options.dataDir, 'temporal-ports.json'), names);
  const address = `${HOST}:${ports.temporal}`;
  const server: SupervisedServer = {
    name: 'temporal',
    plan: {
      command: options.binary,
      args: devServerArgs(options, ports, folder),
      env: { ...process.env, GOMEMLIMIT: process.env['GOMEMLIMIT'] ?? GO_MEMORY_LIMIT },
    },
    pidFile: join(options.dataDir, 'run', 'temporal.json'),
    logFile: join(options.dataDir, 'logs', 'temporal.log'),
    stopSignal: 'SIGTERM',
    stopMillis: 10_000,
    readyMillis: 60_000,
    isReady: () => answers(address),
  };
  const supervision = await supervise(server, options);
  return {
    address,
    uiUrl: `http://${HOST}:${ports.temporalUi}`,
    pid: () => supervision.pid(),
    restarts: () => supervision.restarts(),
    stop: () => supervision.stop(),
  };
}

function devServerArgs(options: DevServerOptions, ports: Record<PortName, number>, folder: string): string[] {
  const dynamic = options.inMemory === true ? [...RAISED_LIMITS, ...TEST_SETTINGS] : RAISED_LIMITS;
  const storage = ['--db-filename', join(folder, 'temporal.db')];
  // With the write-ahead log, `normal` survives the death of the process; only a power cut may cost the last commits.
  storage.push('--sqlite-pragma', 'journal_mode=WAL', '--sqlite-pragma', 'synchronous=normal');
  return [
    ...['server', 'start-dev', '--ip', HOST, '--ui-ip', HOST],
    ...['--port', String(ports.temporal), '--ui-port', String(ports.temporalUi)],
    ...['--http-port', String(ports.temporalHttp), '--metrics-port', String(ports.temporalMetrics)],
    ...['--ui-disable-news-fetch', '--log-level', 'warn', '--log-format', 'json'],
    ...(options.inMemory === true ? [] : storage),
    ...dynamic.flatMap((setting) => ['--dynamic-config-value', setting]),
    ...Object.entries(options.searchAttributes).flatMap(([name, type]) => [
      '--search-attribute',
      `${name}=${type}`,
    ]),
  ];
}

async function answers(address: string): Promise<boolean> {
  let connection: Connection;
  try {
    connection = await Connection.connect({ address, connectTimeout: 1_000 });
  } catch {
    // Not listening yet. Why it never does is in the server's log, which the supervisor shows.
    return false;
  }
  try {
    await connection.workflowService.describeNamespace({ namespace: 'default' });
    return true;
  } catch {
    return false;
  } finally {
    await connection.close();
  }
}
