import { randomBytes } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { inject } from 'vitest';
import {
  createSubscription,
  type NewSubscription,
  type NewSubscriptionItem,
} from '../../src/billing/subscriptions.js';
import type { Core, Log, SubscriptionRef } from '../../src/core.js';
import { type Decimal, parseDecimal } from '../../src/domain/decimal.js';
import type { BillingInterval, Instant } from '../../src/domain/period.js';
import type { Tier } from '../../src/domain/price.js';
import { newId } from '../../src/ids.js';
import { createIngest } from '../../src/metering/ingest.js';
import { type Database, timestamp } from '../../src/storage/db.js';
import {
  findInvoiceLines,
  type InvoiceLineRecord,
  type InvoiceRecord,
  listInvoices,
} from '../../src/storage/invoices.js';
import { insertPrice } from '../../src/storage/prices.js';
import { connectClient, connectWorker } from '../../src/temporal/client.js';
import { createGateway, type TemporalGateway } from '../../src/temporal/gateway.js';
import { subscriptionWorkflowId } from '../../src/temporal/names.js';
import { type RunningWorker, startWorker } from '../../src/temporal/worker.js';
import { createTestDatabase } from '../support/database.js';

const NAMESPACE = 'default';

/** Everything under the API, with a wall clock that the test sets: for workflows under native time skipping. */
export interface BillingWorld {
  db: Database;
  core: Core;
  client: Client;
  gateway: TemporalGateway;
  accountId: string;
  /** What `core.now()` says; the workflows have their own time. */
  clock: { now: Instant };
  startWorker(): Promise<RunningWorker>;
  addCustomer(name?: string): Promise<string>;
  addMeter(eventName: string): Promise<string>;
  addPrice(price: TestPrice): Promise<string>;
  subscribe(
    request: Partial<NewSubscription> & { customerId: string; items: NewSubscriptionItem[] },
  ): Promise<SubscriptionRef>;
  /** Stores usage as if it were sent at `at`. */
  use(eventName: string, customerId: string, value: string, at: Instant): Promise<void>;
  invoices(ref: SubscriptionRef): Promise<(InvoiceRecord & { lines: InvoiceLineRecord[] })[]>;
  workflowId(ref: SubscriptionRef): string;
  close(): Promise<void>;
}

export interface TestPrice {
  meterId?: string;
  unitAmount?: string;
  tiers?: Tier[];
  tiersMode?: 'graduated' | 'volume';
  interval?: BillingInterval;
  productName?: string;
}

const SILENT: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export async function openWorld(): Promise<BillingWorld> {
  const { temporalAddress, workflowBundle } = inject('durabill');
  if ('problem' in workflowBundle) throw new Error(workflowBundle.problem);
  const database = await createTestDatabase();
  const { db } = database;
  const accountId = newId('account');
  const clock = { now: Date.now() };
  const taskQueue = `test-${randomBytes(6).toString('hex')}`;
  const target = { address: temporalAddress, namespace: NAMESPACE };
  const client = await connectClient(target);
  const workers: RunningWorker[] = [];
  const now = () => clock.now;
  const gateway = createGateway({ client, taskQueue, db, log: SILENT, now });
  const ingest = createIngest({ db, log: SILENT, now });
  const core: Core = { db, log: SILENT, workflows: gateway, ingest, now };
  await db.query('insert into accounts (id, name, created_at) values ($1, $2, $3)', [
    accountId,
    'Test',
    timestamp(clock.now),
  ]);
  return {
    db,
    core,
    client,
    gateway,
    accountId,
    clock,
    async startWorker() {
      const connection = await connectWorker(target);
      const worker = await startWorker({
        core,
        gateway,
        connection,
        namespace: NAMESPACE,
        taskQueue,
        dueSpreadSeconds: 0,
        settleAlerts: () => Promise.resolve(),
        workflowBundlePath: workflowBundle.path,
      });
      const running: RunningWorker = {
        finished: worker.finished,
        async stop() {
          workers.splice(workers.indexOf(running), 1);
          await worker.stop();
          await connection.close();
        },
      };
      workers.push(running);
      return running;
    },
    addCustomer: (name = 'Ada') => addCustomer(db, accountId, name, clock.now),
    addMeter: (eventName) => addMeter(db, accountId, eventName, clock.now),
    addPrice: (price) => addPrice(db, accountId, price, clock.now),
    async subscribe(request) {
      const record = await db.transaction((tx) =>
        createSubscription(tx, core, accountId, { ...DEFAULTS, ...request }, null),
      );
      return { accountId, subscriptionId: record.id };
    },
    async use(eventName, customerId, value, at) {
      const before = clock.now;
      clock.now = at;
      const payload = { stripe_customer_id: customerId, value };
      const event = { eventName, identifier: null, idempotencyKey: null, timestamp: at, payload };
      const [outcome] = await ingest.ingest(accountId, [event]);
      clock.now = before;
      if (outcome?.status !== 'stored') throw new Error(`event was not stored: ${JSON.stringify(outcome)}`);
    },
    invoices: (ref) => readInvoices(db, ref),
    workflowId: subscriptionWorkflowId,
    async close() {
      await Promise.all([...workers].map((worker) => worker.stop()));
      await client.connection.close();
      await database.drop();
    },
  };
}

