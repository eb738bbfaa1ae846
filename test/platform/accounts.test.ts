import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ensureDefaultAccount, findApiKey, newSecretKey } from '../../src/storage/accounts.js';
import { createTestDatabase } from '../support/database.js';
import type { TestDatabase } from '../support/database.js';
import { makeRunDirectory } from '../support/runDirectory.js';

let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
});

afterEach(() => database.drop());

test('the key is the same after a restart, works, and is nowhere in the database', async () => {
  const dataDir = makeRunDirectory('key');
  const first = await ensureDefaultAccount(database.db, { dataDir });
  expect(first.apiKey).toMatch(/^sk_test_[0-9A-Za-z]{48}$/);
  expect(await ensureDefaultAccount(database.db, { dataDir })).toEqual(first);
  expect(await findApiKey(database.db, first.apiKey)).toMatchObject({
    accountId: first.accountId,
    livemode: false,
    type: 'secret',
  });
  expect(statSync(join(dataDir, 'api-key')).mode & 0o777).toBe(0o600);
  const rows = await database.db.query('select to_jsonb(api_keys)::text as row from api_keys');
  expect(rows).toHaveLength(1);
  expect(JSON.stringify(rows)).not.toContain(first.apiKey.slice(8, -4));
});

test('engines that start at once on an empty database share one account, each with a key of its own', async () => {
  const outcomes = await Promise.all(
    [1, 2, 3].map(() => ensureDefaultAccount(database.db, { dataDir: makeRunDirectory('key') })),
  );
  expect(new Set(outcomes.map(({ accountId }) => accountId)).size).toBe(1);
  expect(new Set(outcomes.map(({ apiKey }) => apiKey)).size).toBe(3);
});

test('a key file without its database keeps its key; a revoked key is replaced', async () => {
  const dataDir = makeRunDirectory('key');
  const kept = newSecretKey();
  writeFileSync(join(dataDir, 'api-key'), `${kept}\n`);
  expect((await ensureDefaultAccount(database.db, { dataDir })).apiKey).toBe(kept);

  await database.db.query('update api_keys set revoked_at = now()');
  expect(await findApiKey(database.db, kept)).toBeNull();
  const { apiKey } = await ensureDefaultAccount(database.db, { dataDir });
  expect(apiKey).not.toBe(kept);
  expect(readFileSync(join(dataDir, 'api-key'), 'utf8').trim()).toBe(apiKey);
  expect(await findApiKey(database.db, apiKey)).not.toBeNull();
});

test('an unknown secret finds nothing', async () => {
  expect(await findApiKey(database.db, newSecretKey())).toBeNull();
  expect(await findApiKey(database.db, '')).toBeNull();
});
