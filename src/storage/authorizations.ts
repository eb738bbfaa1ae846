import { type Decimal, parseDecimal, toText } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';

export type AuthorizationStatus = 'authorized' | 'captured' | 'released' | 'expired';

/** A hold on what a customer has prepaid. */
export interface AuthorizationRecord {
  id: string;
  customerId: string;
  /** In the stored unit of its pricing unit. */
  amount: Decimal;
  creditTypeId: string;
  /** As stored: one whose time is over may still say `authorized`, see `statusAt`. */
  status: AuthorizationStatus;
  productId: string | null;
  expiresAt: Instant;
  createdAt: Instant;
  closedAt: Instant | null;
  /** Of the events that were captured with it. */
  captureSha256: Buffer | null;
  /** The answer of its capture. */
  details: Readonly<Record<string, unknown>>;
  metadata: Readonly<Record<string, string>>;
}

const COLUMNS = `id, customer_id as "customerId", amount, credit_type_id as "creditTypeId", status,
  product_id as "productId", expires_at as "expiresAt", created_at as "createdAt", closed_at as "closedAt",
  capture_sha256 as "captureSha256", details, metadata`;

type Row = Omit<AuthorizationRecord, 'amount'> & { amount: string };

const read = ({ amount, ...row }: Row): AuthorizationRecord => ({ ...row, amount: parseDecimal(amount) });

/** Stores new holds. The caller holds the customer's row. */
export async function insertAuthorizations(
  q: Queryable,
  accountId: string,
  records: readonly AuthorizationRecord[],
): Promise<void> {
  if (records.length === 0) return;
  await q.query(
    `insert into authorizations (account_id, id, customer_id, amount, credit_type_id, status, product_id, expires_at,
       created_at, metadata)
     select $1, * from unnest($2::text[], $3::text[], $4::numeric[], $5::uuid[], $6::text[], $7::uuid[],
       $8::timestamptz[], $9::timestamptz[], $10::jsonb[])`,
    [
      accountId,
      records.map(({ id }) => id),
      records.map(({ customerId }) => customerId),
      records.map(({ amount }) => toText(amount)),
      records.map(({ creditTypeId }) => creditTypeId),
      records.map(({ status }) => status),
      records.map(({ productId }) => productId),
      records.map(({ expiresAt }) => new Date(expiresAt).toISOString()),
      records.map(({ createdAt }) => new Date(createdAt).toISOString()),
      records.map(({ metadata }) => JSON.stringify(metadata)),
    ],
  );
}

/** The hold; `lock` holds its row until the transaction ends (take the customer's row first). */
export async function findAuthorization(
  q: Queryable,
  accountId: string,
  id: string,
  lock = false,
): Promise<AuthorizationRecord | null> {
  const rows = await q.query<Row>(
    `select ${COLUMNS} from authorizations where account_id = $1 and id = $2${lock ? ' for update' : ''}`,
    [accountId, id],
  );
  return rows[0] === undefined ? null : read(rows[0]);
}

export async function findAuthorizations(
  q: Queryable,
  accountId: string,
  ids: readonly string[],
): Promise<Map<string, AuthorizationRecord>> {
  if (ids.length === 0) return new Map();
  const rows = await q.query<Row>(
    `select ${COLUMNS} from authorizations where account_id = $1 and id = any($2)`,
    [accountId, ids],
  );
  return new Map(rows.map((row) => [row.id, read(row)]));
}

/** What a customer's open holds add up to at an instant, by pricing unit. */
export async function sumOpenHolds(
  q: Queryable,
  accountId: string,
  customerId: string,
  at: Instant,
): Promise<Map<string, Decimal>> {
  const rows = await q.queryNamed<{ unit: string; held: string }>(
    'sum_open_holds',
    `select credit_type_id as unit, sum(amount) as held from authorizations
     where account_id = $1 and customer_id = $2 and status = 'authorized' and expires_at > $3
     group by credit_type_id`,
    [accountId, customerId, timestamp(at)],
  );
  return new Map(rows.map(({ unit, held }) => [unit, parseDecimal(held)]));
}

/** Closes an open hold. The caller holds its row. */
export async function closeAuthorization(
  q: Queryable,
  accountId: string,
  id: string,
  close: {
    status: 'captured' | 'released';
    at: Instant;
    captureSha256: Buffer | null;
    details: Readonly<Record<string, unknown>>;
  },
): Promise<void> {
  await q.query(
    `update authorizations set status = $3, closed_at = $4, capture_sha256 = $5, details = $6
     where account_id = $1 and id = $2 and status = 'authorized'`,
    [accountId, id, close.status, timestamp(close.at), close.captureSha256, JSON.stringify(close.details)],
  );
}

/** Writes down which holds have run out by the time of their customer. Reads don't wait for it. */
export async function expireAuthorizations(q: Queryable, now: Instant, limit: number): Promise<number> {
  const rows = await q.query<{ id: string }>(
    `update authorizations a set status = 'expired', closed_at = a.expires_at
     from (
       select h.account_id, h.id from authorizations h
       join customers c on c.account_id = h.account_id and c.id = h.customer_id
       left join test_clocks t on t.account_id = c.account_id and t.id = c.test_clock_id
       where h.status = 'authorized' and h.expires_at <= case when c.test_clock_id is null then $1 else t.frozen_time end
       order by h.expires_at limit $2 for update of h skip locked
     ) over
     where a.account_id = over.account_id and a.id = over.id returning a.id`,
    [timestamp(now), limit],
  );
  return rows.length;
}
