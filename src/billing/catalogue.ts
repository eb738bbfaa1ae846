import type { Core } from '../core.js';
import type { Instant } from '../domain/period.js';
import type { JsonObject } from '../json.js';
import type { Transaction } from '../storage/db.js';
import { type EventRequest, changedAttributes, emitEvent } from './events.js';

/** In what a change to customers or the catalogue happens. */
export interface ChangeContext {
  readonly core: Core;
  readonly tx: Transaction;
  readonly accountId: string;
  readonly livemode: boolean;
  readonly request: EventRequest | null;
}

/** Tells that an object came or went. */
export async function emitChange(
  ctx: ChangeContext,
  type: string,
  object: JsonObject,
  at: Instant,
): Promise<void> {
  const { accountId, livemode, request } = ctx;
  await emitEvent(ctx.tx, { accountId, livemode, type, object, at, request });
}

/** Tells that an object changed, with what it was before. Says and writes nothing when it didn't. */
export async function emitUpdate(
  ctx: ChangeContext,
  type: string,
  before: JsonObject,
  after: JsonObject,
  at: Instant,
): Promise<void> {
  const previousAttributes = changedAttributes(before, after);
  if (previousAttributes === undefined) return;
  const { accountId, livemode, request } = ctx;
  await emitEvent(ctx.tx, { accountId, livemode, type, object: after, previousAttributes, at, request });
}
