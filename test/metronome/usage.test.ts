import type Metronome from '@metronome/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { refusal } from './failure.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let engine: TestEngine;
let metronome: Metronome;
let customer: string;
/** Midnight UTC, three days ago. */
const start = Math.floor(Date.now() / DAY) * DAY - 3 * DAY;
const at = (instant: number) => new Date(instant).toISOString();
const rfc = (instant: number) => at(instant).replace('.000Z', 'Z');

beforeAll(async () => {
  engine = await startTestEngine();
  ({ metronome } = engine);
  const { data } = await metronome.v1.customers.create({ name: 'Reader', ingest_aliases: ['reader'] });
  customer = data.id;
  const sent: [number, string, string, string, number][] = [
    [0, 'eu', 'small', 'ann', 10],
    [HOUR / 2, 'us', 'small', 'bob', 20],
    [HOUR, 'eu', 'large', 'ann', 5],
    [DAY - 1, 'eu', 'small', 'cyd', 1],
    [DAY, 'us', 'large', 'bob', 7],
    [DAY + 5 * HOUR, 'us', 'large', 'ann', 3],
  ];
  await metronome.v1.usage.ingest({
    usage: sent.map(([after, region, model, user, tokens], index) => ({
      transaction_id: `usage-${index}`,
      customer_id: 'reader',
      event_type: 'used',
      timestamp: at(start + after),
      properties: { region, model, user, tokens },
    })),
  });
});
afterAll(() => engine.stop());

type Type = 'COUNT' | 'SUM' | 'MAX' | 'LATEST' | 'UNIQUE';
let metrics = 0;

/** Made after the events: everything that was sent before counts. */
async function metric(type: Type | 'TIME_WEIGHTED_SUM' | 'PERCENTILE', key?: string): Promise<string> {
  metrics += 1;
  const ours = type === 'PERCENTILE' ? { percentile: 50 } : {};
  const { data } = await metronome.v1.billableMetrics.create({
    name: `${type} ${metrics}`,
    aggregation_type: type as Type,
    ...(key === undefined ? {} : { aggregation_key: key }),
    event_type_filter: { in_values: ['used'] },
    property_filters: ['region', 'model', 'user', 'tokens'].map((name) => ({ name, exists: true })),
    group_keys: [['region'], ['region', 'model']],
    ...ours,
  });
  return data.id;
}

async function values(metricId: string, size: 'HOUR' | 'DAY' | 'NONE', from = start, to = start + 2 * DAY) {
  const listed = [];
  const params = {
    starting_on: at(from),
    ending_before: at(to),
    window_size: size,
    customer_ids: [customer],
  };
  for await (const row of metronome.v1.usage.list({ ...params, billable_metrics: [{ id: metricId }] })) {
    listed.push(row.value);
  }
  return listed;
}

