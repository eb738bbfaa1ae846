import { Decimal as OracleDecimal } from 'decimal.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createIngest } from '../../src/metering/ingest.js';
import type { TestApi } from '../support/api.js';
import { startTestApi } from '../support/api.js';

const NOW = Date.UTC(2026, 10, 24, 12, 30, 17) / 1000;
const HOUR = 3600;
const DAY = 24 * HOUR;
const MODELS = ['large', 'small', 'tiny'];
const REGIONS = ['eu', 'us'];

interface Sent {
  customer: string;
  value: string;
  timestamp: number;
  model: string;
  region: string;
  identifier: string;
}

interface UsageRow {
  id: string;
  customer: string | null;
  start_time: number;
  end_time: number;
  value: string;
  count: number;
  group: Record<string, string | null>;
}

let api: TestApi;
let meterId: string;
let customers: string[];
const sent: Sent[] = [];

/** A small generator of its own, so that the same events are sent in every run. */
let state = 20_261_124;
function random(below: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 0x1_0000_0000) * below);
}
const pick = <T>(items: readonly T[]): T => items[random(items.length)] as T;

beforeAll(async () => {
  api = await startTestApi({ now: () => NOW * 1000 });
  const { db, core } = api;
  Object.assign(core, { ingest: createIngest({ db, log: core.log, now: () => core.now() }) });
  meterId = await createMeter('tokens');
  customers = [];
  for (let i = 0; i < 4; i += 1) customers.push((await api.stripe.customers.create()).id);
  await setDimensions(meterId, ['model', 'region']);
  for (let i = 0; i < 400; i += 1) {
    sent.push({
      customer: pick(customers),
      value: `${random(2_000) - 200}.${random(10)}`,
      timestamp: NOW - random(i % 2 === 0 ? 40 * HOUR : 30 * DAY) - (i % 7),
      model: pick(MODELS),
      region: pick(REGIONS),
      identifier: `usage-${i}`,
    });
  }
  const answer = await sendAll(sent);
  expect(answer).toMatchObject({ stored: 400 });
});
afterAll(() => api.stop());

async function createMeter(eventName: string, rest: object = {}): Promise<string> {
  const meter = await api.stripe.billing.meters.create({
    display_name: eventName,
    event_name: eventName,
    default_aggregation: { formula: 'sum' },
    ...rest,
  });
  return meter.id;
}

async function setDimensions(id: string, dimensions: string[], max?: number) {
  return api.call('POST', `/live/v1/meters/${id}`, {
    json: { dimensions, ...(max === undefined ? {} : { dimension_values_max: max }) },
  });
}

async function sendAll(events: readonly Sent[], eventName = 'tokens') {
  const json = events.map(({ customer, value, timestamp, model, region, identifier }) => ({
    event_name: eventName,
    identifier,
    timestamp,
    payload: { stripe_customer_id: customer, value, model, region },
  }));
  return (await api.call('POST', '/live/v1/events', { json })).json;
}

async function usage(query: string, id = meterId): Promise<{ data: UsageRow[]; has_more: boolean }> {
  const answer = await api.call('GET', `/live/v1/usage?meter=${id}&${query}`);
  expect(answer.status, answer.text).toBe(200);
  return answer.json as { data: UsageRow[]; has_more: boolean };
}

function sum(events: readonly Sent[]): string {
  return events.reduce((total, one) => total.plus(one.value), new OracleDecimal(0)).toFixed();
}

/** The groups of an independent calculation, largest first. */
function grouped(events: readonly Sent[], keyOf: (one: Sent) => object) {
  const groups = new Map<string, Sent[]>();
  for (const one of events) {
    const key = JSON.stringify(keyOf(one));
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups]
    .map(([key, members]) => ({
      group: JSON.parse(key) as object,
      value: sum(members),
      count: members.length,
    }))
    .sort((a, b) => new OracleDecimal(b.value).comparedTo(a.value));
}

const START = NOW - 20 * DAY + 7;
const END = NOW - 3 * HOUR - 11;
const RANGE = `start_time=${START}&end_time=${END}`;
const inRange = () => sent.filter((one) => one.timestamp >= START && one.timestamp < END);

