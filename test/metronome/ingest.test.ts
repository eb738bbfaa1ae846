import type Metronome from '@metronome/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { failure, refusal } from './failure.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let engine: TestEngine;
let metronome: Metronome;

beforeAll(async () => {
  engine = await startTestEngine();
  ({ metronome } = engine);
});
afterAll(() => engine.stop());

const at = (instant: number) => new Date(instant).toISOString();
const hourFloor = (instant: number) => Math.floor(instant / HOUR) * HOUR;

/** A metric that counts every event of the type. */
async function counter(eventType: string): Promise<string> {
  const { data } = await metronome.v1.billableMetrics.create({
    name: `${eventType} count`,
    aggregation_type: 'COUNT',
    event_type_filter: { in_values: [eventType] },
  });
  return data.id;
}

/** What the customer has used on the metric in the 40 days around now. */
async function used(customerId: string, metricId: string, from = Date.now() - 36 * DAY, days = 40) {
  const start = hourFloor(from);
  const { data } = await metronome.v1.usage.list({
    starting_on: at(start),
    ending_before: at(start + days * DAY),
    window_size: 'NONE',
    customer_ids: [customerId],
    billable_metrics: [{ id: metricId }],
  });
  return data[0]?.value;
}

describe('ingest', () => {
  it('takes a batch, answers an empty body, and ignores the second copy of a transaction id', async () => {
    const metric = await counter('copied');
    const { data: customer } = await metronome.v1.customers.create({
      name: 'Copy',
      ingest_aliases: ['copy'],
    });
    const event = {
      transaction_id: 'copy-1',
      customer_id: 'copy',
      event_type: 'copied',
      timestamp: at(Date.now()),
    };
    const usage = [
      event,
      { ...event, transaction_id: 'copy-2', properties: { n: 1.5, nested: { a: [1] } } },
      event,
    ];
    const { response } = await metronome.v1.usage.ingest({ usage }).withResponse();
    expect(response.status).toBe(200);
    expect(response.headers.get('content-length')).toBe('0');
    await metronome.v1.usage.ingest({ usage: [{ ...event, event_type: 'another' }] });
    expect(await used(customer.id, metric)).toBe(2);

    const found = await metronome.v1.usage.search({ transactionIds: ['copy-2', 'unknown', 'copy-1'] });
    expect(found).toMatchObject([
      { transaction_id: 'copy-2', properties: { n: 1.5, nested: { a: [1] } }, is_duplicate: false },
      {
        transaction_id: 'copy-1',
        customer_id: 'copy',
        event_type: 'copied',
        timestamp: event.timestamp,
        matched_customer: { id: customer.id, name: 'Copy' },
        matched_billable_metrics: [{ id: metric }],
      },
    ]);
  });

  it('keeps events of unknown customers and types; a later alias and a later metric count them', async () => {
    const event = { customer_id: 'comes-later', event_type: 'unheard_of', timestamp: at(Date.now() - DAY) };
    await metronome.v1.usage.ingest({
      usage: [
        { ...event, transaction_id: 'later-1' },
        { ...event, transaction_id: 'later-2' },
      ],
    });
    const [before] = await metronome.v1.usage.search({ transactionIds: ['later-1'] });
    expect(before).toMatchObject({ customer_id: 'comes-later', matched_billable_metrics: [] });
    expect(before).not.toHaveProperty('matched_customer');
    const metric = await counter('unheard_of');
    const { data: customer } = await metronome.v1.customers.create({ name: 'Later' });
    expect(await used(customer.id, metric)).toBe(0);
    await metronome.v1.customers.setIngestAliases({
      customer_id: customer.id,
      ingest_aliases: ['comes-later'],
    });
    expect(await used(customer.id, metric)).toBe(2);
  });

  it("accepts 34 days back and a day ahead of the customer's own now, and stores all of a request or nothing", async () => {
    const metric = await counter('timely');
    const frozen = Date.parse('2031-05-05T00:00:00Z');
    const clock = await engine.stripe.testHelpers.testClocks.create({ frozen_time: frozen / 1000 });
    const clocked = await engine.stripe.customers.create({ name: 'Clocked', test_clock: clock.id });
    const send = (customer: string, ...times: number[]) =>
      metronome.v1.usage.ingest({
        usage: times.map((time) => ({
          transaction_id: `${customer}-${time}`,
          customer_id: customer,
          event_type: 'timely',
          timestamp: at(time),
        })),
      });
    await send(clocked.id, frozen - 34 * DAY, frozen + DAY);
    expect(await refusal(send(clocked.id, frozen, frozen - 34 * DAY - 1))).toBe(
      "400 Invalid '[1].timestamp': must be within the past 34 days.",
    );
    expect(await refusal(send(clocked.id, frozen + DAY + 1000, frozen))).toContain('24 hours in the future');
    expect((await failure(send('nobody', frozen))).status).toBe(400);
    expect(await used(clocked.id, metric, frozen - 35 * DAY, 40)).toBe(2);
    expect(await metronome.v1.usage.search({ transactionIds: [`${clocked.id}-${frozen}`] })).toEqual([]);
  });

  it('refuses what is no event by its name', async () => {
    const event = { transaction_id: 'bad', customer_id: 'x', event_type: 'y', timestamp: at(Date.now()) };
    const send = (usage: unknown[]) => metronome.v1.usage.ingest({ usage: usage as (typeof event)[] });
    expect(await refusal(send([]))).toContain('at least 1');
    expect(await refusal(send(Array(101).fill(event)))).toContain('at most 100');
    expect(await refusal(send([{ ...event, timestamp: '27 January' }]))).toContain("'[0].timestamp'");
    expect(await refusal(send([{ ...event, transaction_id: '' }]))).toContain("'[0].transaction_id'");
    expect(await refusal(send([event, { ...event, extra: 1 }]))).toContain("'[1].extra'");
    expect(await refusal(send([{ ...event, properties: { a: 'x'.repeat(70_000) } }]))).toContain(
      'properties',
    );
    expect(await metronome.v1.usage.search({ transactionIds: ['bad'] })).toEqual([]);
  });
});
