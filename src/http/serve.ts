import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Core } from '../core.js';
import { newId } from '../ids.js';
import { toJsonText } from '../json.js';
import type { Queryable, Transaction } from '../storage/db.js';
import { API_VERSION } from '../stripe/version.js';
import type { Authenticate, Principal } from './auth.js';
import { decodeBody, readBody } from './body.js';
import type { Endpoint, RequestContext } from './endpoint.js';
import { defectAnswer, errorAnswer } from './errors.js';
import type { ErrorAnswer } from './errors.js';
import type { Expander } from './expand.js';
import { expectedFailure } from './failure.js';
import { decodeForm } from './form.js';
import { idempotencyKeyOf, requestFingerprint, runRequest } from './idempotency.js';
import type { Answer } from './idempotency.js';
import { array, text } from './params.js';
import type { ParamTree } from './tree.js';
import { validateExpand, validateParams } from './validation.js';

export interface ServeDeps {
  core: Core;
  authenticate: Authenticate;
  expander: Expander;
  /** Names of non-transactional requests that run now, see `runRepeatably`. */
  inFlight: Set<string>;
}

/** How soon a client that was turned away may come again; a full queue is worked off in less. */
const RETRY_AFTER_SECONDS = '1';

type Path = Readonly<Record<string, string>>;

export interface Exchange {
  requestId: string;
  response: ServerResponse;
  /** Top-level parameters that were sent, for the status of a missing object. */
  sent: ReadonlySet<string>;
}

/** Begins an answer: every response carries a request id and the API version. */
export function openExchange(request: IncomingMessage, response: ServerResponse): Exchange {
  const requestId = newId('request');
  response.setHeader('Request-Id', requestId);
  response.setHeader('Stripe-Version', versionOf(request));
  return { requestId, response, sent: new Set() };
}

/** Carries out one request to an endpoint and answers it. Never rejects. */
export async function serve(
  deps: ServeDeps,
  endpoint: Endpoint,
  request: IncomingMessage,
  response: ServerResponse,
  path: Path,
): Promise<void> {
  const exchange = openExchange(request, response);
  try {
    const answer = await answerRequest(deps, endpoint, request, exchange, path);
    if (answer.replayed) response.setHeader('Idempotent-Replayed', 'true');
    send(response, answer.status, answer.body);
  } catch (error) {
    sendFailure(deps.core, exchange, error, `${endpoint.method} ${endpoint.path}`);
  }
}

/** Answers a failure in Stripe's words; a defect is logged under the request id and answered opaquely. */
export function sendFailure(core: Core, exchange: Exchange, error: unknown, where: string): void {
  const failure = expectedFailure(core, exchange.requestId, where, error);
  const answer: ErrorAnswer =
    failure === null ? defectAnswer(exchange.requestId) : errorAnswer(failure, exchange.sent);
  const { response } = exchange;
  if (response.headersSent) {
    response.destroy();
    return;
  }
  if (answer.retry !== null) response.setHeader('Stripe-Should-Retry', String(answer.retry));
  if (answer.status === 401) response.setHeader('WWW-Authenticate', 'Basic realm="Durabill"');
  if (answer.status === 413) response.setHeader('Connection', 'close');
  if (answer.status === 429) response.setHeader('Retry-After', RETRY_AFTER_SECONDS);
  send(response, answer.status, toJsonText(answer.body));
}

/** Sends a JSON text. */
export function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body, 'utf8'),
  });
  // As text: head and body then leave in one write.
  response.end(body, 'utf8');
}

async function answerRequest(
  deps: ServeDeps,
  endpoint: Endpoint,
  request: IncomingMessage,
  exchange: Exchange,
  path: Path,
): Promise<Answer> {
  const key = endpoint.method === 'POST' ? idempotencyKeyOf(request.headers['idempotency-key']) : null;
  if (key !== null) exchange.response.setHeader('Idempotency-Key', key.replace(/[^\x20-\x7e]/g, '?'));
  const principal = await deps.authenticate(request.headers.authorization);
  const tree = await readParams(endpoint, request);
  exchange.sent = new Set(Object.keys(tree));
  const { expand, ...rest } = tree;
  const params = validateParams(endpoint, rest);
  const expandPaths = expand === undefined ? [] : validateExpand(array(text()), expand);
  const idempotent =
    key === null || endpoint.idempotency === 'handler'
      ? null
      : {
          accountId: principal.accountId,
          key,
          fingerprint: requestFingerprint(endpoint.method, pathOf(request), tree),
          now: deps.core.now(),
        };
  const state = { replayed: false };
  const run = async (q: Queryable): Promise<string> => {
    const ctx = contextOf(deps.core, principal, exchange.requestId, key, q, state);
    const object = await endpoint.handle(ctx, params, path);
    if (expandPaths.length > 0) {
      await deps.expander.expand({ q, accountId: principal.accountId }, object, expandPaths);
    }
    return toJsonText(object);
  };
  const answer = await runRequest(deps.core.db, deps.inFlight, endpoint, idempotent, run);
  return state.replayed ? { ...answer, replayed: true } : answer;
}

/** Query of GET and DELETE; body of POST, over the query where a client sends both. */
async function readParams(endpoint: Endpoint, request: IncomingMessage): Promise<ParamTree> {
  const url = request.url ?? '/';
  const mark = url.indexOf('?');
  const query = mark < 0 ? null : decodeForm(url.slice(mark + 1), endpoint.repeated);
  if (endpoint.method !== 'POST') return query ?? decodeForm('');
  const body = decodeBody(await readBody(request), request.headers['content-type']);
  return query === null ? body : Object.assign(query, body);
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?')[0] ?? '/';
}

function versionOf(request: IncomingMessage): string {
  const version = request.headers['stripe-version'];
  return typeof version === 'string' && /^[\w.;=-]{1,64}$/.test(version) ? version : API_VERSION;
}

/** What a handler is told; `state` is where it marks its answer as replayed. */
export function contextOf(
  core: Core,
  principal: Principal,
  requestId: string,
  idempotencyKey: string | null,
  q: Queryable,
  state: { replayed: boolean },
): RequestContext {
  return {
    core,
    accountId: principal.accountId,
    livemode: principal.livemode,
    requestId,
    idempotencyKey,
    now: core.now(),
    q,
    get tx(): Transaction {
      if (!isTransaction(q)) throw new Error('this endpoint runs without a transaction');
      return q;
    },
    request: { id: requestId, idempotencyKey },
    markReplayed: () => {
      state.replayed = true;
    },
  };
}

function isTransaction(q: Queryable): q is Transaction {
  return (q as Partial<Transaction>).inTransaction === true;
}
