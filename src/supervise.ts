import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from './logging.js';
import { endProcess, identifyProcess, isSameProcessAlive, sendSignal } from './processes.js';
import type { ProcessIdentity } from './processes.js';

/** How one launch of a server looks. */
export interface LaunchPlan {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly uid?: number;
  readonly gid?: number;
}

/** A server that is to be kept alive on its data and its ports. */
export interface SupervisedServer {
  readonly name: string;
  readonly plan: LaunchPlan;
  /** Where the pid of the running server is kept, so that a later engine recognises an orphan. */
  readonly pidFile: string;
  /** Takes the server's own output. */
  readonly logFile: string;
  readonly stopSignal: NodeJS.Signals;
  readonly stopMillis: number;
  readonly readyMillis: number;
  /** Clears what a killed predecessor may have left. Runs before each launch. */
  beforeLaunch?(): void;
  /** Whether the server answers now. Called again and again until true. */
  isReady(): Promise<boolean>;
}

export interface SuperviseOptions {
  readonly logger: Logger;
  /** Called once, when the server has died `maxDeaths` times within `windowMillis`. It is not started again. */
  readonly onFatal: (error: ServerGaveUpError) => void;
  readonly maxDeaths?: number;
  readonly windowMillis?: number;
}

export interface Supervision {
  /** The pid of the running server, or null between two lives. */
  pid(): number | null;
  /** How often it has been started again. */
  restarts(): number;
  /** Stops it for good: the polite signal, SIGKILL after the server's stop time. */
  stop(): Promise<void>;
}

/** What runs now on behalf of this process, for a forced exit. */
const live = new Set<Keeper>();

/** Signals every supervised server and waits for none: the last act of a process that must exit at once. */
export function abandonServers(): void {
  for (const keeper of live) keeper.abandon();
}

/** A server does not start, or died too often. The message carries its last log lines. */
export class ServerGaveUpError extends Error {
  readonly server: string;

  constructor(server: string, reason: string, logFile: string) {
    super(`${server} ${reason}\nIts last log lines (${logFile}):\n${lastLines(logFile, 12)}`);
    this.name = 'ServerGaveUpError';
    this.server = server;
  }
}

interface ExitReason {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const READY_POLL_MILLIS = 40;
const RESTART_PAUSE_MILLIS = 150;
const LOG_BYTES_MAX = 20 * 1024 * 1024;

/**
 * Ends what a killed engine may have left of this server, starts it, and keeps it alive: when it dies it is started
 * again with the same plan. Resolves when it first answers; rejects with `ServerGaveUpError` when it never does.
 */
export async function supervise(server: SupervisedServer, options: SuperviseOptions): Promise<Supervision> {
  await endOrphan(server, options.logger);
  const keeper = new Keeper(server, options);
  await keeper.start();
  return keeper;
}

/** Ends the process recorded in the server's pid file, when that very process still runs. */
async function endOrphan(server: SupervisedServer, logger: Logger): Promise<void> {
  const recorded = readPidFile(server.pidFile);
  if (recorded === null) return;
  if (isSameProcessAlive(recorded)) {
    logger.warn(
      { server: server.name, orphan: recorded.pid },
      'ending a server left over by a killed engine',
    );
    await endProcess(recorded, { signal: server.stopSignal, graceMillis: server.stopMillis });
  }
  rmSync(server.pidFile, { force: true });
}

class Keeper implements Supervision {
  private readonly server: SupervisedServer;
  private readonly options: SuperviseOptions;
  private child: ChildProcess | null = null;
  private exit: Promise<ExitReason> | null = null;
  private deaths: number[] = [];
  private restartCount = 0;
  private stopping = false;
  private keeping: Promise<void> = Promise.resolve();

  constructor(server: SupervisedServer, options: SuperviseOptions) {
    this.server = server;
    this.options = options;
  }

  pid(): number | null {
    return this.child?.pid ?? null;
  }

  restarts(): number {
    return this.restartCount;
  }

  async start(): Promise<void> {
    const failure = await this.launch();
    if (failure !== null) throw new ServerGaveUpError(this.server.name, failure, this.server.logFile);
    this.keeping = this.keep();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.abandon();
    await this.endChild();
    await this.keeping;
    live.delete(this);
    rmSync(this.server.pidFile, { force: true });
  }

  /** Asked anew after every wait, because `stop` may come in the middle of one. */
  private isStopping(): boolean {
    return this.stopping;
  }

  abandon(): void {
    this.stopping = true;
    const pid = this.pid();
    if (pid !== null) sendSignal(pid, this.server.stopSignal);
  }

