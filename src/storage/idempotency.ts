import type { Instant } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';

export interface StoredResponse {
  /** SHA-256 over method, path and parameters of the request that made it. */
  requestSha256: Buffer;
  status: number;
  body: string;
}

/** Keeps these advisory locks apart from every other use of them. */
const LOCK_SEED = 7201;

const STORED_COLUMNS = `k.request_sha256 as "requestSha256", k.response_status as status, k.response_body as body`;

interface ClaimRow extends Partial<StoredResponse> {
  locked: boolean;
}

/**
 * Takes the key for this transaction and reads what was answered under it, in one statement. `locked` is false when
 * another request holds the key. The read may be older than the lock, so the insert that follows can still meet the
 * row of a request that has just committed: then begin again.
 */
export async function claimIdempotencyKey(
  q: Queryable,
  accountId: string,
  key: string,
): Promise<{ locked: boolean; stored: StoredResponse | null }> {
  const rows = await q.queryNamed<ClaimRow>(
    'claim_idempotency_key',
    `select pg_try_advisory_xact_lock(hashtextextended($1 || ':' || $2, ${LOCK_SEED})) as locked, ${STORED_COLUMNS}
     from (values (1)) one left join idempotency_keys k on k.account_id = $1 and k.key = $2`,
    [accountId, key],
  );
  const row = rows[0];
  if (row === undefined) throw new Error('the claim of an idempotency key returned no row');
  return { locked: row.locked, stored: toStored(row) };
}

/** What was answered under the key, or null. */
export async function findIdempotentResponse(
  q: Queryable,
  accountId: string,
  key: string,
): Promise<StoredResponse | null> {
  const rows = await q.queryNamed<StoredResponse>(
    'find_idempotent_response',
    `select ${STORED_COLUMNS} from idempotency_keys k where k.account_id = $1 and k.key = $2`,
    [accountId, key],
  );
  return rows[0] === undefined ? null : toStored(rows[0]);
}

function toStored(row: Partial<StoredResponse>): StoredResponse | null {
  const { requestSha256, status, body } = row;
  if (!requestSha256 || status === undefined || body === undefined) return null;
  return { requestSha256, status, body };
}

/** Keeps an answer. False when one is there already, which is then the one that counts. */
export async function insertIdempotentResponse(
  q: Queryable,
  accountId: string,
  key: string,
  response: StoredResponse,
  at: Instant,
): Promise<boolean> {
  const rows = await q.queryNamed<{ key: string }>(
    'insert_idempotent_response',
    `insert into idempotency_keys (account_id, key, request_sha256, response_status, response_body, created_at)
     values ($1, $2, $3, $4, $5, $6) on conflict do nothing returning key`,
    [accountId, key, response.requestSha256, response.status, response.body, timestamp(at)],
  );
  return rows.length > 0;
}

/** Stripe's promise: a key holds for at least 24 hours (docs.stripe.com/api/idempotent_requests). */
const RETENTION_MS = 24 * 3_600_000;
const PURGE_BATCH = 5_000;

/** Forgets the answers that are more than 24 hours old at `now`, in small statements, and returns how many. */
export async function purgeIdempotencyKeys(q: Queryable, now: Instant): Promise<number> {
  let purged = 0;
  for (;;) {
    const count = await purgeBatch(q, now - RETENTION_MS);
    purged += count;
    if (count < PURGE_BATCH) return purged;
  }
}

async function purgeBatch(q: Queryable, before: Instant): Promise<number> {
  const rows = await q.query<{ purged: number }>(
    `with gone as (
       delete from idempotency_keys where (account_id, key) in
         (select account_id, key from idempotency_keys where created_at < $1 order by created_at limit $2)
       returning 1)
     select count(*)::int as purged from gone`,
    [timestamp(before), PURGE_BATCH],
  );
  return rows[0]?.purged ?? 0;
}
