import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DataDirInUseError, lockDataDir } from '../../src/dataDir.js';
import { identifyProcess } from '../../src/processes.js';
import { makeRunDirectory } from '../support/runDirectory.js';

let dataDir: string;
let children: ChildProcess[];

beforeEach(() => {
  dataDir = makeRunDirectory('lock');
  children = [];
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
});

/** Puts a lock into the folder that belongs to a live process other than this one. */
async function heldByAnother(stopping: boolean): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  children.push(child);
  const lock = await lockDataDir(dataDir);
  lock.release();
  const holder = identifyProcess(child.pid!);
  writeFileSync(join(dataDir, 'run', 'engine.lock'), JSON.stringify({ holder, stopping }));
  return child;
}

test('a second live engine on the same folder is refused, with the pid of the first', async () => {
  const first = await heldByAnother(false);
  const error = await lockDataDir(dataDir).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(DataDirInUseError);
  expect((error as Error).message).toContain(`pid ${first.pid!}`);
  expect((error as Error).message).toContain('--data-dir');
});

test('the lock of a killed engine is taken over', async () => {
  const first = await heldByAnother(false);
  first.kill('SIGKILL');
  await new Promise((resolve) => first.once('exit', resolve));
  const lock = await lockDataDir(dataDir);
  lock.release();
});

test('an engine that is stopping is waited for', async () => {
  const first = await heldByAnother(true);
  setTimeout(() => first.kill('SIGKILL'), 2_500);
  const started = Date.now();
  const lock = await lockDataDir(dataDir);
  expect(Date.now() - started).toBeGreaterThan(2_000);
  lock.release();
});

test('many that start at once on a dead lock: one gets it', async () => {
  const first = await heldByAnother(false);
  first.kill('SIGKILL');
  await new Promise((resolve) => first.once('exit', resolve));
  const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => lockDataDir(dataDir)));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});
