import type { Express, NextFunction, Request, Response } from 'express';
import { BillingError, invalid } from '../../domain/errors.js';
import { newId } from '../../ids.js';
import type { ServeDeps } from '../serve.js';
import type { MetronomeEndpoint } from './endpoint.js';
import { sendMetronomeFailure, serveMetronome } from './serve.js';

const PREFIX = '/metronome';
const METHODS = { GET: 'get', POST: 'post' } as const;

/** Serves the endpoints below `/metronome`, and answers everything else there in the dialect's words. */
export function mountMetronome(app: Express, deps: ServeDeps, endpoints: readonly MetronomeEndpoint[]): void {
  for (const endpoint of endpoints) {
    const handler = (request: Request, response: Response, next: NextFunction): Promise<void> | void => {
      const path = request.params as Record<string, string>;
      if (Object.values(path).some(isNoId)) next();
      else return serveMetronome(deps, endpoint, request, response, path);
    };
    app[METHODS[endpoint.method]](PREFIX + endpoint.path, handler);
  }
  app.use(PREFIX, (request: Request, response: Response) => {
    const message =
      `Unrecognized request URL (${request.method}: ${request.baseUrl}${request.path}). ` +
      'docs/metronome.md says what Durabill serves of docs.metronome.com/api-reference.';
    sendMetronomeFailure(
      deps.core,
      response,
      newId('request'),
      new BillingError('not_found', message),
      'unrecognized',
    );
  });
  // Express finds an error handler by its four parameters.
  app.use(PREFIX, (error: unknown, request: Request, response: Response, _next: NextFunction) => {
    const failure = error instanceof URIError ? invalid('Invalid request: malformed URL.') : error;
    sendMetronomeFailure(deps.core, response, newId('request'), failure, request.path);
  });
}

/** No object has it as its id, and Postgres would not take it. */
function isNoId(value: string): boolean {
  return value.length > 255 || value.includes('\u0000');
}
