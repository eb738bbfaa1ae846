import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

export interface MigrateResult {
  /** Names of the files applied by this call, in order. */
  readonly applied: readonly string[];
  /** The newest file that the database now has. */
  readonly version: string | null;
}

interface Migration {
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
}

export const MIGRATIONS_DIR = fileURLToPath(new URL('./migrations/', import.meta.url));

/** Any number will do, as long as every engine takes the same one. */
const LOCK_KEY = 7_283_104_511;
const FILE_NAME = /^\d{4}_[a-z0-9_]+\.sql$/;

const CREATE_TABLE = `
  create table if not exists schema_migrations (
    name text primary key,
    checksum text not null,
    applied_at timestamptz not null default now()
  )`;

/**
 * Brings the database up to date: applies the numbered files of `src/storage/migrations` that it does not have, each in
 * a transaction of its own. A second engine that starts meanwhile waits, then finds nothing to do. Rejects when a file
 * that was applied has been changed since, or when the database is newer than this program.
 */
export async function migrate(databaseUrl: string, folder: string = MIGRATIONS_DIR): Promise<MigrateResult> {
  const migrations = readMigrations(folder);
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'durabill migrate' });
  await client.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [LOCK_KEY]);
    await client.query(CREATE_TABLE);
    const done = await readApplied(client);
    refuseUnknown(migrations, done);
    const applied: string[] = [];
    for (const migration of migrations) {
      if (isApplied(migration, done)) continue;
      await apply(client, migration);
      applied.push(migration.name);
    }
    return { applied, version: migrations.at(-1)?.name ?? null };
  } finally {
    // The lock belongs to the session and goes with it.
    await client.end();
  }
}

function readMigrations(folder: string): Migration[] {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .sort();
  const numbers = new Set<string>();
  return names.map((name) => {
    if (!FILE_NAME.test(name)) throw new Error(`migration ${name} is not named NNNN_what_it_does.sql`);
    const number = name.slice(0, 4);
    if (numbers.has(number)) throw new Error(`two migrations have the number ${number}`);
    numbers.add(number);
    const sql = readFileSync(join(folder, name), 'utf8');
    return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
  });
}

async function readApplied(client: pg.Client): Promise<Map<string, string>> {
  const result = await client.query<{ name: string; checksum: string }>(
    'select name, checksum from schema_migrations order by name',
  );
  return new Map(result.rows.map((row) => [row.name, row.checksum]));
}

function refuseUnknown(migrations: readonly Migration[], done: ReadonlyMap<string, string>): void {
  const known = new Set(migrations.map((migration) => migration.name));
  const unknown = [...done.keys()].filter((name) => !known.has(name));
  if (unknown.length === 0) return;
  throw new Error(`the database has migrations that this version does not know: ${unknown.join(', ')}`);
}

function isApplied(migration: Migration, done: ReadonlyMap<string, string>): boolean {
  const checksum = done.get(migration.name);
  if (checksum === undefined) return false;
  if (checksum === migration.checksum) return true;
  throw new Error(`migration ${migration.name} was changed after it was applied; add a new file instead`);
}

async function apply(client: pg.Client, migration: Migration): Promise<void> {
  await client.query('begin');
  try {
    await client.query(migration.sql);
    await client.query('insert into schema_migrations (name, checksum) values ($1, $2)', [
      migration.name,
      migration.checksum,
    ]);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw new Error(`migration ${migration.name} failed: ${(error as Error).message}`, { cause: error });
  }
}
