import type { Log } from '../../src/core.js';
import type { Instant } from '../../src/domain/period.js';
import { newId } from '../../src/ids.js';
import type { EventOutcome, IncomingEvent } from '../../src/metering/ingest.js';
import { createIngest, type IngestDeps } from '../../src/metering/ingest.js';
import { type Database, timestamp } from '../../src/storage/db.js';
import { createTestDatabase } from '../support/database.js';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
/** Wall time of the tests: a moment inside a minute inside an hour. */
export const NOW: Instant = Date.UTC(2026, 10, 24, 12, 34, 56);

export interface LogEntry {
  level: 'debug' | 'info' | 'warn' | 'error';
  fields: object;
  message: string;
}

export interface MeterOptions {
  id?: string;
  formula?: 'sum' | 'count' | 'last';
  window?: 'hour' | 'day';
  status?: 'active' | 'inactive';
}

/** An account with a database of its own, and short ways to put things into it. */
export interface Fixture {
  db: Database;
  url: string;
  accountId: string;
  logged: LogEntry[];
  log: Log;
  /** Wall time as the ingest sees it; a test may move it. */
  clock: { now: Instant };
  addMeter(eventName: string, options?: MeterOptions): Promise<string>;
  addCustomer(testClockId?: string): Promise<string>;
  addTestClock(frozenTime: Instant): Promise<string>;
  ingestWith(overrides?: Partial<IngestDeps>): ReturnType<typeof createIngest>;
  /** Another account in the same database. */
  anotherAccount(): Promise<Fixture>;
  close(): Promise<void>;
}

export async function openFixture(): Promise<Fixture> {
  const database = await createTestDatabase();
  return openAccount(database.db, database.url, () => database.drop());
}

async function openAccount(db: Database, url: string, close: () => Promise<void>): Promise<Fixture> {
  const accountId = newId('account');
  await db.query('insert into accounts (id, name, created_at) values ($1, $2, $3)', [
    accountId,
    'Test',
    timestamp(NOW),
  ]);
  const logged: LogEntry[] = [];
  const clock = { now: NOW };
  const log = recordingLog(logged);
  return {
    db,
    url,
    accountId,
    logged,
    log,
    clock,
    addMeter: (eventName, options = {}) => addMeter(db, accountId, eventName, options),
    addCustomer: (testClockId) => addCustomer(db, accountId, testClockId ?? null),
    addTestClock: (frozenTime) => addTestClock(db, accountId, frozenTime),
    ingestWith: (overrides = {}) => createIngest({ db, log, now: () => clock.now, ...overrides }),
    anotherAccount: () => openAccount(db, url, () => Promise.resolve()),
    close,
  };
}

export function recordingLog(entries: LogEntry[]): Log {
  const at =
    (level: LogEntry['level']) =>
    (fields: object, message: string): void => {
      entries.push({ level, fields, message });
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

async function addMeter(
  db: Database,
  accountId: string,
  eventName: string,
  options: MeterOptions,
): Promise<string> {
  const id = options.id ?? newId('meter');
  await db.query(
    `insert into meters (account_id, id, livemode, created_at, updated_at, display_name, event_name, status, formula,
       event_time_window, customer_key, value_key)
     values ($1, $2, false, $3, $3, $4, $4, $5, $6, $7, 'stripe_customer_id', 'value')`,
    [
      accountId,
      id,
      timestamp(NOW),
      eventName,
      options.status ?? 'active',
      options.formula ?? 'sum',
      options.window ?? null,
    ],
  );
  return id;
}

let customers = 0;

async function addCustomer(db: Database, accountId: string, testClockId: string | null): Promise<string> {
  const id = newId('customer');
  customers += 1;
  await db.query(
    `insert into customers (account_id, id, livemode, created_at, test_clock_id, invoice_prefix)
     values ($1, $2, false, $3, $4, $5)`,
    [accountId, id, timestamp(NOW), testClockId, `P${customers}`],
  );
  return id;
}

async function addTestClock(db: Database, accountId: string, frozenTime: Instant): Promise<string> {
  const id = newId('testClock');
  await db.query(
    `insert into test_clocks (account_id, id, status, frozen_time, created_at, deletes_after)
     values ($1, $2, 'ready', $3, $4, $4)`,
    [accountId, id, timestamp(frozenTime), timestamp(NOW)],
  );
  return id;
}

/** An event as the API would hand it on. */
export function event(
  eventName: string,
  customerId: string,
  value: string | null,
  rest: Partial<IncomingEvent> = {},
): IncomingEvent {
  const payload: Record<string, string> = { stripe_customer_id: customerId };
  if (value !== null) payload['value'] = value;
  return { eventName, identifier: null, idempotencyKey: null, timestamp: null, payload, ...rest };
}

/** `stored`, `replayed`, `duplicate`, or the code of the refusal. */
export function summary(outcome: EventOutcome): string {
  return outcome.status === 'refused' ? outcome.code : outcome.status;
}
