import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { identifyProcess } from '../../src/processes.js';
import type { ProcessIdentity } from '../../src/processes.js';
import { stripeFor } from '../support/engine.js';
import { spawnEngine, startEngineProcess } from '../support/process.js';
import type { EngineProcess, EngineProcessOptions } from '../support/process.js';
import { endRecordedServers, makeRunDirectory } from '../support/runDirectory.js';

// Whole engines on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 240_000 });

const started: EngineProcess[] = [];

afterEach(async () => {
  const engines = started.splice(0);
  // All engines first: one that lives would start its servers again.
  for (const engine of engines) engine.signal('SIGKILL');
  await Promise.all(engines.map((engine) => engine.exited));
  for (const { dataDir } of engines) {
    await endRecordedServers(dataDir);
    rmSync(dataDir, { recursive: true, force: true });
  }
});

async function start(options: EngineProcessOptions = {}): Promise<EngineProcess> {
  const engine = await startEngineProcess(options);
  started.push(engine);
  return engine;
}

function serverPid(engine: EngineProcess, name: 'postgres' | 'temporal'): number {
  const file = join(engine.dataDir, 'run', `${name}.json`);
  return (JSON.parse(readFileSync(file, 'utf8')) as ProcessIdentity).pid;
}

async function customerNames(engine: EngineProcess): Promise<(string | null | undefined)[]> {
  const { data } = await stripeFor(engine.ready.api, engine.ready.apiKey).customers.list();
  return data.map((customer) => customer.name);
}

