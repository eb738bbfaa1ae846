import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endProcess, identifyProcess } from '../../src/processes.js';
import type { ProcessIdentity } from '../../src/processes.js';

const PREFIX = 'durabill-test-';
/** Files of bundled workflows in the folder for temporary files. */
export const BUNDLE_PREFIX = 'durabill-bundle-';
const DAY_MILLIS = 86_400_000;

/**
 * A fresh folder for the servers of a test or a run, open for passing through, because as root Postgres runs as
 * another account. Its name carries our pid, so that a later run can tell whose it was.
 */
export function makeRunDirectory(purpose: string): string {
  const folder = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-${purpose}-`));
  chmodSync(folder, 0o711);
  return folder;
}

/** Ends the servers and removes the folders of runs that were killed before they could do it themselves. */
export async function sweepAbandonedRuns(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    const owner = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (owner === undefined || identifyProcess(Number(owner)) !== null) continue;
    const folder = join(tmpdir(), name);
    await endRecordedServers(folder);
    rmSync(folder, { recursive: true, force: true });
  }
  removeOldBundles();
}

/** Bundles are shared by runs on the same sources; one that nobody has made for a day is of old sources. */
function removeOldBundles(): void {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(BUNDLE_PREFIX))) {
    const file = join(tmpdir(), name);
    const made = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - made > DAY_MILLIS) rmSync(file, { force: true });
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
