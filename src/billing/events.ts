import type { Instant } from '../domain/period.js';
import { newId } from '../ids.js';
import { type JsonObject, type JsonValue, toJsonText } from '../json.js';
import type { Transaction } from '../storage/db.js';
import { insertEvent } from '../storage/events.js';

/** The API request that causes an event. */
export interface EventRequest {
  readonly id: string;
  readonly idempotencyKey: string | null;
}

export interface NewEvent {
  accountId: string;
  livemode: boolean;
  /** Stripe's event type, for example `customer.created`. */
  type: string;
  /** The object as it is now, in Stripe's shape. A copy is kept; later changes don't reach it. */
  object: JsonObject;
  /** Of an update: the changed properties as they were before, see `changedAttributes`. */
  previousAttributes?: JsonObject | undefined;
  /** The customer's own time where there's a customer, wall time for the catalogue. */
  at: Instant;
  /** Of an event that may be told of more than once and shall be there once; a new one unless given. */
  id?: string;
  /** null or absent when it happened by itself. */
  request?: EventRequest | null | undefined;
}

/**
 * Writes an event in the transaction of the change it tells of, and returns its id (docs.stripe.com/api/events). One whose
 * id is there already stays as it is.
 */
export async function emitEvent(tx: Transaction, event: NewEvent): Promise<string> {
  const id = event.id ?? newId('event');
  const objectId = event.object['id'];
  const { object, previousAttributes } = event;
  await insertEvent(tx, event.accountId, {
    id,
    livemode: event.livemode,
    type: event.type,
    createdAt: event.at,
    objectId: typeof objectId === 'string' ? objectId : null,
    data: {
      object,
      ...(previousAttributes === undefined ? {} : { previous_attributes: previousAttributes }),
    },
    requestId: event.request?.id ?? null,
    idempotencyKey: event.request?.idempotencyKey ?? null,
  });
  return id;
}

/**
 * The properties of `before` that are different in `after`, nested hashes down to what changed, as an event's
 * `previous_attributes`. Undefined when nothing changed, and then there's nothing to tell.
 */
export function changedAttributes(before: JsonObject, after: JsonObject): JsonObject | undefined {
  const changed: Record<string, JsonValue> = {};
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const old = before[key];
    const now = after[key];
    if (isHash(old) && isHash(now)) {
      const inner = changedAttributes(old, now);
      if (inner !== undefined) changed[key] = inner;
    } else if (toJsonText(old) !== toJsonText(now)) {
      changed[key] = old ?? null;
    }
  }
  return Object.keys(changed).length === 0 ? undefined : changed;
}

function isHash(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
