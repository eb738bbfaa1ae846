import { randomUUID } from 'node:crypto';
import type Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectClient } from '../../src/temporal/client.js';
import {
  DAY,
  HOUR,
  advance,
  changeSettings,
  createPrice,
  inLanes,
  invoicesOf,
  isoOf,
  linesFor,
  secondsOf,
  sleep,
  untilReady,
} from './account.js';
import { CrashWorld, VICTIMS } from './crashWorld.js';
import type { Victim } from './crashWorld.js';
import { exactSum, expectedLines, totalOf } from './pricing.js';
import type { Pricing } from './pricing.js';

/** `kill -9` of each process at the worst moments, on real servers with real files. */

const ROUNDS = Number.parseInt(process.env['DURABILL_CRASH_ROUNDS'] ?? '1', 10);
const START = secondsOf('2027-05-03T12:00:00Z');
const PERIODS = 15;
const CUSTOMERS = 3;
const EVENTS = 300;
const LANES = 16;

const USAGE: Pricing = {
  model: 'graduated',
  tiers: [
    { upTo: '1000', unit: '0.05', flat: '100' },
    { upTo: null, unit: '0.0125' },
  ],
};
const FLAT: Pricing = { model: 'licensed', unit: '700' };

let world: CrashWorld;
let stripe: Stripe;
let meter: Stripe.Billing.Meter;
let usagePrice: string;
let flatPrice: string;

beforeAll(async () => {
  world = await CrashWorld.start();
  ({ stripe } = world);
  await changeSettings(world.api, { unlimited_test_clocks: true });
  meter = await stripe.billing.meters.create({
    display_name: 'Calls',
    event_name: 'calls',
    default_aggregation: { formula: 'sum' },
  });
  const product = await stripe.products.create({ name: 'API' });
  usagePrice = (await createPrice(stripe, product.id, USAGE, { meter: meter.id, interval: 'day' })).id;
  flatPrice = (await createPrice(stripe, product.id, FLAT, { interval: 'day' })).id;
});

interface Subscriber {
  customer: Stripe.Customer;
  /** What the engine has acknowledged, all of it in the first period. */
  acknowledged: string[];
}

async function subscribers(clock: string): Promise<Subscriber[]> {
  const everyone: Subscriber[] = [];
  for (let index = 0; index < CUSTOMERS; index += 1) {
    const customer = await stripe.customers.create({ name: `Customer ${index}`, test_clock: clock });
    await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: usagePrice }, { price: flatPrice }],
    });
    everyone.push({ customer, acknowledged: [] });
  }
  return everyone;
}

/** Sends events in parallel; `disturb` runs when so many of them have been acknowledged. */
async function sendEvents(
  everyone: readonly Subscriber[],
  before: number,
  disturb: () => Promise<void>,
): Promise<void> {
  let acknowledged = 0;
  let reach = (): void => undefined;
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const indexes = Array.from({ length: EVENTS }, (_, index) => index);
  const sending = inLanes(indexes, LANES, async (index) => {
    const subscriber = everyone[index % CUSTOMERS]!;
    const value = `${index + 1}.5`;
    await world.badlyConnected.billing.meterEvents.create({
      event_name: meter.event_name,
      timestamp: START + index * 60,
      payload: { stripe_customer_id: subscriber.customer.id, value },
      // Without an identifier it is the idempotency key alone that tells a repeated request.
      ...(index % 2 === 0 ? { identifier: randomUUID() } : {}),
    });
    subscriber.acknowledged.push(value);
    acknowledged += 1;
    if (acknowledged === before) reach();
  });
  const lostBefore = world.answersLost;
  await Promise.all([sending, reached.then(disturb)]);
  expect(world.answersLost).toBeGreaterThan(lostBefore);
}

async function usageOf({ customer }: Subscriber): Promise<string> {
  const { data } = await stripe.billing.meters.listEventSummaries(meter.id, {
    customer: customer.id,
    start_time: START,
    end_time: START + DAY,
  });
  return String(data[0]?.aggregated_value);
}

/** Waits until so many of the periods of an advance have been billed and others have not. */
async function untilInTheMiddle({ customer }: Subscriber, clock: string, billed: number): Promise<void> {
  for (;;) {
    const { data } = await stripe.invoices.list({ customer: customer.id, limit: 100 });
    const { status } = await stripe.testHelpers.testClocks.retrieve(clock);
    if (status !== 'advancing') throw new Error('the advance was over before anybody could disturb it');
    if (data.length > billed) return;
    await sleep(10);
  }
}

