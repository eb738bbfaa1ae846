import type Metronome from '@metronome/sdk';
import type Stripe from 'stripe';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { refusal } from './failure.js';
import { draftTotal, fixedProduct, monthStart, netBalance, rateCard, segment } from './world.js';

const HOUR = 3_600_000;

let engine: TestEngine;
let metronome: Metronome;
let stripe: Stripe;

beforeAll(async () => {
  engine = await startTestEngine();
  ({ metronome, stripe } = engine);
});
afterAll(() => engine.stop());

interface World {
  cus: string;
  uuid: string;
  meterId: string;
  metricId: string;
  type: string;
}

/** One customer, a Stripe meter and a Metronome metric of the same events. */
async function world(type: string): Promise<World> {
  const customer = await stripe.customers.create({ name: type });
  const [found] = (await metronome.v1.customers.list({ ingest_alias: customer.id })).data;
  const uuid = found?.id ?? '';
  await metronome.v1.customers.setIngestAliases({
    customer_id: uuid,
    ingest_aliases: [`${type}@example.com`],
  });
  const meter = await stripe.billing.meters.create({
    display_name: type,
    event_name: type,
    default_aggregation: { formula: 'sum' },
  });
  const { data: metric } = await metronome.v1.billableMetrics.create({
    name: type,
    aggregation_type: 'SUM',
    aggregation_key: 'value',
    event_type_filter: { in_values: [type] },
    property_filters: [{ name: 'value', exists: true }],
  });
  return { cus: customer.id, uuid, meterId: meter.id, metricId: metric.id, type };
}

const now = Math.floor(Date.now() / 1000) * 1000 - 120_000;
const minute = Math.floor(now / 60_000) * 60;

async function onStripe({ meterId, cus }: World): Promise<number> {
  const { data } = await stripe.billing.meters.listEventSummaries(meterId, {
    customer: cus,
    start_time: minute - 3600,
    end_time: minute + 3600,
  });
  return data[0]?.aggregated_value ?? 0;
}

async function onMetronome({ metricId, uuid }: World): Promise<number | null | undefined> {
  const start = Math.floor(now / HOUR) * HOUR;
  const { data } = await metronome.v1.usage.list({
    starting_on: new Date(start - HOUR).toISOString(),
    ending_before: new Date(start + 2 * HOUR).toISOString(),
    window_size: 'NONE',
    customer_ids: [uuid],
    billable_metrics: [{ id: metricId }],
  });
  return data[0]?.value;
}

it('an event sent by either client is seen by both in the very next read', async () => {
  const one = await world('tokens');
  const { cus, uuid, type } = one;
  const viaStripe = (identifier: string, value: string) =>
    stripe.billing.meterEvents.create({
      event_name: type,
      identifier,
      timestamp: now / 1000,
      payload: { stripe_customer_id: cus, value },
    });
  const viaMetronome = (transactionId: string, customerId: string, value: unknown) =>
    metronome.v1.usage.ingest({
      usage: [
        {
          transaction_id: transactionId,
          customer_id: customerId,
          event_type: type,
          timestamp: new Date(now).toISOString(),
          properties: { value },
        },
      ],
    });
  await viaStripe('s-1', '5');
  expect([await onStripe(one), await onMetronome(one)]).toEqual([5, 5]);
  await viaMetronome('m-1', cus, 7);
  expect([await onStripe(one), await onMetronome(one)]).toEqual([12, 12]);
  await viaMetronome('m-2', uuid, '0.5');
  await viaMetronome('m-3', `${type}@example.com`, '-2');
  expect([await onStripe(one), await onMetronome(one)]).toEqual([10.5, 10.5]);

  // One unique key: the second use is an error in one dialect, and silently ignored in the other.
  await expect(viaStripe('m-1', '100')).rejects.toThrow('An event already exists with identifier m-1');
  await viaMetronome('s-1', cus, 100);
  expect([await onStripe(one), await onMetronome(one)]).toEqual([10.5, 10.5]);

  // What is no number counts nowhere, but is kept.
  await viaMetronome('m-4', cus, 'many');
  expect([await onStripe(one), await onMetronome(one)]).toEqual([10.5, 10.5]);
  const found = await metronome.v1.usage.search({ transactionIds: ['s-1', 'm-4'] });
  expect(found).toMatchObject([
    { customer_id: cus, event_type: type, properties: { stripe_customer_id: cus, value: '5' } },
    { customer_id: cus, properties: { value: 'many' } },
  ]);
});