describe('GET /live/v1/usage', () => {
  it('has the total over all customers, or of one, to the second', async () => {
    expect((await usage(RANGE)).data).toMatchObject([
      {
        object: 'usage',
        meter: meterId,
        customer: null,
        start_time: START,
        end_time: END,
        value: sum(inRange()),
        group: {},
      },
    ]);
    const [customer = ''] = customers;
    const own = inRange().filter((one) => one.customer === customer);
    const [row] = (await usage(`${RANGE}&customer=${customer}`)).data;
    expect(row).toMatchObject({ customer, value: sum(own), count: own.length });
    expect((await usage(`start_time=${NOW + HOUR}&end_time=${NOW + DAY}`)).data).toMatchObject([
      { value: '0', count: 0 },
    ]);
  });

  it('takes RFC 3339 times', async () => {
    const text = `start_time=${new Date(START * 1000).toISOString()}&end_time=${new Date(END * 1000).toISOString()}`;
    expect((await usage(text)).data[0]?.value).toBe(sum(inRange()));
  });

  it.each([
    ['customer', (one: Sent) => ({ customer: one.customer })],
    ['model', (one: Sent) => ({ model: one.model })],
    ['model&group_by=region', (one: Sent) => ({ model: one.model, region: one.region })],
    ['customer&group_by=model', (one: Sent) => ({ customer: one.customer, model: one.model })],
  ] as const)('groups by %s, largest first', async (groups, keyOf) => {
    const { data } = await usage(`${RANGE}&group_by=${groups}&limit=100`);
    expect(data.map(({ group, value, count }) => ({ group, value, count }))).toEqual(
      grouped(inRange(), keyOf),
    );
  });

  it('pages through groups without leaving any out', async () => {
    const all = (await usage(`${RANGE}&group_by=customer&group_by=region&limit=100`)).data;
    const seen: UsageRow[] = [];
    for (let after = ''; ; ) {
      const page = await usage(`${RANGE}&group_by=customer&group_by=region&limit=3${after}`);
      seen.push(...page.data);
      if (!page.has_more) break;
      after = `&starting_after=${page.data.at(-1)?.id ?? ''}`;
    }
    expect(seen).toEqual(all);
    expect(all).toHaveLength(8);
  });

  it.each([
    ['hour', (at: number) => at - (at % HOUR)],
    ['day', (at: number) => at - (at % DAY)],
    [
      'month',
      (at: number) =>
        Date.UTC(new Date(at * 1000).getUTCFullYear(), new Date(at * 1000).getUTCMonth()) / 1000,
    ],
  ] as const)('by %s, newest first, cut off at the ends of the range', async (window, startOf) => {
    const { data } = await usage(`${RANGE}&window=${window}&limit=1000`);
    const wanted = grouped(inRange(), (one) => ({ at: startOf(one.timestamp) }))
      .map(({ group, value, count }) => ({ at: Math.max(START, (group as { at: number }).at), value, count }))
      .sort((a, b) => b.at - a.at);
    expect(data.map((row) => ({ at: row.start_time, value: row.value, count: row.count }))).toEqual(wanted);
    expect(data[0]?.end_time).toBeLessThanOrEqual(END);
    expect(data.at(-1)?.start_time).toBeGreaterThanOrEqual(START);
  });

  it('by day and model for one customer', async () => {
    const [customer = ''] = customers;
    const own = inRange().filter((one) => one.customer === customer);
    const { data } = await usage(`${RANGE}&customer=${customer}&window=day&group_by=model&limit=1000`);
    const flat = data.map(
      (row) => `${row.start_time - (row.start_time % DAY)}/${row.group['model']}=${row.value}`,
    );
    const wanted = grouped(own, (one) => ({ day: one.timestamp - (one.timestamp % DAY), model: one.model }));
    expect(flat.sort()).toEqual(
      wanted
        .map(({ group, value }) => `${(group as { day: number }).day}/${(group as Sent).model}=${value}`)
        .sort(),
    );
    expect(data.every((row) => row.customer === customer)).toBe(true);
  });

  it('follows a cancellation in every group', async () => {
    const one = inRange().at(-1) as Sent;
    await api.stripe.billing.meterEventAdjustments.create({
      event_name: 'tokens',
      type: 'cancel',
      cancel: { identifier: one.identifier },
    });
    sent.splice(sent.indexOf(one), 1);
    const { data } = await usage(`${RANGE}&group_by=model&group_by=region&limit=100`);
    expect(data.map(({ group, value }) => ({ group, value }))).toEqual(
      grouped(inRange(), ({ model, region }) => ({ model, region })).map(({ group, value }) => ({
        group,
        value,
      })),
    );
    expect((await usage(RANGE)).data[0]?.value).toBe(sum(inRange()));
  });

  it('of a last meter adds up what the customers have', async () => {
    const id = await createMeter('seats', { default_aggregation: { formula: 'last' } });
    const at = (customer: string | undefined, value: string, timestamp: number) => ({
      event_name: 'seats',
      timestamp,
      payload: { stripe_customer_id: customer, value },
    });
    await api.call('POST', '/live/v1/events', {
      json: [
        at(customers[0], '5', NOW - 100),
        at(customers[0], '7', NOW - 50),
        at(customers[1], '3', NOW - 500),
      ],
    });
    const range = `start_time=${NOW - DAY}&end_time=${NOW}`;
    expect((await usage(range, id)).data).toMatchObject([{ value: '10', count: 3 }]);
    expect((await usage(`${range}&group_by=customer`, id)).data.map((row) => row.value)).toEqual(['7', '3']);
  });

  it.each([
    ['an unknown meter', 'meter=mtr_x&start_time=1&end_time=2', 'meter'],
    ['an unknown customer', 'customer=cus_x', 'customer'],
    ['an unknown dimension', 'group_by=colour', 'group_by'],
    ['an unknown window', 'window=week', 'window'],
    ['an unknown cursor', 'starting_after=usage_x', 'starting_after'],
    ['an unknown parameter', 'wat=1', 'wat'],
    ['a time that is none', 'start_time=yesterday', 'start_time'],
    ['an end before the start', `end_time=${START}`, 'end_time'],
  ])('refuses %s', async (_name, query, param) => {
    const answer = await api.call('GET', `/live/v1/usage?meter=${meterId}&${RANGE}&${query}`);
    expect(answer.status).toBe(400);
    expect(answer.json['error']).toMatchObject({ type: 'invalid_request_error', param });
  });
});

