import { Agent, request } from 'node:http';
import { afterEach, expect, it } from 'vitest';
import type { Core } from '../../src/core.js';
import { endpoint } from '../../src/http/endpoint.js';
import { object } from '../../src/http/params.js';
import { type HttpServer, startHttpServer } from '../../src/http/server.js';

let release = (): void => {};
let entered = (): void => {};
const slow = endpoint({
  method: 'GET',
  path: '/v1/slow',
  params: object({}),
  async handle() {
    entered();
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    return { object: 'slow' };
  },
});

const agent = new Agent({ keepAlive: true });
afterEach(() => {
  agent.destroy();
});

/** Nothing here looks at the database. */
function start(): Promise<HttpServer> {
  const core = { db: {}, log: console, now: Date.now } as unknown as Core;
  const principal = { accountId: 'acct_1', livemode: false, keyId: 'key_1', type: 'secret' as const };
  return startHttpServer(
    {
      core,
      findApiKey: () => Promise.resolve(principal),
      readiness: () => Promise.resolve({ ok: false, checks: { database: 'unreachable' } }),
    },
    { port: 0, host: '127.0.0.1' },
    { endpoints: [slow], expansions: [] },
  );
}

function get(
  port: number,
  path: string,
): Promise<{ status: number; connection: string | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { port, path, agent, host: '127.0.0.1', headers: { authorization: 'Bearer k' } },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, connection: response.headers.connection, body });
        });
      },
    );
    sent.on('error', reject).end();
  });
}

it('closes by letting what is in flight end and taking nothing more', async () => {
  const server = await start();
  await get(server.port, '/healthz');
  const running = new Promise<void>((resolve) => {
    entered = resolve;
  });
  const answer = get(server.port, '/v1/slow');
  await running;
  let closed = false;
  const closing = server.close().then(() => {
    closed = true;
  });
  await expect(get(server.port, '/healthz')).rejects.toThrow(/ECONNREFUSED|socket hang up|ECONNRESET/);
  expect(closed).toBe(false);
  release();
  expect(await answer).toMatchObject({ status: 200, body: '{"object":"slow"}' });
  await closing;
  expect(closed).toBe(true);
});

it('is alive but not ready while its database is away', async () => {
  const server = await start();
  expect((await get(server.port, '/healthz')).status).toBe(200);
  expect(await get(server.port, '/readyz')).toMatchObject({ status: 503 });
  agent.destroy();
  await server.close();
});

it('says when its port is taken', async () => {
  const server = await start();
  const deps = {
    core: {} as Core,
    findApiKey: () => Promise.resolve(null),
    readiness: () => Promise.reject(new Error()),
  };
  const taken = startHttpServer(
    deps,
    { port: server.port, host: '127.0.0.1' },
    { endpoints: [], expansions: [] },
  );
  await expect(taken).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await server.close();
});
