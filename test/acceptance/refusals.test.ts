import Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/storage/db.js';
import { startTestEngine, stripeFor } from '../support/engine.js';
import type { TestEngine } from '../support/engine.js';
import { DAY, MINUTE } from './account.js';

/** Whatever is refused is refused in Stripe's words, names the parameter, and leaves no trace in any table. */

let engine: TestEngine;
let stripe: Stripe;
let before: Map<string, string>;

/** What the refused requests refer to. */
const made = {
  customer: '',
  clocked: '',
  product: '',
  licensed: '',
  metered: '',
  inactiveMeter: '',
  frozen: 0,
};

beforeAll(async () => {
  engine = await startTestEngine();
  ({ stripe } = engine);
  const meter = await createMeter('calls');
  const product = await stripe.products.create({ name: 'API' });
  const recurring = { interval: 'month' } as const;
  const base = { product: product.id, currency: 'usd', unit_amount: 5 };
  const licensed = await stripe.prices.create({ ...base, recurring });
  const metered = await stripe.prices.create({
    ...base,
    recurring: { ...recurring, usage_type: 'metered', meter: meter.id },
  });
  const inactive = await createMeter('former_calls');
  await stripe.billing.meters.deactivate(inactive.id);
  const customer = await stripe.customers.create({ name: 'Ada' });
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: Date.UTC(2027, 0, 31) / 1000 });
  const clocked = await stripe.customers.create({ name: 'Grace', test_clock: clock.id });
  Object.assign(made, {
    customer: customer.id,
    clocked: clocked.id,
    product: product.id,
    licensed: licensed.id,
    metered: metered.id,
    inactiveMeter: inactive.id,
    frozen: clock.frozen_time,
  });
  before = await fingerprints(engine.db);
});
afterAll(() => engine.stop());

function createMeter(eventName: string): Promise<Stripe.Billing.Meter> {
  return stripe.billing.meters.create({
    display_name: eventName,
    event_name: eventName,
    default_aggregation: { formula: 'sum' },
  });
}

