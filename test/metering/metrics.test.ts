import { afterAll, beforeAll, expect, it } from 'vitest';
import { toText } from '../../src/domain/decimal.js';
import type { IncomingEvent } from '../../src/metering/event.js';
import { backfillMetric } from '../../src/metering/metrics/backfill.js';
import { incomingSentEvent } from '../../src/metering/metrics/sent.js';
import {
  readUsageSlices,
  type MeteredProduct,
  type UsageSliceRequest,
} from '../../src/metering/metrics/slices.js';
import { type BillableMetricRecord, insertBillableMetric } from '../../src/storage/billableMetrics.js';
import type { Database } from '../../src/storage/db.js';
import { DAY, type Fixture, HOUR, NOW, openFixture, summary } from './fixture.js';

const START = Math.floor((NOW - 4 * DAY) / DAY) * DAY;
const period = { start: START, end: START + 4 * DAY };

let fixture: Fixture;
beforeAll(async () => {
  fixture = await openFixture();
});
afterAll(() => fixture.close());

let number = 0;

async function makeMetric(
  type: 'COUNT' | 'SUM' | 'LATEST',
  eventType: string,
  rest: Partial<BillableMetricRecord> = {},
): Promise<BillableMetricRecord> {
  number += 1;
  const metric: BillableMetricRecord = {
    id: `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`,
    name: type,
    eventTypeFilter: { inValues: [eventType], notInValues: null },
    propertyFilters: [],
    aggregation: { type },
    aggregationKey: type === 'COUNT' ? null : 'value',
    groupKeys: [['team']],
    sql: null,
    customFields: {},
    createdAt: NOW,
    archivedAt: null,
    ...rest,
  };
  await fixture.db.transaction(async (tx) => {
    await insertBillableMetric(tx, fixture.accountId, metric);
    await backfillMetric(tx, fixture.accountId, metric);
  });
  return metric;
}

let transactions = 0;

function sentEvent(
  customerKey: string,
  eventType: string,
  timestamp: number,
  properties: Record<string, unknown>,
) {
  transactions += 1;
  const transactionId = `t-${transactions}`;
  return incomingSentEvent(Symbol(), 0, { transactionId, customerKey, eventType, timestamp, properties });
}

async function slices(
  customerKey: string,
  product: Partial<MeteredProduct>,
  rest: Partial<UsageSliceRequest>,
) {
  const base: MeteredProduct = {
    id: 'product',
    type: 'USAGE',
    pricingGroupKey: [],
    presentationGroupKey: [],
    billableMetricId: null,
    ...product,
  };
  const read = await readUsageSlices(fixture.db, {
    accountId: fixture.accountId,
    customerKeys: [customerKey],
    usageFilter: [],
    products: [base],
    metrics: [],
    period,
    cuts: [],
    ...rest,
  });
  return read.map(({ start, end, quantity }) => [
    (start - START) / DAY,
    (end - START) / DAY,
    toText(quantity),
  ]);
}

it('a product that changes its metric bills the old one up to the change and the new one after it', async () => {
  const before = await makeMetric('COUNT', 'swapped');
  const after = await makeMetric('SUM', 'swapped');
  const ingest = fixture.ingestWith();
  await ingest.ingest(
    fixture.accountId,
    [0, 1, 2, 3].map((day) =>
      sentEvent('swap', 'swapped', START + day * DAY, { value: 10 + day, team: 'x' }),
    ),
  );
  const metricHistory = [
    { startingAt: -Infinity, billableMetricId: before.id },
    { startingAt: START + 2 * DAY, billableMetricId: after.id },
  ];
  expect(await slices('swap', { metricHistory }, { metrics: [before, after] })).toEqual([
    [0, 2, '2'],
    [2, 4, '25'],
  ]);
});

it('a usage filter holds for its own time', async () => {
  const metric = await makeMetric('SUM', 'routed');
  const ingest = fixture.ingestWith();
  await ingest.ingest(
    fixture.accountId,
    [0, 1, 2, 3].flatMap((day) =>
      ['red', 'blue'].map((team, index) =>
        sentEvent('route', 'routed', START + day * DAY + HOUR, { value: 10 ** index, team }),
      ),
    ),
  );
  const usageFilter = [
    { groupKey: 'team', groupValues: ['red'], startingAt: START + DAY, endingBefore: START + 2 * DAY },
    { groupKey: 'team', groupValues: ['blue', 'green'], startingAt: START + 2 * DAY, endingBefore: null },
  ];
  const product = { billableMetricId: metric.id };
  expect(await slices('route', product, { metrics: [metric], usageFilter })).toEqual([
    [0, 1, '11'],
    [1, 2, '1'],
    [2, 4, '20'],
  ]);
});

it('SQL by service period puts everything into the last moment', async () => {
  const metric = await makeMetric('SUM', 'queried', { sql: 'select sum(value) from events' });
  await fixture
    .ingestWith()
    .ingest(fixture.accountId, [
      sentEvent('query', 'queried', START, { value: '1.5' }),
      sentEvent('query', 'queried', START + 3 * DAY, { value: 2 }),
    ]);
  const rest = { metrics: [metric], cuts: [START + DAY, START + 3.5 * DAY] };
  const product = { billableMetricId: metric.id };
  expect(await slices('query', { ...product, sqlGranularity: 'SERVICE_PERIOD' }, rest)).toEqual([
    [3.5, 4, '3.5'],
  ]);
  expect(await slices('query', { ...product, sqlGranularity: 'HOUR' }, rest)).toEqual([
    [0, 1, '1.5'],
    [1, 3.5, '2'],
  ]);
});

