import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The engine's ready line, as far as the demo needs it. */
export interface EngineAddress {
  readonly api: string;
  readonly apiKey: string;
  /** Null when the engine uses a Temporal of the team's. */
  readonly temporalUi: string | null;
}

export interface EngineProcess {
  /** Rejects when the engine ends before it is ready. */
  readonly ready: Promise<EngineAddress>;
  /** Resolves when the engine has ended, for whatever reason, with a description. */
  readonly ended: Promise<string>;
  /** Asks it to end and waits until it has. */
  readonly stop: () => Promise<void>;
}

export interface EngineOptions {
  readonly dataDir: string;
  readonly port: string | null;
  /** What the engine says while it starts. */
  readonly onMessage: (text: string) => void;
}

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
const TAIL_LINES = 15;

/** Starts the engine as a process of its own, the way `npm start` does. */
export function startEngine(options: EngineOptions): EngineProcess {
  const args = [MAIN, '--json', '--data-dir', options.dataDir];
  if (options.port !== null) args.push('--port', options.port);
  // A process group of its own: Ctrl-C must reach it once, from us, because a second signal forces it.
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const tail = followLog(child, options);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) =>
      resolve(signal === null ? `exit code ${String(code)}` : `signal ${signal}`),
    );
  });
  return {
    ready: readiness(child, ended, tail),
    ended,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function readiness(
  child: ChildProcess,
  ended: Promise<string>,
  tail: readonly string[],
): Promise<EngineAddress> {
  const first = await Promise.race([firstLine(child), ended.then((reason) => ({ reason }))]);
  if (typeof first === 'string') return JSON.parse(first) as EngineAddress;
  throw new Error(`the engine did not start (${first.reason}); its last words:\n${tail.join('\n')}`);
}

/** Keeps the engine's log in its data folder and its last lines at hand. */
function followLog(child: ChildProcess, { dataDir, onMessage }: EngineOptions): string[] {
  const tail: string[] = [];
  if (child.stderr === null) return tail;
  mkdirSync(join(dataDir, 'logs'), { recursive: true });
  const log = createWriteStream(join(dataDir, 'logs', 'engine.log'), { flags: 'a' });
  createInterface({ input: child.stderr }).on('line', (line) => {
    log.write(`${line}\n`);
    tail.push(line);
    if (tail.length > TAIL_LINES) tail.shift();
    onMessage(messageOf(line));
  });
  return tail;
}

function messageOf(line: string): string {
  const match = /"msg":"((?:[^"\\]|\\.)*)"/.exec(line);
  return match === null ? line : (JSON.parse(`"${match[1] ?? ''}"`) as string);
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).once('line', resolve);
  });
}
