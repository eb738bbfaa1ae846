import type { z } from 'zod';
import type { Core } from '../core.js';
import type { Instant } from '../domain/period.js';
import type { JsonObject } from '../json.js';
import type { Queryable, Transaction } from '../storage/db.js';

export type { JsonObject } from '../json.js';

/** What a handler knows about the request besides its parameters. */
export interface RequestContext {
  readonly core: Core;
  readonly accountId: string;
  readonly livemode: boolean;
  readonly requestId: string;
  readonly idempotencyKey: string | null;
  /** Wall time of the request; a customer's own time is `customerNow` of src/billing/clock.ts. */
  readonly now: Instant;
  /** The open transaction of a POST or DELETE; the pool for GET and for `transactional: false`. */
  readonly q: Queryable;
  /** The same, typed. Reading it throws where there is no transaction. */
  readonly tx: Transaction;
  /** For `emitEvent`. */
  readonly request: { readonly id: string; readonly idempotencyKey: string | null };
  /** Marks the answer as one given before (`Idempotent-Replayed`); for `idempotency: 'handler'`. */
  markReplayed(): void;
}

export type HttpMethod = 'GET' | 'POST' | 'DELETE';

export interface EndpointDefinition<S extends z.ZodObject> {
  method: HttpMethod;
  /** Express path with named parts, for example `/v1/customers/:id`. */
  path: string;
  /** A strict object of the codecs in params.ts. */
  params: S;
  /**
   * Stripe's parameters that we know but don't support yet, refused by name with `parameter_unsupported`. A nested
   * one is written `items[].discounts` or `recurring.trial_period_days`.
   */
  unsupported?: readonly string[];
  /** false: the handler opens its own transactions and is repeatable by design. Default: POST and DELETE run in one. */
  transactional?: boolean;
  /**
   * `stored` (default): a POST's answer is kept under its Idempotency-Key. `handler`: the handler honours
   * `ctx.idempotencyKey` by itself and nothing is kept here; for hot paths.
   */
  idempotency?: 'stored' | 'handler';
  /** Lists in the query that are written by repeating the name, without brackets. */
  repeated?: readonly string[];
  handle(
    ctx: RequestContext,
    params: z.output<S>,
    path: Readonly<Record<string, string>>,
  ): Promise<JsonObject>;
}

/** A declared endpoint, with the type of its parameters erased. */
export interface Endpoint {
  readonly method: HttpMethod;
  readonly path: string;
  readonly params: z.ZodObject;
  readonly unsupported: readonly string[];
  readonly transactional: boolean;
  readonly idempotency: 'stored' | 'handler';
  readonly repeated: readonly string[];
  readonly handle: (
    ctx: RequestContext,
    params: Readonly<Record<string, unknown>>,
    path: Readonly<Record<string, string>>,
  ) => Promise<JsonObject>;
}

/**
 * Declares one endpoint of the Stripe dialect. The layer around it authenticates, decodes and validates the
 * parameters, opens the transaction, keeps the idempotency record, expands and answers; `handle` only does the
 * business and returns the object. `expand` is never in `params`.
 */
export function endpoint<S extends z.ZodObject>(definition: EndpointDefinition<S>): Endpoint {
  return {
    method: definition.method,
    path: definition.path,
    params: definition.params,
    unsupported: definition.unsupported ?? [],
    transactional: definition.transactional ?? definition.method !== 'GET',
    idempotency: definition.idempotency ?? 'stored',
    repeated: definition.repeated ?? [],
    handle: (ctx, params, path) => definition.handle(ctx, params as z.output<S>, path),
  };
}
