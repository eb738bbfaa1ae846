import { createHash } from 'node:crypto';
import { v5 as uuidv5 } from 'uuid';
import type { Core } from '../core.js';
import { add, compare, type Decimal, toText, ZERO } from '../domain/decimal.js';
import { BillingError, invalid, notFound } from '../domain/errors.js';
import type { Instant } from '../domain/period.js';
import { newId } from '../ids.js';
import type { IncomingEvent } from '../metering/event.js';
import { incomingSentEvent } from '../metering/metrics/sent.js';
import {
  type AuthorizationRecord,
  type AuthorizationStatus,
  closeAuthorization,
  findAuthorization,
  findAuthorizations,
  insertAuthorizations,
} from '../storage/authorizations.js';
import { type CustomerRecord, findCustomer } from '../storage/customers.js';
import type { Queryable, Transaction } from '../storage/db.js';
import { customerNow } from './clock.js';
import { type Purse, readPurse, refusalOf, spendable } from './entitlements.js';
import { requireByAnyId } from './thresholdAlerts.js';

export interface HoldRequest {
  /** Any id or alias. */
  customer: string;
  /** Above zero, in the stored unit of the pricing unit. */
  amount: Decimal;
  expiresInSeconds: number;
  productId: string | null;
  metadata: Readonly<Record<string, string>>;
  idempotencyKey: string | null;
}

/** A hold, and what its customer has left for others. */
export interface Hold {
  record: AuthorizationRecord;
  status: AuthorizationStatus;
  available: Decimal;
}

interface Job {
  request: HoldRequest;
  resolve: (hold: Hold) => void;
  reject: (error: unknown) => void;
}

const BATCH_MAX = 1_000;
const QUEUE_MAX = 20_000;
const KEY_NAMESPACE = '0b8ae4bb-6f5c-5b39-9b4b-1a2b7a6f4f0e';

/**
 * Where requests for holds come together. Those of one customer that arrive at once share a transaction that holds the
 * customer's row and reads what the customer has once; they are answered in the order in which they came.
 */
class HoldDesk {
  readonly #core: Core;
  readonly #queues = new Map<string, Job[]>();
  #waiting = 0;

  constructor(core: Core) {
    this.#core = core;
  }

  authorize(accountId: string, customerId: string, request: HoldRequest): Promise<Hold> {
    if (this.#waiting >= QUEUE_MAX) {
      throw new BillingError(
        'too_many_requests',
        'Too many holds are waiting. Send this again in a moment.',
        {
          code: 'rate_limit',
          retry: true,
        },
      );
    }
    return new Promise((resolve, reject) => {
      this.#waiting += 1;
      const key = `${accountId}\n${customerId}`;
      const job = { request, resolve, reject };
      const queue = this.#queues.get(key);
      if (queue !== undefined) queue.push(job);
      else {
        this.#queues.set(key, [job]);
        void this.#workOff(key, accountId, customerId);
      }
    });
  }

  async #workOff(key: string, accountId: string, customerId: string): Promise<void> {
    // Lets the requests of this turn of the event loop come together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    for (;;) {
      const queue = this.#queues.get(key) ?? [];
      if (queue.length === 0) break;
      const jobs = queue.splice(0, BATCH_MAX);
      this.#waiting -= jobs.length;
      await this.#answer(accountId, customerId, jobs);
    }
    this.#queues.delete(key);
  }

  async #answer(accountId: string, customerId: string, jobs: readonly Job[]): Promise<void> {
    try {
      const answers = await this.#core.db.transaction((tx) =>
        authorizeAll(
          tx,
          this.#core,
          accountId,
          customerId,
          jobs.map(({ request }) => request),
        ),
      );
      jobs.forEach(({ resolve, reject }, index) => {
        const answer = answers[index];
        if (answer instanceof Error) reject(answer);
        else resolve(answer as Hold);
      });
    } catch (error) {
      for (const { reject } of jobs) reject(error);
    }
  }
}

const desks = new WeakMap<Core, HoldDesk>();

/**
 * Holds an amount of what the customer has prepaid, or refuses (`insufficient_balance`, `not_entitled`): never more
 * than there is, however many ask at once and in however many processes. The same Idempotency-Key is the same hold.
 */
export async function authorize(core: Core, accountId: string, request: HoldRequest): Promise<Hold> {
  const customer = await requireByAnyId(core.db, accountId, request.customer, 'customer');
  const desk = desks.get(core) ?? new HoldDesk(core);
  desks.set(core, desk);
  return desk.authorize(accountId, customer.id, request);
}