  /** One life: spawns the server and waits until it answers. Returns why it did not, or null. */
  private async launch(): Promise<string | null> {
    this.server.beforeLaunch?.();
    const child = spawnServer(this.server);
    const exit = exitOf(child);
    this.exit = exit.then((reason) => {
      this.child = null;
      return reason;
    });
    if (child.pid === undefined) return `could not be started: ${describeExit(await exit)}`;
    this.child = child;
    live.add(this);
    recordPid(this.server.pidFile, child.pid);
    return this.waitUntilReady(exit);
  }

  private async waitUntilReady(exit: Promise<ExitReason>): Promise<string | null> {
    const deadline = Date.now() + this.server.readyMillis;
    while (!this.isStopping()) {
      if (await this.server.isReady()) return null;
      if (Date.now() > deadline) {
        await this.endChild();
        return `did not answer within ${this.server.readyMillis / 1000} s`;
      }
      const died = await Promise.race([exit, sleep(READY_POLL_MILLIS, null)]);
      if (died !== null) return `died while starting: ${describeExit(died)}`;
    }
    return null;
  }

  /** Watches over the running child and starts the next one when it dies, until told to stop. */
  private async keep(): Promise<void> {
    let why = await this.nextDeath();
    while (!this.isStopping()) {
      const fatal = this.countDeath(why);
      if (fatal !== null) {
        this.options.onFatal(fatal);
        return;
      }
      why = (await this.startAgain(why)) ?? (await this.nextDeath());
    }
  }

  private async nextDeath(): Promise<string> {
    const reason = await (this.exit ?? Promise.resolve({ code: null, signal: null }));
    return `died: ${describeExit(reason)}`;
  }

  /** Returns why the new one did not come up, or null when it did. */
  private async startAgain(why: string): Promise<string | null> {
    const { logger } = this.options;
    logger.warn({ server: this.server.name, why }, 'starting the server again on its data');
    await sleep(RESTART_PAUSE_MILLIS);
    if (this.isStopping()) return null;
    this.restartCount += 1;
    const failure = await this.launch();
    if (failure === null) logger.info({ server: this.server.name, pid: this.pid() }, 'the server is back');
    return failure;
  }

  private countDeath(why: string): ServerGaveUpError | null {
    const maxDeaths = this.options.maxDeaths ?? 5;
    const windowMillis = this.options.windowMillis ?? 60_000;
    const now = Date.now();
    this.deaths = [...this.deaths.filter((at) => now - at < windowMillis), now];
    if (this.deaths.length < maxDeaths) return null;
    const reason = `has died ${this.deaths.length} times within ${windowMillis / 1000} s; the last time it ${why}`;
    return new ServerGaveUpError(this.server.name, reason, this.server.logFile);
  }

  private async endChild(): Promise<void> {
    const child = this.child;
    const exit = this.exit;
    if (child === null || exit === null) return;
    child.kill(this.server.stopSignal);
    // The timer must not keep a process alive that has nothing else to do.
    const late = sleep(this.server.stopMillis, false, { ref: false });
    if (await Promise.race([exit.then(() => true), late])) return;
    child.kill('SIGKILL');
    await exit;
  }
}

/**
 * The child leads a process group of its own, so that Ctrl-C in a terminal reaches the engine alone, which then stops
 * its servers last; and it writes to a file, not to a pipe that would break with the engine.
 */
function spawnServer(server: SupervisedServer): ChildProcess {
  mkdirSync(dirname(server.logFile), { recursive: true });
  rotateLog(server.logFile);
  const log = openSync(server.logFile, 'a', 0o640);
  try {
    const { command, args, env, uid, gid } = server.plan;
    return spawn(command, args, {
      detached: true,
      stdio: ['ignore', log, log],
      ...(env === undefined ? {} : { env }),
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    });
  } finally {
    closeSync(log);
  }
}

function exitOf(child: ChildProcess): Promise<ExitReason> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      resolve({ code, signal });
    });
    child.once('error', () => {
      if (child.pid === undefined) resolve({ code: null, signal: null });
    });
  });
}

function describeExit(reason: ExitReason): string {
  if (reason.signal !== null) return `signal ${reason.signal}`;
  return reason.code === null ? 'the program could not be run' : `exit code ${reason.code}`;
}

function recordPid(file: string, pid: number): void {
  mkdirSync(dirname(file), { recursive: true });
  const identity = identifyProcess(pid);
  if (identity === null) return;
  writeFileSync(`${file}.tmp`, `${JSON.stringify(identity)}\n`);
  renameSync(`${file}.tmp`, file);
}

function readPidFile(file: string): ProcessIdentity | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ProcessIdentity;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function rotateLog(file: string): void {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_BYTES_MAX) renameSync(file, `${file}.1`);
}

function lastLines(file: string, count: number): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
  } catch (error) {
    return `(unreadable: ${String(error)})`;
  }
}
