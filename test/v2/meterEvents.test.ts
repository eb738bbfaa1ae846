import { Agent } from 'node:http';
import Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { reportMeterErrors } from '../../src/billing/meterErrorReports.js';
import { createIngest } from '../../src/metering/ingest.js';
import type { TestApi } from '../support/api.js';
import { startTestApi } from '../support/api.js';
import { assertStripeShape } from '../support/stripeSchemas.js';

const NOW = Date.UTC(2026, 10, 24, 12, 30, 3, 250);
const DAY = 86_400_000;

let api: TestApi;
let now = NOW;
let customer: string;
let meter: Stripe.Billing.Meter;
let meters = 0;
const agent = new Agent({ keepAlive: true });

beforeAll(async () => {
  api = await startTestApi({ now: () => now });
  const { db, core } = api;
  Object.assign(core, { ingest: createIngest({ db, log: core.log, now: () => core.now() }) });
});
afterAll(async () => {
  agent.destroy();
  await api.stop();
});
beforeEach(async () => {
  now = NOW;
  customer = (await api.stripe.customers.create()).id;
  meters += 1;
  meter = await api.stripe.billing.meters.create({
    display_name: 'Requests',
    event_name: `requests_${meters}`,
    default_aggregation: { formula: 'sum' },
  });
});

const payloadOf = (value: string) => ({ stripe_customer_id: customer, value });

function create(value: string, rest: Partial<Stripe.V2.Billing.MeterEventCreateParams> = {}, options = {}) {
  const params = { event_name: meter.event_name, payload: payloadOf(value), ...rest };
  return api.stripe.v2.billing.meterEvents.create(params, options);
}

/** The official client, with a session token in the place of the key, as Stripe's guide has it. */
function streamClient(token: string): Stripe {
  const port = Number(new URL(api.baseUrl).port);
  return new Stripe(token, {
    host: '127.0.0.1',
    port,
    protocol: 'http',
    maxNetworkRetries: 0,
    telemetry: false,
    httpAgent: agent,
  });
}

async function openStream(): Promise<Stripe> {
  const session = await api.stripe.v2.billing.meterEventSession.create();
  return streamClient(session.authentication_token);
}

async function total(): Promise<number | undefined> {
  const summaries = await api.stripe.billing.meters.listEventSummaries(meter.id, {
    customer,
    start_time: (NOW - (NOW % 60_000)) / 1000 - 40 * 86_400,
    end_time: (NOW - (NOW % 60_000)) / 1000 + 86_400,
  });
  return summaries.data[0]?.aggregated_value;
}

async function refusalOf(call: Promise<unknown>): Promise<Stripe.errors.StripeError> {
  const error: unknown = await call.then(
    () => null,
    (failure: unknown) => failure,
  );
  if (error instanceof Stripe.errors.StripeError) return error;
  throw new Error('the call was expected to be refused', { cause: error });
}

