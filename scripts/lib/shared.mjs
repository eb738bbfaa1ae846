import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** A set-up step failed; the message says which and what to do. */
export class SetUpError extends Error {}

/** Says on stderr what takes a while. */
export function say(message) {
  process.stderr.write(`durabill: ${message}\n`);
}

/** Runs a program to its end with all its output on stderr. Throws when it fails. */
export function runStep(title, command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: ROOT, stdio: ['ignore', 2, 2], ...options });
  if (result.error !== undefined) throw new SetUpError(`${title} failed: ${result.error.message}`);
  if (result.status !== 0)
    throw new SetUpError(`${title} failed (${result.signal ?? `exit code ${result.status}`})`);
}