describe('dimensions of a meter', () => {
  it('are set, read, and asked of every event', async () => {
    const id = await createMeter('asked');
    expect((await setDimensions(id, ['model'])).json).toEqual({
      object: 'meter',
      id,
      dimension_values_max: 1000,
      dimensions: ['model'],
      event_name: 'asked',
    });
    expect((await api.call('GET', `/live/v1/meters/${id}`)).json).toMatchObject({ dimensions: ['model'] });
    const payload = { stripe_customer_id: customers[0], value: '1' };
    const answer = await api.call('POST', '/live/v1/events', { json: [{ event_name: 'asked', payload }] });
    expect(answer.json['results']).toMatchObject([{ code: 'missing_dimension_payload_keys' }]);
  });

  it('leave usage from before in a group of its own', async () => {
    const id = await createMeter('grown');
    const events = sent
      .slice(0, 20)
      .map((one) => ({ ...one, timestamp: NOW - 70, customer: customers[0] ?? '' }));
    await sendAll(
      events.slice(0, 8).map((one) => ({ ...one, identifier: `g1-${one.identifier}` })),
      'grown',
    );
    await setDimensions(id, ['model']);
    await sendAll(
      events.slice(8).map((one) => ({ ...one, identifier: `g2-${one.identifier}` })),
      'grown',
    );
    const { data } = await usage(`start_time=${NOW - 75}&end_time=${NOW - 3}&group_by=model`, id);
    const before = events.slice(0, 8);
    const wanted = [
      ...grouped(events.slice(8), ({ model }) => ({ model })),
      { group: { model: null }, value: sum(before), count: 8 },
    ];
    expect(new Set(data.map(({ group, value, count }) => JSON.stringify({ group, value, count })))).toEqual(
      new Set(wanted.map((one) => JSON.stringify(one))),
    );
  });

  it('refuse a customer more combinations than the meter allows, one by one, also from several senders', async () => {
    const id = await createMeter('capped');
    await setDimensions(id, ['model'], 5);
    const batch = (from: number) =>
      Array.from({ length: 4 }, (_, i) => ({
        event_name: 'capped',
        payload: { stripe_customer_id: customers[0], value: '1', model: `m${from + i}` },
      }));
    const answers = await Promise.all(
      [0, 2, 4, 6].map((from) => api.call('POST', '/live/v1/events', { json: batch(from) })),
    );
    const results = answers.flatMap((answer) => answer.json['results'] as { code: string }[]);
    expect(new Set(results.map((result) => result.code))).toEqual(
      new Set(['meter_event_dimension_count_too_high']),
    );
    const { data } = await usage(`start_time=${NOW - DAY}&end_time=${NOW + DAY}&group_by=model`, id);
    expect(data).toHaveLength(5);
    expect(data.reduce((total, row) => total + row.count, 0)).toBe(16 - results.length);
  });

  it('cannot be had on a meter with an event time window, nor be called customer', async () => {
    const id = await createMeter('windowed', { event_time_window: 'day' });
    expect((await setDimensions(id, ['model'])).json['error']).toMatchObject({ param: 'dimensions' });
    expect((await setDimensions(meterId, ['customer'])).json['error']).toMatchObject({
      param: 'dimensions[0]',
    });
    expect((await setDimensions(meterId, ['a', 'a'])).json['error']).toMatchObject({
      param: 'dimensions[1]',
    });
    expect((await setDimensions('mtr_x', ['a'])).status).toBe(404);
  });
});

