import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import type Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { IncomingEvent } from '../../src/metering/event.js';
import { startTestEngine, stripeFor } from '../support/engine.js';
import type { TestEngine } from '../support/engine.js';
import { sharedFile } from '../support/stripeSchemas.js';
import {
  DAY,
  HOUR,
  advance,
  changeSettings,
  createPrice,
  inLanes,
  invoicesOf,
  linesFor,
  secondsOf,
} from './account.js';
import { exactSum, expectedLines, totalOf } from './pricing.js';
import type { Pricing } from './pricing.js';

/**
 * Real usage: every request of two production traces (Azure Public Dataset, Microsoft, CC BY 4.0) is metered by its input
 * and its output tokens and billed by two prices.
 */

const FILES = ['llm-inference-code.csv', 'llm-inference-conv.csv'].map((name) => sharedFile(name));
const areThere = FILES.every((file) => file !== null);
if (!areThere) {
  process.stderr.write('the traces are not in the shared data folder: skipping the test that bills them\n');
}

const ROWS = 28_185;
const CUSTOMERS = 50;
const CONCURRENT_REQUESTS = 32;
/** Every so many rows goes over the wire through the SDK; all of them would take minutes. */
const SDK_STRIDE = 14;
const ROWS_A_BATCH = 2_000;
/** A day inside the billed period. */
const PERIOD_START = secondsOf('2027-02-01T00:00:00Z');
const TRACE_START = PERIOD_START + 9 * DAY;
const PERIOD_END = secondsOf('2027-03-01T00:00:00Z');

const INPUT: Pricing = {
  model: 'graduated',
  tiers: [
    { upTo: '200000', unit: '0.000375', flat: '25' },
    { upTo: '800000', unit: '0.0003' },
    { upTo: null, unit: '0.000123456789' },
  ],
};
const OUTPUT_BY_PACKAGE: Pricing = { model: 'package', size: '1000', unit: '1.505' };
const OUTPUT_BY_VOLUME: Pricing = {
  model: 'volume',
  tiers: [
    { upTo: '100000', unit: '0.0015' },
    { upTo: '120000', unit: '0.00125', flat: '10' },
    { upTo: null, unit: '0.001' },
  ],
};

interface Request {
  id: string;
  customer: number;
  timestamp: number;
  input: string;
  output: string;
}

/** A customer and what it used, added up here. */
interface Account {
  id: string;
  input: string[];
  output: string[];
  outputPricing: Pricing;
}

let engine: TestEngine;
let stripe: Stripe;
let requests: Request[];
let accounts: Account[];
let clockId: string;
const agent = new Agent({ keepAlive: true, maxSockets: CONCURRENT_REQUESTS });
const prices = { input: '', package: '', volume: '' };

function readRequests(): Request[] {
  const rows = FILES.flatMap((file) =>
    readFileSync(file ?? '', 'utf8')
      .trim()
      .split(/\r?\n/)
      .slice(1),
  ).map((row) => row.split(','));
  const at = rows.map(([time = '']) => Date.parse(`${time.replace(' ', 'T').slice(0, 23)}Z`));
  // One constant moves the whole trace.
  const shift = TRACE_START * 1000 - Math.min(...at);
  return rows.map(([, input = '', output = ''], index) => ({
    id: `request-${index}`,
    customer: createHash('sha256').update(String(index)).digest().readUInt32BE(0) % CUSTOMERS,
    timestamp: Math.floor(((at[index] ?? 0) + shift) / 1000),
    input,
    output,
  }));
}

const METERED = ['input', 'output'] as const;

/** Keeps account of what the engine has acknowledged. */
function noteStored({ customer, input, output }: Request): void {
  accounts[customer]!.input.push(input);
  accounts[customer]!.output.push(output);
}

async function sendBySdk(request: Request): Promise<void> {
  for (const kind of METERED) {
    await stripe.billing.meterEvents.create({
      event_name: `${kind}_tokens`,
      identifier: `${kind}-${request.id}`,
      timestamp: request.timestamp,
      payload: { stripe_customer_id: accounts[request.customer]!.id, value: request[kind] },
    });
  }
  noteStored(request);
}

function eventsOf(request: Request): IncomingEvent[] {
  return METERED.map((kind) => ({
    eventName: `${kind}_tokens`,
    identifier: `${kind}-${request.id}`,
    idempotencyKey: null,
    timestamp: request.timestamp * 1000,
    payload: { stripe_customer_id: accounts[request.customer]!.id, value: request[kind] },
  }));
}

