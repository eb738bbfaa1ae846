import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLogger } from '../../src/logging.js';
import { identifyProcess, isSameProcessAlive } from '../../src/processes.js';
import { supervise } from '../../src/supervise.js';
import type {
  ServerGaveUpError,
  SupervisedServer,
  SuperviseOptions,
  Supervision,
} from '../../src/supervise.js';
import { makeRunDirectory } from '../support/runDirectory.js';

const logger = createLogger('silent');
let folder: string;
let running: Supervision[];

beforeEach(() => {
  folder = makeRunDirectory('supervise');
  running = [];
});

afterEach(async () => {
  await Promise.all(running.map((supervision) => supervision.stop()));
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** A server in one line of JavaScript that listens on the port it is given. */
function nodeServer(port: number, code = ''): SupervisedServer {
  const script = `${code}; require('net').createServer().listen(${port}, '127.0.0.1')`;
  return {
    name: 'toy',
    plan: { command: process.execPath, args: ['-e', script] },
    pidFile: join(folder, 'run', 'toy.json'),
    logFile: join(folder, 'logs', 'toy.log'),
    stopSignal: 'SIGTERM',
    stopMillis: 1_000,
    readyMillis: 20_000,
    isReady: () => accepts(port),
  };
}

async function start(
  server: SupervisedServer,
  options: Partial<SuperviseOptions> = {},
): Promise<Supervision> {
  const supervision = await supervise(server, {
    logger,
    onFatal: (error) => {
      throw error;
    },
    ...options,
  });
  running.push(supervision);
  return supervision;
}

test('a server that is killed comes back on the same port', async () => {
  const port = await freePort();
  const supervision = await start(nodeServer(port));
  const first = supervision.pid()!;

  process.kill(first, 'SIGKILL');
  await vi.waitFor(() => expect(supervision.pid()).not.toBe(first), { timeout: 20_000 });
  await vi.waitFor(async () => expect(await accepts(port)).toBe(true), { timeout: 20_000 });
  expect(supervision.restarts()).toBe(1);
});

test('after five deaths within a minute it gives up once, with the last log lines', async () => {
  const port = await freePort();
  const dying = nodeServer(port, "setTimeout(() => { console.error('disk on fire'); process.exit(3) }, 400)");
  const onFatal = vi.fn();
  const supervision = await start(dying, { onFatal });

  await vi.waitFor(() => expect(onFatal).toHaveBeenCalled(), { timeout: 40_000 });
  expect(onFatal).toHaveBeenCalledTimes(1);
  const error = onFatal.mock.calls[0]![0] as ServerGaveUpError;
  expect(error.message).toMatch(/toy has died 5 times within 60 s; the last time it died: exit code 3/);
  expect(error.message).toContain('disk on fire');
  expect(supervision.restarts()).toBe(4);
});

test('deaths that are far apart do not add up', async () => {
  const port = await freePort();
  const onFatal = vi.fn();
  const supervision = await start(nodeServer(port), { onFatal, maxDeaths: 2, windowMillis: 1 });
  for (let death = 1; death <= 3; death += 1) {
    process.kill(supervision.pid()!, 'SIGKILL');
    await vi.waitFor(() => expect(supervision.restarts()).toBe(death), { timeout: 20_000 });
    await vi.waitFor(async () => expect(await accepts(port)).toBe(true), { timeout: 20_000 });
  }
  expect(onFatal).not.toHaveBeenCalled();
});

test('a server that never comes up is an error with its own words', async () => {
  const port = await freePort();
  const broken = nodeServer(port, "console.error('no such setting'); process.exit(1)");
  await expect(start(broken)).rejects.toThrow(/toy died while starting: exit code 1[^]*no such setting/);
  const absent = { ...nodeServer(port), plan: { command: join(folder, 'absent'), args: [] } };
  await expect(start(absent)).rejects.toThrow(/could not be started/);
  const deaf = { ...nodeServer(port), isReady: () => Promise.resolve(false), readyMillis: 300 };
  await expect(start(deaf)).rejects.toThrow(/did not answer within 0.3 s/);
});

test('stopping ends a server that ignores the polite signal, and it is not started again', async () => {
  const port = await freePort();
  const supervision = await start(nodeServer(port, "process.on('SIGTERM', () => {})"));
  const identity = identifyProcess(supervision.pid()!)!;
  await supervision.stop();
  expect(isSameProcessAlive(identity)).toBe(false);
  expect(supervision.restarts()).toBe(0);
  expect(existsSync(join(folder, 'run', 'toy.json'))).toBe(false);
});

test('an orphan of a killed engine is ended before the start; its port is free again', async () => {
  const port = await freePort();
  const server = nodeServer(port);
  const orphan = spawn(server.plan.command, server.plan.args, { detached: true, stdio: 'ignore' });
  await vi.waitFor(async () => expect(await accepts(port)).toBe(true), { timeout: 20_000 });
  const identity = identifyProcess(orphan.pid!)!;
  mkdirSync(join(folder, 'run'));
  writeFileSync(server.pidFile, JSON.stringify(identity));

  const supervision = await start(server);
  expect(isSameProcessAlive(identity)).toBe(false);
  expect(supervision.pid()).not.toBe(orphan.pid);
  expect(await accepts(port)).toBe(true);
});

test('a process that only got the pid of a dead server is left alone', async () => {
  const bystander = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  try {
    const identity = identifyProcess(bystander.pid!)!;
    const server = nodeServer(await freePort());
    mkdirSync(join(folder, 'run'));
    writeFileSync(server.pidFile, JSON.stringify({ ...identity, startedAt: 'before the reboot' }));
    await start(server);
    expect(isSameProcessAlive(identity)).toBe(true);
    expect(readFileSync(server.pidFile, 'utf8')).not.toContain('before the reboot');
  } finally {
    bystander.kill('SIGKILL');
  }
});
