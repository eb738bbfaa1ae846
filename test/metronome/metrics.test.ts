import type Metronome from '@metronome/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSqlMetric } from '../../src/billing/metronome/sqlMetric.js';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { failure, refusal } from './failure.js';

let engine: TestEngine;
let metronome: Metronome;

beforeAll(async () => {
  engine = await startTestEngine();
  ({ metronome } = engine);
});
afterAll(() => engine.stop());

const cpuHours = {
  name: 'CPU hours',
  event_type_filter: { in_values: ['cpu'] },
  property_filters: [
    { name: 'hours', exists: true },
    { name: 'region', in_values: ['eu', 'us'] },
    { name: 'test', exists: false },
  ],
  aggregation_key: 'hours',
  group_keys: [['region'], ['region', 'hours']],
};

describe('billable metrics', () => {
  it('read as they were made, whatever the case of the aggregation', async () => {
    const { data } = await metronome.v1.billableMetrics.create({
      ...cpuHours,
      aggregation_type: 'sum' as 'SUM',
      custom_fields: { team: 'infra' },
    });
    const { data: read } = await metronome.v1.billableMetrics.retrieve({ billable_metric_id: data.id });
    expect(read).toEqual({
      ...cpuHours,
      id: data.id,
      aggregation_type: 'SUM',
      custom_fields: { team: 'infra' },
    });
  });

  it('are listed without archived ones unless asked', async () => {
    const { data: gone } = await metronome.v1.billableMetrics.create({
      name: 'Gone',
      aggregation_type: 'COUNT',
    });
    await metronome.v1.billableMetrics.archive({ id: gone.id });
    const names = async (query: object) => {
      const found = [];
      for await (const metric of metronome.v1.billableMetrics.list({ limit: 1, ...query }))
        found.push(metric.name);
      return found;
    };
    expect(await names({})).not.toContain('Gone');
    expect(await names({ include_archived: true })).toContain('Gone');
    const { data: read } = await metronome.v1.billableMetrics.retrieve({ billable_metric_id: gone.id });
    expect(read.archived_at).toEqual(expect.any(String));
  });

  it('know two aggregations more than Metronome', async () => {
    const filters = { property_filters: [{ name: 'v', exists: true }], aggregation_key: 'v' };
    const make = (body: object) => metronome.v1.billableMetrics.create({ name: 'Ours', ...filters, ...body });
    const { data } = await make({ aggregation_type: 'percentile', percentile: 99.9 });
    const { data: read } = await metronome.v1.billableMetrics.retrieve({ billable_metric_id: data.id });
    expect(read).toMatchObject({ aggregation_type: 'PERCENTILE', percentile: 99.9 });
    await make({ aggregation_type: 'time_weighted_sum' });
    expect(await refusal(make({ aggregation_type: 'percentile' }))).toContain("'percentile': is required");
    expect(await refusal(make({ aggregation_type: 'percentile', percentile: 99.95 }))).toContain(
      'is too large',
    );
    expect(await refusal(make({ aggregation_type: 'sum', percentile: 99 }))).toContain('PERCENTILE only');
  });

  it.each([
    [{ aggregation_type: 'AVG' }, "'aggregation_type': must be one of"],
    [{ aggregation_type: undefined }, "'aggregation_type': is required"],
    [{ aggregation_type: 'SUM' }, "'aggregation_key': is required for SUM"],
    [{ aggregation_type: 'SUM', aggregation_key: 'x' }, 'must be the name of one of the property filters'],
    [{ aggregation_key: 'x' }, 'does not apply to COUNT'],
    [{ group_keys: [['x']] }, "'x' needs a property filter"],
    [{ group_keys: [[]] }, "'group_keys[0]': must have at least 1"],
    [{ event_type_filter: { in_values: [] } }, "'event_type_filter.in_values'"],
    [{ event_type_filter: { only: ['x'] } }, "Unknown field 'event_type_filter.only'"],
    [{ sql: 'select count(*) from events' }, "cannot be combined with 'sql'"],
  ])('refuse %o', async (body, message) => {
    const made = metronome.v1.billableMetrics.create({
      name: 'Bad',
      aggregation_type: 'COUNT',
      ...body,
    } as never);
    expect(await refusal(made)).toContain(message);
  });

  it('answer 404 for one that is not there', async () => {
    for (const id of [crypto.randomUUID(), 'nonsense']) {
      const read = metronome.v1.billableMetrics.retrieve({ billable_metric_id: id });
      expect((await failure(read)).status).toBe(404);
    }
  });
});

