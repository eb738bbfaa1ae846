import { Connection } from '@temporalio/client';
import { expect, inject, test } from 'vitest';
import { SEARCH_ATTRIBUTES } from '../../src/temporal/names.js';
import { createTestDatabase } from '../support/database.js';

test('every test gets a migrated database of its own, and it is gone afterwards', async () => {
  const first = await createTestDatabase();
  const second = await createTestDatabase();
  await first.db.query('create table only_in_first (id int)');

  const tables = await second.db.query<{ name: string }>(
    "select table_name as name from information_schema.tables where table_schema = 'public'",
  );
  const names = tables.map((row) => row.name);
  expect(names).toContain('schema_migrations');
  expect(names).not.toContain('only_in_first');

  await first.drop();
  await expect(first.db.query('select 1')).rejects.toThrow();
  await second.drop();
});

test('the shared Temporal server knows our search attributes', async () => {
  const connection = await Connection.connect({ address: inject('durabill').temporalAddress });
  const answer = await connection.operatorService.listSearchAttributes({ namespace: 'default' });
  expect(Object.keys(answer.customAttributes)).toEqual(
    expect.arrayContaining(Object.keys(SEARCH_ATTRIBUTES)),
  );
  await connection.close();
});
