import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identifyProcess, isSameProcessAlive } from './processes.js';
import type { ProcessIdentity } from './processes.js';

/** The right to use a data folder, held by one engine at a time. */
export interface DataDirLock {
  /** Says that this engine is on its way out, so that the next one waits instead of giving up. */
  markStopping(): void;
  release(): void;
}

/** Another engine uses the data folder. */
export class DataDirInUseError extends Error {
  constructor(dataDir: string, holder: ProcessIdentity) {
    super(
      `another engine (pid ${holder.pid}: ${holder.command}) uses ${dataDir}. ` +
        'Stop it first, or give this one a folder of its own with --data-dir.',
    );
    this.name = 'DataDirInUseError';
  }
}

interface LockContent {
  readonly holder: ProcessIdentity;
  readonly stopping: boolean;
}

const POLL_MILLIS = 100;
/** A holder that was just killed may take a moment to be gone. */
const RUNNING_PATIENCE_MILLIS = 1_500;
/** Longer than an engine's own deadline for stopping. */
const STOPPING_PATIENCE_MILLIS = 35_000;

/**
 * Takes the data folder, which is made when absent. Waits for an engine that is stopping; a lock whose holder is dead
 * (killed, or the machine restarted) is taken over. Rejects with `DataDirInUseError` when a live engine holds it.
 */
export async function lockDataDir(dataDir: string): Promise<DataDirLock> {
  mkdirSync(join(dataDir, 'run'), { recursive: true });
  const file = join(dataDir, 'run', 'engine.lock');
  const own = identifyProcess(process.pid);
  if (own === null) throw new Error('cannot read our own process from the operating system');
  const started = Date.now();
  while (!tryTake(file, own)) {
    const content = readLock(file);
    if (content === null) continue;
    const patience = content.stopping ? STOPPING_PATIENCE_MILLIS : RUNNING_PATIENCE_MILLIS;
    if (Date.now() - started > patience) throw new DataDirInUseError(dataDir, content.holder);
    await sleep(POLL_MILLIS);
  }
  return {
    markStopping() {
      replaceFile(file, JSON.stringify({ holder: own, stopping: true } satisfies LockContent));
    },
    release() {
      rmSync(file, { force: true });
    },
  };
}

/** Takes a free lock, or one whose holder is dead. A link to a complete file is made in one step or not at all. */
function tryTake(file: string, own: ProcessIdentity): boolean {
  const before = readLock(file);
  if (before !== null) {
    if (isSameProcessAlive(before.holder)) return false;
    removeStale(file, before);
  }
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, JSON.stringify({ holder: own, stopping: false } satisfies LockContent));
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Moves the dead holder's file away; gives it back when it turns out to be another engine's, which was faster. */
function removeStale(file: string, stale: LockContent): void {
  const aside = `${file}.${process.pid}.stale`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (readLock(aside)?.holder.startedAt === stale.holder.startedAt) rmSync(aside);
  else renameSync(aside, file);
}

function readLock(file: string): LockContent | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as LockContent;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function replaceFile(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}
