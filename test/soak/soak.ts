import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import Stripe from 'stripe';
import { SoakClient, type Sum, thousandths } from './client.js';
import { Random } from './random.js';
import { SoakWorld, type Victim, VICTIMS } from './world.js';

export interface SoakOptions {
  readonly seed: number;
  readonly rounds: number;
  /** Ends before all rounds are done when so much time has passed. */
  readonly seconds: number;
  readonly log: (line: string) => void;
}

export interface SoakReport {
  readonly rounds: number;
  readonly kills: Readonly<Record<Victim, number>>;
  readonly events: number;
  readonly retries: number;
  readonly doubles: number;
  /** What differs from what the client sent, in words. Empty when every sum and count is right. */
  readonly differences: readonly string[];
}

const CUSTOMERS = 6;
const LANES = 8;
const ROUND_MS = { min: 300, max: 1500 };
const PAUSE_MS_MAX = 500;
const ALERT_SECONDS_MAX = 30;

interface Ground {
  readonly world: SoakWorld;
  readonly stripe: Stripe;
  readonly database: pg.Pool;
  readonly customers: readonly string[];
  /** Event name → meter. */
  readonly meters: ReadonlyMap<string, Stripe.Billing.Meter>;
}

/** Kills processes at random moments under load, round after round, then compares what is stored with what was sent. */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const world = await SoakWorld.start();
  const database = new pg.Pool({ connectionString: world.databaseUrl, max: 2 });
  // Connections die with the server that is killed.
  database.on('error', () => undefined);
  try {
    return await soakOn(world, database, options);
  } finally {
    await database.end();
    await world.stop();
  }
}

async function soakOn(world: SoakWorld, database: pg.Pool, options: SoakOptions): Promise<SoakReport> {
  const { seed, log } = options;
  const random = new Random(seed);
  const ground = await prepare(world, database);
  const { customers, meters } = ground;
  const { api, apiKey } = world;
  const eventNames = [...meters.keys()];
  const client = new SoakClient({ api, apiKey, eventNames, customers, random: new Random(seed + 1) });
  const sending = client.run(LANES);
  const kills = { api: 0, worker: 0, temporal: 0, postgres: 0 };
  const deadline = Date.now() + options.seconds * 1000;
  // Every victim once in four rounds, in random order.
  let queue: Victim[] = [];
  let rounds = 0;
  try {
    for (; rounds < options.rounds && Date.now() < deadline; rounds += 1) {
      if (queue.length === 0) queue = shuffled(random);
      await sleep(random.between(ROUND_MS.min, ROUND_MS.max));
      const victim = queue.shift() as Victim;
      while (!world.mayKill(victim)) await sleep(1000);
      const before = client.events;
      await world.kill(victim, random.between(0, PAUSE_MS_MAX));
      await world.untilReady();
      kills[victim] += 1;
      log(`round ${rounds + 1}: killed ${victim} after ${before} events; ${client.retries} retries so far`);
    }
    await sleep(ROUND_MS.min);
  } finally {
    client.stop();
    await sending;
  }
  const differences = [...(await compare(ground, client.sums)), ...(await compareAlerts(ground))];
  const { events, retries, doubles } = client;
  return { rounds, kills, events, retries, doubles, differences };
}

function shuffled(random: Random): Victim[] {
  const victims: Victim[] = [...VICTIMS];
  const order: Victim[] = [];
  while (victims.length > 0) order.push(...victims.splice(random.between(0, victims.length - 1), 1));
  return order;
}

async function prepare(world: SoakWorld, database: pg.Pool): Promise<Ground> {
  const { hostname, port } = new URL(world.api);
  const stripe = new Stripe(world.apiKey, { host: hostname, port, protocol: 'http', telemetry: false });
  const meters = new Map<string, Stripe.Billing.Meter>();
  for (const formula of ['sum', 'count'] as const) {
    const eventName = `soak_${formula}`;
    meters.set(
      eventName,
      await stripe.billing.meters.create({
        display_name: eventName,
        event_name: eventName,
        default_aggregation: { formula },
      }),
    );
  }
  const counted = meters.get('soak_count') as Stripe.Billing.Meter;
  const price = await stripe.prices.create({
    currency: 'usd',
    unit_amount: 1,
    recurring: { interval: 'month', usage_type: 'metered', meter: counted.id },
    product_data: { name: 'Soak' },
  });
  const customers: string[] = [];
  for (let index = 0; index < CUSTOMERS; index += 1) {
    const { id } = await stripe.customers.create({ name: `Soak ${index}` });
    await stripe.subscriptions.create({ customer: id, items: [{ price: price.id }] });
    customers.push(id);
  }
  await stripe.billing.alerts.create({
    title: 'Soak',
    alert_type: 'usage_threshold',
    usage_threshold: { meter: counted.id, gte: 20, recurrence: 'one_time' },
  });
  return { world, stripe, database, customers, meters };
}