it('bounds inside an hour are read exactly', async () => {
  const metric = await makeMetric('SUM', 'early');
  await fixture.ingestWith().ingest(
    fixture.accountId,
    [0, 1, 2].map((minute) => sentEvent('early', 'early', START + minute * 60_000, { value: 2 ** minute })),
  );
  const inside = { start: START + 60_000, end: START + DAY };
  const read = await slices('early', { billableMetricId: metric.id }, { metrics: [metric], period: inside });
  expect(read.map(([, , quantity]) => quantity)).toEqual(['6']);
});

it('writers and a metric made meanwhile neither miss nor double an event', { timeout: 120_000 }, async () => {
  const teams = await makeMetric('SUM', 'crowded');
  const writers = [fixture.ingestWith(), fixture.ingestWith()];
  const calls: Promise<unknown>[] = [];
  let made: Promise<BillableMetricRecord> | null = null;
  for (let call = 0; call < 80; call += 1) {
    const events = Array.from({ length: 20 }, (_none, index) =>
      sentEvent(`crowd-${(call + index) % 3}`, 'crowded', START + ((call * 7 + index * 13) % 96) * HOUR, {
        value: 1,
        team: `${(call * index) % 40}`,
      }),
    );
    if (call % 2 === 1) events.reverse();
    calls.push(
      (writers[call % 2] as (typeof writers)[0]).ingest(fixture.accountId, events).then((outcomes) => {
        expect(new Set(outcomes.map(summary))).toEqual(new Set(['stored']));
      }),
    );
    if (call === 30) made = makeMetric('SUM', 'crowded');
    if (call % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await Promise.all(calls);
  const late = (await made) as BillableMetricRecord;
  for (const metric of [teams, late]) {
    for (const pricingGroupKey of [[], ['team']]) {
      let total = 0;
      for (const key of ['crowd-0', 'crowd-1', 'crowd-2']) {
        const read = await slices(
          key,
          { billableMetricId: metric.id, pricingGroupKey },
          { metrics: [metric] },
        );
        total += read.reduce((sum, [, , quantity]) => sum + Number(quantity), 0);
      }
      expect(total).toBe(1600);
    }
  }
});

it('a batch of which all is known is stored in one exchange, and counts as a careful one does', async () => {
  const total = await makeMetric('SUM', 'quick');
  const named: string[] = [];
  const db: Database = {
    ...fixture.db,
    queryNamed: (name, text, values) => {
      named.push(name);
      return fixture.db.queryNamed(name, text, values);
    },
  };
  const ingest = fixture.ingestWith({ db });
  const send = async (values: Record<string, number>) => {
    named.length = 0;
    const events = Object.entries(values).map(([team, value]) =>
      sentEvent('swift', 'quick', START + HOUR, { value, team }),
    );
    const outcomes = await ingest.ingest(fixture.accountId, events);
    expect(outcomes.map(({ status }) => status)).toEqual(events.map(() => 'stored'));
    return named.includes('metering_store_counted');
  };
  expect(await send({ a: 1, b: 2 })).toBe(false);
  expect(await send({ a: 4, b: 8 })).toBe(true);
  // A team without usage needs a series of its own.
  expect(await send({ a: 16, c: 32 })).toBe(false);
  expect(await send({ c: 64 })).toBe(true);
  const number = await makeMetric('COUNT', 'quick');
  // Refused by the database, which knows of the new metric, and stored the careful way.
  expect(await send({ a: 128, b: 256 })).toBe(true);
  const names = await fixture.db.query(
    `select s.meter_id = $1 as "isTotal", s.dimensions, r.count, r.total from usage_series s
     join usage_rollups r using (series_id)
     where s.account_id = $2 and s.customer_id = 'swift' and s.meter_id in ($1, $3) and r.grain = 30000
     order by 1 desc, s.dimension_key`,
    [total.id, fixture.accountId, number.id],
  );
  expect(names).toEqual([
    { isTotal: true, dimensions: {}, count: 9n, total: '511' },
    { isTotal: true, dimensions: { team: 'a' }, count: 4n, total: '149' },
    { isTotal: true, dimensions: { team: 'b' }, count: 3n, total: '266' },
    { isTotal: true, dimensions: { team: 'c' }, count: 2n, total: '96' },
    { isTotal: false, dimensions: {}, count: 9n, total: '0' },
    { isTotal: false, dimensions: { team: 'a' }, count: 4n, total: '0' },
    { isTotal: false, dimensions: { team: 'b' }, count: 3n, total: '0' },
    { isTotal: false, dimensions: { team: 'c' }, count: 2n, total: '0' },
  ]);
});

it('an identifier that comes again in a known batch counts once, and its copy on a meter too', async () => {
  const customerId = await fixture.addCustomer();
  await fixture.addMeter('twice');
  const total = await makeMetric('SUM', 'twice');
  const ingest = fixture.ingestWith();
  const events = [1, 2, 4].map((value) => sentEvent(customerId, 'twice', START + HOUR, { value, team: 'a' }));
  const [first, second, third] = events as [IncomingEvent, IncomingEvent, IncomingEvent];
  for (const batch of [[first], [second], [second, third], [third]]) {
    await ingest.ingest(fixture.accountId, batch);
  }
  const product = { billableMetricId: total.id };
  expect(await slices(customerId, product, { metrics: [total] })).toEqual([[0, 4, '7']]);
  const rows = await fixture.db.query(
    `select t.count, t.total from usage_totals t join usage_series s using (series_id)
     where s.account_id = $1 and s.customer_id = $2 and s.meter_id like 'mtr_%'`,
    [fixture.accountId, customerId],
  );
  expect(rows).toEqual([{ count: 3n, total: '7' }]);
});
