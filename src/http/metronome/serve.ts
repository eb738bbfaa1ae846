import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Core } from '../../core.js';
import { invalid } from '../../domain/errors.js';
import { newId } from '../../ids.js';
import { toJsonText } from '../../json.js';
import type { Queryable } from '../../storage/db.js';
import { readBody } from '../body.js';
import { expectedFailure } from '../failure.js';
import { idempotencyKeyOf, requestFingerprint, runRequest } from '../idempotency.js';
import type { Answer } from '../idempotency.js';
import { contextOf } from '../serve.js';
import type { ServeDeps } from '../serve.js';
import type { ParamNode } from '../tree.js';
import { EMPTY, noQuery } from './endpoint.js';
import type { MetronomeEndpoint } from './endpoint.js';
import { metronomeDefect, metronomeFailure } from './errors.js';
import { parseJsonExact } from './json.js';
import { validate } from './params.js';

type Path = Readonly<Record<string, string>>;

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Carries out one request of the Metronome dialect and answers it. Never rejects. */
export async function serveMetronome(
  deps: ServeDeps,
  endpoint: MetronomeEndpoint,
  request: IncomingMessage,
  response: ServerResponse,
  path: Path,
): Promise<void> {
  const requestId = newId('request');
  response.setHeader('Request-Id', requestId);
  try {
    const answer = await answerRequest(deps, endpoint, request, requestId, path);
    if (answer.replayed) response.setHeader('Idempotent-Replayed', 'true');
    sendText(response, answer.status, answer.body);
  } catch (error) {
    sendMetronomeFailure(deps.core, response, requestId, error, `${endpoint.method} ${endpoint.path}`);
  }
}

/** Answers a failure as `{message}`; a defect is logged under the request id and answered opaquely. */
export function sendMetronomeFailure(
  core: Core,
  response: ServerResponse,
  requestId: string,
  error: unknown,
  where: string,
): void {
  const expected = expectedFailure(core, requestId, where, error);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const failure = expected === null ? metronomeDefect(requestId) : metronomeFailure(expected);
  for (const [name, value] of Object.entries(failure.headers)) response.setHeader(name, value);
  if (failure.status === 413) response.setHeader('Connection', 'close');
  sendText(response, failure.status, toJsonText(failure.body));
}

/** An empty text is an empty body, without a type. */
function sendText(response: ServerResponse, status: number, body: string): void {
  const bytes = Buffer.from(body, 'utf8');
  response.writeHead(status, {
    ...(bytes.length === 0 ? {} : { 'Content-Type': 'application/json' }),
    'Content-Length': bytes.length,
  });
  response.end(bytes);
}

async function answerRequest(
  deps: ServeDeps,
  endpoint: MetronomeEndpoint,
  request: IncomingMessage,
  requestId: string,
  path: Path,
): Promise<Answer> {
  const key = endpoint.method === 'POST' ? idempotencyKeyOf(request.headers['idempotency-key']) : null;
  const principal = await deps.authenticate(request.headers.authorization);
  const sentQuery = queryOf(request);
  const sentBody = endpoint.method === 'POST' ? await bodyOf(request, endpoint.bodyBytesMax) : undefined;
  const query = validate(endpoint.query ?? noQuery, sentQuery);
  const input = endpoint.body === null ? query : validate(endpoint.body, sentBody ?? {});
  const idempotent =
    key === null || endpoint.idempotency === 'handler'
      ? null
      : {
          accountId: principal.accountId,
          key,
          fingerprint: requestFingerprint(endpoint.method, pathOf(request), {
            query: sentQuery,
            body: (sentBody ?? null) as ParamNode,
          }),
          now: deps.core.now(),
        };
  const state = { replayed: false };
  const run = async (q: Queryable): Promise<string> => {
    const ctx = contextOf(deps.core, principal, requestId, key, q, state);
    const answer = await endpoint.handle(ctx, input, path, query);
    return answer === EMPTY ? '' : toJsonText(answer);
  };
  const answer = await runRequest(deps.core.db, deps.inFlight, endpoint, idempotent, run);
  return state.replayed ? { ...answer, replayed: true } : answer;
}

/** The last of several values of one name; an array comes as `a[]=…`, `a=…,…` or repeated. */
function queryOf(request: IncomingMessage): Record<string, string> {
  const url = request.url ?? '/';
  const mark = url.indexOf('?');
  const query: Record<string, string> = {};
  if (mark < 0) return query;
  for (const [sent, value] of new URLSearchParams(url.slice(mark + 1))) {
    const name = sent.endsWith('[]') ? sent.slice(0, -2) : sent;
    if (value.includes('\u0000') || name === '__proto__') throw invalid('Invalid request: malformed query.');
    query[name] = Object.hasOwn(query, name) ? `${query[name] ?? ''},${value}` : value;
  }
  return query;
}

async function bodyOf(request: IncomingMessage, bytesMax: number): Promise<unknown> {
  const bytes = await readBody(request, bytesMax);
  if (bytes.length === 0) return undefined;
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw invalid('Invalid request: the body is not valid UTF-8.');
  }
  return parseJsonExact(text);
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?')[0] ?? '/';
}
