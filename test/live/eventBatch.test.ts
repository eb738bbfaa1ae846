import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createIngest } from '../../src/metering/ingest.js';
import type { Called, TestApi } from '../support/api.js';
import { startTestApi } from '../support/api.js';

const NOW = Date.UTC(2026, 10, 24, 12, 30) / 1000;
const DAY = 86_400;

let api: TestApi;
let customer: string;
let meter: { id: string; event_name: string };
let meters = 0;

beforeAll(async () => {
  api = await startTestApi({ now: () => NOW * 1000 });
  const { db, core } = api;
  Object.assign(core, { ingest: createIngest({ db, log: core.log, now: () => core.now() }) });
});
afterAll(() => api.stop());
beforeEach(async () => {
  customer = (await api.stripe.customers.create()).id;
  meters += 1;
  meter = await api.stripe.billing.meters.create({
    display_name: 'Requests',
    event_name: `requests_${meters}`,
    default_aggregation: { formula: 'sum' },
  });
});

interface SentEvent {
  event_name?: unknown;
  identifier?: unknown;
  timestamp?: unknown;
  payload?: unknown;
}

const one = (value: unknown, rest: SentEvent = {}): SentEvent => ({
  event_name: meter.event_name,
  payload: { stripe_customer_id: customer, value },
  ...rest,
});

interface PostOptions {
  type?: string;
  encoding?: string;
  key?: string;
}

