import { authorize, capture, type Hold, readHold, release } from '../../billing/holds.js';
import { compare, toText, ZERO } from '../../domain/decimal.js';
import { invalid } from '../../domain/errors.js';
import type { JsonObject } from '../../json.js';
import { type Codec, codec, isScalar, isStorable, refuse } from '../codec.js';
import { type Endpoint, endpoint } from '../endpoint.js';
import { array, decimal, integer, metadata, object, text } from '../params.js';
import { momentParam, uuidParam } from './liveParams.js';

const URL = '/live/v1/authorizations';
const EXPIRES_SECONDS_DEFAULT = 600;
const EXPIRES_SECONDS_MAX = 86_400;
const EVENTS_MAX = 100;
const NAME_LENGTH_MAX = 128;

const create = endpoint({
  method: 'POST',
  path: URL,
  // Requests for one customer share a transaction; the key makes the id, so a repeated one finds its hold.
  transactional: false,
  idempotency: 'handler',
  params: object({
    customer: text({ max: NAME_LENGTH_MAX }),
    amount: decimal(),
    expires_in: integer({ min: 1, max: EXPIRES_SECONDS_MAX }).optional(),
    product: uuidParam().optional(),
    metadata: metadata().optional(),
  }),
  async handle({ core, accountId, idempotencyKey }, params) {
    if (compare(params.amount, ZERO) <= 0) {
      throw invalid('Invalid amount: must be greater than 0', { param: 'amount' });
    }
    const hold = await authorize(core, accountId, {
      customer: params.customer,
      amount: params.amount,
      expiresInSeconds: params.expires_in ?? EXPIRES_SECONDS_DEFAULT,
      productId: params.product ?? null,
      metadata: labels(params.metadata ?? {}),
      idempotencyKey,
    });
    return authorizationObject(hold);
  },
});

const retrieve = endpoint({
  method: 'GET',
  path: `${URL}/:id`,
  params: object({}),
  async handle({ q, core, accountId }, _params, { id = '' }) {
    return authorizationObject(await readHold(q, core, accountId, id));
  },
});

const captureOne = endpoint({
  method: 'POST',
  path: `${URL}/:id/capture`,
  // Repeatable by the events themselves.
  transactional: false,
  idempotency: 'handler',
  params: object({
    events: array(
      object({
        transaction_id: text({ max: NAME_LENGTH_MAX }),
        event_type: text({ max: 500 }),
        timestamp: momentParam().optional(),
        properties: properties().optional(),
      }),
      { max: EVENTS_MAX },
    ),
  }),
  async handle({ core, accountId }, { events }, { id = '' }) {
    const { hold, stored, duplicate } = await capture(
      core,
      accountId,
      id,
      events.map((event) => ({
        transactionId: event.transaction_id,
        eventType: event.event_type,
        timestamp: event.timestamp ?? null,
        properties: event.properties ?? {},
      })),
    );
    return { ...authorizationObject(hold), events: { stored, duplicate } };
  },
});

const releaseOne = endpoint({
  method: 'POST',
  path: `${URL}/:id/release`,
  params: object({}),
  async handle({ tx, core, accountId }, _params, { id = '' }) {
    return authorizationObject(await release(tx, core, accountId, id));
  },
});

export const authorizationEndpoints: readonly Endpoint[] = [create, retrieve, captureOne, releaseOne];

/** A hold, amounts in the stored unit of its pricing unit. */
function authorizationObject({ record, status, available }: Hold): JsonObject {
  return {
    object: 'authorization',
    id: record.id,
    customer: record.customerId,
    amount: toText(record.amount),
    credit_type_id: record.creditTypeId,
    status,
    available: toText(available),
    product: record.productId,
    expires_at: Math.floor(record.expiresAt / 1000),
    created: Math.floor(record.createdAt / 1000),
    metadata: { ...record.metadata },
  };
}

function labels(update: Record<string, string | null> | null): Record<string, string> {
  return Object.fromEntries(
    Object.entries(update ?? {}).filter((entry): entry is [string, string] => entry[1] !== null),
  );
}

/** The properties of an event: texts, numbers and booleans by name. */
function properties(): Codec<Record<string, string | number | boolean>> {
  return codec({ kind: 'metadata' }, (input) => {
    if (typeof input !== 'object' || input === null || Array.isArray(input)) {
      return refuse(null, () => 'Invalid object');
    }
    const read: Record<string, string | number | boolean> = {};
    for (const [name, value] of Object.entries(input)) {
      if (!isScalar(value) || typeof value === 'bigint' || !isStorable(`${name}${String(value)}`)) {
        return refuse(null, () => `Invalid property ${name}: must be a string, a number or a boolean`);
      }
      read[name] = value;
    }
    return read;
  });
}