describe('v2 meter events', () => {
  it('are stored and counted with v1’s, their times in RFC 3339', async () => {
    const timestamp = new Date(NOW - 90_500).toISOString();
    const event = await create('2.5', { identifier: `v2-${meter.id}`, timestamp });
    assertStripeShape('v2.billing.meter_event', event);
    expect(event).toMatchObject({
      object: 'v2.billing.meter_event',
      created: new Date(NOW).toISOString(),
      identifier: `v2-${meter.id}`,
      timestamp,
      payload: payloadOf('2.5'),
    });
    await api.stripe.billing.meterEvents.create({ event_name: meter.event_name, payload: payloadOf('1') });
    expect(await total()).toBe(3.5);
  });

  it('are replayed under the same key and refused under another', async () => {
    const options = { idempotencyKey: `v2-key-${meter.id}` };
    const first = await create('4', { identifier: `once-${meter.id}` }, options);
    const again = await create('4', { identifier: `once-${meter.id}` }, options);
    expect(again.identifier).toBe(first.identifier);
    const error = await refusalOf(create('4', { identifier: `once-${meter.id}` }));
    expect(error).toMatchObject({ statusCode: 400, code: 'duplicate_meter_event' });
    expect(await total()).toBe(4);
  });

  it.each([
    ['no_meter', { event_name: 'nothing' }],
    ['meter_event_invalid_value', { payload: { value: 'x' } }],
    ['meter_event_value_not_found', { payload: {} }],
    ['meter_event_no_customer_defined', { payload: { stripe_customer_id: '', value: '1' } }],
    ['timestamp_too_far_in_past', { timestamp: new Date(NOW - 36 * DAY).toISOString() }],
    ['timestamp_in_future', { timestamp: new Date(NOW + 360_000).toISOString() }],
  ])('are refused at once: %s', async (code, change) => {
    const { payload, ...rest } = change as Partial<Stripe.V2.Billing.MeterEventCreateParams>;
    const sent = payload === undefined ? {} : { payload: { stripe_customer_id: customer, ...payload } };
    expect(await refusalOf(create('1', { ...rest, ...sent }))).toMatchObject({ statusCode: 400, code });
    expect(await total()).toBe(0);
  });

  it('are cancelled by an adjustment', async () => {
    await create('4', { identifier: `gone-${meter.id}` });
    const adjustment = await api.stripe.v2.billing.meterEventAdjustments.create({
      event_name: meter.event_name,
      type: 'cancel',
      cancel: { identifier: `gone-${meter.id}` },
    });
    assertStripeShape('v2.billing.meter_event_adjustment', adjustment);
    expect(adjustment).toMatchObject({ status: 'complete', cancel: { identifier: `gone-${meter.id}` } });
    expect(await total()).toBe(0);
  });
});

describe('the meter event stream', () => {
  it('takes 100 events a call under a session token', async () => {
    const session = await api.stripe.v2.billing.meterEventSession.create();
    assertStripeShape('v2.billing.meter_event_session', session);
    expect(Date.parse(session.expires_at) - Date.parse(session.created)).toBe(15 * 60_000);
    const stream = streamClient(session.authentication_token);
    const events = Array.from({ length: 100 }, (_, i) => ({
      event_name: meter.event_name,
      identifier: `${meter.id}-${i}`,
      payload: payloadOf('1'),
    }));
    await stream.v2.billing.meterEventStream.create({ events });
    await stream.v2.billing.meterEventStream.create({ events });
    expect(await total()).toBe(100);
    expect(
      await api.db.query(`select from meter_event_sessions where token_sha256 = $1`, [Buffer.from('x')]),
    ).toEqual([]);
  });

  it('refuses 101 events, and what is no list of events, whole', async () => {
    const stream = await openStream();
    const event = { event_name: meter.event_name, payload: payloadOf('1') };
    const tooMany = stream.v2.billing.meterEventStream.create({
      events: Array.from({ length: 101 }, () => event),
    });
    expect(await refusalOf(tooMany)).toMatchObject({ statusCode: 400 });
    const bad = stream.v2.billing.meterEventStream.create({ events: [event, { payload: {} }] as never });
    expect(await refusalOf(bad)).toMatchObject({
      statusCode: 400,
      code: 'parameter_missing',
      param: 'events[1][event_name]',
    });
    expect(await total()).toBe(0);
  });

  it('opens with a session token only, and an API is not opened by one', async () => {
    const event = { event_name: meter.event_name, payload: payloadOf('1') };
    const withKey = api.stripe.v2.billing.meterEventStream.create({ events: [event] });
    expect(await refusalOf(withKey)).toMatchObject({ statusCode: 401 });
    const stream = await openStream();
    expect(await refusalOf(stream.customers.list())).toMatchObject({ statusCode: 401 });
    expect(await refusalOf(stream.v2.billing.meterEvents.create(event))).toMatchObject({ statusCode: 401 });
  });

  it('closes when the session expires, in the client’s own error class', async () => {
    const stream = await openStream();
    const event = { event_name: meter.event_name, payload: payloadOf('1') };
    now = NOW + 15 * 60_000 - 1;
    await stream.v2.billing.meterEventStream.create({ events: [event] });
    now = NOW + 15 * 60_000;
    const expired = await refusalOf(stream.v2.billing.meterEventStream.create({ events: [event] }));
    expect(expired).toBeInstanceOf(Stripe.errors.TemporarySessionExpiredError);
    expect(expired).toMatchObject({ statusCode: 401, code: 'billing_meter_event_session_expired' });
    now = NOW + 3 * DAY;
    await openStream();
    expect(await refusalOf(stream.v2.billing.meterEventStream.create({ events: [event] }))).toBeInstanceOf(
      Stripe.errors.TemporarySessionExpiredError,
    );
    expect(await total()).toBe(1);
  });
});