async function post(body: string | Buffer, options: PostOptions = {}): Promise<Called> {
  const response = await fetch(`${api.baseUrl}/live/v1/events`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${api.apiKey}`,
      'content-type': options.type ?? 'application/json',
      ...(options.encoding === undefined ? {} : { 'content-encoding': options.encoding }),
      ...(options.key === undefined ? {} : { 'idempotency-key': options.key }),
    },
    body: typeof body === 'string' ? body : new Uint8Array(body),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: JSON.parse(text) as Called['json'],
  };
}

const postEvents = (events: unknown[], options: PostOptions = {}) => post(JSON.stringify(events), options);
const ndjson = (events: unknown[]) => events.map((event) => JSON.stringify(event)).join('\n');

async function total(): Promise<number | undefined> {
  const summaries = await api.stripe.billing.meters.listEventSummaries(meter.id, {
    customer,
    start_time: NOW - 40 * DAY,
    end_time: NOW + DAY,
  });
  return summaries.data[0]?.aggregated_value;
}

describe('POST /live/v1/events', () => {
  it('stores an array and says what became of each', async () => {
    const answer = await postEvents([
      one('1.5', { identifier: `${meter.id}-a`, timestamp: NOW - 60 }),
      one(2, { timestamp: new Date((NOW - 3600) * 1000).toISOString() }),
      one('4', { identifier: `${meter.id}-a` }),
      one('NaN'),
      one('1', { event_name: 'nothing' }),
      one('1', { timestamp: NOW - 36 * DAY }),
      {
        ...one('8'),
        payload: {
          stripe_customer_id: customer,
          value: '8',
          status: 'in a payload',
          cached: true,
          none: null,
        },
      },
    ]);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('request-id')).toMatch(/^req_/);
    expect(answer.json).toMatchObject({
      object: 'event_batch',
      received: 7,
      stored: 3,
      duplicate: 1,
      refused: 3,
    });
    expect(answer.json['results']).toMatchObject([
      { index: 2, status: 'duplicate' },
      { index: 3, status: 'refused', code: 'meter_event_invalid_value' },
      {
        index: 4,
        status: 'refused',
        code: 'no_meter',
        message: 'No active meter found for event name "nothing"',
      },
      { index: 5, status: 'refused', code: 'timestamp_too_far_in_past' },
    ]);
    expect(await total()).toBe(11.5);
  });

  it('answers a batch that is sent again with success, and counts it once', async () => {
    const events = Array.from({ length: 500 }, (_, i) => one('2', { identifier: `${meter.id}-${i}` }));
    expect((await postEvents(events)).json).toMatchObject({ stored: 500, duplicate: 0 });
    expect((await postEvents(events)).json).toMatchObject({ stored: 0, duplicate: 500, refused: 0 });
    expect(await total()).toBe(1000);
  });

  it('honours the Idempotency-Key for events without an identifier', async () => {
    const events = [one('1'), one('2')];
    const key = `batch-${meter.id}`;
    const first = await postEvents(events, { key });
    const again = await postEvents(events, { key });
    expect(again.json).toEqual(first.json);
    expect(await total()).toBe(3);
    const other = await postEvents([one('1'), one('5')], { key });
    expect(other.json['results']).toMatchObject([{ index: 1, status: 'refused' }]);
    expect(await total()).toBe(3);
  });

  it('takes NDJSON, with empty lines and without a last newline', async () => {
    const body = `${ndjson([one('1'), one('2')])}\r\n\n${ndjson([one('3')])}`;
    expect((await post(body, { type: 'application/x-ndjson' })).json).toMatchObject({
      received: 3,
      stored: 3,
    });
    expect(await total()).toBe(6);
  });

  it('takes 10,000 events, gzipped, with one bad among them', async () => {
    const events = Array.from({ length: 10_000 }, (_, i) => one(i === 777 ? '1e400' : '1'));
    const answer = await post(gzipSync(ndjson(events)), { type: 'application/x-ndjson', encoding: 'gzip' });
    expect(answer.json).toMatchObject({ received: 10_000, stored: 9_999, refused: 1 });
    expect(answer.json['results']).toMatchObject([{ index: 777, code: 'meter_event_invalid_value' }]);
    expect(await total()).toBe(9_999);
  });

  it('takes CloudEvents, alone and in batches', async () => {
    const cloud = (id: string, rest: object = {}) => ({
      specversion: '1.0',
      id,
      source: '/gateway',
      type: meter.event_name,
      time: new Date((NOW - 5) * 1000).toISOString(),
      data: { stripe_customer_id: customer, value: '2' },
      ...rest,
    });
    const single = await post(JSON.stringify(cloud(`${meter.id}-1`)), {
      type: 'application/cloudevents+json',
    });
    expect(single.json).toMatchObject({ received: 1, stored: 1 });
    const batch = await post(
      JSON.stringify([
        cloud(`${meter.id}-1`),
        cloud(`${meter.id}-1`, { source: '/another' }),
        cloud(`${meter.id}-2`, { subject: customer, data: { value: 3 } }),
        cloud(`${meter.id}-3`, { specversion: '0.3' }),
        cloud(`${meter.id}-4`, { data: undefined }),
      ]),
      { type: 'application/cloudevents-batch+json; charset=utf-8' },
    );
    expect(batch.json).toMatchObject({ received: 5, stored: 2, duplicate: 1, refused: 2 });
    expect(await total()).toBe(7);
  });

  it('refuses events that are wrong in themselves, each in its place', async () => {
    const answer = await postEvents([
      'text',
      null,
      { ...one('1'), wat: 1 },
      one('1', { event_name: 5 }),
      one('1', { event_name: undefined }),
      one('1', { identifier: 7 }),
      one('1', { timestamp: 'yesterday' }),
      one('1', { timestamp: 1.5 }),
      one('1', { payload: [] }),
      one({ nested: true }),
      one('1', { identifier: 'x'.repeat(101) }),
      one('1'),
    ]);
    expect(answer.json).toMatchObject({ received: 12, stored: 1, refused: 11 });
    const codes = (answer.json['results'] as { code: string }[]).map((result) => result.code);
    expect(codes.slice(0, 5)).toEqual([
      'parameter_invalid',
      'parameter_invalid',
      'parameter_unknown',
      'parameter_invalid',
      'parameter_missing',
    ]);
    expect(await total()).toBe(1);
  });
});

describe('a body that is refused whole', () => {
  const cases: [string, () => string | Buffer, PostOptions, number][] = [
    ['no JSON', () => `[${JSON.stringify(one('1'))}`, {}, 400],
    ['an object instead of an array', () => JSON.stringify(one('1')), {}, 400],
    ['a broken line', () => `${ndjson([one('1')])}\n{"event_name":`, { type: 'application/x-ndjson' }, 400],
    ['bytes that are no UTF-8', () => Buffer.from([0x5b, 0xff, 0x5d]), {}, 400],
    ['an unknown content type', () => 'event_name=x', { type: 'text/csv' }, 400],
    ['an unknown encoding', () => '[]', { encoding: 'br' }, 400],
    ['no gzip', () => '[]', { encoding: 'gzip' }, 400],
    [
      'more than 10,000 events',
      () => JSON.stringify(Array.from({ length: 10_001 }, () => one('1'))),
      {},
      400,
    ],
    ['deep JSON', () => '['.repeat(2_000_000), {}, 400],
    ['deep JSON that is complete', () => '['.repeat(20_000) + ']'.repeat(20_000), {}, 400],
    ['deep JSON behind a string full of quotes', () => `["\\"[", ${'[{"a":'.repeat(100)}`, {}, 400],
    ['more than 16 MiB', () => `[${' '.repeat(16 * 1024 * 1024)}]`, {}, 413],
    ['a bomb', () => gzipSync(Buffer.alloc(200 * 1024 * 1024, ' ')), { encoding: 'gzip' }, 413],
  ];
  it.each(cases)('%s', async (_name, body, options, status) => {
    const answer = await post(body(), options);
    expect(answer.status).toBe(status);
    expect(answer.json['error']).toMatchObject({ type: 'invalid_request_error' });
    expect(await total()).toBe(0);
  });

  it('without a key, or with a wrong one', async () => {
    const response = await fetch(`${api.baseUrl}/live/v1/events`, { method: 'POST', body: '[]' });
    expect(response.status).toBe(401);
  });

  it('while too much is waiting: 429 with Retry-After', async () => {
    const { core } = api;
    const { ingest } = core;
    const full = createIngest({ db: api.db, log: core.log, now: () => core.now(), queuedEventsMax: 0 });
    Object.assign(core, { ingest: full });
    const answer = await postEvents([one('1')]);
    Object.assign(core, { ingest });
    expect(answer.status).toBe(429);
    expect(answer.headers.get('retry-after')).toBe('1');
    expect(answer.json['error']).toMatchObject({ code: 'rate_limit' });
    expect(await total()).toBe(0);
  });
});
