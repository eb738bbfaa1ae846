import { randomBytes } from 'node:crypto';
import pg from 'pg';
import Stripe from 'stripe';
import { runJob } from './client/process.js';
import type { Form, HttpJob, JobResult } from './client/jobs.js';
import type { MeasuredEngine } from './engineProcess.js';
import type { BenchOptions } from './options.js';

const CUSTOMERS_AT_ONCE = 8;

/** What every section works with. */
export interface World {
  readonly options: BenchOptions;
  readonly engine: MeasuredEngine;
  readonly stripe: Stripe;
  /** The engine's own database, to look into. */
  readonly database: pg.Client;
  /** Says what is going on; nothing of it is a result. */
  note(text: string): void;
}

export async function openWorld(
  engine: MeasuredEngine,
  options: BenchOptions,
  note: (text: string) => void,
): Promise<{ world: World; close(): Promise<void> }> {
  const { hostname, port } = new URL(engine.api);
  const config = { host: hostname, port, protocol: 'http' as const, telemetry: false };
  const database = new pg.Client({ connectionString: engine.databaseUrl });
  // An interrupted run stops the server under it, which would otherwise end us before we have cleaned up.
  database.on('error', (error) => note(`lost the database: ${error.message}`));
  await database.connect();
  await database.query('create database bench');
  const world: World = { options, engine, stripe: new Stripe(engine.apiKey, config), database, note };
  return { world, close: () => database.end() };
}

export interface BenchMeter {
  readonly id: string;
  readonly eventName: string;
}

/** A sum meter with an event name of its own. */
export async function createMeter(world: World, name: string): Promise<BenchMeter> {
  const eventName = `${name}_${randomBytes(4).toString('hex')}`;
  const meter = await world.stripe.billing.meters.create({
    display_name: name,
    event_name: eventName,
    default_aggregation: { formula: 'sum' },
  });
  return { id: meter.id, eventName };
}

/** A monthly price of 1/100 cent a unit on this meter. */
export async function createPrice(world: World, meter: BenchMeter): Promise<string> {
  const price = await world.stripe.prices.create({
    currency: 'usd',
    unit_amount_decimal: Stripe.Decimal.from('0.01'),
    recurring: { interval: 'month', usage_type: 'metered', meter: meter.id },
    product_data: { name: 'Calls' },
  });
  return price.id;
}

export interface Subscriber {
  readonly customer: string;
  readonly subscription: string;
}

export function createCustomers(world: World, count: number): Promise<string[]> {
  return inLanes(
    count,
    async (index) => (await world.stripe.customers.create({ name: `Customer ${index}` })).id,
  );
}

export function createSubscribers(world: World, price: string, count: number): Promise<Subscriber[]> {
  return inLanes(count, async (index) => {
    const customer = (await world.stripe.customers.create({ name: `Subscriber ${index}` })).id;
    const { id } = await world.stripe.subscriptions.create({ customer, items: [{ price }] });
    return { customer, subscription: id };
  });
}

/** Makes things by their number, a few at a time, in order. */
export async function inLanes<T>(count: number, make: (index: number) => Promise<T>): Promise<T[]> {
  const made = new Array<T>(count);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      made[index] = await make(index);
    }
  };
  await Promise.all(Array.from({ length: CUSTOMERS_AT_ONCE }, lane));
  return made;
}

/** Sends events from the load generator's process; the address and the key are the engine's. */
export function sendEvents(
  world: World,
  job: Omit<HttpJob, 'kind' | 'api' | 'apiKey' | 'form'> & { form?: Form },
  enough?: AbortSignal,
): Promise<JobResult> {
  const { api, apiKey } = world.engine;
  return runJob({ form: 'bulk10000', ...job, kind: 'http', api, apiKey }, enough);
}

/** Waits until every acknowledged event has been passed on to the workflows. */
export async function untilQuiet(world: World, secondsMax = 60): Promise<void> {
  const deadline = Date.now() + secondsMax * 1000;
  for (;;) {
    const { rows } = await world.database.query<{ dirty: boolean }>(
      'select exists (select from usage_totals where dirty_since is not null) as dirty',
    );
    if (rows[0]?.dirty !== true) return;
    if (Date.now() > deadline) throw new Error(`usage is still to be passed on after ${secondsMax} s`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
