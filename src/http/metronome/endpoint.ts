import { z } from 'zod';
import type { JsonObject, JsonValue } from '../../json.js';
import type { RequestContext } from '../endpoint.js';

export type MetronomeContext = RequestContext;

/** The answer of calls that answer 200 without a body. */
export const EMPTY = Symbol('empty body');

export type MetronomeAnswer = JsonObject | readonly JsonValue[] | typeof EMPTY;

/** Accepts nothing. */
export const noQuery = z.strictObject({});

type NoBody = z.ZodUndefined;
type NoQuery = typeof noQuery;

/** The body where one is declared, else the query. */
type Input<B extends z.ZodType, Q extends z.ZodObject> = [B] extends [NoBody] ? z.output<Q> : z.output<B>;

export interface MetronomeEndpointDefinition<B extends z.ZodType, Q extends z.ZodObject> {
  method: 'GET' | 'POST';
  /** Express path below `/metronome`, for example `/v1/customers/:customer_id`. */
  path: string;
  /** Of the codecs in params.ts. Without it a body is not looked at. */
  body?: B;
  /** Of the `query…` codecs in params.ts and paging.ts. Without it no query parameter is accepted. */
  query?: Q;
  /** false: runs on the pool, for reads by POST and handlers with transactions of their own. Default: POST runs in one. */
  transactional?: boolean;
  /** As in src/http/endpoint.ts. */
  idempotency?: 'stored' | 'handler';
  /** 1 MiB unless said otherwise. */
  bodyBytesMax?: number;
  handle(
    ctx: MetronomeContext,
    input: Input<B, Q>,
    path: Readonly<Record<string, string>>,
    query: z.output<Q>,
  ): Promise<MetronomeAnswer>;
}

/** A declared endpoint, with the type of its parameters erased. */
export interface MetronomeEndpoint {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body: z.ZodType | null;
  readonly query: z.ZodObject | null;
  readonly transactional: boolean;
  readonly idempotency: 'stored' | 'handler';
  readonly bodyBytesMax: number;
  readonly handle: (
    ctx: MetronomeContext,
    input: unknown,
    path: Readonly<Record<string, string>>,
    query: Readonly<Record<string, unknown>>,
  ) => Promise<MetronomeAnswer>;
}

const BODY_BYTES_MAX = 1024 * 1024;

/**
 * Declares one endpoint of the Metronome dialect. The layer around it authenticates, parses and validates, opens the
 * transaction of a POST and keeps its idempotency record; `handle` does the business and returns the JSON or EMPTY.
 */
export function metronomeEndpoint<B extends z.ZodType = NoBody, Q extends z.ZodObject = NoQuery>(
  definition: MetronomeEndpointDefinition<B, Q>,
): MetronomeEndpoint {
  return {
    method: definition.method,
    path: definition.path,
    body: definition.body ?? null,
    query: definition.query ?? null,
    transactional: definition.transactional ?? definition.method === 'POST',
    idempotency: definition.idempotency ?? 'stored',
    bodyBytesMax: definition.bodyBytesMax ?? BODY_BYTES_MAX,
    handle: (ctx, input, path, query) =>
      definition.handle(ctx, input as Input<B, Q>, path, query as z.output<Q>),
  };
}
