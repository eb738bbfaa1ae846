import type Stripe from 'stripe';
import { Connection } from '../client/connection.js';
import { type Goal, millisText, ratioText, type SectionResult } from '../results.js';
import { type Latencies, latenciesOf } from '../stats.js';
import {
  type BenchMeter,
  createCustomers,
  createMeter,
  createPrice,
  sendEvents,
  type World,
} from '../world.js';

const DAY = 86_400;
/** Shorter than any month, so that all of it is one open period. */
const PERIOD_DAYS = 27;
const SMALL = 1000;
const BIG_MAX = 1_000_000;
const READS = 300;
const PREVIEWS = 100;
/** On a slow machine fewer have to do. */
const READS_MIN = 20;
/** The load lasts as long as the reads do; it starts a little before them. */
const LOAD_SECONDS_MAX = 600;
const LOAD_STARTS_MS = 2000;
const SAME_COST = 1.5;
const P99_MS = 50;

interface Payer {
  readonly customer: string;
  readonly subscription: string;
  readonly events: number;
}

type Request = (payer: Payer) => string;

/** What a usage read and a preview cost with few and with many events in the period, at rest and under full ingest. */
export async function measureReads(world: World): Promise<SectionResult> {
  const stage = await prepare(world);
  const { hostname, port } = new URL(world.engine.api);
  const connection = await Connection.open(hostname, Number.parseInt(port, 10));
  try {
    const reader = new Reader(world, connection, stage);
    world.note('reads at rest');
    const rest = await reader.measureAll();
    world.note('reads under full ingest');
    const customers = await createCustomers(world, 100);
    const { eventName } = stage.meter;
    const enough = new AbortController();
    const job = { connections: 4, customers, eventName, seconds: LOAD_SECONDS_MAX };
    const load = sendEvents(world, job, enough.signal);
    await new Promise((resolve) => setTimeout(resolve, LOAD_STARTS_MS));
    const loaded = await reader.measureAll();
    const written = await reader.readOwnWrites();
    enough.abort();
    const { events, seconds } = await load;
    return resultOf(stage, { rest, loaded, written, ingestPerSecond: events / seconds });
  } finally {
    connection.close();
  }
}

interface Stage {
  readonly meter: BenchMeter;
  readonly small: Payer;
  readonly big: Payer;
  readonly start: number;
  readonly end: number;
}

/** Two customers on a test clock, 27 days into their month, one with 1,000 events and one with up to a million. */
async function prepare(world: World): Promise<Stage> {
  const { stripe, options } = world;
  const meter = await createMeter(world, 'reads');
  const price = await createPrice(world, meter);
  const end = Math.floor(Date.now() / 1000);
  const start = end - PERIOD_DAYS * DAY;
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: start });
  const counts = [SMALL, Math.min(options.events, BIG_MAX)];
  const payers: Payer[] = [];
  for (const events of counts) {
    const { id: customer } = await stripe.customers.create({ test_clock: clock.id });
    const { id: subscription } = await stripe.subscriptions.create({ customer, items: [{ price }] });
    payers.push({ customer, subscription, events });
  }
  await advance(stripe, clock.id, end);
  for (const { customer, events } of payers) {
    world.note(`${events.toLocaleString('en-US')} events for one customer`);
    const form = events <= SMALL ? 'bulk1000' : 'bulk10000';
    const times = { from: start, to: end - 1 };
    const job = { form, connections: 2, customers: [customer], eventsMax: events, times } as const;
    const result = await sendEvents(world, { ...job, eventName: meter.eventName });
    if (result.events < events)
      throw new Error(`stored ${result.events}: ${JSON.stringify(result.failures)}`);
  }
  const [small, big] = payers;
  if (small === undefined || big === undefined) throw new Error('no payers');
  return { meter, small, big, start, end };
}