describe('the engine as a process', () => {
  test('says it is ready in one line, drains on SIGTERM, and goes on with the same key and data', async () => {
    const first = await start();
    expect(Object.keys(first.ready)).toEqual(['ready', 'api', 'temporal', 'temporalUi', 'apiKey']);
    expect(first.ready).toMatchObject({
      ready: true,
      api: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) as string,
      temporal: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string,
      temporalUi: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) as string,
      apiKey: expect.stringMatching(/^sk_test_/) as string,
    });
    await stripeFor(first.ready.api, first.ready.apiKey).customers.create({ name: 'Ada' });
    const pids = [serverPid(first, 'postgres'), serverPid(first, 'temporal')];
    expect(await first.stop()).toEqual({ code: 0, signal: null });
    expect(first.stdout().trimEnd().split('\n')).toHaveLength(1);
    expect(pids.map(identifyProcess)).toEqual([null, null]);
    expect(readdirSync(join(first.dataDir, 'run'))).toEqual([]);
    expect(first.stderr()).not.toContain(first.ready.apiKey);

    const second = await start({ dataDir: first.dataDir });
    expect(second.ready).toEqual({ ...first.ready, api: second.ready.api });
    expect(await customerNames(second)).toEqual(['Ada']);
  });

  test('killed without a word, it leaves servers behind; the next start ends them and loses nothing', async () => {
    const first = await start();
    await stripeFor(first.ready.api, first.ready.apiKey).customers.create({ name: 'Ada' });
    const orphans = [serverPid(first, 'postgres'), serverPid(first, 'temporal')];
    first.signal('SIGKILL');
    await first.exited;
    expect(orphans.map((pid) => identifyProcess(pid) !== null)).toEqual([true, true]);

    const second = await start({ dataDir: first.dataDir });
    expect(orphans.map(identifyProcess)).toEqual([null, null]);
    expect(second.ready.apiKey).toBe(first.ready.apiKey);
    expect(await customerNames(second)).toEqual(['Ada']);
  });

  test.each(['postgres', 'temporal'] as const)(
    'when %s dies, it is started again and work goes on',
    async (name) => {
      const engine = await start();
      const stripe = stripeFor(engine.ready.api, engine.ready.apiKey);
      await stripe.customers.create({ name: 'before' });
      const pid = serverPid(engine, name);
      process.kill(pid, 'SIGKILL');
      await vi.waitFor(() => expect(serverPid(engine, name)).not.toBe(pid), { timeout: 30_000 });
      await vi.waitFor(async () => expect((await fetch(`${engine.ready.api}/readyz`)).status).toBe(200), {
        timeout: 30_000,
        interval: 200,
      });
      await stripe.customers.create({ name: 'after' });
      expect(await customerNames(engine)).toEqual(['after', 'before']);
      expect(await engine.stop()).toEqual({ code: 0, signal: null });
    },
  );

  test('a second engine on the same data folder is refused; in another folder it runs beside the first', async () => {
    const first = await start();
    const refused = spawnEngine(['--json', '--port', '0', '--data-dir', first.dataDir]);
    expect((await refused.exited).code).toBe(1);
    expect(refused.stderr()).toContain(`another engine (pid ${first.pid}`);
    expect(refused.stdout()).toBe('');

    const beside = await start();
    expect(beside.ready.api).not.toBe(first.ready.api);
    expect(beside.ready.temporal).not.toBe(first.ready.temporal);
    expect((await fetch(`${first.ready.api}/readyz`)).status).toBe(200);
  });

  test('a second signal ends it at once', async () => {
    const engine = await start();
    // An open transaction on the pool of nobody: a request that waits for it keeps the drain from ending.
    const url = databaseUrl(engine.dataDir);
    const blocker = new pg.Client({ connectionString: url });
    blocker.on('error', () => undefined);
    await blocker.connect();
    await blocker.query('begin; lock table customers in access exclusive mode');
    const blocked = stripeFor(engine.ready.api, engine.ready.apiKey, {
      maxNetworkRetries: 0,
    }).customers.list();
    blocked.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 300));

    engine.signal('SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(identifyProcess(engine.pid)).not.toBeNull();
    engine.signal('SIGTERM');
    expect((await engine.exited).code).toBe(1);
    expect(engine.stderr()).toContain('a second SIGTERM');
    await expect(blocked).rejects.toThrow();
    await blocker.end().catch(() => undefined);
  });

  test('stopped in the middle of its start, it leaves nothing running', async () => {
    const dataDir = makeRunDirectory('data');
    const engine = spawnEngine(['--json', '--port', '0', '--data-dir', dataDir]);
    await vi.waitFor(() => expect(existsSync(join(dataDir, 'run', 'temporal.json'))).toBe(true), {
      timeout: 60_000,
      interval: 5,
    });
    engine.signal('SIGTERM');
    expect((await engine.exited).code).toBe(0);
    expect(readdirSync(join(dataDir, 'run'))).toEqual([]);
    expect(engine.stdout()).toBe('');
    rmSync(dataDir, { recursive: true, force: true });
  });

  test('a port that was asked for and is taken is an error in one line', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    const dataDir = makeRunDirectory('data');
    const engine = spawnEngine(['--json', '--port', String(port), '--data-dir', dataDir]);
    expect((await engine.exited).code).toBe(1);
    expect(engine.stderr().trimEnd().split('\n').at(-1)).toContain(`port ${port} on 127.0.0.1 is taken`);
    await new Promise((resolve) => other.close(resolve));
    rmSync(dataDir, { recursive: true, force: true });
  });

  test('bad settings are all reported before anything is started', async () => {
    const dataDir = join(makeRunDirectory('data'), 'never-made');
    const engine = spawnEngine(['--data-dir', dataDir, '--role', 'boss'], { DATABASE_URL: 'nonsense' });
    expect((await engine.exited).code).toBe(1);
    expect(engine.stderr()).toContain('--role boss');
    expect(engine.stderr()).toContain('DATABASE_URL');
    expect(existsSync(dataDir)).toBe(false);
    const help = spawnEngine(['--help']);
    expect((await help.exited).code).toBe(0);
    expect(help.stdout()).toContain('DURABILL_SIGNAL_BUDGET');
  });

  test("on servers of the team's it starts none of its own; api and worker are processes of their own", async () => {
    const host = await start();
    const env = { DATABASE_URL: databaseUrl(host.dataDir), TEMPORAL_ADDRESS: host.ready.temporal };
    const api = await start({ env, args: ['--role', 'api'] });
    const worker = await start({ env, args: ['--role', 'worker'] });
    expect(readdirSync(join(api.dataDir, 'run'))).toEqual(['engine.lock']);
    expect(api.ready).toMatchObject({ temporal: host.ready.temporal, temporalUi: null });
    // The port was asked for, so the worker answers about its health there, and about nothing else.
    expect(worker.ready.api).toBeNull();
    await stripeFor(api.ready.api, api.ready.apiKey).customers.create({ name: 'Ada' });
    expect(await customerNames(host)).toEqual(['Ada']);
    expect(await worker.stop()).toEqual({ code: 0, signal: null });
    expect(await api.stop()).toEqual({ code: 0, signal: null });
  });
});

function databaseUrl(dataDir: string): string {
  const password = readFileSync(join(dataDir, 'postgres-password'), 'utf8').trim();
  const ports = JSON.parse(readFileSync(join(dataDir, 'postgres-port.json'), 'utf8')) as { postgres: number };
  return `postgresql://durabill:${password}@127.0.0.1:${ports.postgres}/durabill`;
}
