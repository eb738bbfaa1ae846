import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Logger } from '../logging.js';
import type { PostgresBinaries } from './postgresBinaries.js';

/** The account the server runs as; null when it is our own. */
export type ServerAccount = { readonly uid: number; readonly gid: number } | null;

const ACCOUNT = 'postgres';
/** Where things go that the server's account cannot reach in their own place. Only used as root. */
const SHARED_ROOT = '/var/lib/durabill';

/** Postgres refuses to run as root: then it gets the account `postgres`, which is made when absent. */
export function serverAccount(): ServerAccount {
  if (process.getuid?.() !== 0) return null;
  return lookUpAccount() ?? createAccount();
}

function lookUpAccount(): ServerAccount {
  try {
    const read = (flag: string) =>
      Number.parseInt(execFileSync('id', [flag, ACCOUNT], { encoding: 'utf8', stdio: 'pipe' }), 10);
    return { uid: read('-u'), gid: read('-g') };
  } catch {
    // `id` exits with 1 when there is no such account.
    return null;
  }
}

function createAccount(): ServerAccount {
  try {
    execFileSync(
      'useradd',
      ['--system', '--user-group', '--no-create-home', '--shell', '/bin/false', ACCOUNT],
      {
        stdio: 'pipe',
      },
    );
  } catch (error) {
    throw new Error(
      `Postgres cannot run as root, and the account \`${ACCOUNT}\` could not be made (${String(error)}). ` +
        'Run as another user, make that account, or set DATABASE_URL.',
    );
  }
  const account = lookUpAccount();
  if (account === null) throw new Error(`the account \`${ACCOUNT}\` was made but is not found`);
  return account;
}

/** The first folder on the way to `path` that the account cannot pass through, or null. */
export function firstClosedFolder(path: string, account: ServerAccount): string | null {
  if (account === null) return null;
  const folders: string[] = [];
  for (let folder = path; ; folder = dirname(folder)) {
    folders.unshift(folder);
    if (folder === dirname(folder)) break;
  }
  for (const folder of folders) {
    const stats = statSync(folder, { throwIfNoEntry: false });
    if (stats === undefined) return null;
    const shift = stats.uid === account.uid ? 6 : stats.gid === account.gid ? 3 : 0;
    if (((stats.mode >> shift) & 1) === 0) return folder;
  }
  return null;
}

/** The programs, or a copy of them where the account can run them (a checkout below a closed home folder). */
export function reachableBinaries(
  binaries: PostgresBinaries,
  account: ServerAccount,
  logger: Logger,
): PostgresBinaries {
  const closed = firstClosedFolder(dirname(binaries.postgres), account);
  if (closed === null) return binaries;
  if (binaries.root === null) throw new Error(`the account ${ACCOUNT} cannot pass through ${closed}`);
  const stamp = statSync(binaries.postgres);
  const name = `postgres-${binaries.majorVersion}-${stamp.size.toString(36)}-${Math.trunc(stamp.mtimeMs / 1000)}`;
  const target = join(SHARED_ROOT, 'bin', name);
  if (!existsSync(target)) {
    logger.info({ closed, target }, 'copying the Postgres programs to where its account can run them');
    const partial = `${target}.${process.pid}.partial`;
    cpSync(binaries.root, partial, { recursive: true, verbatimSymlinks: true });
    moveUnlessThere(partial, target);
  }
  return { ...binaries, root: target, ...programsIn(join(target, 'bin')) };
}

function programsIn(folder: string): Pick<PostgresBinaries, 'initdb' | 'postgres'> {
  return { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') };
}

function moveUnlessThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    rmSync(from, { recursive: true, force: true });
    // Another engine that starts right now was faster.
    if (!existsSync(to)) throw error;
  }
}

/**
 * Where the cluster lives: `<dataDir>/postgres`. The data folder is ours, so it is opened for passing through; where a
 * parent is closed to the server's account, the cluster goes below /var/lib/durabill and the data folder says where.
 */
export function reachableClusterDir(dataDir: string, account: ServerAccount, logger: Logger): string {
  const natural = join(dataDir, 'postgres');
  const note = join(dataDir, 'postgres-location');
  if (account === null) return natural;
  const noted = readNote(note);
  if (noted !== null) return noted;
  chmodSync(dataDir, statSync(dataDir).mode | 0o011);
  const closed = firstClosedFolder(dataDir, account);
  if (closed === null) return natural;
  if (existsSync(natural)) {
    throw new Error(
      `the account ${ACCOUNT} cannot pass through ${closed}: run chmod o+x on it, or move ${dataDir}`,
    );
  }
  const elsewhere = join(SHARED_ROOT, 'clusters', randomBytes(8).toString('hex'));
  mkdirSync(dirname(elsewhere), { recursive: true });
  writeFileSync(note, `${elsewhere}\n`);
  logger.warn(
    { closed, cluster: elsewhere },
    'the database lives outside the data folder: its account cannot pass',
  );
  return elsewhere;
}

function readNote(file: string): string | null {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : null;
}