describe('GET /live/v1/events', () => {
  const search = async (query: string) => {
    const answer = await api.call('GET', `/live/v1/events?${query}`);
    expect(answer.status, answer.text).toBe(200);
    return answer.json as {
      data: { id: string; identifier: string; timestamp: number }[];
      has_more: boolean;
    };
  };
  const newestFirst = (events: readonly Sent[]) => [...events].sort((a, b) => b.timestamp - a.timestamp);

  it('finds the newest of all, of a customer, of a name, in a range', async () => {
    const [customer = ''] = customers;
    const own = sent.filter((one) => one.customer === customer);
    const found = (await search(`event_name=tokens&customer=${customer}&limit=1000`)).data;
    expect(found.filter((one) => !('canceled_at' in one && one.canceled_at !== null))).toHaveLength(
      own.length,
    );
    expect(found.map((one) => one.timestamp)).toEqual(
      found.map((one) => one.timestamp).sort((a, b) => b - a),
    );
    const range = (await search(`event_name=tokens&${RANGE}&limit=1000`)).data;
    expect(range.map((one) => one.timestamp)).toEqual(
      expect.arrayContaining(newestFirst(inRange()).map((one) => one.timestamp)),
    );
    const newest = (await search(`event_name=tokens&end_time=${END}&limit=5`)).data;
    expect(newest.every((one) => one.timestamp < END)).toBe(true);
    expect(newest).toEqual((await search(`event_name=tokens&end_time=${END}&limit=50`)).data.slice(0, 5));
  });

  it('pages through everything once', async () => {
    const all = (await search('event_name=tokens&limit=1000')).data.map((one) => one.id);
    const seen: string[] = [];
    for (let after = ''; ; ) {
      const page = await search(`event_name=tokens&limit=61${after}`);
      seen.push(...page.data.map((one) => one.id));
      if (!page.has_more) break;
      after = `&starting_after=${page.data.at(-1)?.id ?? ''}`;
    }
    expect(seen).toEqual(all);
    expect(new Set(seen).size).toBe(400);
  });

  it('finds one by its identifier, with everything that was sent', async () => {
    const one = sent[17] as Sent;
    const found = (await search(`identifier=${one.identifier}`)).data;
    expect(found).toMatchObject([
      {
        object: 'event',
        customer: one.customer,
        event_name: 'tokens',
        identifier: one.identifier,
        meter: meterId,
        timestamp: one.timestamp,
        created: NOW,
        value: one.value,
        canceled_at: null,
        payload: { stripe_customer_id: one.customer, model: one.model, region: one.region, value: one.value },
      },
    ]);
    expect((await search(`identifier=${one.identifier}&customer=cus_x`)).data).toEqual([]);
    expect((await search('identifier=never-sent')).data).toEqual([]);
  });

  it('refuses an unknown cursor', async () => {
    const answer = await api.call('GET', '/live/v1/events?starting_after=mev_x');
    expect(answer.json['error']).toMatchObject({ code: 'resource_missing', param: 'starting_after' });
  });
});
