import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import './provided.js';
import { openDatabase } from '../../src/storage/db.js';
import type { Database } from '../../src/storage/db.js';

export interface TestDatabase {
  readonly url: string;
  readonly db: Database;
  /** Closes the pool and removes the database. */
  drop(): Promise<void>;
}

/** A fresh, migrated database on the run's shared Postgres: a copy of the template, in well under 0.1 s. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { templateDatabaseUrl } = inject('durabill');
  const template = new URL(templateDatabaseUrl).pathname.slice(1);
  const name = `test_${randomBytes(8).toString('hex')}`;
  const url = withDatabase(templateDatabaseUrl, name);
  // Copying the files is five times cheaper than the default, which writes them to the log as well.
  await administer(templateDatabaseUrl, `create database ${name} template ${template} strategy file_copy`);
  const db = openDatabase(url);
  return {
    url,
    db,
    async drop() {
      await db.close();
      await administer(templateDatabaseUrl, `drop database if exists ${name} with (force)`);
    },
  };
}

function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}

async function administer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: withDatabase(url, 'postgres') });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
