import Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createIngest } from '../../src/metering/ingest.js';
import type { TestApi } from '../support/api.js';
import { startTestApi } from '../support/api.js';
import { assertStripeShape } from '../support/stripeSchemas.js';

const HOUR = 3600;
const DAY = 24 * HOUR;
/** Wall time in Unix seconds: half past noon, UTC. */
const NOW = Date.UTC(2026, 10, 24, 12, 30) / 1000;

let api: TestApi;
let now = NOW;
let customer: Stripe.Customer;
let meter: Stripe.Billing.Meter;
let meters = 0;

beforeAll(async () => {
  api = await startTestApi({ now: () => now * 1000 });
  const { db, core } = api;
  Object.assign(core, { ingest: createIngest({ db, log: core.log, now: () => core.now() }) });
});
afterAll(() => api.stop());
beforeEach(async () => {
  now = NOW;
  customer = await api.stripe.customers.create();
  meter = await createMeter({});
});

function createMeter(params: Partial<Stripe.Billing.MeterCreateParams>): Promise<Stripe.Billing.Meter> {
  meters += 1;
  return api.stripe.billing.meters.create({
    display_name: 'Requests',
    event_name: `requests_${meters}`,
    default_aggregation: { formula: 'sum' },
    ...params,
  });
}

function send(value: string, rest: Partial<Stripe.Billing.MeterEventCreateParams> = {}, options = {}) {
  const payload = { stripe_customer_id: customer.id, value };
  return api.stripe.billing.meterEvents.create({ event_name: meter.event_name, payload, ...rest }, options);
}

async function refusalOf(call: Promise<unknown>): Promise<Stripe.errors.StripeError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof Stripe.errors.StripeError) return error;
    throw error;
  }
  throw new Error('the call was expected to be refused');
}

async function total(): Promise<number | undefined> {
  const summaries = await api.stripe.billing.meters.listEventSummaries(meter.id, {
    customer: customer.id,
    start_time: NOW - 40 * DAY,
    end_time: NOW + DAY,
  });
  return summaries.data[0]?.aggregated_value;
}

