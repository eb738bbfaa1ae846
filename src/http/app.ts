import type { RequestListener } from 'node:http';
import express from 'express';
import type { Express, NextFunction, Request, Response } from 'express';
import type { Core } from '../core.js';
import { BillingError, invalid } from '../domain/errors.js';
import { toJsonText } from '../json.js';
import { createAuthenticate } from './auth.js';
import type { FindApiKey } from './auth.js';
import type { Endpoint } from './endpoint.js';
import { Expander } from './expand.js';
import type { Expansion } from './expand.js';
import { type RawEndpoint, rawRouter } from './raw.js';
import type { MetronomeEndpoint } from './metronome/endpoint.js';
import { mountMetronome } from './metronome/mount.js';
import { openExchange, send, sendFailure, serve } from './serve.js';
import type { ServeDeps } from './serve.js';

export interface Readiness {
  ok: boolean;
  /** What was looked at, in words: `{ database: 'ok', temporal: 'unreachable' }`. */
  checks: Readonly<Record<string, string>>;
}

/** What the HTTP server needs from the process around it. */
export interface HttpDeps {
  core: Core;
  findApiKey: FindApiKey;
  readiness(): Promise<Readiness>;
}

/** What is served. */
export interface Routes {
  endpoints: readonly Endpoint[];
  expansions: readonly Expansion[];
  /** What is answered before Express sees it, see raw.ts. */
  raw?: readonly RawEndpoint[];
  /** Served below `/metronome`, in its own dialect. */
  metronome?: readonly MetronomeEndpoint[];
}

/**
 * What answers requests: the raw endpoints, then the Express application with health, every endpoint of `routes` and
 * Stripe's 404.
 */
export function createApp(deps: HttpDeps, routes: Routes): RequestListener {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.disable('query parser');
  mountHealth(app, deps);
  const serveDeps: ServeDeps = {
    core: deps.core,
    authenticate: createAuthenticate(deps.findApiKey),
    expander: new Expander(routes.expansions),
    inFlight: new Set(),
  };
  for (const endpoint of routes.endpoints) mount(app, serveDeps, endpoint);
  mountMetronome(app, serveDeps, routes.metronome ?? []);
  app.use((request: Request, response: Response) => {
    sendFailure(deps.core, openExchange(request, response), unrecognized(request), 'unrecognized');
  });
  // Express finds an error handler by its four parameters.
  app.use((error: unknown, request: Request, response: Response, _next: NextFunction) => {
    const failure = error instanceof URIError ? invalid('Invalid request: malformed URL.') : error;
    sendFailure(deps.core, openExchange(request, response), failure, request.path);
  });
  const findRaw = rawRouter(serveDeps, routes);
  return (request, response) => {
    const answer = findRaw(request);
    if (answer === null) app(request, response);
    else void answer(request, response);
  };
}

function mountHealth(app: Express, deps: HttpDeps): void {
  app.get('/healthz', (_request, response) => {
    send(response, 200, toJsonText({ status: 'ok' }));
  });
  app.get('/readyz', async (_request, response) => {
    const { ok, checks } = await deps.readiness();
    send(response, ok ? 200 : 503, toJsonText({ status: ok ? 'ok' : 'unavailable', checks }));
  });
}

function mount(app: Express, deps: ServeDeps, endpoint: Endpoint): void {
  const handler = (request: Request, response: Response, next: NextFunction): Promise<void> | void => {
    const path = request.params as Record<string, string>;
    if (Object.values(path).some(isNoId)) {
      next();
      return;
    }
    return serve(deps, endpoint, request, response, path);
  };
  const methods = { GET: 'get', POST: 'post', DELETE: 'delete' } as const;
  app[methods[endpoint.method]](endpoint.path, handler);
}

/** `search` is a part of Stripe's API that we don't have, not the id of an object. */
function isNoId(value: string): boolean {
  return value === 'search' || value.length > 255 || value.includes('\u0000');
}

function unrecognized(request: Request): BillingError {
  const message =
    `Unrecognized request URL (${request.method}: ${request.path}). ` +
    'Please see docs/compatibility.md for what Durabill serves of https://stripe.com/docs.';
  return new BillingError('not_found', message);
}