describe('usage', () => {
  it.each([
    ['COUNT', undefined, [4, 2], 6],
    ['SUM', 'tokens', [36, 10], 46],
    ['MAX', 'tokens', [20, 7], 20],
    ['LATEST', 'tokens', [1, 3], 3],
    ['UNIQUE', 'user', [3, 2], 3],
    ['PERCENTILE', 'tokens', [5, 3], 5],
  ] as const)('%s of %s by day, and of both days', async (type, key, days, both) => {
    const id = await metric(type, key);
    expect(await values(id, 'DAY')).toEqual(days);
    expect(await values(id, 'NONE')).toEqual([both]);
  });

  it('what is weighted by time goes on with the level that was there, until now', async () => {
    const id = await metric('TIME_WEIGHTED_SUM', 'tokens');
    // 10 for half an hour, 20 for another, 5 for 23 hours less a moment, which 1 has; then 7 for five and 3 for 19 hours.
    const [first, second] = await values(id, 'DAY');
    expect(first).toBeCloseTo(5 + 10 + 5 * 23 - 4 / HOUR, 6);
    expect(second).toBeCloseTo(7 * 5 + 3 * 19, 6);
    expect(await values(id, 'HOUR', start + DAY, start + DAY + 2 * HOUR)).toEqual([7, 7]);
    const elapsed = (Date.now() - (start + 2 * DAY)) / HOUR;
    const [later] = await values(id, 'NONE', start + 2 * DAY, start + 9 * DAY);
    expect(later).toBeGreaterThanOrEqual(3 * elapsed - 0.01);
    expect(later).toBeLessThan(3 * elapsed + 1);
  });

  it('by hour, where nothing happened is zero or, where there is no zero, null', async () => {
    expect(await values(await metric('SUM', 'tokens'), 'HOUR', start, start + 3 * HOUR)).toEqual([30, 5, 0]);
    expect(await values(await metric('MAX', 'tokens'), 'HOUR', start, start + 3 * HOUR)).toEqual([
      20,
      5,
      null,
    ]);
  });

  it('grouped in the list, a value asked for that has no usage is null', async () => {
    const id = await metric('SUM', 'tokens');
    const { data } = await metronome.v1.usage.list({
      starting_on: at(start),
      ending_before: at(start + 2 * DAY),
      window_size: 'DAY',
      customer_ids: [customer],
      billable_metrics: [{ id, group_by: { key: 'region', values: ['eu', 'mars'] } }],
    });
    expect(data).toMatchObject([
      { customer_id: customer, start_timestamp: rfc(start), value: 36, groups: { eu: 16, mars: null } },
      {
        start_timestamp: rfc(start + DAY),
        end_timestamp: rfc(start + 2 * DAY),
        value: 10,
        groups: { eu: 0 },
      },
    ]);
  });

  it('of every customer, page by page', async () => {
    const other = await metronome.v1.customers.create({ name: 'Idle' });
    const id = await metric('COUNT');
    const rows: Metronome.V1.UsageListResponse[] = [];
    const params = {
      starting_on: at(start),
      ending_before: at(start + 25 * DAY),
      window_size: 'HOUR' as const,
    };
    for await (const row of metronome.v1.usage.list({ ...params, billable_metrics: [{ id }] }))
      rows.push(row);
    expect(rows).toHaveLength(2 * 25 * 24);
    const total = (of: string) =>
      rows.filter((row) => row.customer_id === of).reduce((sum, row) => sum + (row.value ?? 0), 0);
    expect([total(customer), total(other.data.id)]).toEqual([6, 0]);
  });
});

describe('usage by groups', () => {
  const period = { starting_on: at(start), ending_before: at(start + 2 * DAY) };

  it('of a simple and of a compound key', async () => {
    const id = await metric('SUM', 'tokens');
    const base = { ...period, customer_id: customer, billable_metric_id: id, window_size: 'NONE' as const };
    const simple = await metronome.v1.usage.listWithGroups({ ...base, group_key: ['region'] });
    expect(simple.data).toEqual([
      {
        starting_on: rfc(start),
        ending_before: rfc(start + 2 * DAY),
        group_key: 'region',
        group_value: 'eu',
        group: { region: 'eu' },
        value: 16,
      },
      expect.objectContaining({ group_value: 'us', value: 30 }),
    ]);
    const rows: Metronome.V1.UsageListWithGroupsResponse[] = [];
    const compound = { ...base, group_key: ['region', 'model'], limit: 1 };
    for await (const row of metronome.v1.usage.listWithGroups(compound)) rows.push(row);
    expect(rows).toMatchObject([
      { group_key: null, group_value: null, group: { region: 'eu', model: 'large' }, value: 5 },
      { group: { region: 'eu', model: 'small' }, value: 11 },
      { group: { region: 'us', model: 'large' }, value: 10 },
      { group: { region: 'us', model: 'small' }, value: 20 },
    ]);
    const filtered = await metronome.v1.usage.listWithGroups({
      ...compound,
      limit: 10,
      group_filters: { region: ['us'], model: [] },
    });
    expect(filtered.data.map(({ value }) => value)).toEqual([10, 20]);
  });

  it('refuses parts of a compound key, stray filters and periods that are none', async () => {
    const id = await metric('COUNT');
    const base = { ...period, customer_id: customer, billable_metric_id: id, window_size: 'DAY' as const };
    const ask = (more: object) => refusal(metronome.v1.usage.listWithGroups({ ...base, ...more }));
    expect(await ask({ group_key: ['model'] })).toContain("400 Invalid 'group_key'");
    expect(await ask({ group_key: ['region'], group_filters: { model: ['small'] } })).toContain(
      'group_filters.model',
    );
    expect(await ask({ current_period: true })).toContain('cannot be combined');
    expect(await ask({ starting_on: at(start + 1) })).toContain('whole hour');
    expect(await ask({ customer_id: 'nobody' })).toMatch(/^404 /);
    const open = { customer_id: customer, billable_metric_id: id, window_size: 'NONE' as const };
    expect(await refusal(metronome.v1.usage.listWithGroups({ ...open, current_period: true }))).toContain(
      'no contract',
    );
  });
});