/** Sums and counts in three places: what a client reads, the events themselves, and the running totals. */
async function compare(ground: Ground, sums: ReadonlyMap<string, Sum>): Promise<string[]> {
  const differences: string[] = [];
  for (const [eventName, { id: meter }] of ground.meters) {
    for (const customer of ground.customers) {
      const sent = sums.get(`${eventName} ${customer}`) ?? { value: 0n, count: 0n };
      const isCount = eventName === 'soak_count';
      const total = isCount ? sent.count * 1000n : sent.value;
      const read = await readUsage(ground.world, meter, customer);
      const stored = await readEvents(ground.database, meter, customer);
      const running = await readTotals(ground.database, meter, customer);
      const where = `${eventName} of ${customer}`;
      const differ = (what: string, found: bigint, expected: bigint): void => {
        if (found !== expected) differences.push(`${where}: ${what} ${found}, sent ${expected}`);
      };
      differ('usage read, thousandths', read.value, total);
      differ('count read', read.count, sent.count);
      differ('events stored', stored.count, sent.count);
      if (!isCount) differ('sum of the events stored, thousandths', stored.value, sent.value);
      differ('running count', running.count, sent.count);
      if (!isCount) differ('running sum, thousandths', running.value, sent.value);
    }
  }
  return differences;
}

async function readUsage({ api, apiKey }: SoakWorld, meter: string, customer: string): Promise<Sum> {
  const now = Math.floor(Date.now() / 1000);
  const query = new URLSearchParams({
    meter,
    customer,
    start_time: String(now - 86_400),
    end_time: String(now + 60),
  });
  const response = await fetch(`${api}/live/v1/usage?${query.toString()}`, {
    headers: { authorization: `Bearer ${apiKey}` },
  });
  if (!response.ok) throw new Error(`usage can't be read: ${await response.text()}`);
  const { data } = (await response.json()) as { data: { value: string; count: number }[] };
  const [usage] = data;
  return { value: thousandths(usage?.value ?? '0'), count: BigInt(usage?.count ?? 0) };
}

async function readEvents(database: pg.Pool, meter: string, customer: string): Promise<Sum> {
  const { rows } = await database.query<{ count: string; total: string }>(
    `select count(*)::text as count, coalesce(sum(value), 0)::text as total
     from meter_events join usage_series using (series_id) where meter_id = $1 and customer_id = $2`,
    [meter, customer],
  );
  return { value: thousandths(rows[0]?.total ?? '0'), count: BigInt(rows[0]?.count ?? '0') };
}

async function readTotals(database: pg.Pool, meter: string, customer: string): Promise<Sum> {
  const { rows } = await database.query<{ count: string; total: string }>(
    `select t.count::text as count, t.total::text as total from usage_totals t join usage_series s using (series_id)
     where s.meter_id = $1 and s.customer_id = $2 and s.dimension_key = ''`,
    [meter, customer],
  );
  return { value: thousandths(rows[0]?.total ?? '0'), count: BigInt(rows[0]?.count ?? '0') };
}

/** The alert has fired once for everyone, whoever was killed while it did. */
async function compareAlerts({ stripe, customers }: Ground): Promise<string[]> {
  const deadline = Date.now() + ALERT_SECONDS_MAX * 1000;
  for (;;) {
    const { data } = await stripe.events.list({ type: 'billing.alert.triggered', limit: 100 });
    const told = data.map((event) => (event.data.object as unknown as { customer: string }).customer);
    const wrong = customers.filter((customer) => told.filter((one) => one === customer).length !== 1);
    if (wrong.length === 0) return [];
    if (Date.now() > deadline) return wrong.map((customer) => `the alert of ${customer} did not fire once`);
    await sleep(200);
  }
}