/** Rows and content of every table of the schema, one text each. */
async function fingerprints(db: Database): Promise<Map<string, string>> {
  const tables = await db.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname = 'public' order by 1`,
  );
  expect(tables.length).toBeGreaterThan(20);
  const found = new Map<string, string>();
  for (const { name } of tables) {
    const [row] = await db.query<{ rows: bigint; content: string | null }>(
      `select count(*) as rows, md5(string_agg(t::text, chr(10) order by t::text)) as content from ${name} t`,
    );
    found.set(name, `${String(row?.rows)} rows, ${row?.content ?? 'nothing'}`);
  }
  return found;
}

interface Refused {
  param?: string;
  code?: string;
  status?: number;
}

async function expectRefused(
  call: () => Promise<unknown>,
  { param, code, status = 400 }: Refused,
): Promise<void> {
  const error: unknown = await call().then(
    (answer) => new Error(`was accepted: ${JSON.stringify(answer)}`),
    (failure: unknown) => failure,
  );
  if (!(error instanceof Stripe.errors.StripeError)) throw error;
  const said = { status: error.statusCode, type: error.rawType, code: error.code, param: error.param };
  expect(said).toEqual({ status, type: 'invalid_request_error', code, param });
  expect(error.message).not.toBe('');
  expect(error.requestId).toMatch(/^req_/);
  expect(await fingerprints(engine.db)).toEqual(before);
}

/** Parameters that the SDK's types rightly forbid. */
const wrong = (params: object) => params as never;

function subscribe(items: object[], rest: object = {}): Promise<Stripe.Subscription> {
  return stripe.subscriptions.create(wrong({ customer: made.customer, items, ...rest }));
}

function createPrice(terms: object): Promise<Stripe.Price> {
  const base = { product: made.product, currency: 'usd', recurring: { interval: 'month' } };
  return stripe.prices.create(wrong({ ...base, ...terms }));
}

function send(event: { value?: string; customer?: string; timestamp?: number; eventName?: string }) {
  const { value = '1', customer = made.customer, timestamp, eventName = 'calls' } = event;
  return stripe.billing.meterEvents.create({
    event_name: eventName,
    payload: { stripe_customer_id: customer, value },
    ...(timestamp === undefined ? {} : { timestamp }),
  });
}

const wallNow = () => Math.floor(Date.now() / 1000);

describe('requests are refused with the parameter named and nothing written', () => {
  test.each<[string, () => Promise<unknown>, Refused]>([
    [
      'an unknown parameter',
      () => stripe.customers.create(wrong({ name: 'Ada', favourite_colour: 'blue' })),
      { param: 'favourite_colour', code: 'parameter_unknown' },
    ],
    [
      'an unknown parameter inside a list',
      () => subscribe([{ price: made.licensed, colour: 'blue' }]),
      { param: 'items[0][colour]', code: 'parameter_unknown' },
    ],
    [
      'an unknown parameter of a read',
      () => stripe.invoices.list(wrong({ colour: 'blue' })),
      { param: 'colour', code: 'parameter_unknown' },
    ],
    [
      'a missing parameter',
      () => stripe.subscriptions.create(wrong({ items: [{ price: made.licensed }] })),
      { param: 'customer', code: 'parameter_missing' },
    ],
    [
      'a missing parameter inside a hash',
      () =>
        stripe.billing.meters.create(wrong({ display_name: 'A', event_name: 'a', default_aggregation: {} })),
      { param: 'default_aggregation', code: 'parameter_missing' },
    ],
    [
      'a word that is not in the enum',
      () =>
        stripe.billing.meters.create(
          wrong({ display_name: 'A', event_name: 'a', default_aggregation: { formula: 'median' } }),
        ),
      { param: 'default_aggregation[formula]' },
    ],
    [
      'text where a number belongs',
      () => subscribe([{ price: made.licensed, quantity: 'many' }]),
      { param: 'items[0][quantity]', code: 'parameter_invalid_integer' },
    ],
    [
      'text where a hash belongs',
      () =>
        stripe.prices.create(
          wrong({ product: made.product, currency: 'usd', unit_amount: 1, recurring: 'month' }),
        ),
      { param: 'recurring' },
    ],
    [
      'a quantity on a metered item',
      () => subscribe([{ price: made.metered, quantity: 2 }]),
      { param: 'items[0][quantity]' },
    ],
    [
      'a price with both amounts',
      () => createPrice({ unit_amount: 1, unit_amount_decimal: '1' }),
      { param: 'unit_amount', code: 'parameters_exclusive' },
    ],
    [
      'a price with an amount and tiers',
      () =>
        createPrice({
          unit_amount: 1,
          billing_scheme: 'tiered',
          tiers_mode: 'volume',
          tiers: [{ up_to: 'inf', unit_amount: 1 }],
        }),
      { param: 'unit_amount', code: 'parameters_exclusive' },
    ],
    [
      'tiers without an end',
      () =>
        createPrice({
          billing_scheme: 'tiered',
          tiers_mode: 'graduated',
          tiers: [
            { up_to: 10, unit_amount: 2 },
            { up_to: 20, unit_amount: 1 },
          ],
        }),
      { param: 'tiers[1][up_to]', code: 'parameter_invalid' },
    ],
    [
      'tiers out of order',
      () =>
        createPrice({
          billing_scheme: 'tiered',
          tiers_mode: 'graduated',
          tiers: [
            { up_to: 10, unit_amount: 2 },
            { up_to: 5, unit_amount: 1 },
            { up_to: 'inf', unit_amount: 1 },
          ],
        }),
      { param: 'tiers[1][up_to]', code: 'parameter_invalid' },
    ],
    [
      'a price with thirteen decimal places',
      () => createPrice({ unit_amount_decimal: '0.0000000000001' }),
      { param: 'unit_amount_decimal' },
    ],
    [
      'a price of nothing',
      () => createPrice({ unit_amount_decimal: '' }),
      { param: 'unit_amount_decimal', code: 'parameter_invalid_empty' },
    ],
    [
      'a price on an inactive meter',
      () =>
        createPrice({
          unit_amount: 1,
          recurring: { interval: 'month', usage_type: 'metered', meter: made.inactiveMeter },
        }),
      { param: 'recurring[meter]', code: 'archived_meter' },
    ],
    [
      'a subscription of an unknown customer',
      () => subscribe([{ price: made.licensed }], { customer: 'cus_nobody' }),
      { param: 'customer', code: 'resource_missing' },
    ],
  ])('%s', async (_what, call, refusal) => {
    await expectRefused(call, refusal);
  });

  test.each<[string, () => Promise<unknown>, Refused]>([
    [
      'for an inactive meter',
      () => send({ eventName: 'former_calls' }),
      { param: 'event_name', code: 'archived_meter' },
    ],
    ['for no meter', () => send({ eventName: 'nonsense' }), { param: 'event_name', code: 'no_meter' }],
    [
      'of an unknown customer',
      () => send({ customer: 'cus_nobody' }),
      { param: 'payload[stripe_customer_id]', code: 'resource_missing' },
    ],
    [
      '36 days old',
      () => send({ timestamp: wallNow() - 36 * DAY }),
      { param: 'timestamp', code: 'timestamp_too_far_in_past' },
    ],
    [
      '6 minutes ahead',
      () => send({ timestamp: wallNow() + 6 * MINUTE }),
      { param: 'timestamp', code: 'timestamp_in_future' },
    ],
    [
      '36 days old by its test clock',
      () => send({ customer: made.clocked, timestamp: made.frozen - 36 * DAY }),
      { param: 'timestamp', code: 'timestamp_too_far_in_past' },
    ],
    [
      '6 minutes ahead of its test clock',
      () => send({ customer: made.clocked, timestamp: made.frozen + 6 * MINUTE }),
      { param: 'timestamp', code: 'timestamp_in_future' },
    ],
    [
      'with the value 1e400',
      () => send({ value: '1e400' }),
      { param: 'payload[value]', code: 'meter_event_invalid_value' },
    ],
    [
      'with the value NaN',
      () => send({ value: 'NaN' }),
      { param: 'payload[value]', code: 'meter_event_invalid_value' },
    ],
    [
      'with no text as value',
      () => send({ value: '' }),
      { param: 'payload[value]', code: 'meter_event_invalid_value' },
    ],
    [
      'with sixteen significant digits',
      () => send({ value: '1234567890.123456' }),
      { param: 'payload[value]', code: 'meter_event_value_too_many_digits' },
    ],
    [
      'without a name',
      () => send({ eventName: '' }),
      { param: 'event_name', code: 'parameter_invalid_empty' },
    ],
  ])('a meter event %s', async (_what, call, refusal) => {
    await expectRefused(call, refusal);
  });

  test('a wrong key, and none', async () => {
    const stranger = stripeFor(engine.baseUrl, 'sk_test_51NobodyGaveMeThisKey');
    await expectRefused(() => stranger.customers.create({ name: 'Mallory' }), { status: 401 });
    const response = await fetch(`${engine.baseUrl}/v1/customers`, { method: 'POST' });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { type: 'invalid_request_error' } });
    expect(await fingerprints(engine.db)).toEqual(before);
  });

  test('and the same requests with the mistake put right are accepted', async () => {
    await send({});
    await send({ timestamp: wallNow() - 34 * DAY });
    await send({ customer: made.clocked, timestamp: made.frozen + 4 * MINUTE });
    await createPrice({ unit_amount_decimal: '0.000000000001' });
    await subscribe([{ price: made.licensed, quantity: 2 }, { price: made.metered }]);
    expect(await fingerprints(engine.db)).not.toEqual(before);
  });
});
