import { createHash } from 'node:crypto';
import { BillingError, invalid } from '../domain/errors.js';
import type { Instant } from '../domain/period.js';
import type { Database, Queryable, Transaction } from '../storage/db.js';
import {
  claimIdempotencyKey,
  findIdempotentResponse,
  insertIdempotentResponse,
} from '../storage/idempotency.js';
import type { StoredResponse } from '../storage/idempotency.js';
import type { ParamNode, ParamTree } from './tree.js';

/** An answer as it goes over the wire. */
export interface Answer {
  status: number;
  body: string;
  replayed: boolean;
}

export interface IdempotentRequest {
  accountId: string;
  key: string;
  /** Of `requestFingerprint`. */
  fingerprint: Buffer;
  now: Instant;
}

const KEY_LENGTH_MAX = 255;
const ATTEMPTS_MAX = 3;

/** The Idempotency-Key header, checked; null when there's none. */
export function idempotencyKeyOf(header: string | string[] | undefined): string | null {
  if (header === undefined) return null;
  const key = Array.isArray(header) ? (header[0] ?? '') : header;
  if (key === '' || key.length > KEY_LENGTH_MAX) {
    throw invalid(`Idempotency keys must have between 1 and ${KEY_LENGTH_MAX} characters.`);
  }
  return key;
}

/** Equal for requests that ask for the same, whatever the order and encoding of their parameters. */
export function requestFingerprint(method: string, path: string, params: ParamTree): Buffer {
  return createHash('sha256').update(`${method} ${path}\n`).update(canonical(params)).digest();
}

function canonical(node: ParamNode): string {
  if (typeof node !== 'object' || node === null) return JSON.stringify(node === null ? '' : String(node));
  const entries = Array.isArray(node)
    ? node.map((item, i) => [String(i), item] as const)
    : Object.entries(node);
  const parts = [...entries]
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`);
  return `{${parts.join(',')}}`;
}

class KeyRace extends Error {}

/**
 * Runs a request of either dialect as its endpoint is declared: in one transaction or in those of its handler, under its
 * key where it has one. `idempotent` is null for a request whose answer is not kept.
 */
export async function runRequest(
  db: Database,
  inFlight: Set<string>,
  endpoint: { transactional: boolean },
  idempotent: IdempotentRequest | null,
  run: (q: Queryable) => Promise<string>,
): Promise<Answer> {
  if (endpoint.transactional) {
    if (idempotent !== null) return runIdempotently(db, idempotent, run);
    return fresh(await db.transaction((tx) => run(tx)));
  }
  if (idempotent !== null) return runRepeatably(db, inFlight, idempotent, () => run(db));
  return fresh(await run(db));
}

function fresh(body: string): Answer {
  return { status: 200, body, replayed: false };
}

/**
 * Runs a transactional request at most once under its key: the answer is stored in the transaction of the write, so
 * a crash at any point leaves either nothing or an answer that the retry gets. A request that fails rolls back and
 * stores nothing: its retry runs again (docs.stripe.com/api/idempotent_requests).
 */
export async function runIdempotently(
  db: Database,
  request: IdempotentRequest,
  work: (tx: Transaction) => Promise<string>,
): Promise<Answer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await db.transaction((tx) => attemptOnce(tx, request, work));
    } catch (error) {
      if (!(error instanceof KeyRace) || attempt >= ATTEMPTS_MAX) throw error;
    }
  }
}

async function attemptOnce(
  tx: Transaction,
  request: IdempotentRequest,
  work: (tx: Transaction) => Promise<string>,
): Promise<Answer> {
  const { locked, stored } = await claimIdempotencyKey(tx, request.accountId, request.key);
  if (!locked) throw keyInUse(request.key);
  if (stored !== null) return replay(stored, request.fingerprint);
  const body = await work(tx);
  const response = { requestSha256: request.fingerprint, status: 200, body };
  const kept = await insertIdempotentResponse(tx, request.accountId, request.key, response, request.now);
  if (!kept) throw new KeyRace();
  return { status: 200, body, replayed: false };
}

/**
 * The same for a handler that opens its own transactions and is repeatable by design: its answer is stored after it.
 * A crash in between makes the retry run it again, to the same effect. `inFlight` refuses doubles in this process.
 */
export async function runRepeatably(
  db: Database,
  inFlight: Set<string>,
  request: IdempotentRequest,
  work: () => Promise<string>,
): Promise<Answer> {
  const name = `${request.accountId}:${request.key}`;
  if (inFlight.has(name)) throw keyInUse(request.key);
  inFlight.add(name);
  try {
    const stored = await findIdempotentResponse(db, request.accountId, request.key);
    if (stored !== null) return replay(stored, request.fingerprint);
    const body = await work();
    const response = { requestSha256: request.fingerprint, status: 200, body };
    await insertIdempotentResponse(db, request.accountId, request.key, response, request.now);
    return { status: 200, body, replayed: false };
  } finally {
    inFlight.delete(name);
  }
}

function replay(stored: StoredResponse, fingerprint: Buffer): Answer {
  if (!stored.requestSha256.equals(fingerprint)) throw keyReused();
  return { status: stored.status, body: stored.body, replayed: true };
}

function keyInUse(key: string): BillingError {
  const message = `There is currently another in-progress request using this Idempotent Key: ${key}. Please try again later.`;
  return new BillingError('conflict', message, { code: 'idempotency_key_in_use', retry: true });
}

/** The code `idempotency_key_reused` becomes the error type `idempotency_error`, see errors.ts. */
function keyReused(): BillingError {
  const message =
    'Keys for idempotent requests can only be used with the same parameters they were first used with. ' +
    'Try using a key other than the one sent if you meant to execute a different request.';
  return invalid(message, { code: 'idempotency_key_reused', retry: false });
}