const DEFAULTS: Omit<NewSubscription, 'customerId' | 'items'> = {
  livemode: false,
  currency: null,
  anchor: null,
  anchorConfig: null,
  prorationBehavior: 'create_prorations',
  collectionMethod: 'charge_automatically',
  daysUntilDue: null,
  cancelAtPeriodEnd: false,
  description: null,
  metadata: {},
};

async function readInvoices(db: Database, ref: SubscriptionRef) {
  const filter = { subscriptionId: ref.subscriptionId };
  const page = { limit: 1000, cursor: null, direction: 'forward' as const };
  const invoices = (await listInvoices(db, ref.accountId, filter, page)).reverse();
  const lines = await findInvoiceLines(
    db,
    ref.accountId,
    invoices.map((invoice) => invoice.id),
  );
  return invoices.map((invoice) => ({
    ...invoice,
    lines: lines.filter((line) => line.invoiceId === invoice.id),
  }));
}

async function addCustomer(db: Database, accountId: string, name: string, now: Instant): Promise<string> {
  const id = newId('customer');
  await db.query(
    `insert into customers (account_id, id, livemode, created_at, name, invoice_prefix)
     values ($1, $2, false, $3, $4, $5)`,
    [accountId, id, timestamp(now), name, randomBytes(4).toString('hex').toUpperCase()],
  );
  return id;
}

async function addMeter(db: Database, accountId: string, eventName: string, now: Instant): Promise<string> {
  const id = newId('meter');
  await db.query(
    `insert into meters (account_id, id, livemode, created_at, updated_at, display_name, event_name, status, formula,
       customer_key, value_key)
     values ($1, $2, false, $3, $3, $4, $4, 'active', 'sum', 'stripe_customer_id', 'value')`,
    [accountId, id, timestamp(now), eventName],
  );
  return id;
}

async function addPrice(db: Database, accountId: string, price: TestPrice, now: Instant): Promise<string> {
  const productId = newId('product');
  const id = newId('price');
  await db.query(
    `insert into products (account_id, id, livemode, created_at, updated_at, active, name)
     values ($1, $2, false, $3, $3, true, $4)`,
    [accountId, productId, timestamp(now), price.productName ?? 'API'],
  );
  const interval = price.interval ?? { unit: 'month', count: 1 };
  await insertPrice(db, accountId, {
    id,
    livemode: false,
    createdAt: now,
    productId,
    active: true,
    currency: 'usd',
    scheme: price.tiers === undefined ? 'per_unit' : 'tiered',
    unitAmount: price.unitAmount === undefined ? null : parseDecimal(price.unitAmount),
    tiersMode: price.tiers === undefined ? null : (price.tiersMode ?? 'graduated'),
    tiers: price.tiers ?? null,
    transformQuantity: null,
    recurring: {
      interval,
      usageType: price.meterId === undefined ? 'licensed' : 'metered',
      meterId: price.meterId ?? null,
    },
    nickname: null,
    lookupKey: null,
    taxBehavior: 'unspecified',
    metadata: {},
  });
  return id;
}

/** A tier in short: up to (null = for ever), unit price and flat fee in minor units. */
export function tier(upTo: bigint | null, unit: string | null, flat: string | null = null): Tier {
  const amount = (text: string | null): Decimal | null => (text === null ? null : parseDecimal(text));
  return { upTo, unitAmount: amount(unit), flatAmount: amount(flat) };
}

export function item(priceId: string, quantity: bigint | null = null): NewSubscriptionItem {
  return { priceId, quantity, metadata: {} };
}
