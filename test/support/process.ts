import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { makeRunDirectory } from './runDirectory.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const MAIN = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));
const READY_MILLIS_MAX = 120_000;

/** The line that `--json` prints. */
export interface ReadyLine {
  readonly ready: true;
  readonly api: string;
  readonly temporal: string;
  readonly temporalUi: string;
  readonly apiKey: string;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The engine as a process of its own: what `npm start` runs. */
export interface EngineProcess {
  readonly ready: ReadyLine;
  readonly pid: number;
  readonly dataDir: string;
  readonly exited: Promise<Exit>;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Sends a signal to the engine alone; its servers run in groups of their own. */
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Drains it with SIGTERM and waits. */
  stop(): Promise<Exit>;
}

export interface EngineProcessOptions {
  readonly dataDir?: string;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Starts the compiled engine with `--json --port 0` and resolves with its ready line; rejects with its log when it
 * exits before. `npm run build` must have run, as `npm test` sees to.
 */
export async function startEngineProcess(options: EngineProcessOptions = {}): Promise<EngineProcess> {
  const dataDir = options.dataDir ?? makeRunDirectory('data');
  const spawned = spawnEngine(
    ['--json', '--port', '0', '--data-dir', dataDir, ...(options.args ?? [])],
    options.env,
  );
  const ready = JSON.parse(await spawned.firstLine()) as ReadyLine;
  return {
    ready,
    pid: spawned.pid,
    dataDir,
    exited: spawned.exited,
    stdout: spawned.stdout,
    stderr: spawned.stderr,
    signal: spawned.signal,
    stop() {
      spawned.signal('SIGTERM');
      return spawned.exited;
    },
  };
}

/** The bare process, for starts that are meant to fail. */
export interface SpawnedEngine {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly signal: (signal: NodeJS.Signals) => void;
  /** The first line on stdout. Rejects with the log when the process exits without one. */
  firstLine(): Promise<string>;
}

/** Runs the compiled engine with these arguments. */
export function spawnEngine(args: readonly string[], env: NodeJS.ProcessEnv = {}): SpawnedEngine {
  if (!existsSync(MAIN)) throw new Error('dist/src/main.js is missing: run `npm run build` first');
  const inherited = { ...process.env };
  // npm's own variables would make the engine follow the test runner's parent.
  delete inherited['npm_lifecycle_event'];
  const child = spawn(process.execPath, ['--enable-source-maps', MAIN, ...args], {
    cwd: ROOT,
    env: { ...inherited, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return observe(child);
}

function observe(child: ChildProcess): SpawnedEngine {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  const exited = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  return {
    pid: child.pid ?? 0,
    exited,
    stdout: () => stdout,
    stderr: () => stderr,
    signal: (signal) => void child.kill(signal),
    async firstLine() {
      const deadline = Date.now() + READY_MILLIS_MAX;
      while (!stdout.includes('\n')) {
        const exit = await Promise.race([exited, sleep(20, null)]);
        const over = exit !== null || Date.now() > deadline;
        if (over && !stdout.includes('\n')) throw new Error(`the engine printed no ready line:\n${stderr}`);
      }
      return stdout.slice(0, stdout.indexOf('\n'));
    },
  };
}