async function ingestBatch(batch: readonly Request[]): Promise<void> {
  const outcomes = await engine.core.ingest.ingest(engine.accountId, batch.flatMap(eventsOf));
  expect(outcomes.filter(({ status }) => status !== 'stored')).toEqual([]);
  for (const request of batch) noteStored(request);
}

/** How many of these requests' events are refused when they are sent again. */
async function duplicates(again: readonly Request[]): Promise<number> {
  const outcomes = await engine.core.ingest.ingest(engine.accountId, again.flatMap(eventsOf));
  return outcomes.filter(({ status }) => status === 'duplicate').length;
}

async function subscribeEveryone(): Promise<Account[]> {
  const meters = await Promise.all(
    ['input_tokens', 'output_tokens'].map((event_name) =>
      stripe.billing.meters.create({
        event_name,
        display_name: event_name,
        default_aggregation: { formula: 'sum' },
      }),
    ),
  );
  const [input = '', output = ''] = meters.map(({ id }) => id);
  const product = await stripe.products.create({ name: 'Inference' });
  prices.input = (await createPrice(stripe, product.id, INPUT, { meter: input })).id;
  prices.package = (await createPrice(stripe, product.id, OUTPUT_BY_PACKAGE, { meter: output })).id;
  prices.volume = (await createPrice(stripe, product.id, OUTPUT_BY_VOLUME, { meter: output })).id;
  const everyone: Account[] = [];
  for (let index = 0; index < CUSTOMERS; index += 1) {
    const byPackage = index % 2 === 0;
    const { id } = await stripe.customers.create({ name: `Customer ${index}`, test_clock: clockId });
    await stripe.subscriptions.create({
      customer: id,
      items: [{ price: prices.input }, { price: byPackage ? prices.package : prices.volume }],
    });
    const outputPricing = byPackage ? OUTPUT_BY_PACKAGE : OUTPUT_BY_VOLUME;
    everyone.push({ id, input: [], output: [], outputPricing });
  }
  return everyone;
}

describe.skipIf(!areThere)('the real traces', () => {
  beforeAll(async () => {
    engine = await startTestEngine();
    stripe = stripeFor(engine.baseUrl, engine.apiKey, { httpAgent: agent });
    await changeSettings(engine, { unlimited_test_clocks: true });
    const clock = await stripe.testHelpers.testClocks.create({ frozen_time: PERIOD_START });
    clockId = clock.id;
    accounts = await subscribeEveryone();
    requests = readRequests();
  });
  afterAll(async () => {
    agent.destroy();
    await engine.stop();
  });

  test('every request is metered twice', async () => {
    expect(requests).toHaveLength(ROWS);
    expect(new Set(requests.map(({ customer }) => customer)).size).toBe(CUSTOMERS);
    await advance(stripe, clockId, TRACE_START + DAY);
    const bySdk = requests.filter((_, index) => index % SDK_STRIDE === 0);
    expect(bySdk.length).toBeGreaterThan(2_000);
    await inLanes(bySdk, CONCURRENT_REQUESTS, sendBySdk);
    const others = requests.filter((_, index) => index % SDK_STRIDE !== 0);
    for (let from = 0; from < others.length; from += ROWS_A_BATCH) {
      await ingestBatch(others.slice(from, from + ROWS_A_BATCH));
    }
    // What went in by either way is known by its identifier.
    expect(await duplicates(requests.slice(0, 500))).toBe(1_000);
  }, 240_000);

  test('and the invoices are right to the cent, each customer’s and all together', async () => {
    await advance(stripe, clockId, PERIOD_END + 2 * HOUR);
    let billed = 0;
    let expected = 0;
    for (const account of accounts) {
      const [invoice, ...others] = await invoicesOf(stripe, account.id);
      expect(others).toEqual([]);
      const input = expectedLines(INPUT, exactSum(account.input));
      const output = expectedLines(account.outputPricing, exactSum(account.output));
      const outputPrice = account.outputPricing === OUTPUT_BY_PACKAGE ? prices.package : prices.volume;
      expect(linesFor(invoice!, prices.input)).toEqual(input);
      expect(linesFor(invoice!, outputPrice)).toEqual(output);
      expect(invoice).toMatchObject({ status: 'open', total: totalOf([...input, ...output]) });
      billed += totalOf(invoice!.allLines);
      expected += totalOf([...input, ...output]);
    }
    expect(billed).toBe(expected);
    expect(billed).toBeGreaterThan(1000);
  }, 240_000);
});
