import type Metronome from '@metronome/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSqlMetric } from '../../src/billing/metronome/sqlMetric.js';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { refusal } from './failure.js';
import { day, hour, unique } from './world.js';

let engine: TestEngine;
let metronome: Metronome;
let customer: string;
/** Midnight UTC, three days ago. */
const start = Math.floor(Date.now() / day) * day - 3 * day;
const at = (after: number) => new Date(start + after).toISOString();

/** Hours after the start, and properties: numbers are sent as texts and as numbers. */
const JOBS: [number, Record<string, string | number>][] = [
  [0, { region: 'eu', plan: 'pro', seconds: '1800', cores: '2', ok: 'yes' }],
  [0.5, { region: 'us', plan: 'free', seconds: 900, cores: 4, ok: 'no' }],
  [1, { region: 'eu', plan: 'free', seconds: '100.5', cores: '1' }],
  [30, { region: 'us', plan: 'pro', seconds: '-20', cores: '8', ok: 'yes' }],
  [31, { plan: 'pro', seconds: 'many', cores: '3', ok: 'yes' }],
];

beforeAll(async () => {
  engine = await startTestEngine();
  ({ metronome } = engine);
  const { data } = await metronome.v1.customers.create({ name: 'SQL', ingest_aliases: ['sql'] });
  customer = data.id;
  await metronome.v1.usage.ingest({
    usage: [
      ...JOBS.map(([after, properties]) => ({ after, type: 'job', properties })),
      { after: 2, type: 'other', properties: { seconds: '5000', cores: '1', plan: 'pro' } },
    ].map(({ after, type, properties }) => ({
      transaction_id: unique('sql'),
      customer_id: 'sql',
      event_type: type,
      timestamp: at(after * hour),
      properties,
    })),
  });
});
afterAll(() => engine.stop());

const JOB = "event_type = 'job'";

async function make(sql: string): Promise<string> {
  return (await metronome.v1.billableMetrics.create({ name: 'SQL', sql })).data.id;
}

async function usage(metricId: string, size: 'NONE' | 'DAY' = 'NONE'): Promise<(number | null)[]> {
  const { data } = await metronome.v1.usage.list({
    billable_metrics: [{ id: metricId }],
    customer_ids: [customer],
    starting_on: at(0),
    ending_before: at(2 * day),
    window_size: size,
  });
  return data.map(({ value }) => value);
}

