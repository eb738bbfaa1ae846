import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findContractAt } from '../../src/storage/earlierTerms.js';
import { migrate, MIGRATIONS_DIR } from '../../src/storage/migrate.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { makeRunDirectory } from '../support/runDirectory.js';

let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
  // An empty database, not the migrated copy.
  await database.db.query('drop schema public cascade');
  await database.db.query('create schema public');
});

afterEach(() => database.drop());

test('edits of an older version are still seen by reads as of an earlier instant', async () => {
  const older = join(makeRunDirectory('earlier'), 'sql');
  mkdirSync(older);
  const files = readdirSync(MIGRATIONS_DIR).filter((name) => name < '0025');
  for (const name of files) copyFileSync(join(MIGRATIONS_DIR, name), join(older, name));
  await migrate(database.url, older);
  const contractId = crypto.randomUUID();
  // The contract's customer and account don't matter here.
  await database.db.query(`
    set session_replication_role = replica;
    insert into contracts (account_id, id, customer_id, starting_at, terms, created_at)
      values ('acct', '${contractId}', 'cus', '2024-01-01Z', '{"now": true}', '2024-01-01Z');
    insert into contract_edits (account_id, contract_id, id, at, edit, terms_before) values
      ('acct', '${contractId}', gen_random_uuid(), '2024-02-01Z', '{}',
        '{"name": "First", "endingBefore": 1735689600000, "document": {"edits": "none"}}'),
      ('acct', '${contractId}', gen_random_uuid(), '2024-03-01Z', '{}',
        '{"name": null, "endingBefore": null, "document": {"edits": "one"}}');
    set session_replication_role = default`);
  await migrate(database.url);
  const at = (instant: string) =>
    findContractAt(database.db, { accountId: 'acct', contractId }, Date.parse(instant));
  expect(await at('2024-01-31T23:59:59Z')).toEqual({
    name: 'First',
    endingBefore: Date.parse('2025-01-01T00:00:00Z'),
    document: { edits: 'none' },
    archivedAt: null,
  });
  expect(await at('2024-02-01T00:00:00Z')).toMatchObject({
    name: null,
    endingBefore: null,
    document: { edits: 'one' },
  });
  expect(await at('2024-03-01T00:00:00Z')).toBeNull();
});
