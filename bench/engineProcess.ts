import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../src/main.js', import.meta.url));
const TICKS_PER_SECOND = 100;

/** The engine under measurement, with its own servers, in a folder of its own. */
export interface MeasuredEngine {
  readonly api: string;
  readonly apiKey: string;
  /** `host:port`. */
  readonly temporal: string;
  /** Connection string of the engine's own database. */
  readonly databaseUrl: string;
  /** Of the same server, another database, for rows that are no business of the engine's. */
  readonly scratchUrl: string;
  /** CPU time of the engine's own process since it began, without Postgres and Temporal. */
  cpuSeconds(): number;
  residentMegabytes(): number;
  stop(): Promise<void>;
}

/** As `npm start` has them: most of what a batch needs is garbage a moment later, and need not be copied around. */
const START_FLAGS = ['--max-semi-space-size=64'];

/**
 * Starts the compiled engine on free loopback ports, with a CPU profile written to `profileDir` where one is named.
 * Whatever happens, the caller must `stop` it.
 */
export async function startMeasuredEngine(profileDir: string | null): Promise<MeasuredEngine> {
  const dataDir = mkdtempSync(join(tmpdir(), 'durabill-bench-'));
  // As root, Postgres runs as another account, which must get through.
  chmodSync(dataDir, 0o711);
  const env = { ...process.env, DURABILL_LOG_LEVEL: 'warn' };
  // npm's own variable would make the engine follow a parent that is not there.
  delete (env as NodeJS.ProcessEnv)['npm_lifecycle_event'];
  // A group of its own, so that Ctrl-C reaches it once: from us.
  const profile = profileDir === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`];
  const args = [...profile, ...START_FLAGS, MAIN, '--json', '--port', '0', '--data-dir', dataDir];
  const child = spawn(process.execPath, args, {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const log = join(dataDir, 'engine.log');
  child.stderr.pipe(createWriteStream(log));
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
    rmSync(dataDir, { recursive: true, force: true });
  };
  try {
    const ready = await readyLine(child, ended, log);
    const databaseUrl = postgresUrl(dataDir, 'durabill');
    return {
      api: ready.api,
      apiKey: ready.apiKey,
      temporal: ready.temporal,
      databaseUrl,
      scratchUrl: postgresUrl(dataDir, 'bench'),
      cpuSeconds: () => cpuSecondsOf(child.pid ?? 0),
      residentMegabytes: () => residentMegabytesOf(child.pid ?? 0),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Ready {
  readonly api: string;
  readonly apiKey: string;
  readonly temporal: string;
}

async function readyLine(child: ChildProcess, ended: Promise<void>, log: string): Promise<Ready> {
  if (child.stdout === null) throw new Error('the engine has no stdout');
  const lines = createInterface({ input: child.stdout });
  const first = new Promise<string>((resolve) => lines.once('line', resolve));
  const line = await Promise.race([first, ended.then(() => null)]);
  if (line === null) throw new Error(`the engine did not start:\n${readFileSync(log, 'utf8').slice(-2000)}`);
  return JSON.parse(line) as Ready;
}

/** The embedded server's address, from what the engine remembers of it in its data folder. */
function postgresUrl(dataDir: string, database: string): string {
  const ports = JSON.parse(readFileSync(join(dataDir, 'postgres-port.json'), 'utf8')) as { postgres: number };
  const password = readFileSync(join(dataDir, 'postgres-password'), 'utf8').trim();
  return `postgresql://durabill:${password}@127.0.0.1:${ports.postgres}/${database}`;
}

function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number.parseInt(fields[11] ?? '0', 10) + Number.parseInt(fields[12] ?? '0', 10);
  return ticks / TICKS_PER_SECOND;
}

function residentMegabytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number.parseInt(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? '0', 10) / 1024;
}
