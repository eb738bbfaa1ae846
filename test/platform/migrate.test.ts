import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { migrate } from '../../src/storage/migrate.js';
import { createTestDatabase } from '../support/database.js';
import type { TestDatabase } from '../support/database.js';
import { makeRunDirectory } from '../support/runDirectory.js';

let database: TestDatabase;
let folder: string;

beforeEach(async () => {
  database = await createTestDatabase();
  // An empty database, not the migrated copy.
  await database.db.query('drop schema public cascade');
  await database.db.query('create schema public');
  folder = join(makeRunDirectory('migrate'), 'sql');
  mkdirSync(folder);
});

afterEach(() => database.drop());

function file(name: string, sql: string): void {
  writeFileSync(join(folder, name), sql);
}

async function tables(): Promise<string[]> {
  const rows = await database.db.query<{ name: string }>(
    "select table_name as name from information_schema.tables where table_schema = 'public' order by 1",
  );
  return rows.map((row) => row.name);
}

test('two engines that start at once apply every file exactly once', async () => {
  file('0001_first.sql', 'create table a (id int); select pg_sleep(0.2);');
  file('0002_second.sql', 'create table b (id int);');
  const [one, two] = await Promise.all([migrate(database.url, folder), migrate(database.url, folder)]);
  expect([...one.applied, ...two.applied].sort()).toEqual(['0001_first.sql', '0002_second.sql']);
  expect(await tables()).toEqual(['a', 'b', 'schema_migrations']);
});

test('a later start applies only what is new', async () => {
  file('0001_first.sql', 'create table a (id int);');
  expect(await migrate(database.url, folder)).toEqual({
    applied: ['0001_first.sql'],
    version: '0001_first.sql',
  });
  file('0002_second.sql', 'create table b (id int);');
  expect(await migrate(database.url, folder)).toEqual({
    applied: ['0002_second.sql'],
    version: '0002_second.sql',
  });
  expect((await migrate(database.url, folder)).applied).toEqual([]);
});

test('a file that fails leaves nothing of itself, and keeps what came before', async () => {
  file('0001_first.sql', 'create table a (id int);');
  file('0002_broken.sql', 'create table b (id int); select nonsense;');
  await expect(migrate(database.url, folder)).rejects.toThrow(/0002_broken.sql failed: column "nonsense"/);
  expect(await tables()).toEqual(['a', 'schema_migrations']);
});

test('a file changed after it was applied is refused, and so is a database from a newer version', async () => {
  file('0001_first.sql', 'create table a (id int);');
  await migrate(database.url, folder);
  file('0001_first.sql', 'create table a (id bigint);');
  await expect(migrate(database.url, folder)).rejects.toThrow(/0001_first.sql was changed/);
  const empty = join(folder, 'older');
  mkdirSync(empty);
  await expect(migrate(database.url, empty)).rejects.toThrow(/does not know: 0001_first.sql/);
});

test('badly named and doubly numbered files are refused', async () => {
  file('1_first.sql', 'select 1;');
  await expect(migrate(database.url, folder)).rejects.toThrow(/1_first.sql is not named/);
  folder = join(folder, 'doubled');
  mkdirSync(folder);
  file('0001_a.sql', 'select 1;');
  file('0001_b.sql', 'select 1;');
  await expect(migrate(database.url, folder)).rejects.toThrow('two migrations have the number 0001');
});

test('the real migrations build on an empty database', async () => {
  const { applied } = await migrate(database.url);
  expect(applied[0]).toBe('0001_core.sql');
  expect(await tables()).toEqual(expect.arrayContaining(['accounts', 'subscriptions', 'invoices']));
});