it('usage, drafts and balance of both dialects have an event of either client in the very next read', async () => {
  const one = await world('units');
  const { cus, uuid, type } = one;
  const price = await stripe.prices.create({
    currency: 'usd',
    unit_amount: 3,
    recurring: { interval: 'month', usage_type: 'metered', meter: one.meterId },
    product_data: { name: 'Units' },
  });
  const subscription = await stripe.subscriptions.create({ customer: cus, items: [{ price: price.id }] });
  const product = await metronome.v1.contracts.products.create({
    name: 'Units',
    type: 'USAGE',
    billable_metric_id: one.metricId,
  });
  const card = await rateCard(metronome, [{ product_id: product.data.id, rate_type: 'FLAT', price: 100 }]);
  await metronome.v1.contracts.create({
    customer_id: uuid,
    starting_at: monthStart(),
    rate_card_id: card,
    commits: [
      {
        type: 'PREPAID',
        product_id: await fixedProduct(metronome, 'Prepaid'),
        access_schedule: segment(1000, monthStart(), '2100-01-01T00:00:00Z'),
      },
    ],
  });
  // Stripe's period begins with the subscription.
  const at = subscription.created + 1;
  const read = async () => {
    const { data } = await stripe.billing.meters.listEventSummaries(one.meterId, {
      customer: cus,
      start_time: minute - 3600,
      end_time: minute + 3600,
    });
    const preview = await stripe.invoices.createPreview({ subscription: subscription.id });
    return {
      stripeUsage: data[0]?.aggregated_value ?? 0,
      stripeDraft: preview.total,
      usage: await onMetronome(one),
      draft: await draftTotal(engine, uuid),
      balance: await netBalance(engine, uuid),
    };
  };
  await stripe.billing.meterEvents.create({
    event_name: type,
    identifier: 'cells-s',
    timestamp: at,
    payload: { stripe_customer_id: cus, value: '4' },
  });
  // 4 units: 12 cents there; 400 cents here, all prepaid.
  expect(await read()).toEqual({ stripeUsage: 4, stripeDraft: 12, usage: 4, draft: 0, balance: 600 });
  await metronome.v1.usage.ingest({
    usage: [
      {
        transaction_id: 'cells-m',
        customer_id: uuid,
        event_type: type,
        timestamp: new Date(at * 1000).toISOString(),
        properties: { value: '9' },
      },
    ],
  });
  // 13 units: 39 cents there; 1,300 cents here, of which 1,000 are prepaid.
  expect(await read()).toEqual({ stripeUsage: 13, stripeDraft: 39, usage: 13, draft: 300, balance: 0 });
});

it('a cancellation through Stripe takes the event back from the metrics too', async () => {
  const one = await world('calls');
  await stripe.billing.meterEvents.create({
    event_name: one.type,
    identifier: 'wrong',
    timestamp: now / 1000,
    payload: { stripe_customer_id: one.cus, value: '40' },
  });
  await stripe.billing.meterEvents.create({
    event_name: one.type,
    timestamp: now / 1000,
    payload: { stripe_customer_id: one.cus, value: '2' },
  });
  await stripe.billing.meterEventAdjustments.create({
    event_name: one.type,
    type: 'cancel',
    cancel: { identifier: 'wrong' },
  });
  expect([await onStripe(one), await onMetronome(one)]).toEqual([2, 2]);
});