describe('SQL metrics', () => {
  // What each event gives is written out; "many" is no number, and a missing property is null.
  it.each<[string, string, number]>([
    ['AVG(properties.seconds)', JOB, (1800 + 900 + 100.5 - 20) / 4],
    ['MIN(properties.seconds)', JOB, -20],
    ['EARLIEST(properties.seconds)', JOB, 1800],
    ['LATEST(properties.cores)', JOB, 3],
    ['LATEST(properties.cores * 10)', JOB, 30],
    ['SUM(properties.seconds * properties.cores)', JOB, 3600 + 3600 + 100.5 - 160],
    ['SUM(properties.seconds) / 3600', `${JOB} AND properties.region = 'eu'`, 0.52791666666666666667],
    ['SUM(properties.seconds) / COUNT(*)', JOB, 2780.5 / 5],
    ['SUM(properties.cores) - COUNT(DISTINCT properties.plan) * 2 - 1', JOB, 18 - 4 - 1],
    ['MAX(properties.seconds) - MIN(properties.seconds)', JOB, 1820],
    ['COUNT(properties.ok)', JOB, 4],
    ['COUNT(DISTINCT COALESCE(properties.region, properties.plan))', JOB, 3],
    ["SUM(CASE WHEN properties.plan = 'pro' THEN properties.cores * 2 ELSE 0 END)", JOB, 2 * (2 + 8 + 3)],
    ["SUM(CASE properties.plan WHEN 'pro' THEN 1 WHEN 'free' THEN 10 END)", JOB, 23],
    ['SUM(COALESCE(properties.seconds, 7))', JOB, 2780.5 + 7],
    ['SUM(CAST(properties.seconds AS integer))', JOB, 1800 + 900 + 101 - 20],
    ['SUM(properties.seconds::numeric)', JOB, 2780.5],
    ['ROUND(AVG(properties.seconds), 1) + CEIL(0.2) - FLOOR(-0.2)', JOB, 695.1 + 1 + 1],
    ['GREATEST(MAX(properties.cores), 10) - LEAST(2, 3, -1)', JOB, 11],
    ['10 - 3 - 2 + 12 / 3 / 2 * COUNT(*)', JOB, 5 + 2 * 5],
    ['COALESCE(SUM(properties.nothing), 5) + COUNT(*)', JOB, 10],
    ['1 / (COUNT(*) - 5)', JOB, 0],
    ['CASE WHEN COUNT(*) > 4 THEN 100 ELSE 1 END + COUNT(*)', JOB, 105],
    ['COUNT(*)', 'properties.seconds > 900', 2],
    ['COUNT(*)', 'properties.seconds >= 900', 3],
    ['COUNT(*)', `${JOB} AND properties.seconds < 900`, 2],
    ['COUNT(*)', `${JOB} AND properties.seconds <= 900.00`, 3],
    ['COUNT(*)', `${JOB} AND properties.cores = 4.0`, 1],
    ['COUNT(*)', `${JOB} AND properties.seconds BETWEEN 100.5 AND 900`, 2],
    ['COUNT(*)', `${JOB} AND properties.seconds NOT BETWEEN 100.5 AND 900`, 2],
    ['COUNT(*)', "properties.region = 'eu' OR event_type = 'other'", 3],
    ['COUNT(*)', `${JOB} AND NOT (properties.region = 'eu' OR properties.plan = 'free')`, 1],
    ['COUNT(*)', `${JOB} AND NOT properties.plan = 'free'`, 3],
    ['COUNT(*)', `${JOB} AND (properties.region IS NULL OR properties.ok IS NOT NULL)`, 4],
    ['COUNT(*)', `${JOB} AND properties.cores IN (1, 2, 3)`, 3],
    ['COUNT(*)', `${JOB} AND properties.cores + 1 NOT IN (2, 3)`, 3],
    ['COUNT(*)', "event_type IN ('job', 'other') AND event_type != 'job'", 1],
    ['COUNT(*)', `${JOB} AND properties.cores = 1 OR properties.cores = 2 AND properties.plan = 'free'`, 1],
  ])('%s where %s', async (value, where, expected) => {
    expect(await usage(await make(`SELECT ${value} AS value FROM events WHERE ${where}`))).toEqual([
      expected,
    ]);
  });

  it('read windows by themselves, and groups that the query names', async () => {
    const sql = `SELECT AVG(properties.cores) AS value, properties.plan FROM events
      WHERE ${JOB} GROUP BY properties.plan`;
    const id = await make(sql);
    const { data } = await metronome.v1.usage.listWithGroups({
      billable_metric_id: id,
      customer_id: customer,
      starting_on: at(0),
      ending_before: at(2 * day),
      window_size: 'NONE',
      group_key: ['plan'],
    });
    expect(new Map(data.map(({ group, value }) => [group?.['plan'], value]))).toEqual(
      new Map([
        ['pro', 13 / 3],
        ['free', 2.5],
      ]),
    );
    // Without the key its groups are summed: (2 + 8 + 3) / 3 + (4 + 1) / 2, to 20 decimal places.
    expect(await usage(id)).toEqual([6.83333333333333333333]);
    expect(await usage(id, 'DAY')).toEqual([2 + 2.5, 5.5]);
  });

  it('count events that come later, and take back what is cancelled', async () => {
    const eventName = unique('cpu');
    const id = await make(
      `SELECT MIN(properties.value * 2) FROM events WHERE event_type = '${eventName}' AND properties.value < 100`,
    );
    const meter = await engine.stripe.billing.meters.create({
      display_name: eventName,
      event_name: eventName,
      default_aggregation: { formula: 'sum' },
    });
    const found = await engine.stripe.customers.list({ limit: 100 });
    const stripeId = found.data.find(({ name }) => name === 'SQL')?.id ?? '';
    const send = (identifier: string, value: string) =>
      engine.stripe.billing.meterEvents.create({
        event_name: eventName,
        identifier,
        timestamp: (start + hour) / 1000,
        payload: { stripe_customer_id: stripeId, value },
      });
    const prefix = unique('event');
    await send(`${prefix}-1`, '7');
    await send(`${prefix}-2`, '3');
    await send(`${prefix}-3`, '100');
    expect(await usage(id)).toEqual([6]);
    await engine.stripe.billing.meterEventAdjustments.create({
      event_name: meter.event_name,
      type: 'cancel',
      cancel: { identifier: `${prefix}-2` },
    });
    expect(await usage(id)).toEqual([14]);
  });

  it('keep their text', async () => {
    const sql = `SELECT SUM(properties.tokens) / 1000 AS value, properties.model FROM events
      WHERE event_type = 'completion' GROUP BY properties.model`;
    const { data: read } = await metronome.v1.billableMetrics.retrieve({
      billable_metric_id: await make(sql),
    });
    expect(read).toEqual({ id: read.id, name: 'SQL', sql, custom_fields: {} });
  });

  it('mean what the same rules mean, where rules can say it', () => {
    const rules = readSqlMetric(`
      SELECT properties.region, COUNT(DISTINCT properties.user_id) AS value FROM events
      WHERE event_type IN ('login', 'visit') AND properties.region NOT IN ('test') AND properties.bot IS NULL
        AND properties.plan = 'pro' GROUP BY properties.region, properties.plan`);
    const both = { inValues: null, notInValues: null };
    expect(rules).toEqual({
      aggregation: { type: 'UNIQUE' },
      aggregationKey: 'user_id',
      eventTypeFilter: { inValues: ['login', 'visit'], notInValues: null },
      propertyFilters: [
        { name: 'region', exists: true, inValues: null, notInValues: ['test'] },
        { name: 'bot', exists: false, ...both },
        { name: 'plan', exists: true, inValues: ['pro'], notInValues: null },
      ],
      condition: null,
      groupKeys: [['region', 'plan']],
      rowKey: ['region', 'plan'],
    });
    expect(readSqlMetric('select max(cast(properties.size as numeric)) from events')).toMatchObject({
      aggregation: { type: 'MAX' },
      aggregationKey: 'size',
    });
    expect(readSqlMetric('select latest(properties.seats) from events').aggregation.type).toBe('LATEST');
  });

  it.each([
    ['select sum( from events', 'cannot be parsed'],
    ['select 1', 'another FROM'],
    ['select 1 from events', 'a value without an aggregate'],
    ['select count(*) from events; select 1', 'more than one statement'],
    ['drop table events', 'drop table'],
    ['select sum(properties.x) from customers', 'the table customers'],
    ['select sum(properties.x) from pg_catalog.events', 'the table events'],
    ['select sum(properties.x) from (select * from events) e', 'another FROM'],
    ['select sum(e.v) from events e', 'an alias of the table'],
    ['select sum(events.v) from events', 'the column events.v in an aggregate'],
    ['select count(*) from events a join events b on true', 'another FROM'],
    ['select sum(properties.x) + properties.y from events', 'the property y outside of an aggregate'],
    ['select sum(max(properties.x)) from events', 'MAX in an aggregate'],
    ['select count(*) from events where sum(properties.x) > 1', 'SUM in WHERE'],
    ['select sum(distinct properties.x) from events', 'SUM(DISTINCT'],
    ['select sum(properties.x, properties.y) from events', 'SUM of not one argument'],
    ['select stddev(properties.x) from events', 'the function STDDEV'],
    ['select count(*) from events where pg_sleep(10) = 1', 'the function PG_SLEEP'],
    ['select sum(properties.x % 2) from events', 'the operator %'],
    ["select sum('1') from events", "the text '1' where a number is needed"],
    ["select count(*) from events where properties.y > 'a'", "the text 'a' where a number is needed"],
    ['select count(*) from events where event_type > 5', 'the column event_type in WHERE'],
    ["select count(*) from events where properties.y like 'a%'", 'the operator LIKE'],
    ['select count(*) from events where properties.y is true', 'the operator IS TRUE'],
    ['select count(*) from events where properties.y', 'REF as a condition'],
    ['select count(*) from events where properties.y = (select 1)', 'SELECT where a number is needed'],
    ['select max(timestamp) from events', 'the column timestamp in an aggregate'],
    ['select sum(properties.x::date) from events', 'a cast to date'],
    ['select sum(properties.x::numeric(10,2)) from events', 'a cast to numeric of a certain size'],
    ['select round(sum(properties.x), -2) from events', 'ROUND to anything but 0 to 20'],
    ['select ceil(sum(properties.x), 2) from events', 'CEIL of 2 arguments'],
    ['select sum(properties.x), properties.y from events', 'without GROUP BY'],
    ['select sum(properties.x) from events group by properties.x + 1', 'GROUP BY of anything but a property'],
    ['select sum(properties.x) from events group by properties.y having sum(properties.x) > 1', 'HAVING'],
    ['select sum(properties.x) filter (where true) from events', 'FILTER'],
    ['select sum(properties.x) over () from events', 'OVER'],
    ['select distinct sum(properties.x) from events', 'DISTINCT'],
    ['with a as (select 1) select * from a', 'with is not'],
    ['select count(*) from events limit 1', 'LIMIT'],
    [`select ${'1 + '.repeat(300)} count(*) from events`, 'nested more than 200 levels'],
  ])('refuse %s', async (sql, message) => {
    const said = await refusal(metronome.v1.billableMetrics.create({ name: 'Bad', sql }));
    expect(said).toMatch(/^400 Invalid 'sql': /);
    expect(said).toContain(message);
  });
});
