import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { say, SetUpError } from './shared.mjs';

const WAIT_MILLIS = 15 * 60_000;

/** Runs `work` while no other set-up runs in this folder; waits for one that does. A dead holder's lock is taken over. */
export async function withLock(file, work) {
  mkdirSync(dirname(file), { recursive: true });
  const deadline = Date.now() + WAIT_MILLIS;
  for (let waited = false; !tryLock(file); waited = true) {
    if (!waited) say('another set-up is running in this folder; waiting for it');
    if (Date.now() > deadline)
      throw new SetUpError(`gave up waiting; if no other set-up runs, remove ${file}`);
    await sleep(200);
  }
  try {
    await work();
  } finally {
    rmSync(file, { force: true });
  }
}

function tryLock(file) {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    if (!holderIsDead(file)) return false;
    rmSync(file, { force: true });
    return tryLock(file);
  }
}

function holderIsDead(file) {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    // Empty: the holder is between creating and writing it.
    if (pid === 0) return false;
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}