describe('error reports', () => {
  interface ReportData {
    developer_message_summary: string;
    validation_start: string;
    validation_end: string;
    reason: {
      error_count: number;
      error_types: {
        code: string;
        error_count: number;
        sample_errors: { error_message: string; request: { identifier: string } }[];
      }[];
    };
  }
  const dataOf = (event: Stripe.V2.Core.Event): ReportData => (event as unknown as { data: ReportData }).data;

  it('tell by thin events within seconds what was refused in streams', async () => {
    const stream = await openStream();
    const bad = (value: string, rest: object = {}) => ({
      event_name: meter.event_name,
      payload: payloadOf(value),
      ...rest,
    });
    await stream.v2.billing.meterEventStream.create({
      events: [
        bad('7'),
        ...Array.from({ length: 8 }, (_, i) => bad('x', { identifier: `bad-${meter.id}-${i}` })),
        bad('1', { payload: { value: '1' } }),
        bad('1', { event_name: 'nothing_1', identifier: 'lost' }),
        bad('1', { event_name: 'nothing_2' }),
      ],
    });
    expect(await total()).toBe(7);
    expect(await reportMeterErrors(api.core)).toBe(0);
    now += 6_000;
    const made = await Promise.all([reportMeterErrors(api.core), reportMeterErrors(api.core)]);
    expect(made[0] + made[1]).toBe(2);

    const types = ['v1.billing.meter.error_report_triggered'];
    const { data: about } = await api.stripe.v2.core.events.list({ types, object_id: meter.id });
    expect(about).toHaveLength(1);
    const report = await api.stripe.v2.core.events.retrieve(about[0]?.id ?? '');
    expect(report).toMatchObject({
      object: 'v2.core.event',
      type: 'v1.billing.meter.error_report_triggered',
      related_object: { id: meter.id, type: 'billing.meter', url: `/v1/billing/meters/${meter.id}` },
    });
    expect(dataOf(report).developer_message_summary).toBe('There are 9 invalid events');
    expect(dataOf(report).reason.error_count).toBe(9);
    const [invalidValue, noCustomer] = [...dataOf(report).reason.error_types].sort(
      (a, b) => b.error_count - a.error_count,
    );
    expect(invalidValue).toMatchObject({ code: 'meter_event_invalid_value', error_count: 8 });
    expect(invalidValue?.sample_errors).toHaveLength(5);
    expect(invalidValue?.sample_errors[0]?.request.identifier).toBe(`bad-${meter.id}-0`);
    expect(noCustomer).toMatchObject({
      code: 'meter_event_no_customer_defined',
      sample_errors: [{ error_message: 'Customer mapping key stripe_customer_id not found in payload.' }],
    });
    const window = Date.parse(dataOf(report).validation_end) - Date.parse(dataOf(report).validation_start);
    expect(window).toBe(5_000);

    const lost = await api.stripe.v2.core.events.list({
      types: ['v1.billing.meter.no_meter_found'],
      limit: 1,
    });
    expect(dataOf(lost.data[0] as Stripe.V2.Core.Event).reason).toMatchObject({
      error_count: 2,
      error_types: [{ code: 'no_meter', error_count: 2 }],
    });
    expect(await reportMeterErrors(api.core)).toBe(0);
  });

  it('are listed in pages', async () => {
    const stream = await openStream();
    for (let i = 0; i < 5; i += 1) {
      await stream.v2.billing.meterEventStream.create({
        events: [{ event_name: meter.event_name, payload: payloadOf('x') }],
      });
      now += 6_000;
      await reportMeterErrors(api.core);
    }
    const seen: string[] = [];
    const pages = api.stripe.v2.core.events.list({ object_id: meter.id, limit: 2 });
    for await (const event of pages) seen.push(event.id);
    expect(new Set(seen).size).toBe(5);
    const unknown = await refusalOf(api.stripe.v2.core.events.retrieve('evt_nothing'));
    expect(unknown).toMatchObject({ statusCode: 404, code: 'resource_missing' });
  });
});
