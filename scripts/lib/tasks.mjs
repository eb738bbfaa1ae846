import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from './shared.mjs';

const bin = (path) => join(ROOT, 'node_modules', path);

/** The checks of `npm run check`, slowest first: two run at a time. */
export const CHECKS = [
  { name: 'lint', args: [bin('eslint/bin/eslint.js'), '.', '--max-warnings', '0'] },
  {
    name: 'types',
    // Remembers what it has checked, so that a second run looks only at what has changed.
    args: [
      ...[bin('typescript/bin/tsc'), '--noEmit', '-p', 'tsconfig.json'],
      ...['--incremental', '--tsBuildInfoFile', '.tools/types.tsbuildinfo'],
    ],
  },
  { name: 'architecture', args: ['scripts/architecture.mjs'] },
  { name: 'unused', args: [bin('knip/bin/knip.js'), '--no-progress'] },
  { name: 'format', args: [bin('@biomejs/biome/bin/biome'), 'format', '.'] },
];

/**
 * Runs the checks, two at a time, and reports each to `onDone` as it ends. Returns the results in the given order:
 * `{ name, ok, seconds, output }`.
 */
export async function runChecks(checks, onDone) {
  const results = new Array(checks.length);
  let next = 0;
  const lane = async () => {
    while (next < checks.length) {
      const index = next;
      next += 1;
      results[index] = await runCheck(checks[index]);
      onDone(results[index]);
    }
  };
  await Promise.all([lane(), lane()]);
  return results;
}

function runCheck({ name, args }) {
  const start = Date.now();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.on('error', (error) => (output += String(error)));
    child.on('close', (code) => {
      resolve({ name, ok: code === 0, seconds: (Date.now() - start) / 1000, output: output.trim() });
    });
  });
}

/** One line for a check that passed; the check's own words for one that failed. */
export function describeCheck({ name, ok, seconds, output }) {
  const line = `${ok ? 'ok    ' : 'FAILED'} ${name} (${seconds.toFixed(1)} s)`;
  return ok ? line : `${line}\n${output}\n`;
}
