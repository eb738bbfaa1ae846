import type { Instant } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';
import { Conditions, type Page, type PageCursor, pageSql } from './pages.js';

export type TestClockStatus = 'ready' | 'advancing' | 'internal_failure';

export interface TestClockRecord {
  id: string;
  name: string | null;
  status: TestClockStatus;
  /** The time of everything on this clock. While it advances this moves from due instant to due instant. */
  frozenTime: Instant;
  /** Where a running advance goes; null when none runs. */
  targetTime: Instant | null;
  createdAt: Instant;
  deletesAfter: Instant;
}

const COLUMNS = `id, name, status, frozen_time as "frozenTime", target_time as "targetTime",
  created_at as "createdAt", deletes_after as "deletesAfter"`;

export async function insertTestClock(
  q: Queryable,
  accountId: string,
  clock: TestClockRecord,
): Promise<void> {
  await q.query(
    `insert into test_clocks (account_id, id, name, status, frozen_time, target_time, created_at, deletes_after)
     values ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [
      accountId,
      clock.id,
      clock.name,
      clock.status,
      timestamp(clock.frozenTime),
      timestamp(clock.targetTime),
      timestamp(clock.createdAt),
      timestamp(clock.deletesAfter),
    ],
  );
}

/** The clock, or null when there is none or it was deleted. `lock` holds the row until the transaction ends. */
export async function findTestClock(
  q: Queryable,
  accountId: string,
  id: string,
  lock: 'share' | 'update' | 'none' = 'none',
): Promise<TestClockRecord | null> {
  const suffix = lock === 'none' ? '' : ` for ${lock}`;
  const rows = await q.query<TestClockRecord>(
    `select ${COLUMNS} from test_clocks where account_id = $1 and id = $2 and deleted_at is null${suffix}`,
    [accountId, id],
  );
  return rows[0] ?? null;
}

/** The clocks with these ids that exist, in no particular order. */
export function findTestClocks(
  q: Queryable,
  accountId: string,
  ids: readonly string[],
): Promise<TestClockRecord[]> {
  return q.query<TestClockRecord>(
    `select ${COLUMNS} from test_clocks where account_id = $1 and id = any($2) and deleted_at is null`,
    [accountId, ids],
  );
}

/** Clocks that were not deleted, in the order of the page. */
export function listTestClocks(q: Queryable, accountId: string, page: Page): Promise<TestClockRecord[]> {
  const conditions = new Conditions();
  conditions.equal('account_id', accountId);
  conditions.where('deleted_at is null');
  const end = pageSql(conditions, page, 'test_clocks');
  return q.query<TestClockRecord>(`select ${COLUMNS} from test_clocks ${end}`, conditions.values);
}

/** Begins an advance. The caller has locked the row and checked that the clock is ready. */
export async function startAdvance(
  q: Queryable,
  accountId: string,
  id: string,
  target: Instant,
): Promise<void> {
  await q.query(
    `update test_clocks set status = 'advancing', target_time = $3 where account_id = $1 and id = $2`,
    [accountId, id, timestamp(target)],
  );
}

/** Moves an advancing clock forward; a clock never goes back, so a repeated call does no harm. */
export async function moveTestClock(q: Queryable, accountId: string, id: string, to: Instant): Promise<void> {
  await q.query(
    `update test_clocks set frozen_time = greatest(frozen_time, $3)
     where account_id = $1 and id = $2 and status = 'advancing'`,
    [accountId, id, timestamp(to)],
  );
}

/** Ends an advance at its target. False when it had ended already. */
export async function finishAdvance(
  q: Queryable,
  accountId: string,
  id: string,
  status: 'ready' | 'internal_failure',
): Promise<boolean> {
  const rows = await q.query<{ id: string }>(
    `update test_clocks
     set status = $3, target_time = null,
         frozen_time = case when $3 = 'ready' then target_time else frozen_time end
     where account_id = $1 and id = $2 and status = 'advancing' returning id`,
    [accountId, id, status],
  );
  return rows.length > 0;
}

export async function deleteTestClock(
  q: Queryable,
  accountId: string,
  id: string,
  at: Instant,
): Promise<void> {
  await q.query('update test_clocks set deleted_at = $3 where account_id = $1 and id = $2', [
    accountId,
    id,
    timestamp(at),
  ]);
}

/** Clocks that say they are advancing, for reconcile: their workflow may be missing. */
export function findAdvancingClocks(
  q: Queryable,
): Promise<{ accountId: string; testClockId: string; target: Instant }[]> {
  return q.query(
    `select account_id as "accountId", id as "testClockId", target_time as target from test_clocks
     where status = 'advancing' and deleted_at is null`,
  );
}

export async function findTestClockCursor(
  q: Queryable,
  accountId: string,
  id: string,
): Promise<PageCursor | null> {
  const rows = await q.query<PageCursor>(
    'select created_at as "createdAt", id from test_clocks where account_id = $1 and id = $2',
    [accountId, id],
  );
  return rows[0] ?? null;
}
