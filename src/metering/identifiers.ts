import type { Instant } from '../domain/period.js';
import type { Database, Queryable, Transaction } from '../storage/db.js';
import { timestamp } from '../storage/db.js';
import { plainArray, textArray } from './arrays.js';

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

/** The generations that exist, newest first. The first is written, all are looked up. */
export type Generations = readonly number[];

/**
 * Holds the list of generations still until the transaction ends, and draws the batch's number. Without the lock two
 * writers on either side of a rotation could both take the same identifier, each in its own generation.
 */
export async function holdGenerations(
  tx: Transaction,
): Promise<{ generations: Generations; batch: bigint; writtenSince: Instant }> {
  await tx.queryNamed('metering_hold', `select pg_advisory_xact_lock_shared(${GENERATIONS_LOCK_KEY})`, []);
  // A statement of its own: it must see what was committed while the lock was waited for.
  const rows = await tx.queryNamed<{ generations: number[]; openedAt: Instant; batch: bigint }>(
    'metering_generations',
    `select array_agg(generation order by generation desc) as generations, max(opened_at) as "openedAt",
       nextval('meter_event_batches') as batch
     from identifier_generations`,
    [],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('there is no generation of identifiers');
  return { generations: row.generations, batch: row.batch, writtenSince: row.openedAt };
}

/**
 * Takes the identifiers that are free, and returns how many were. The rows must be sorted by account and identifier
 * and hold no identifier twice, so that two writers with the same ones wait for each other in one order.
 */
export async function takeFreeIdentifiers(
  tx: Transaction,
  generations: Generations,
  rows: readonly IdentifierRow[],
): Promise<number> {
  const [newest, ...older] = generations;
  const conditions = older.map((generation) => `not exists (${existsIn(generation)})`);
  const inserted = await tx.queryNamed<{ count: number }>(
    `metering_take_free_${rangeOf(generations)}`,
    `with taken as (
       ${insertInto(newest)} ${FROM_ROWS} ${['where true', ...conditions].join(' and ')}
       on conflict (account_id, identifier) do nothing
       returning 1
     )
     select count(*)::integer as count from taken`,
    rowParameters(rows),
  );
  return inserted[0]?.count ?? 0;
}

function insertInto(generation: number | undefined): string {
  return `insert into meter_event_identifiers_${generation}
    (account_id, identifier, series_id, event_ms, arrival, key_hash, request_hash)`;
}

const FROM_ROWS = `
  select ($1::text[])[w.account], w.identifier, w.series_id, w.event_ms, w.arrival, w.key_hash, w.request_hash
  from unnest($2::smallint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
    as w (account, identifier, series_id, event_ms, arrival, key_hash, request_hash)`;

/** Names a statement: the oldest are dropped first, so newest and oldest say which there are. */
function rangeOf(generations: Generations): string {
  return `${generations[0]}_${generations.at(-1)}`;
}

function existsIn(generation: number): string {
  return (
    `select from meter_event_identifiers_${generation} o ` +
    'where o.account_id = ($1::text[])[w.account] and o.identifier = w.identifier'
  );
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
  generations: Generations,
  wanted: readonly { accountId: string; identifier: string }[],
): Promise<IdentifierRow[]> {
  const selects = generations.map(
    (generation) =>
      `select i.account_id as "accountId", i.identifier, i.series_id::text as "seriesId",
         i.event_ms as "eventMs", i.arrival, i.key_hash as "keyHash", i.request_hash as "requestHash"
       from unnest($1::text[], $2::text[]) as w (account_id, identifier)
       join meter_event_identifiers_${generation} i
         on i.account_id = w.account_id and i.identifier = w.identifier`,
  );
  const found = await q.queryNamed<Omit<IdentifierRow, 'timestamp'> & { eventMs: bigint }>(
    `metering_find_${rangeOf(generations)}`,
    selects.join(' union all '),
    [textArray(wanted, (one) => one.accountId), textArray(wanted, (one) => one.identifier)],
  );
  return found.map(({ eventMs, ...row }) => ({ ...row, timestamp: Number(eventMs) }));
}

/** One identifier of an account, wherever it is; null when it was never used or is forgotten. */
export function findIdentifier(
  db: Database,
  accountId: string,
  identifier: string,
): Promise<IdentifierRow | null> {
  return db.transaction(async (tx) => {
    const { generations } = await holdGenerations(tx);
    const rows = await findIdentifiers(tx, generations, [{ accountId, identifier }]);
    return rows[0] ?? null;
  });
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
      `create table meter_event_identifiers_${opened} (like meter_event_identifiers including all)`,
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
