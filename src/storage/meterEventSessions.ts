import type { Instant } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';

export interface MeterEventSessionRecord {
  id: string;
  livemode: boolean;
  tokenSha256: Buffer;
  createdAt: Instant;
  expiresAt: Instant;
}

export async function insertMeterEventSession(
  q: Queryable,
  accountId: string,
  session: MeterEventSessionRecord,
): Promise<void> {
  await q.query(
    `insert into meter_event_sessions (account_id, id, livemode, token_sha256, created_at, expires_at)
     values ($1, $2, $3, $4, $5, $6)`,
    [
      accountId,
      session.id,
      session.livemode,
      session.tokenSha256,
      timestamp(session.createdAt),
      timestamp(session.expiresAt),
    ],
  );
}

/** The session of a token, expired ones too; null when there is none, or it expired long ago. */
export async function findMeterEventSession(
  q: Queryable,
  tokenSha256: Buffer,
): Promise<{ accountId: string; livemode: boolean; expiresAt: Instant } | null> {
  const rows = await q.query<{ accountId: string; livemode: boolean; expiresAt: Instant }>(
    `select account_id as "accountId", livemode, expires_at as "expiresAt" from meter_event_sessions
     where token_sha256 = $1`,
    [tokenSha256],
  );
  return rows[0] ?? null;
}

/** Forgets the sessions that expired before an instant. */
export async function removeMeterEventSessions(q: Queryable, expiredBefore: Instant): Promise<void> {
  await q.query('delete from meter_event_sessions where expires_at < $1', [timestamp(expiredBefore)]);
}