async function advance(stripe: Stripe, clock: string, to: number): Promise<void> {
  await stripe.testHelpers.testClocks.advance(clock, { frozen_time: to });
  while ((await stripe.testHelpers.testClocks.retrieve(clock)).status === 'advancing') {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

interface Reading {
  readonly what: string;
  readonly small: Latencies | null;
  readonly big: Latencies | null;
}

class Reader {
  readonly #world: World;
  readonly #connection: Connection;
  readonly #stage: Stage;

  constructor(world: World, connection: Connection, stage: Stage) {
    this.#world = world;
    this.#connection = connection;
    this.#stage = stage;
  }

  async measureAll(): Promise<Reading[]> {
    const { meter, start, end } = this.#stage;
    const span = `start_time=${start + 61}&end_time=${end - 61}`;
    const usage: Request = ({ customer }) =>
      this.#get(`/live/v1/usage?meter=${meter.id}&customer=${customer}&${span}`);
    const wholeMinutes = `start_time=${start - (start % 60)}&end_time=${end - (end % 60)}`;
    const summary: Request = ({ customer }) =>
      this.#get(`/v1/billing/meters/${meter.id}/event_summaries?customer=${customer}&${wholeMinutes}`);
    const preview: Request = ({ subscription }) =>
      this.#post('/v1/invoices/create_preview', `subscription=${subscription}`);
    return [
      await this.#measure('usage (ours)', usage, READS),
      await this.#measure('event summaries (Stripe)', summary, READS),
      await this.#measure('invoice preview', preview, PREVIEWS),
    ];
  }

  /** The two in turn, so that what else goes on on the machine hits both. */
  async #measure(what: string, request: Request, count: number): Promise<Reading> {
    const small: number[] = [];
    const big: number[] = [];
    const deadline = performance.now() + this.#world.options.seconds * 2000;
    for (let index = 0; index < count && (index < READS_MIN || performance.now() < deadline); index += 1) {
      const a = await this.#time(request(this.#stage.small));
      const b = await this.#time(request(this.#stage.big));
      if (a === null || b === null) return { what, small: null, big: null };
      small.push(a);
      big.push(b);
    }
    return { what, small: latenciesOf(small), big: latenciesOf(big) };
  }

  /** Sends an event and reads the usage, which must include it. Milliseconds of the read. */
  async readOwnWrites(): Promise<Latencies> {
    const { meter } = this.#stage;
    const [customer = ''] = await createCustomers(this.#world, 1);
    const start = Math.floor(Date.now() / 60_000) * 60 - 3600;
    const path = `/v1/billing/meters/${meter.id}/event_summaries?customer=${customer}&start_time=${start}&end_time=${start + 7200}`;
    const millis: number[] = [];
    const deadline = performance.now() + this.#world.options.seconds * 2000;
    for (let count = 1; count <= READS && (count <= READS_MIN || performance.now() < deadline); count += 1) {
      const body = `event_name=${meter.eventName}&payload[stripe_customer_id]=${customer}&payload[value]=2`;
      const stored = await this.#connection.request(this.#post('/v1/billing/meter_events', body));
      if (stored.status !== 200) throw new Error(`an event was refused: ${stored.body}`);
      const before = performance.now();
      const reply = await this.#connection.request(this.#get(path));
      millis.push(performance.now() - before);
      const { data } = JSON.parse(reply.body) as { data: { aggregated_value: number }[] };
      const value = data[0]?.aggregated_value;
      if (value !== count * 2)
        throw new Error(`read ${String(value)} after ${count} events of 2 were acknowledged`);
    }
    return latenciesOf(millis);
  }

  async #time(request: string): Promise<number | null> {
    const before = performance.now();
    const reply = await this.#connection.request(request);
    if (reply.status === 404 && reply.body.includes('Unrecognized request URL')) return null;
    if (reply.status !== 200) throw new Error(`${request.split('\r\n')[0]}: ${reply.body}`);
    return performance.now() - before;
  }

  #get(path: string): string {
    return `GET ${path} HTTP/1.1\r\n${this.#headers()}\r\n`;
  }

  #post(path: string, body: string): string {
    const form = 'Content-Type: application/x-www-form-urlencoded\r\n';
    return `POST ${path} HTTP/1.1\r\n${this.#headers()}${form}Content-Length: ${body.length}\r\n\r\n${body}`;
  }

  #headers(): string {
    const { api, apiKey } = this.#world.engine;
    return `Host: ${new URL(api).host}\r\nAuthorization: Bearer ${apiKey}\r\n`;
  }
}

interface Measured {
  readonly rest: readonly Reading[];
  readonly loaded: readonly Reading[];
  readonly written: Latencies;
  readonly ingestPerSecond: number;
}

function resultOf(stage: Stage, measured: Measured): SectionResult {
  const { rest, loaded, written, ingestPerSecond } = measured;
  const many = stage.big.events.toLocaleString('en-US');
  const rows = rest.flatMap((reading, index) => [
    rowOf(`${reading.what}, at rest`, reading),
    rowOf(`${reading.what}, under ingest`, loaded[index] ?? reading),
  ]);
  rows.push(['own event read back, under ingest', millisText(written.p50), '', '', millisText(written.p99)]);
  const under = `under ingest of ${Math.round(ingestPerSecond).toLocaleString('en-US')} events/s`;
  return {
    tables: [
      {
        title: `Reads (${under})`,
        head: ['what', 'p50 ms, 1,000 events', `p50 ms, ${many}`, 'ratio', 'p99 ms'],
        rows,
      },
    ],
    goals: [...rest.slice(0, 3).map((reading) => sameCost(reading, many)), fastEnough(loaded, written)],
    data: measured,
  };
}

function rowOf(name: string, { small, big }: Reading): string[] {
  if (small === null || big === null) return [name, 'not served yet', '', '', ''];
  const p99 = Math.max(small.p99, big.p99);
  return [name, millisText(small.p50), millisText(big.p50), ratioText(big.p50 / small.p50), millisText(p99)];
}

function sameCost({ what, small, big }: Reading, many: string): Goal {
  const text = `${what}: ${many} events cost ≤ ${SAME_COST} × 1,000`;
  if (small === null || big === null) return { number: 3, text, measured: 'not served yet', met: null };
  const ratio = big.p50 / small.p50;
  return { number: 3, text, measured: ratioText(ratio), met: ratio <= SAME_COST };
}

function fastEnough(loaded: readonly Reading[], written: Latencies): Goal {
  const usages = loaded.filter(({ what }) => what !== 'invoice preview');
  const worst = Math.max(
    written.p99,
    ...usages.map(({ small, big }) => Math.max(small?.p99 ?? 0, big?.p99 ?? 0)),
  );
  const text = `p99 of a usage read under full ingest < ${P99_MS} ms`;
  return { number: 3, text, measured: `${millisText(worst)} ms`, met: worst < P99_MS };
}
