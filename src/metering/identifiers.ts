import type { Instant } from '../domain/period.js';
import type { Database, Queryable, Transaction } from '../storage/db.js';
import { timestamp } from '../storage/db.js';
import { plainArray, textArray } from './arrays.js';
import { SELDOM_VACUUMED } from './partitions.js';

/** How long an identifier is remembered, by the time of arrival. Events may be 35 days old, so a repeat may be too. */
export const IDENTIFIER_RETENTION_MS = 35 * 24 * 3600 * 1000;

/**
 * Writers hold it shared while they write identifiers; whoever changes the list of generations holds it alone. The SQL
 * function `take_new_identifiers` knows the number too.
 */
const GENERATIONS_LOCK_KEY = 7_283_104_513;

export interface IdentifierRow {
  accountId: string;
  identifier: string;
  seriesId: string;
  timestamp: Instant;
  arrival: bigint;
  keyHash: bigint | null;
  requestHash: bigint | null;
}

/**
 * Holds the list of generations still until the transaction ends, and draws the batch's number. Without the lock two
 * writers on either side of a rotation could both take the same identifier, each in its own generation.
 */
export async function holdGenerations(tx: Transaction): Promise<{ newest: number; batch: bigint }> {
  await tx.queryNamed('metering_hold', `select pg_advisory_xact_lock_shared(${GENERATIONS_LOCK_KEY})`, []);
  // A statement of its own: it must see what was committed while the lock was waited for.
  const rows = await tx.queryNamed<{ newest: number | null; batch: bigint }>(
    'metering_generations',
    `select max(generation) as newest, nextval('meter_event_batches') as batch from identifier_generations`,
    [],
  );
  const { newest = null, batch = 0n } = rows[0] ?? {};
  if (newest === null) throw new Error('there is no generation of identifiers');
  return { newest, batch };
}

const TAKE_FREE = `
  with taken as (
    insert into meter_event_identifiers
      (generation, account_id, identifier, series_id, event_ms, arrival, key_hash, request_hash)
    select $1, ($2::text[])[w.account], w.identifier, w.series_id, w.event_ms, w.arrival, w.key_hash, w.request_hash
    from unnest($3::integer[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[])
      as w (account, identifier, series_id, event_ms, arrival, key_hash, request_hash)
    where not exists (
      select from meter_event_identifiers o
      where o.generation < $1 and o.account_id = ($2::text[])[w.account] and o.identifier = w.identifier
    )
    on conflict (generation, account_id, identifier) do nothing
    returning 1
  )
  select count(*)::integer as count from taken`;

/**
 * Takes the identifiers that are free, and returns how many were. The rows must be sorted by account and identifier
 * and hold no identifier twice, so that two writers with the same ones wait for each other in one order.
 */
export async function takeFreeIdentifiers(
  tx: Transaction,
  newest: number,
  rows: readonly IdentifierRow[],
): Promise<number> {
  const inserted = await tx.queryNamed<{ count: number }>('metering_take_free', TAKE_FREE, [
    newest,
    ...rowParameters(rows),
  ]);
  return inserted[0]?.count ?? 0;
}

function rowParameters(rows: readonly IdentifierRow[]): unknown[] {
  const accounts = [...new Set(rows.map((row) => row.accountId))];
  const place = new Map(accounts.map((accountId, index) => [accountId, index + 1]));
  return [
    accounts,
    plainArray(rows, (row) => place.get(row.accountId) ?? 0),
    textArray(rows, (row) => row.identifier),
    plainArray(rows, (row) => row.seriesId),
    plainArray(rows, (row) => row.timestamp),
    plainArray(rows, (row) => row.arrival),
    plainArray(rows, (row) => row.keyHash),
    plainArray(rows, (row) => row.requestHash),
  ];
}

/** Who has these identifiers, in any generation. */
export async function findIdentifiers(
  q: Queryable,
  wanted: readonly { accountId: string; identifier: string }[],
): Promise<IdentifierRow[]> {
  const found = await q.queryNamed<Omit<IdentifierRow, 'timestamp'> & { eventMs: bigint }>(
    'metering_find_identifiers',
    `select i.account_id as "accountId", i.identifier, i.series_id::text as "seriesId", i.event_ms as "eventMs",
       i.arrival, i.key_hash as "keyHash", i.request_hash as "requestHash"
     from unnest($1::text[], $2::text[]) as w (account_id, identifier)
     join identifier_generations g on true
     join meter_event_identifiers i
       on i.generation = g.generation and i.account_id = w.account_id and i.identifier = w.identifier`,
    [textArray(wanted, (one) => one.accountId), textArray(wanted, (one) => one.identifier)],
  );
  return found.map(({ eventMs, ...row }) => ({ ...row, timestamp: Number(eventMs) }));
}

export interface Rotation {
  opened: number | null;
  dropped: number[];
}

/**
 * Opens a new generation when the newest has been written for the whole retention, and drops those that were closed so
 * long ago that nothing in them need be remembered. So there are two or three, never more. Writers wait for the moment
 * it takes.
 */
export function rotateIdentifiers(db: Database, now: Instant): Promise<Rotation> {
  return db.transaction(async (tx) => {
    await tx.query('select pg_advisory_xact_lock($1)', [GENERATIONS_LOCK_KEY]);
    const rows = await tx.query<{ generation: number; openedAt: Instant; closedAt: Instant | null }>(
      `select generation, opened_at as "openedAt", closed_at as "closedAt" from identifier_generations
       order by generation desc`,
    );
    const [newest] = rows;
    if (newest === undefined) throw new Error('there is no generation of identifiers');
    const old = rows.filter(({ closedAt }) => closedAt !== null && closedAt <= now - IDENTIFIER_RETENTION_MS);
    for (const { generation } of old) {
      await tx.query('delete from identifier_generations where generation = $1', [generation]);
      await tx.query(`drop table meter_event_identifiers_${generation}`);
    }
    const dropped = old.map((row) => row.generation);
    if (newest.openedAt > now - IDENTIFIER_RETENTION_MS) return { opened: null, dropped };
    const opened = newest.generation + 1;
    await tx.query(
      `create table meter_event_identifiers_${opened} partition of meter_event_identifiers for values in (${opened})
       with (${SELDOM_VACUUMED})`,
    );
    await tx.query('update identifier_generations set closed_at = $2 where generation = $1', [
      newest.generation,
      timestamp(now),
    ]);
    await tx.query('insert into identifier_generations (generation, opened_at) values ($1, $2)', [
      opened,
      timestamp(now),
    ]);
    return { opened, dropped };
  });
}
