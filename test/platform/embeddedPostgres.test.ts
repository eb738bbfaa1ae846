import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLogger } from '../../src/logging.js';
import { identifyProcess, isSameProcessAlive } from '../../src/processes.js';
import { startEmbeddedPostgres } from '../../src/storage/embeddedPostgres.js';
import type { EmbeddedPostgres } from '../../src/storage/embeddedPostgres.js';
import { makeRunDirectory } from '../support/runDirectory.js';

const FIXTURE = fileURLToPath(new URL('./fixtures/embeddedPostgres.ts', import.meta.url));

let dataDir: string;
let running: EmbeddedPostgres[];

beforeEach(() => {
  dataDir = makeRunDirectory('postgres');
  running = [];
});

afterEach(async () => {
  await Promise.all(running.map((server) => server.stop()));
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(folder = dataDir): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({
    dataDir: folder,
    logger: createLogger('silent'),
    onFatal: (error) => {
      throw error;
    },
  });
  running.push(server);
  return server;
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

/** Starts the server in a process of its own, as an engine would, and kills that process. */
async function leaveAnOrphan(): Promise<{ url: string; pid: number }> {
  const engine = spawn(process.execPath, ['--import', 'tsx', FIXTURE, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await new Promise<string>((resolve) =>
    engine.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString())),
  );
  const orphan = JSON.parse(line) as { url: string; pid: number };
  await query(orphan.url, 'create table kept (id int); insert into kept values (1)');
  engine.kill('SIGKILL');
  await new Promise((resolve) => engine.once('exit', resolve));
  expect(identifyProcess(orphan.pid)).not.toBeNull();
  return orphan;
}

test('data, address and password survive a stop and a start; nobody else can read the password', async () => {
  const first = await start();
  await query(first.url, 'create table kept (id int); insert into kept values (1)');
  expect(await query(first.url, 'show fsync')).toEqual([{ fsync: 'on' }]);
  expect(await query(first.url, 'show synchronous_commit')).toEqual([{ synchronous_commit: 'on' }]);
  await first.stop();

  const second = await start();
  expect(second.url).toBe(first.url);
  expect(await query(second.url, 'select * from kept')).toEqual([{ id: 1 }]);
  expect(statSync(join(dataDir, 'postgres-password')).mode & 0o777).toBe(0o600);
  const stranger = second.url.replace(/:[^:@]+@/, ':guess@');
  await expect(query(stranger, 'select 1')).rejects.toThrow(/password authentication failed/);
});

test('killed in the middle of its work, it comes back on its own with every committed row', async () => {
  const server = await start();
  await query(server.url, 'create table kept (id int); insert into kept values (1)');
  process.kill(server.pid()!, 'SIGKILL');
  await vi.waitFor(async () => expect(await query(server.url, 'select * from kept')).toEqual([{ id: 1 }]), {
    timeout: 30_000,
  });
  expect(server.restarts()).toBe(1);
});

test('the server that a killed engine left behind is ended, and its data is used', async () => {
  const orphan = await leaveAnOrphan();
  const server = await start();
  expect(identifyProcess(orphan.pid)).toBeNull();
  expect(await query(server.url, 'select * from kept')).toEqual([{ id: 1 }]);
});

test('so is one that the killed engine had no time to record', async () => {
  const orphan = await leaveAnOrphan();
  rmSync(join(dataDir, 'run', 'postgres.json'));
  const server = await start();
  expect(identifyProcess(orphan.pid)).toBeNull();
  expect(server.url).toBe(orphan.url);
});

test("a lock file whose pid has become another program's does not keep it from starting, nor harm that program", async () => {
  const first = await start();
  await first.stop();
  const bystander = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  try {
    const identity = identifyProcess(bystander.pid!)!;
    const cluster = join(dataDir, 'postgres');
    writeFileSync(
      join(cluster, 'postmaster.pid'),
      `${bystander.pid!}\n${cluster}\n1700000000\n${first.port}\n\n127.0.0.1\n`,
    );
    await start();
    expect(isSameProcessAlive(identity)).toBe(true);
  } finally {
    bystander.kill('SIGKILL');
  }
});

test('a data folder that was only half made by a killed start is made anew', async () => {
  mkdirSync(join(dataDir, 'postgres.new'));
  writeFileSync(join(dataDir, 'postgres.new', 'PG_VERSION'), '18\n');
  const server = await start();
  expect(await query(server.url, 'select 1 as one')).toEqual([{ one: 1 }]);
});

test.runIf(process.getuid?.() === 0)(
  "as root below a closed folder, the cluster goes where Postgres's account can reach it, and is found again",
  async () => {
    // mkdtemp makes a folder that only root may pass through.
    const closed = mkdtempSync(join(tmpdir(), 'durabill-closed-'));
    const folder = join(closed, 'data');
    let elsewhere = '';
    try {
      const first = await start(folder);
      await query(first.url, 'create table kept (id int)');
      await first.stop();
      elsewhere = readFileSync(join(folder, 'postgres-location'), 'utf8').trim();
      expect(existsSync(join(elsewhere, 'PG_VERSION'))).toBe(true);
      expect(statSync(closed).mode & 0o777).toBe(0o700);
      const second = await start(folder);
      expect(await query(second.url, 'select * from kept')).toEqual([]);
      await second.stop();
    } finally {
      rmSync(closed, { recursive: true, force: true });
      if (elsewhere !== '') rmSync(elsewhere, { recursive: true, force: true });
    }
  },
);

test.runIf(process.getuid?.() === 0)(
  'a data folder that is itself closed is opened for passing, no more',
  async () => {
    chmodSync(dataDir, 0o700);
    await start();
    expect(statSync(dataDir).mode & 0o777).toBe(0o711);
    expect(existsSync(join(dataDir, 'postgres', 'PG_VERSION'))).toBe(true);
  },
);
