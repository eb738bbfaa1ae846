import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process told apart from a later one that got the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in the words of the operating system; compared, never parsed. */
  readonly startedAt: string;
  /** Its command line, for messages. */
  readonly command: string;
}

const POLL_MILLIS = 25;

/** Describes a running process, or null when there is none with that pid (a zombie counts as none). */
export function identifyProcess(pid: number): ProcessIdentity | null {
  if (!Number.isInteger(pid) || pid <= 0) return null;
  return process.platform === 'linux' ? identifyOnLinux(pid) : identifyWithPs(pid);
}

function identifyOnLinux(pid: number): ProcessIdentity | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold spaces and parentheses itself; what follows the last one is regular.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const state = fields[0];
    const startTicks = fields[19];
    if (state === undefined || startTicks === undefined || 'ZX'.includes(state)) return null;
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return { pid, startedAt: `${boot}/${startTicks}`, command };
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}

function identifyWithPs(pid: number): ProcessIdentity | null {
  try {
    const output = execFileSync('ps', ['-o', 'stat=,lstart=,command=', '-p', String(pid)], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
    // "Ss   Tue Nov 24 18:36:53 2026 postgres -D …": lstart is always five words.
    const words = output.split(/\s+/);
    if (words.length < 6 || words[0]?.startsWith('Z') === true) return null;
    return { pid, startedAt: words.slice(1, 6).join(' '), command: words.slice(6).join(' ') };
  } catch (error) {
    // ps exits with 1 when there is no such process.
    if ((error as { status?: unknown }).status === 1) return null;
    throw error;
  }
}

function isGone(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ESRCH';
}

/** Whether the very process described still runs: same pid and same start. */
export function isSameProcessAlive(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.startedAt === identity.startedAt;
}

/**
 * Ends a process by its identity: the polite signal, then SIGKILL when it still runs after `graceMillis`. Resolves
 * once it is gone; does nothing when it already is. Rejects when the operating system forbids it.
 */
export async function endProcess(
  identity: ProcessIdentity,
  options: { signal?: NodeJS.Signals; graceMillis?: number } = {},
): Promise<void> {
  if (!isSameProcessAlive(identity)) return;
  sendSignal(identity.pid, options.signal ?? 'SIGTERM');
  if (await waitUntilGone(identity, options.graceMillis ?? 10_000)) return;
  sendSignal(identity.pid, 'SIGKILL');
  if (await waitUntilGone(identity, 5_000)) return;
  throw new Error(`process ${identity.pid} (${identity.command}) survives SIGKILL`);
}

/** Sends a signal; a process that is already gone is no error. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

async function waitUntilGone(identity: ProcessIdentity, millis: number): Promise<boolean> {
  const deadline = Date.now() + millis;
  while (isSameProcessAlive(identity)) {
    if (Date.now() >= deadline) return false;
    await sleep(POLL_MILLIS);
  }
  return true;
}