it('a cancellation through Stripe takes back an event that Metronome sent, in both dialects', async () => {
  const one = await world('requests');
  const sold = await metronome.v1.contracts.products.create({
    name: 'Requests',
    type: 'USAGE',
    billable_metric_id: one.metricId,
  });
  await metronome.v1.contracts.create({
    customer_id: one.uuid,
    starting_at: monthStart(),
    rate_card_id: await rateCard(metronome, [{ product_id: sold.data.id, rate_type: 'FLAT', price: 100 }]),
  });
  const sent = (transactionId: string, customerId: string, value: string) => ({
    transaction_id: transactionId,
    customer_id: customerId,
    event_type: one.type,
    timestamp: new Date(now).toISOString(),
    properties: { value },
  });
  const alias = `${one.type}@example.com`;
  await metronome.v1.usage.ingest({
    usage: [
      sent('r-1', one.uuid, '40'),
      sent('r-2', alias, '2'),
      sent('r-3', alias, '7'),
      // A type with a meter, but no value for it: on metrics alone, if on any.
      sent('r-4', one.uuid, 'many'),
    ],
  });
  await stripe.billing.meterEvents.create({
    event_name: one.type,
    identifier: 'r-5',
    timestamp: now / 1000,
    payload: { stripe_customer_id: one.cus, value: '1' },
  });
  const read = async () => [await onStripe(one), await onMetronome(one), await draftTotal(engine, one.uuid)];
  const cancel = (identifier: string, type = one.type) =>
    stripe.billing.meterEventAdjustments.create({ event_name: type, type: 'cancel', cancel: { identifier } });
  const isThisMonth = new Date(now).toISOString() >= monthStart();
  const drafted = (quantity: number) => (isThisMonth ? quantity * 100 : 0);
  expect(await read()).toEqual([50, 50, drafted(50)]);
  await cancel('r-1');
  expect(await read()).toEqual([10, 10, drafted(10)]);
  // The name that it was sent under is nobody's now; what it counted for stays what it was.
  await metronome.v1.customers.setIngestAliases({ customer_id: one.uuid, ingest_aliases: [] });
  await cancel('r-3');
  await metronome.v1.customers.setIngestAliases({ customer_id: one.uuid, ingest_aliases: [alias] });
  expect(await read()).toEqual([3, 3, drafted(3)]);
  await expect(cancel('r-3')).rejects.toThrow('cancelled already');
  await expect(cancel('r-4')).rejects.toThrow('No meter event found');
  await expect(cancel('r-2', 'calls')).rejects.toThrow('No meter event found');
  // Its identifier stays used.
  await metronome.v1.usage.ingest({ usage: [sent('r-1', one.uuid, '1000')] });
  expect(await read()).toEqual([3, 3, drafted(3)]);
  const left = await metronome.v1.usage.search({ transactionIds: ['r-1', 'r-2'] });
  expect(left.map(({ transaction_id: id }) => id)).toEqual(['r-2']);
});

it('a customer keeps to a sensible number of combinations', async () => {
  const { data: metric } = await metronome.v1.billableMetrics.create({
    name: 'by request',
    aggregation_type: 'COUNT',
    event_type_filter: { in_values: ['request'] },
    property_filters: [{ name: 'request_id', exists: true }],
    group_keys: [['request_id']],
  });
  // As many as are allowed, made directly: sending them would take a while.
  await engine.db.query(
    `insert into usage_series (account_id, meter_id, customer_id, dimension_key)
     select $1, $2, 'busy', '0:["' || n || '"]' from generate_series(1, 9999) n`,
    [engine.accountId, metric.id],
  );
  const send = (...ids: string[]) =>
    metronome.v1.usage.ingest({
      usage: ids.map((id) => ({
        transaction_id: `request-${id}`,
        customer_id: 'busy',
        event_type: 'request',
        timestamp: new Date(now).toISOString(),
        properties: { request_id: id },
      })),
    });
  expect(await refusal(send('a', 'b'))).toContain('more than 10000 combinations of request_id');
  expect(await metronome.v1.usage.search({ transactionIds: ['request-a', 'request-b'] })).toEqual([]);
  await send('a');
  await send('17');
  expect(await refusal(send('b'))).toContain('more than 10000 combinations');
});
