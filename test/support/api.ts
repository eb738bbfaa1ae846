import { Agent } from 'node:http';
import Stripe from 'stripe';
import type { Core, SubscriptionChange, SubscriptionRef } from '../../src/core.js';
import type { Routes } from '../../src/http/app.js';
import type { Principal } from '../../src/http/auth.js';
import { startHttpServer } from '../../src/http/server.js';
import type { Database } from '../../src/storage/db.js';
import { createTestDatabase } from './database.js';

export interface LoggedLine {
  level: 'debug' | 'info' | 'warn' | 'error';
  fields: object;
  message: string;
}

/** The HTTP API on a database of its own, without Temporal: what would be asked of it is recorded. */
export interface TestApi {
  readonly stripe: Stripe;
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly accountId: string;
  readonly db: Database;
  readonly core: Core;
  readonly changes: { ref: SubscriptionRef; change: SubscriptionChange; changeId: string }[];
  readonly log: LoggedLine[];
  /** A request without the SDK. `form` is sent as it is. */
  call(method: string, path: string, options?: CallOptions): Promise<Called>;
  stop(): Promise<void>;
}

export interface CallOptions {
  form?: string;
  json?: unknown;
  headers?: Record<string, string>;
}

export interface Called {
  status: number;
  headers: Headers;
  text: string;
  json: Record<string, unknown> & { error?: Record<string, unknown> };
}

export interface TestApiOptions {
  routes?: Routes;
  /** Instead of the record alone: what changing a subscription does. */
  onChange?: (ref: SubscriptionRef, change: SubscriptionChange) => Promise<void>;
  /** Wall time; real by default. */
  now?: () => number;
}

const API_KEY = 'sk_test_51DurabillTestKey0000000000';
const ACCOUNT_ID = 'acct_test';

export async function startTestApi(options: TestApiOptions = {}): Promise<TestApi> {
  const database = await createTestDatabase();
  const { db } = database;
  await db.query(`insert into accounts (id, name, created_at) values ($1, 'Test', now())`, [ACCOUNT_ID]);
  const changes: TestApi['changes'] = [];
  const log: LoggedLine[] = [];
  const core = recordingCore(db, options, changes, log);
  const principal: Principal = { accountId: ACCOUNT_ID, livemode: false, keyId: 'key_test', type: 'secret' };
  const findApiKey = (secret: string) => Promise.resolve(secret === API_KEY ? principal : null);
  const readiness = () => Promise.resolve({ ok: true, checks: { database: 'ok' } });
  const address = { port: 0, host: '127.0.0.1' };
  const server = await startHttpServer({ core, findApiKey, readiness }, address, options.routes);
  const baseUrl = `http://127.0.0.1:${server.port}`;
  const httpAgent = new Agent({ keepAlive: true });
  const stripe = new Stripe(API_KEY, {
    host: '127.0.0.1',
    port: server.port,
    protocol: 'http',
    maxNetworkRetries: 0,
    telemetry: false,
    httpAgent,
  });
  return {
    stripe,
    baseUrl,
    apiKey: API_KEY,
    accountId: ACCOUNT_ID,
    db,
    core,
    changes,
    log,
    call: (method, path, call = {}) => callApi(baseUrl, method, path, call),
    async stop() {
      httpAgent.destroy();
      await server.close();
      await database.drop();
    },
  };
}

function recordingCore(
  db: Database,
  options: TestApiOptions,
  changes: TestApi['changes'],
  log: LoggedLine[],
): Core {
  const logger = (level: LoggedLine['level']) => (fields: object, message: string) => {
    log.push({ level, fields, message });
  };
  return {
    db,
    log: { debug: logger('debug'), info: logger('info'), warn: logger('warn'), error: logger('error') },
    now: options.now ?? Date.now,
    workflows: {
      startSubscription: () => Promise.resolve(),
      startContract: () => Promise.resolve(),
      wakeContract: () => Promise.resolve(),
      wakeSubscription: () => Promise.resolve(),
      async changeSubscription(ref, change, changeId) {
        changes.push({ ref, change, changeId });
        await options.onChange?.(ref, change);
      },
      advanceTestClock: () => Promise.resolve(),
    },
    ingest: {
      ingest: () => Promise.reject(new Error('no ingest in these tests')),
      ready: () => Promise.reject(new Error('no ingest in these tests')),
      hasRoom: () => true,
      drain: () => Promise.resolve(),
    },
  };
}

async function callApi(baseUrl: string, method: string, path: string, options: CallOptions): Promise<Called> {
  const headers: Record<string, string> = { authorization: `Bearer ${API_KEY}`, ...options.headers };
  let body: string | undefined;
  if (options.form !== undefined) {
    body = options.form;
    headers['content-type'] ??= 'application/x-www-form-urlencoded';
  } else if (options.json !== undefined) {
    body = JSON.stringify(options.json);
    headers['content-type'] ??= 'application/json';
  }
  const sent = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== ''));
  const response = await fetch(baseUrl + path, {
    method,
    headers: sent,
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: JSON.parse(text) as Called['json'],
  };
}