describe('POST /v1/billing/meter_events', () => {
  it('answers in Stripe’s shape, and the summary has the usage at once', async () => {
    const event = await send('12', { identifier: 'first', timestamp: NOW - 60 });
    assertStripeShape('billing.meter_event', event);
    expect(JSON.parse(JSON.stringify(event))).toEqual({
      object: 'billing.meter_event',
      created: NOW,
      event_name: meter.event_name,
      identifier: 'first',
      livemode: false,
      payload: { stripe_customer_id: customer.id, value: '12' },
      timestamp: NOW - 60,
    });
    expect(await total()).toBe(12);
  });

  it('gives an identifier and the time where none is sent', async () => {
    const event = await send('1');
    expect(event.identifier).toMatch(/^.{16,100}$/);
    expect(event.timestamp).toBe(NOW);
  });

  it('replays a repeated request and counts it once', async () => {
    const options = { idempotencyKey: `key-${meter.id}` };
    const first = await send('5', {}, options);
    now = NOW + 30;
    const again = await send('5', {}, options);
    expect({ ...again, lastResponse: null }).toEqual({ ...first, lastResponse: null });
    expect(again.lastResponse.headers['idempotent-replayed']).toBe('true');
    expect(first.lastResponse.headers['idempotent-replayed']).toBeUndefined();
    expect(await total()).toBe(5);
    expect(
      await api.db.query('select from idempotency_keys where key = $1', [options.idempotencyKey]),
    ).toEqual([]);
    const misuse = await refusalOf(send('6', {}, options));
    expect(misuse).toBeInstanceOf(Stripe.errors.StripeIdempotencyError);
  });

  it('refuses a second use of an identifier in Stripe’s words, and tells clients not to retry', async () => {
    await send('5', { identifier: `dup-${meter.id}` });
    const error = await refusalOf(send('5', { identifier: `dup-${meter.id}` }));
    expect(error).toBeInstanceOf(Stripe.errors.StripeInvalidRequestError);
    expect(error).toMatchObject({
      statusCode: 400,
      message: `An event already exists with identifier dup-${meter.id}.`,
      headers: { 'stripe-should-retry': 'false' },
    });
    expect(error.code).toBeUndefined();
    expect(await total()).toBe(5);
  });

  it('adds up hundreds of events with duplicates among them', async () => {
    const identifiers = Array.from({ length: 400 }, (_, i) => `many-${i % 360}`);
    const results: PromiseSettledResult<unknown>[] = [];
    for (let from = 0; from < identifiers.length; from += 50) {
      const calls = identifiers.slice(from, from + 50).map((identifier) => send('3', { identifier }));
      results.push(...(await Promise.allSettled(calls)));
    }
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(360);
    expect(await total()).toBe(1_080);
  });

  it.each([
    [
      'an unknown event name',
      { event_name: 'nope' },
      'no_meter',
      'No active meter found for event name "nope"',
    ],
    ['a timestamp 36 days old', { timestamp: NOW - 36 * DAY }, 'timestamp_too_far_in_past', null],
    ['a timestamp 6 minutes ahead', { timestamp: NOW + 360 }, 'timestamp_in_future', null],
    [
      'an unknown customer',
      { payload: { stripe_customer_id: 'cus_x', value: '1' } },
      'resource_missing',
      "No such customer: 'cus_x'",
    ],
    ['a value beyond all measure', { payload: { value: '1e400' } }, 'meter_event_invalid_value', null],
    ['NaN', { payload: { value: 'NaN' } }, 'meter_event_invalid_value', null],
    ['an empty value', { payload: { value: '' } }, 'meter_event_invalid_value', null],
    ['16 digits', { payload: { value: '1234567890123456' } }, 'meter_event_value_too_many_digits', null],
    ['no value', { payload: { other: '1' } }, 'meter_event_value_not_found', null],
    [
      'no customer',
      { payload: { stripe_customer_id: '', value: '1' } },
      'meter_event_no_customer_defined',
      null,
    ],
  ])('refuses %s and stores nothing', async (_name, change, code, message) => {
    const { payload, ...rest } = change as Partial<Stripe.Billing.MeterEventCreateParams>;
    const sent = payload === undefined ? {} : { payload: { stripe_customer_id: customer.id, ...payload } };
    const error = await refusalOf(send('1', { ...rest, ...sent }));
    expect(error).toMatchObject({ statusCode: 400, type: 'StripeInvalidRequestError', code });
    if (message !== null) expect(error.message).toBe(message);
    expect(await total()).toBe(0);
  });

  it('refuses unknown and missing parameters by name', async () => {
    const extra = { wat: '1' } as Partial<Stripe.Billing.MeterEventCreateParams>;
    expect(await refusalOf(send('1', extra))).toMatchObject({ code: 'parameter_unknown', param: 'wat' });
    const bare = await api.call('POST', '/v1/billing/meter_events', {
      form: `event_name=${meter.event_name}`,
    });
    expect(bare.status).toBe(400);
    expect(bare.json['error']).toMatchObject({ code: 'parameter_missing', param: 'payload' });
  });

  it('refuses events of a deactivated meter', async () => {
    await api.stripe.billing.meters.deactivate(meter.id);
    expect(await refusalOf(send('1'))).toMatchObject({ code: 'archived_meter' });
    await api.stripe.billing.meters.reactivate(meter.id);
    await send('1');
    expect(await total()).toBe(1);
  });
});

describe('POST /v1/billing/meter_event_adjustments', () => {
  const cancel = (identifier: string) =>
    api.stripe.billing.meterEventAdjustments.create({
      event_name: meter.event_name,
      type: 'cancel',
      cancel: { identifier },
    });

  it('takes an event back, in the next read', async () => {
    await send('5', { identifier: `a-${meter.id}` });
    await send('7', { identifier: `b-${meter.id}` });
    const adjustment = await cancel(`a-${meter.id}`);
    assertStripeShape('billing.meter_event_adjustment', adjustment);
    expect(adjustment).toMatchObject({
      status: 'complete',
      cancel: { identifier: `a-${meter.id}` },
      type: 'cancel',
    });
    expect(await total()).toBe(7);
  });

  it('refuses an unknown identifier, one of another meter, one cancelled already, and one too old', async () => {
    expect(await refusalOf(cancel('never-sent'))).toMatchObject({
      statusCode: 400,
      param: 'cancel[identifier]',
    });
    await send('5', { identifier: `c-${meter.id}` });
    const own = meter;
    meter = await createMeter({});
    expect(await refusalOf(cancel(`c-${own.id}`))).toMatchObject({ statusCode: 400 });
    meter = own;
    now = NOW + DAY + 1;
    expect((await refusalOf(cancel(`c-${own.id}`))).message).toContain('24 hours');
    now = NOW + DAY;
    await cancel(`c-${own.id}`);
    expect((await refusalOf(cancel(`c-${own.id}`))).message).toContain('already');
    expect(await total()).toBe(0);
  });
});