async function authorizeAll(
  tx: Transaction,
  core: Core,
  accountId: string,
  customerId: string,
  requests: readonly HoldRequest[],
): Promise<(Hold | Error)[]> {
  const customer = await findCustomer(tx, accountId, customerId, 'update');
  if (customer === null || customer.deletedAt !== null) throw notFound('customer', customerId, 'customer');
  const ids = requests.map(({ idempotencyKey }) => holdId(accountId, idempotencyKey));
  const known = await findAuthorizations(
    tx,
    accountId,
    ids.filter((_id, index) => requests[index]?.idempotencyKey !== null),
  );
  const purse = await readPurse(tx, core, accountId, customer);
  const made: AuthorizationRecord[] = [];
  const answers = requests.map((request, index): Hold | Error => {
    const id = ids[index] as string;
    const before = known.get(id);
    if (before !== undefined) return sameHold(before, request, purse);
    const record = decide(purse, customer, id, request);
    if (record instanceof Error) return record;
    known.set(id, record);
    made.push(record);
    return { record, status: 'authorized', available: spendable(purse, request.productId).available };
  });
  await insertAuthorizations(tx, accountId, made);
  return answers;
}

/** The hold, taken from the purse, or why there is none. */
function decide(
  purse: Purse,
  customer: CustomerRecord,
  id: string,
  request: HoldRequest,
): AuthorizationRecord | Error {
  const { amount, productId } = request;
  let found: ReturnType<typeof spendable>;
  try {
    found = spendable(purse, productId);
  } catch (error) {
    return error as Error;
  }
  const reason = refusalOf(found, amount);
  if (reason !== null) return refusal(reason, found.available);
  purse.held.set(found.creditTypeId, add(found.held, amount));
  return {
    id,
    customerId: customer.id,
    amount,
    creditTypeId: found.creditTypeId,
    status: 'authorized',
    productId,
    expiresAt: purse.at + request.expiresInSeconds * 1000,
    createdAt: purse.at,
    closedAt: null,
    captureSha256: null,
    details: {},
    metadata: request.metadata,
  };
}

function refusal(reason: 'insufficient_balance' | 'not_entitled', available: Decimal): BillingError {
  const message =
    reason === 'not_entitled'
      ? 'No contract of the customer sells this product now.'
      : `The customer has only ${toText(available)} available.`;
  return new BillingError('payment_required', message, {
    code: reason,
    details: { available: toText(available) },
  });
}

/** The id of a hold follows from its Idempotency-Key, so that a repeated request finds the hold of the first. */
function holdId(accountId: string, idempotencyKey: string | null): string {
  if (idempotencyKey === null) return newId('authorization');
  return `auth_${uuidv5(`${accountId}/${idempotencyKey}`, KEY_NAMESPACE).replaceAll('-', '')}`;
}

function sameHold(record: AuthorizationRecord, request: HoldRequest, purse: Purse): Hold | Error {
  const same =
    compare(record.amount, request.amount) === 0 &&
    record.productId === request.productId &&
    JSON.stringify(Object.entries(record.metadata).sort()) ===
      JSON.stringify(Object.entries(request.metadata).sort()) &&
    record.expiresAt - record.createdAt === request.expiresInSeconds * 1000;
  if (!same) {
    return invalid(
      'Keys for idempotent requests can only be used with the same parameters they were first used with.',
      { code: 'idempotency_key_reused' },
    );
  }
  const { available } = spendable(purse, record.productId);
  return { record, status: statusAt(record, purse.at), available };
}

/** An open hold whose time is over has expired, whether or not anybody has written that down. */
export function statusAt({ status, expiresAt }: AuthorizationRecord, at: Instant): AuthorizationStatus {
  return status === 'authorized' && expiresAt <= at ? 'expired' : status;
}

/** The hold and what its customer has left now. */
export async function readHold(q: Queryable, core: Core, accountId: string, id: string): Promise<Hold> {
  const record = await findAuthorization(q, accountId, id);
  if (record === null) throw notFound('authorization', id, 'id');
  return withAvailable(q, core, accountId, record);
}

async function withAvailable(
  q: Queryable,
  core: Core,
  accountId: string,
  record: AuthorizationRecord,
): Promise<Hold> {
  const customer = await findCustomer(q, accountId, record.customerId);
  if (customer === null) throw notFound('customer', record.customerId);
  const purse = await readPurse(q, core, accountId, customer);
  const known = record.productId === null || purse.products.has(record.productId);
  return {
    record,
    status: statusAt(record, purse.at),
    available: known ? spendable(purse, record.productId).available : ZERO,
  };
}

interface Locked {
  record: AuthorizationRecord;
  customer: CustomerRecord;
  status: AuthorizationStatus;
  at: Instant;
}