async function expectRightInvoices({ customer, acknowledged }: Subscriber): Promise<void> {
  const invoices = await invoicesOf(stripe, customer.id);
  const ends = Array.from({ length: PERIODS }, (_, index) => START + (index + 1) * DAY);
  expect(invoices.map((invoice) => isoOf(invoice.period_end))).toEqual([START, ...ends].map(isoOf));
  expect(invoices.map(({ number }) => number)).toEqual(
    invoices.map((_, index) => `${customer.invoice_prefix}-${String(index + 1).padStart(4, '0')}`),
  );
  const [first, ...cycles] = invoices;
  expect(first).toMatchObject({ billing_reason: 'subscription_create', total: 700 });
  for (const [index, invoice] of cycles.entries()) {
    const usage = expectedLines(USAGE, index === 0 ? exactSum(acknowledged) : '0');
    const flat = expectedLines(FLAT, '1');
    expect(linesFor(invoice, usagePrice)).toEqual(usage);
    expect(linesFor(invoice, flatPrice)).toEqual(flat);
    expect(invoice).toMatchObject({ status: 'open', total: totalOf([...usage, ...flat]) });
  }
  await expectToldOnce(invoices.map(({ id }) => id));
}

/** The event log says of every invoice once that it was made and once that it was finalized. */
async function expectToldOnce(invoiceIds: readonly string[]): Promise<void> {
  for (const type of ['invoice.created', 'invoice.finalized']) {
    const told: string[] = [];
    for await (const event of stripe.events.list({ type, limit: 100 })) {
      told.push((event.data.object as Stripe.Invoice).id);
    }
    expect(told.filter((id) => invoiceIds.includes(id)).sort()).toEqual([...invoiceIds].sort());
  }
}

/** One round; each next one kills at another moment. */
async function roundOf(victim: Victim, round: number): Promise<void> {
  await world.rest(victim, 2);
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: START });
  const everyone = await subscribers(clock.id);
  await advance(stripe, clock.id, START + DAY / 2);

  await sendEvents(everyone, Math.ceil((EVENTS * (1 + (round % 3))) / 4), () => world.kill(victim));
  expect(everyone.flatMap(({ acknowledged }) => acknowledged)).toHaveLength(EVENTS);
  for (const subscriber of everyone)
    expect(await usageOf(subscriber)).toBe(exactSum(subscriber.acknowledged));

  await stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: START + PERIODS * DAY + 2 * HOUR });
  await untilInTheMiddle(everyone[0]!, clock.id, 2 + ((round * 3) % 8));
  await world.kill(victim);
  await untilReady(stripe, clock.id, 120);
  for (const subscriber of everyone) await expectRightInvoices(subscriber);
}

describe('kill -9', () => {
  test.each(VICTIMS)(
    'of the %s, amid events and amid an advance: nothing is lost, nothing is doubled',
    async (victim) => {
      for (let round = 0; round < ROUNDS; round += 1) await roundOf(victim, round);
    },
    ROUNDS * 240_000,
  );

  test.each(ROUNDS > 1 ? VICTIMS : (['engine'] as const))(
    'of the %s while subscriptions are created: the same requests again, and each is there once and runs',
    async (victim) => {
      await world.rest(victim, 1);
      const requests = await Promise.all(
        Array.from({ length: 24 }, async (_, index) => {
          const customer = await stripe.customers.create({ name: `Subscriber ${index}` });
          return { customer: customer.id, idempotencyKey: randomUUID() };
        }),
      );
      const create = (client: Stripe, { customer, idempotencyKey }: (typeof requests)[number]) =>
        client.subscriptions.create(
          { customer, items: [{ price: usagePrice }, { price: flatPrice }] },
          { idempotencyKey },
        );
      const first = requests.map((request) => create(world.impatient, request));
      await Promise.any(first);
      await world.kill(victim, { restartAfterMs: 5_500 });
      const settled = await Promise.allSettled(first);
      if (victim !== 'temporal') expect(settled.map(({ status }) => status)).toContain('rejected');

      const again = await Promise.all(requests.map((request) => create(stripe, request)));
      for (const [index, answer] of settled.entries()) {
        if (answer.status === 'fulfilled') expect(again[index]?.id).toBe(answer.value.id);
      }
      for (const [index, { customer }] of requests.entries()) {
        const { data } = await stripe.subscriptions.list({ customer, status: 'all' });
        expect(data.map(({ id }) => id)).toEqual([again[index]?.id]);
        expect((await invoicesOf(stripe, customer)).map(({ total }) => total)).toEqual([700]);
      }
      await expectRunning(requests.map(({ customer }) => customer));
    },
    300_000,
  );

  afterAll(async () => {
    expect(await world.stop()).toEqual([]);
  });
});

/** Each of the customers has one workflow, and a worker answers for it. */
async function expectRunning(customers: readonly string[]): Promise<void> {
  const temporal = await connectClient({ address: world.temporalAddress, namespace: 'default' });
  const running = async (customer: string) => {
    const found: string[] = [];
    const query = `CustomerId = '${customer}' and ExecutionStatus = 'Running'`;
    for await (const { workflowId } of temporal.workflow.list({ query })) found.push(workflowId);
    return found;
  };
  for (const customer of customers) {
    await expect.poll(() => running(customer), { timeout: 90_000, interval: 500 }).toHaveLength(1);
    const [workflowId = ''] = await running(customer);
    const known = async () => {
      const handle = temporal.workflow.getHandle(workflowId);
      return (await handle.query<{ plan: { customerId: string } | null }>('state')).plan?.customerId;
    };
    await expect.poll(known, { timeout: 30_000, interval: 500 }).toBe(customer);
  }
  await temporal.connection.close();
}
