import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, runStep, say } from './shared.mjs';

/** Installs the dependencies when node_modules does not hold what package-lock.json asks for. */
export function installWhenNeeded(root = ROOT) {
  const problem = whatIsMissing(root);
  if (problem === null) return false;
  say(`installing dependencies (${problem})`);
  // The lock file holds what was tested; some tools in it ask for a newer Node 20 than running Durabill needs.
  const tolerant = ['--no-engine-strict', '--no-audit', '--no-fund', '--loglevel=error'];
  const args = ['ci', '--include=dev', '--include=optional', ...tolerant];
  const npm = process.env.npm_execpath;
  if (npm !== undefined && /\.c?js$/.test(npm))
    runStep('npm ci', process.execPath, [npm, ...args], { cwd: root });
  else runStep('npm ci', 'npm', args, { cwd: root, shell: process.platform === 'win32' });
  return true;
}

/**
 * Compares the lock file with the one that npm leaves in node_modules when an install is complete. Returns the first
 * difference, or null. An optional package may be absent: npm leaves out those of other platforms.
 */
export function whatIsMissing(root) {
  const wanted = readPackages(join(root, 'package-lock.json'));
  if (wanted === null) throw new Error('package-lock.json is missing');
  const present = readPackages(join(root, 'node_modules', '.package-lock.json'));
  if (present === null) return 'none yet';
  for (const [path, wish] of Object.entries(wanted)) {
    if (path === '' || wish.link === true) continue;
    const found = present[path];
    if (found === undefined && (wish.optional === true || wish.devOptional === true)) continue;
    if (found?.version !== wish.version)
      return `${path} ${found?.version ?? 'absent'}, wanted ${wish.version}`;
  }
  return null;
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}
