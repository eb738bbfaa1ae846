import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';
import type { Logger } from '@temporalio/worker';
import type { WorkflowBundle } from './provided.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Ignored by git, and not writable for strangers as the folder for temporary files is. */
const CACHE = join(ROOT, '.tools', 'test-bundles');
const DAY_MILLIS = 86_400_000;
const SOURCES = ['workflows', 'src', 'package-lock.json'];

const QUIET: Logger = {
  log: () => undefined,
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: (message) => process.stderr.write(`${message}\n`),
  error: (message) => process.stderr.write(`${message}\n`),
};

/**
 * Bundles the workflows once for all test files, and again only when a source has changed. A failure is handed on
 * instead of thrown, so that it fails the tests that need workflows and no others.
 */
export async function buildWorkflowBundle(): Promise<WorkflowBundle> {
  try {
    return { path: await bundle(join(ROOT, 'workflows', 'index.ts')) };
  } catch (error) {
    return { problem: String(error) };
  }
}

async function bundle(entry: string): Promise<string> {
  const hash = createHash('sha256').update(entry);
  for (const source of SOURCES) addToHash(hash, join(ROOT, source));
  const file = join(CACHE, `${hash.digest('hex')}.js`);
  if (existsSync(file)) return file;
  mkdirSync(CACHE, { recursive: true });
  removeOldBundles();
  const { code } = await bundleWorkflowCode({ workflowsPath: entry, logger: QUIET });
  const partial = `${file}.${process.pid}`;
  writeFileSync(partial, code);
  renameSync(partial, file);
  return file;
}

/** One that was not made today is of old sources. */
function removeOldBundles(): void {
  for (const name of readdirSync(CACHE)) {
    const made = statSync(join(CACHE, name), { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - made > DAY_MILLIS) rmSync(join(CACHE, name), { force: true });
  }
}

function addToHash(hash: ReturnType<typeof createHash>, path: string): void {
  const entries = listTree(path);
  for (const file of entries) hash.update(file).update(readFileSync(file));
}

function listTree(path: string): string[] {
  if (!existsSync(path)) return [];
  if (path.endsWith('.json')) return [path];
  return readdirSync(path, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
