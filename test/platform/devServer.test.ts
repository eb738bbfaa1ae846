import { rmSync } from 'node:fs';
import { Client, Connection } from '@temporalio/client';
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest';
import '../support/provided.js';
import { createLogger } from '../../src/logging.js';
import { startDevServer } from '../../src/temporal/devServer.js';
import type { TemporalDevServer } from '../../src/temporal/devServer.js';
import { ensureTemporal } from '../../src/temporal/ensure.js';
import { makeRunDirectory } from '../support/runDirectory.js';

const logger = createLogger('silent');
let dataDir: string;
let running: TemporalDevServer[];

beforeEach(() => {
  dataDir = makeRunDirectory('temporal');
  running = [];
});

afterEach(async () => {
  await Promise.all(running.map((server) => server.stop()));
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(): Promise<TemporalDevServer> {
  const server = await startDevServer({
    binary: inject('durabill').temporalBinary,
    dataDir,
    searchAttributes: { CustomerId: 'Keyword' },
    logger,
    onFatal: (error) => {
      throw error;
    },
  });
  running.push(server);
  return server;
}

async function startSleeper(connection: Connection, workflowId: string): Promise<void> {
  const client = new Client({ connection });
  // Nobody serves this queue: the workflow stays open, which is all that is asked of it.
  await client.workflow.start('sleeper', { workflowId, taskQueue: 'nobody' });
}

async function statusOf(address: string, workflowId: string): Promise<string> {
  const connection = await Connection.connect({ address });
  try {
    return (await new Client({ connection }).workflow.getHandle(workflowId).describe()).status.name;
  } finally {
    await connection.close();
  }
}

test('workflows survive a stop and a start, and a kill; the addresses stay', async () => {
  const first = await start();
  const connection = await Connection.connect({ address: first.address });
  await startSleeper(connection, 'kept');
  await connection.close();
  await first.stop();

  const second = await start();
  expect(second.address).toBe(first.address);
  expect(second.uiUrl).toBe(first.uiUrl);
  expect(await statusOf(second.address, 'kept')).toBe('RUNNING');

  process.kill(second.pid()!, 'SIGKILL');
  await vi.waitFor(async () => expect(await statusOf(second.address, 'kept')).toBe('RUNNING'), {
    timeout: 30_000,
  });
  expect(second.restarts()).toBe(1);
});

test('the Web UI answers', async () => {
  const server = await start();
  const response = await fetch(server.uiUrl);
  expect(response.status).toBe(200);
  expect(await response.text()).toContain('<html');
});

test("on a server of the team's, the namespace and the search attributes are made when missing, once", async () => {
  const namespace = `team-${process.pid}-${Date.now()}`;
  const searchAttributes = { CustomerId: 'Keyword', PeriodEnd: 'Datetime', PriceId: 'KeywordList' };
  const connection = await Connection.connect({ address: inject('durabill').temporalAddress });
  const attributes = async () =>
    (await connection.operatorService.listSearchAttributes({ namespace })).customAttributes;

  await ensureTemporal(connection, { namespace, searchAttributes, logger });
  await vi.waitFor(async () => expect(Object.keys(await attributes())).toHaveLength(3), { timeout: 20_000 });
  await ensureTemporal(connection, {
    namespace,
    searchAttributes: { ...searchAttributes, Plan: 'Keyword' },
    logger,
  });
  await vi.waitFor(
    async () =>
      expect(Object.keys(await attributes()).sort()).toEqual(['CustomerId', 'PeriodEnd', 'Plan', 'PriceId']),
    { timeout: 20_000 },
  );
  await connection.close();
});
