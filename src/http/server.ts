import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createApp } from './app.js';
import type { HttpDeps, Routes } from './app.js';
import { routes as allRoutes } from './routes.js';

export type { HttpDeps, Readiness } from './app.js';

export interface HttpServer {
  readonly port: number;
  /** Stops accepting, lets requests in flight end, then resolves. */
  close(): Promise<void>;
}

/** Keep-alive clients reuse connections for up to this long, longer than the usual load balancer's minute. */
const KEEP_ALIVE_MILLIS = 65_000;
const HEADERS_MILLIS = 66_000;
const REQUEST_MILLIS = 120_000;

/** Starts the API. Port 0 takes any free port. */
export async function startHttpServer(
  deps: HttpDeps,
  options: { port: number; host: string },
  routes: Routes = allRoutes,
): Promise<HttpServer> {
  let closing = false;
  const app = createApp(deps, routes);
  const server = createServer((request, response) => {
    if (closing) response.setHeader('Connection', 'close');
    app(request, response);
  });
  server.keepAliveTimeout = KEEP_ALIVE_MILLIS;
  server.headersTimeout = HEADERS_MILLIS;
  server.requestTimeout = REQUEST_MILLIS;
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      closing = true;
      return close(server);
    },
  };
}

function listen(server: Server, options: { port: number; host: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Connections that were busy when closing began become idle later, so idle ones are closed again and again. */
function close(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    const sweep = setInterval(() => {
      server.closeIdleConnections();
    }, 50);
    server.close((error) => {
      clearInterval(sweep);
      if (error === undefined) resolve();
      else reject(error);
    });
    server.closeIdleConnections();
  });
}
