import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { identifyProcess } from '../processes.js';
import type { ServerAccount } from './postgresAccount.js';
import type { PostgresBinaries } from './postgresBinaries.js';

export interface ClusterSpec {
  readonly binaries: PostgresBinaries;
  readonly clusterDir: string;
  readonly account: ServerAccount;
  readonly user: string;
  readonly password: string;
}

/**
 * Makes the cluster when it is not there. It is made beside its place and moved when complete, so that a kill in the
 * middle leaves nothing half done. Throws when the cluster there is of another major version.
 */
export function ensureCluster(spec: ClusterSpec): void {
  const versionFile = join(spec.clusterDir, 'PG_VERSION');
  if (existsSync(versionFile)) {
    const version = readFileSync(versionFile, 'utf8').trim();
    if (version === String(spec.binaries.majorVersion)) return;
    throw new Error(
      `${spec.clusterDir} was made by Postgres ${version}, but ${spec.binaries.postgres} is version ` +
        `${spec.binaries.majorVersion}. Set DURABILL_POSTGRES_BIN to version ${version}'s programs, or upgrade it.`,
    );
  }
  const partial = `${spec.clusterDir}.new`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(dirname(partial), { recursive: true });
  mkdirSync(partial, { mode: 0o700 });
  if (spec.account !== null) chownSync(partial, spec.account.uid, spec.account.gid);
  runInitdb(spec, partial);
  renameSync(partial, spec.clusterDir);
}

function runInitdb(spec: ClusterSpec, target: string): void {
  const passwordFile = join(target, '..', `.initdb-${process.pid}`);
  writeFileSync(passwordFile, `${spec.password}\n`, { mode: 0o600 });
  if (spec.account !== null) chownSync(passwordFile, spec.account.uid, spec.account.gid);
  const args = [
    ...['--pgdata', target, '--username', spec.user, '--pwfile', passwordFile, '--auth=scram-sha-256'],
    // Text sorts by code point on every machine; people's names are compared, never collated.
    ...['--encoding=UTF8', '--no-locale', '--no-instructions'],
  ];
  try {
    const result = spawnSync(spec.binaries.initdb, args, {
      encoding: 'utf8',
      // initdb looks at its working folder, which may be closed to the account.
      cwd: tmpdir(),
      env: { ...process.env, LC_ALL: 'C' },
      ...(spec.account ?? {}),
    });
    if (result.error !== undefined) throw new Error(`${spec.binaries.initdb}: ${result.error.message}`);
    if (result.status !== 0)
      throw new Error(`initdb failed (${result.status ?? 'killed'}): ${result.stderr.trim()}`);
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

/** The pid in the cluster's own lock file, or null without one. */
export function postmasterPid(clusterDir: string): number | null {
  try {
    const pid = Number.parseInt(readFileSync(join(clusterDir, 'postmaster.pid'), 'utf8'), 10);
    return Number.isInteger(pid) ? pid : null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Removes a lock file whose pid now belongs to some other program, as after a reboot: Postgres would take it for a
 * running server and refuse. A pid that is gone it recognises itself.
 */
export function clearStalePostmasterPid(clusterDir: string): void {
  const pid = postmasterPid(clusterDir);
  if (pid === null) return;
  const identity = identifyProcess(pid);
  if (identity !== null && !identity.command.includes(clusterDir)) rmSync(join(clusterDir, 'postmaster.pid'));
}
