import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endProcess, identifyProcess } from '../../src/processes.js';
import type { ProcessIdentity } from '../../src/processes.js';

const PREFIX = 'durabill-test-';

/**
 * A fresh folder for the servers of a test or a run, open for passing through, because as root Postgres runs as
 * another account. Its name carries our pid, so that a later run can tell whose it was.
 */
export function makeRunDirectory(purpose: string): string {
  const folder = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-${purpose}-`));
  chmodSync(folder, 0o711);
  return folder;
}

/** Ends the servers and removes the folders of our own runs that were killed before they could do it themselves. */
export async function sweepAbandonedRuns(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    const owner = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (owner === undefined || identifyProcess(Number(owner)) !== null) continue;
    const folder = join(tmpdir(), name);
    if (statSync(folder, { throwIfNoEntry: false })?.uid !== process.getuid?.()) continue;
    try {
      await endRecordedServers(folder);
      rmSync(folder, { recursive: true, force: true });
    } catch (error) {
      // Another run may be sweeping the same folder; what is left is swept by the next.
      process.stderr.write(`could not remove ${folder}: ${String(error)}\n`);
    }
  }
}

/** Ends every server whose pid a data folder records. */
export async function endRecordedServers(dataDir: string): Promise<void> {
  const run = join(dataDir, 'run');
  for (const file of listFiles(run)) {
    const identity = JSON.parse(readFileSync(join(run, file), 'utf8')) as ProcessIdentity;
    await endProcess(identity, { signal: 'SIGINT', graceMillis: 5_000 });
  }
}

function listFiles(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.json'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
