import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { makeRunDirectory } from '../support/runDirectory.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

function node(args: string[], cwd = ROOT): Outcome {
  return spawnSync(process.execPath, args, { cwd, encoding: 'utf8' });
}

/** Runs one expression of a set-up module and returns its value. */
function evaluate(module: string, expression: string): unknown {
  const code = `import(${JSON.stringify(join(ROOT, 'scripts/lib', module))}).then((m) => console.log(JSON.stringify(${expression})))`;
  const { stdout, stderr } = node(['-e', code]);
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout);
}

test('with everything in place, set-up does nothing and says nothing', () => {
  expect(node(['scripts/bootstrap.mjs', 'build']).status).toBe(0);
  const stamp = join(ROOT, 'dist', 'build-stamp');
  const before = statSync(stamp).mtimeMs;
  const started = Date.now();
  expect(node(['scripts/bootstrap.mjs', 'build'])).toMatchObject({ status: 0, stdout: '', stderr: '' });
  expect(Date.now() - started).toBeLessThan(5_000);
  expect(statSync(stamp).mtimeMs).toBe(before);
});

test('an unknown command names the known ones', () => {
  const { status, stderr } = node(['scripts/bootstrap.mjs', 'strat']);
  expect(status).toBe(2);
  expect(stderr).toContain('start|demo');
});

test('an old Node is refused in one clear line, before anything that it cannot read', () => {
  const code = `require('node:module'); import(${JSON.stringify(join(ROOT, 'scripts/lib/node.mjs'))}).then((m) => m.requireNode('18.19.0'))`;
  const { status, stderr } = node(['-e', code]);
  expect(status).toBe(1);
  expect(stderr).toMatch(/^Durabill needs Node 20\.3 or newer; this is 18\.19\.0/);
  expect(evaluate('node.mjs', "[m.requireNode('20.3.0'), m.requireNode('24.0.0')].length")).toBe(2);
});

test('an install is due when nothing is there, when a version differs, and not for optional packages', () => {
  const folder = makeRunDirectory('install');
  const lock = {
    packages: {
      '': { name: 'x' },
      'node_modules/a': { version: '1.0.0' },
      'node_modules/only-on-mac': { version: '1.0.0', optional: true },
    },
  };
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lock));
  const missing = () => evaluate('install.mjs', `m.whatIsMissing(${JSON.stringify(folder)})`);
  expect(missing()).toBe('none yet');
  mkdirSync(join(folder, 'node_modules'));
  const present = (version: string) =>
    writeFileSync(
      join(folder, 'node_modules', '.package-lock.json'),
      JSON.stringify({ packages: { 'node_modules/a': { version } } }),
    );
  present('0.9.0');
  expect(missing()).toBe('node_modules/a 0.9.0, wanted 1.0.0');
  present('1.0.0');
  expect(missing()).toBeNull();
});

test('a set-up that was killed does not block the next; a running one is waited for', () => {
  const folder = makeRunDirectory('setup');
  cpSync(join(ROOT, 'scripts'), join(folder, 'scripts'), { recursive: true });
  const lockFile = join(folder, '.tools', 'bootstrap.lock');
  const use = (seconds: number) =>
    `import(${JSON.stringify(join(folder, 'scripts/lib/lock.mjs'))}).then((m) => m.withLock(${JSON.stringify(lockFile)}, ` +
    `() => new Promise((resolve) => setTimeout(resolve, ${seconds * 1000}))))`;
  mkdirSync(join(folder, '.tools'));
  const dead = spawnSync(process.execPath, ['-e', 'console.log(process.pid)'], {
    encoding: 'utf8',
  }).stdout.trim();
  writeFileSync(lockFile, dead);
  expect(node(['-e', use(0)], folder)).toMatchObject({ status: 0, stderr: '' });
  expect(statSync(lockFile, { throwIfNoEntry: false })).toBeUndefined();

  const holder = `require('fs').writeFileSync(${JSON.stringify(lockFile)}, String(process.pid)); setTimeout(() => {}, 1500)`;
  const waiter = `const { spawn } = require('child_process'); spawn(process.execPath, ['-e', ${JSON.stringify(holder)}], { stdio: 'inherit' }); setTimeout(() => { ${use(0)} }, 600)`;
  const waited = node(['-e', waiter], folder);
  expect(waited.status).toBe(0);
  expect(waited.stderr).toContain('another set-up is running in this folder');
  rmSync(folder, { recursive: true, force: true });
});

test('the two commands and the checks go through the one door', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const name of ['start', 'demo', 'test', 'check', 'build']) {
    // `exec`: npm signals its direct child alone, and a shell in between would not pass it on.
    expect(scripts[name]).toMatch(new RegExp(`^exec node (--\\S+ )*scripts/bootstrap\\.mjs ${name}$`));
  }
  expect(readFileSync(join(ROOT, '.ci', 'run'), 'utf8')).toMatch(/^exec npm test$/m);
  expect(statSync(join(ROOT, '.ci', 'run')).mode & 0o111).not.toBe(0);
});
