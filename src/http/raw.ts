import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Core } from '../core.js';
import type { Principal } from './auth.js';
import type { Endpoint } from './endpoint.js';
import { idempotencyKeyOf } from './idempotency.js';
import { openExchange, type ServeDeps, send, sendFailure, serve } from './serve.js';

/** What a raw endpoint is given: the request as it comes, and the parts that every endpoint shares. */
export interface RawContext {
  readonly core: Core;
  readonly request: IncomingMessage;
  readonly requestId: string;
  readonly idempotencyKey: string | null;
  /** Who sends it, by API key; throws as it does everywhere. */
  authenticate(): Promise<Principal>;
}

export interface RawAnswer {
  status: number;
  /** JSON text. */
  body: string;
  replayed?: boolean;
}

/**
 * An endpoint on the way of meter events. It reads its own body and is reached without Express, whose routing costs
 * more than storing an event. Failures, request ids and keys are those of every other endpoint.
 */
export interface RawEndpoint {
  readonly method: 'POST';
  /** An exact path. */
  readonly path: string;
  handle(ctx: RawContext): Promise<RawAnswer>;
}

type Answer = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/**
 * Finds what answers a request without Express, or null. Those are the raw endpoints, and of the others the ones that
 * are hot enough to honour the Idempotency-Key by themselves.
 */
export function rawRouter(
  deps: ServeDeps,
  routes: { endpoints: readonly Endpoint[]; raw?: readonly RawEndpoint[] },
): (request: IncomingMessage) => Answer | null {
  const answers = new Map<string, Answer>();
  for (const endpoint of routes.endpoints) {
    if (endpoint.idempotency !== 'handler') continue;
    answers.set(`${endpoint.method} ${endpoint.path}`, (request, response) =>
      serve(deps, endpoint, request, response, {}),
    );
  }
  for (const endpoint of routes.raw ?? []) {
    answers.set(`${endpoint.method} ${endpoint.path}`, (request, response) =>
      serveRaw(deps, endpoint, request, response),
    );
  }
  return (request) => {
    const url = request.url ?? '/';
    const mark = url.indexOf('?');
    return answers.get(`${request.method} ${mark < 0 ? url : url.slice(0, mark)}`) ?? null;
  };
}

/** Carries out one request and answers it. Never rejects. */
async function serveRaw(
  deps: ServeDeps,
  endpoint: RawEndpoint,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const exchange = openExchange(request, response);
  try {
    const idempotencyKey = idempotencyKeyOf(request.headers['idempotency-key']);
    if (idempotencyKey !== null) {
      response.setHeader('Idempotency-Key', idempotencyKey.replace(/[^\x20-\x7e]/g, '?'));
    }
    const answer = await endpoint.handle({
      core: deps.core,
      request,
      requestId: exchange.requestId,
      idempotencyKey,
      authenticate: () => deps.authenticate(request.headers.authorization),
    });
    if (answer.replayed === true) response.setHeader('Idempotent-Replayed', 'true');
    send(response, answer.status, answer.body);
  } catch (error) {
    sendFailure(deps.core, exchange, error, `${endpoint.method} ${endpoint.path}`);
  }
}