async function lockHold(tx: Transaction, core: Core, accountId: string, id: string): Promise<Locked> {
  const found = await findAuthorization(tx, accountId, id);
  if (found === null) throw notFound('authorization', id, 'id');
  const customer = await findCustomer(tx, accountId, found.customerId, 'update');
  const record = await findAuthorization(tx, accountId, id, true);
  if (customer === null || record === null) throw notFound('authorization', id, 'id');
  const at = await customerNow(tx, core, accountId, customer);
  return { record, customer, status: statusAt(record, at), at };
}

/** Gives a hold back. Repeatable; refuses one that was captured or has expired. */
export async function release(tx: Transaction, core: Core, accountId: string, id: string): Promise<Hold> {
  const { record, status, at } = await lockHold(tx, core, accountId, id);
  if (status === 'captured' || status === 'expired') throw closed(id, status);
  if (status === 'authorized') {
    await closeAuthorization(tx, accountId, id, { status: 'released', at, captureSha256: null, details: {} });
  }
  return withAvailable(tx, core, accountId, { ...record, status: 'released' });
}

export interface CapturedEvent {
  transactionId: string;
  eventType: string;
  /** Null is the customer's now. */
  timestamp: Instant | null;
  properties: Readonly<Record<string, unknown>>;
}

/** What a capture has done, as it was answered first. */
export interface Capture {
  hold: Hold;
  /** Events that count now, and those whose transaction id was used before. */
  stored: number;
  duplicate: number;
}

/**
 * Stores the usage that a hold was for and closes the hold, both or neither. Usage above the hold is stored too and is
 * due as overage. The same events again get the same answer; other ones are refused, as is a capture of a hold that
 * was released or has expired.
 */
export async function capture(
  core: Core,
  accountId: string,
  id: string,
  events: readonly CapturedEvent[],
): Promise<Capture> {
  const found = await findAuthorization(core.db, accountId, id);
  if (found === null) throw notFound('authorization', id, 'id');
  const customer = await findCustomer(core.db, accountId, found.customerId);
  if (customer === null) throw notFound('authorization', id, 'id');
  const now = await customerNow(core.db, core, accountId, customer);
  const sha256 = createHash('sha256').update(canonical(events)).digest();
  // A repeated capture is answered before its events are looked at: their time may be over by now.
  if (found.status === 'captured')
    return core.db.transaction((tx) => recapture(tx, core, accountId, id, sha256));
  const call = Symbol('capture');
  const ready = await core.ingest.ready(
    accountId,
    events.map((event, index) => incoming(call, index, event, customer.id, now)),
  );
  const [refused] = ready.refused;
  return core.db.transaction(async (tx) => {
    const { record, status, at } = await lockHold(tx, core, accountId, id);
    if (status === 'captured') return recapture(tx, core, accountId, id, sha256);
    if (status !== 'authorized') throw closed(id, status);
    if (refused !== undefined) throw eventRefused(refused[0], refused[1]);
    const outcomes = events.length === 0 ? [] : await ready.write(tx);
    outcomes.forEach((outcome, index) => {
      if (outcome.status === 'refused') throw eventRefused(index, outcome);
    });
    const stored = outcomes.filter((outcome) => outcome.status === 'stored').length;
    const duplicate = outcomes.length - stored;
    const details = { stored, duplicate };
    await closeAuthorization(tx, accountId, id, { status: 'captured', at, captureSha256: sha256, details });
    const hold = await withAvailable(tx, core, accountId, { ...record, status: 'captured' });
    return { hold, stored, duplicate };
  });
}

async function recapture(
  tx: Transaction,
  core: Core,
  accountId: string,
  id: string,
  sha256: Buffer,
): Promise<Capture> {
  const { record } = await lockHold(tx, core, accountId, id);
  if (record.captureSha256?.equals(sha256) !== true) throw closed(id, 'captured');
  const { stored, duplicate } = record.details as { stored: number; duplicate: number };
  return { hold: await withAvailable(tx, core, accountId, record), stored, duplicate };
}

function incoming(
  call: symbol,
  index: number,
  event: CapturedEvent,
  customerId: string,
  now: Instant,
): IncomingEvent {
  return incomingSentEvent(call, index, {
    transactionId: event.transactionId,
    customerKey: customerId,
    eventType: event.eventType,
    timestamp: event.timestamp ?? now,
    properties: event.properties,
  });
}

/** The same text for the same events, in whatever order their properties came. */
function canonical(events: readonly CapturedEvent[]): string {
  return JSON.stringify(events, (_key, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}

function eventRefused(index: number, { message, param }: { message: string; param?: string }): BillingError {
  const field = `events[${index}]${param === undefined ? '' : `[${param}]`}`;
  return invalid(`Invalid ${field}: ${message}`, { param: field });
}

function closed(id: string, status: AuthorizationStatus): BillingError {
  return new BillingError('conflict', `The authorization ${id} is ${status}.`, {
    code: 'authorization_closed',
    retry: false,
  });
}