describe('GET /v1/billing/meters/{id}/event_summaries', () => {
  const list = (params: Partial<Stripe.Billing.MeterListEventSummariesParams>) =>
    api.stripe.billing.meters.listEventSummaries(meter.id, {
      customer: customer.id,
      start_time: NOW - DAY,
      end_time: NOW,
      ...params,
    });

  it('has one summary without a window, zero without usage', async () => {
    const none = await list({});
    assertStripeShape('list of billing.meter_event_summary', none);
    expect(none.data).toHaveLength(1);
    expect(none.data[0]).toMatchObject({
      aggregated_value: 0,
      start_time: NOW - DAY,
      end_time: NOW,
      meter: meter.id,
    });
    await send('2.5', { timestamp: NOW - 61 });
    await send('100', { timestamp: NOW });
    expect((await list({})).data[0]?.aggregated_value).toBe(2.5);
  });

  it('groups by hour and day, newest first, leaving out empty windows, and pages through them', async () => {
    const noon = NOW - HOUR / 2;
    for (const hours of [1, 2, 2, 5, 26, 30, 50]) await send('1', { timestamp: noon - hours * HOUR });
    const range = { start_time: noon - 60 * HOUR, end_time: noon };
    const hourly = await list({ ...range, value_grouping_window: 'hour' });
    expect(hourly.data.map((one) => [(noon - one.start_time) / HOUR, one.aggregated_value])).toEqual([
      [1, 1],
      [2, 2],
      [5, 1],
      [26, 1],
      [30, 1],
      [50, 1],
    ]);
    expect(hourly.data.every((one) => one.end_time - one.start_time === HOUR)).toBe(true);
    const paged: string[] = [];
    const pages = list({ ...range, value_grouping_window: 'hour', limit: 2 });
    for await (const one of pages) paged.push(one.id);
    expect(paged).toEqual(hourly.data.map((one) => one.id));
    const [, second, third] = hourly.data;
    const newer = await list({
      ...range,
      value_grouping_window: 'hour',
      ending_before: third?.id as string,
      limit: 1,
    });
    expect(newer.data.map((one) => one.id)).toEqual([second?.id]);
    expect(newer.has_more).toBe(true);
    const midnight = noon - (noon % DAY);
    const daily = await list({
      start_time: midnight - 3 * DAY,
      end_time: midnight + DAY,
      value_grouping_window: 'day',
    });
    expect(daily.data.map((one) => one.aggregated_value)).toEqual([4, 2, 1]);
  });

  it.each([
    ['a start inside a minute', { start_time: NOW - 30 }, 'start_time'],
    ['an end inside an hour', { value_grouping_window: 'hour', start_time: NOW - 1800 - DAY }, 'end_time'],
    ['a start inside a day', { value_grouping_window: 'day' }, 'start_time'],
    ['an end before the start', { end_time: NOW - 2 * DAY }, 'end_time'],
    ['an unknown customer', { customer: 'cus_nobody' }, 'customer'],
    [
      'an unknown cursor',
      {
        value_grouping_window: 'hour',
        start_time: NOW - 1800 - DAY,
        end_time: NOW - 1800,
        starting_after: 'mtrusg_x',
      },
      'starting_after',
    ],
  ] as const)('refuses %s', async (_name, change, param) => {
    expect(await refusalOf(Promise.resolve(list(change)))).toMatchObject({ statusCode: 400, param });
  });
});
