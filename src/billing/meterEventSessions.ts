import { createHash, randomBytes } from 'node:crypto';
import type { Core } from '../core.js';
import { BillingError } from '../domain/errors.js';
import type { Instant } from '../domain/period.js';
import { newId } from '../ids.js';
import type { Queryable } from '../storage/db.js';
import {
  findMeterEventSession,
  insertMeterEventSession,
  removeMeterEventSessions,
} from '../storage/meterEventSessions.js';

/** docs.stripe.com/api/v2/billing/meter-event-stream: a token lives 15 minutes. */
const LIFETIME_MS = 15 * 60 * 1000;
/** An expired token is still told from one that never was, for a day. */
const REMEMBERED_MS = 24 * 3600 * 1000;
const TOKEN_BYTES = 32;

export interface MeterEventSession {
  id: string;
  livemode: boolean;
  /** Opens the stream and nothing else; shown once. */
  token: string;
  createdAt: Instant;
  expiresAt: Instant;
}

/** Who may send events into a stream. */
export interface StreamSender {
  accountId: string;
  livemode: boolean;
  expiresAt: Instant;
}

export async function createMeterEventSession(
  q: Queryable,
  core: Pick<Core, 'now'>,
  accountId: string,
  livemode: boolean,
): Promise<MeterEventSession> {
  const createdAt = core.now();
  const token = `mes_${livemode ? 'live' : 'test'}_${randomBytes(TOKEN_BYTES).toString('base64url')}`;
  const session = { id: newId('meterEventSession'), livemode, createdAt, expiresAt: createdAt + LIFETIME_MS };
  await insertMeterEventSession(q, accountId, { ...session, tokenSha256: sha256(token) });
  await removeMeterEventSessions(q, createdAt - REMEMBERED_MS);
  return { ...session, token };
}

/** The sender behind a token. Throws `unauthenticated` for one that is unknown or has expired. */
export async function requireStreamSender(q: Queryable, now: Instant, token: string): Promise<StreamSender> {
  const sender = await findMeterEventSession(q, sha256(token));
  if (sender === null) {
    throw new BillingError(
      'unauthenticated',
      'Invalid meter event session token. An API key does not open a stream.',
    );
  }
  refuseExpired(sender, now);
  return sender;
}

export function refuseExpired({ expiresAt }: StreamSender, now: Instant): void {
  if (now < expiresAt) return;
  throw new BillingError('unauthenticated', 'The meter event session has expired. Create a new one.', {
    code: 'billing_meter_event_session_expired',
    retry: false,
  });
}

function sha256(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