describe('SQL metrics', () => {
  it('keep their text', async () => {
    const sql = `SELECT SUM(properties.tokens) AS value, properties.model FROM events
      WHERE event_type = 'completion' GROUP BY properties.model`;
    const { data } = await metronome.v1.billableMetrics.create({ name: 'Tokens', sql });
    const { data: read } = await metronome.v1.billableMetrics.retrieve({ billable_metric_id: data.id });
    expect(read).toEqual({ id: data.id, name: 'Tokens', sql, custom_fields: {} });
    expect(
      await refusal(metronome.v1.billableMetrics.create({ name: 'Bad', sql: 'drop table events' })),
    ).toMatch(/^400 Invalid 'sql': drop table is not supported/);
  });

  it('mean what the same rules mean', () => {
    const rules = readSqlMetric(`
      SELECT properties.region, COUNT(DISTINCT properties.user_id) AS value FROM events
      WHERE event_type IN ('login', 'visit') AND properties.region NOT IN ('test') AND properties.bot IS NULL
        AND properties.plan = 'pro' GROUP BY properties.region, properties.plan`);
    const both = { inValues: null, notInValues: null };
    expect(rules).toEqual({
      aggregation: 'UNIQUE',
      aggregationKey: 'user_id',
      eventTypeFilter: { inValues: ['login', 'visit'], notInValues: null },
      propertyFilters: [
        { name: 'region', exists: true, inValues: null, notInValues: ['test'] },
        { name: 'bot', exists: false, ...both },
        { name: 'plan', exists: true, inValues: ['pro'], notInValues: null },
      ],
      groupKeys: [['region', 'plan']],
    });
    expect(readSqlMetric('select count(*) from events').aggregation).toBe('COUNT');
    expect(readSqlMetric('select max(cast(properties.size as numeric)) from events')).toMatchObject({
      aggregation: 'MAX',
      aggregationKey: 'size',
    });
    expect(readSqlMetric('select latest(properties.seats::int) from events').aggregation).toBe('LATEST');
  });

  it.each([
    ['select sum( from events', 'cannot be parsed'],
    ['select 1', 'another FROM'],
    ['select count(*) from events; select 1', 'more than one statement'],
    ['select sum(properties.x) from customers', 'the table customers'],
    ['select sum(properties.x) from pg_catalog.events', 'the table events'],
    ['select sum(properties.x) from (select * from events) e', 'another FROM'],
    ['select sum(e.v) from events e', 'an alias of the table'],
    ['select count(*) from events a join events b on true', 'another FROM'],
    ['select avg(properties.x) from events', 'the function AVG'],
    ['select sum(properties.x * 2) from events', 'SUM of anything but a property'],
    ['select sum(properties.x) + 1 from events', 'no single aggregate'],
    ['select sum(distinct properties.x) from events', 'SUM(DISTINCT'],
    ['select pg_sleep(10) from events', 'the function PG_SLEEP'],
    ['select sum(properties.x) from events where properties.y > 3', 'the operator >'],
    ["select sum(properties.x) from events where properties.y = 'a' or event_type = 'b'", 'the operator OR'],
    ['select sum(properties.x) from events where properties.y = 5', 'anything but texts'],
    ['select sum(properties.x), properties.y from events', 'without GROUP BY'],
    ['select sum(properties.x) from events group by properties.y having sum(properties.x) > 1', 'HAVING'],
    ['select sum(properties.x) filter (where true) from events', 'FILTER'],
    ['select distinct sum(properties.x) from events', 'DISTINCT'],
    ['with a as (select 1) select * from a', 'with is not'],
    ['select count(*) from events limit 1', 'LIMIT'],
  ])('refuse %s', (sql, message) => {
    expect(() => readSqlMetric(sql)).toThrow(message);
  });
});
