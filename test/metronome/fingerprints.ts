import { expect } from 'vitest';
import type { Database } from '../../src/storage/db.js';
import { refusal } from './failure.js';

/** Rows and content of every table of the schema, one text each. */
export async function fingerprints(db: Database): Promise<Map<string, string>> {
  const tables = await db.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname = 'public' order by 1`,
  );
  expect(tables.length).toBeGreaterThan(40);
  const parts = tables.map(
    ({ name }) =>
      `select '${name}' as name, count(*)::text || ' rows, ' ||
         coalesce(md5(string_agg(t::text, chr(10) order by t::text)), 'nothing') as content from ${name} t`,
  );
  const rows = await db.query<{ name: string; content: string }>(parts.join(' union all '));
  return new Map(rows.map(({ name, content }) => [name, content]));
}

/** When nothing has been written for a while. */
export async function quiet(db: Database): Promise<Map<string, string>> {
  let last = await fingerprints(db);
  for (let same = 0; same < 3; ) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const next = await fingerprints(db);
    same = JSON.stringify([...next]) === JSON.stringify([...last]) ? same + 1 : 0;
    last = next;
  }
  return last;
}

/** The call is refused like this, and every table is as it was before. */
export async function refusedUnwritten(
  db: Database,
  call: () => PromiseLike<unknown>,
  status: number,
  says: RegExp,
): Promise<void> {
  const before = await quiet(db);
  expect(await refusal(call())).toMatch(new RegExp(`^${status} .*${says.source}`, 's'));
  expect(await fingerprints(db)).toEqual(before);
}
