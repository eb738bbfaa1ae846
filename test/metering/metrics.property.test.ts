import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Aggregation, increments, readWindow } from '../../src/domain/contract/aggregation.js';
import { readSqlMetric } from '../../src/billing/metronome/sqlMetric.js';
import { propertyText } from '../../src/domain/contract/event.js';
import {
  aggregatedValue,
  type BillableMetric,
  matchesFilters,
  type MeteredEvent,
} from '../../src/domain/contract/metric.js';
import { cutAt } from '../../src/domain/contract/cuts.js';
import type { UsageSlice } from '../../src/domain/contract/terms.js';
import { isZero, parseDecimal, toText } from '../../src/domain/decimal.js';
import { cancelEvent } from '../../src/metering/adjust.js';
import type { Ingest, IncomingEvent } from '../../src/metering/ingest.js';
import { backfillMetric } from '../../src/metering/metrics/backfill.js';
import { incomingSentEvent } from '../../src/metering/metrics/sent.js';
import {
  readUsageSlices,
  slicesOfEvents,
  type UsageSliceRequest,
} from '../../src/metering/metrics/slices.js';
import { type BillableMetricRecord, insertBillableMetric } from '../../src/storage/billableMetrics.js';
import { DAY, event, type Fixture, HOUR, openFixture, summary } from './fixture.js';

/** Slices against the events themselves, put together by the pure core: any hour cuts, both clients, several names. */
const RUNS = 8;
/** 33 days with the whole of October in them. */
const START = Date.UTC(2026, 8, 30, 7);
const END = START + 33 * DAY;
const OCTOBER = Date.UTC(2026, 9, 1);
const NOVEMBER = Date.UTC(2026, 10, 1);

const AGGREGATIONS: Aggregation[] = [
  { type: 'COUNT' },
  { type: 'SUM' },
  { type: 'MAX' },
  { type: 'LATEST' },
  { type: 'UNIQUE' },
  { type: 'TIME_WEIGHTED_SUM' },
  { type: 'PERCENTILE', percent: parseDecimal('90') },
  ...['AVG(properties.value)', 'MIN(properties.value * properties.value) + 1'].map(
    (value) => readSqlMetric(`SELECT ${value} FROM events`).aggregation,
  ),
];

let fixture: Fixture;
let ingest: Ingest;
let number = 0;

beforeAll(async () => {
  fixture = await openFixture();
  fixture.clock.now = END;
  ingest = fixture.ingestWith();
});
afterAll(() => fixture.close());

interface Sent {
  at: number;
  value: string;
  region: string | null;
  model: string;
  by: 'stripe' | 'id' | 'alias';
  isCancelled: boolean;
}

const sentEvent = fc.record<Sent>({
  at: fc.oneof(
    fc.constantFrom(
      START - 1,
      START,
      START + HOUR,
      OCTOBER - 1,
      OCTOBER,
      OCTOBER + DAY,
      NOVEMBER - 1,
      NOVEMBER,
    ),
    fc.integer({ min: START - DAY, max: END - 1 }),
  ),
  value: fc.constantFrom('1', '2', '2', '7', '0.25', '-3', '12.5', '40'),
  region: fc.constantFrom('eu', 'us', null),
  model: fc.constantFrom('small', 'large'),
  by: fc.constantFrom('stripe', 'id', 'alias'),
  isCancelled: fc.boolean(),
});

const scenario = fc.record({
  sent: fc.array(sentEvent, { maxLength: 40 }),
  cuts: fc.uniqueArray(fc.oneof(fc.constantFrom(17, 41, 17 + 31 * 24), fc.integer({ min: 1, max: 791 })), {
    maxLength: 6,
  }),
  atHours: fc.integer({ min: 1, max: 792 }),
  backfill: fc.boolean(),
  preview: fc.array(sentEvent, { maxLength: 5 }),
});

function metricFor(aggregation: Aggregation, eventType: string): BillableMetricRecord {
  number += 1;
  return {
    id: `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`,
    name: aggregation.type,
    eventTypeFilter: { inValues: [eventType], notInValues: null },
    propertyFilters: [
      { name: 'region', exists: true, inValues: null, notInValues: null },
      { name: 'value', exists: true, inValues: null, notInValues: null },
    ],
    aggregation,
    aggregationKey: aggregation.type === 'COUNT' ? null : 'value',
    groupKeys: [['region'], ['model', 'region']],
    sql: null,
    customFields: {},
    createdAt: END,
    archivedAt: null,
  };
}

function properties({ value, region, model }: Sent): Record<string, string> {
  return { value, model, ...(region === null ? {} : { region }) };
}

/** The quantity by group and cut, from the list of events. */
function expected(
  metric: BillableMetric,
  names: string[],
  events: MeteredEvent[],
  request: UsageSliceRequest,
) {
  const windows = cutAt(request.period, request.cuts);
  const groups = new Map<string, MeteredEvent[]>();
  for (const one of events) {
    if (!matchesFilters(metric, one) || one.timestamp >= request.period.end) continue;
    const key = JSON.stringify(names.map((name) => propertyText(one, name)));
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  const rows: string[] = [];
  const overTime = metric.aggregation.type === 'TIME_WEIGHTED_SUM';
  for (const [key, members] of groups) {
    const sorted = [...members].sort((a, b) => a.timestamp - b.timestamp);
    const values = sorted.map((one) => ({ at: one.timestamp, value: aggregatedValue(metric, one) ?? '' }));
    const before = values.filter(({ at }) => at < request.period.start).at(-1)?.value;
    const readings = windows.map(({ start, end }) => {
      const until = overTime ? Math.max(start, Math.min(end, request.at ?? end)) : end;
      return readWindow(
        { start, end: until },
        values.filter(({ at }) => start <= at && at < until),
      );
    });
    const level = before === undefined || typeof before === 'string' ? undefined : before;
    increments(metric.aggregation, readings, level).forEach((quantity, index) => {
      if (!isZero(quantity)) rows.push(`${key} ${windows[index]?.start} ${toText(quantity)}`);
    });
  }
  return rows.sort();
}

function found(slices: readonly UsageSlice[], names: string[]): string[] {
  return slices
    .filter(({ quantity }) => !isZero(quantity))
    .map(({ pricingGroupValues: p, presentationGroupValues: s, start, quantity }) => {
      const values = names.map((name) => (name in p ? p[name] : s[name]) ?? null);
      return `${JSON.stringify(values)} ${start} ${toText(quantity)}`;
    })
    .sort();
}

it('reads of every metric what the events come to', { timeout: 240_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async ({ sent, cuts, atHours, backfill, preview }) => {
      number += 1;
      const eventType = `used_${number}`;
      const customer = await fixture.addCustomer();
      const other = await fixture.addCustomer();
      await fixture.addMeter(eventType, { formula: 'sum' });
      const metrics = AGGREGATIONS.map((aggregation) => metricFor(aggregation, eventType));
      const make = () =>
        fixture.db.transaction(async (tx) => {
          for (const metric of metrics) {
            await insertBillableMetric(tx, fixture.accountId, metric);
            await backfillMetric(tx, fixture.accountId, metric);
          }
        });
      if (!backfill) await make();
      const incoming = sent.map((one, index): IncomingEvent => {
        const identifier = `${eventType}_${index}`;
        if (one.by !== 'stripe') {
          const customerKey = one.by === 'id' ? customer : `${customer}_alias`;
          const common = { transactionId: identifier, customerKey, eventType, timestamp: one.at };
          return incomingSentEvent(Symbol(), 0, { ...common, properties: properties(one) });
        }
        const payload = { stripe_customer_id: customer, ...properties(one) };
        return event(eventType, customer, one.value, { identifier, timestamp: one.at, payload });
      });
      const noise = event(eventType, other, '99', {
        payload: { stripe_customer_id: other, value: '99', region: 'eu' },
      });
      const outcomes = await ingest.ingest(fixture.accountId, [...incoming, noise]);
      expect(new Set(outcomes.map(summary))).toEqual(new Set(['stored']));
      const kept: MeteredEvent[] = [];
      for (const [index, one] of sent.entries()) {
        if (one.by === 'stripe' && one.isCancelled) {
          const cancellation = {
            accountId: fixture.accountId,
            eventName: eventType,
            identifier: `${eventType}_${index}`,
          };
          await fixture.db.transaction((tx) => cancelEvent(tx, cancellation, () => Promise.resolve(END)));
        } else kept.push({ eventType, timestamp: one.at, properties: properties(one) });
      }
      if (backfill) await make();
      const extra = preview.map((one) => ({ eventType, timestamp: one.at, properties: properties(one) }));
      for (const [names, filter] of [
        [[], null],
        [['region'], null],
        [['model', 'region'], null],
        [['model'], 'eu'],
      ] as [string[], string | null][]) {
        const request: UsageSliceRequest = {
          accountId: fixture.accountId,
          customerKeys: [customer, `${customer}_alias`, 'unused'],
          usageFilter:
            filter === null
              ? []
              : [{ groupKey: 'region', groupValues: [filter], startingAt: START - DAY, endingBefore: null }],
          products: metrics.map(({ id }) => ({
            id: `product ${id}`,
            type: 'USAGE' as const,
            pricingGroupKey: names.slice(0, 1),
            presentationGroupKey: names.slice(1),
            billableMetricId: id,
          })),
          metrics,
          period: { start: START, end: END },
          cuts: cuts.map((hours) => START + hours * HOUR).sort((a, b) => a - b),
          at: START + atHours * HOUR,
        };
        const slices = await readUsageSlices(fixture.db, request);
        const withExtra = await readUsageSlices(fixture.db, { ...request, extraEvents: extra });
        const alone = slicesOfEvents(request, extra);
        const passes = (one: MeteredEvent) => filter === null || propertyText(one, 'region') === filter;
        for (const metric of metrics) {
          const of = (all: readonly UsageSlice[]) =>
            found(
              all.filter(({ productId }) => productId === `product ${metric.id}`),
              names,
            );
          const label = `${metric.name} by ${names.join()}`;
          const stored = kept.filter(passes);
          expect(of(slices), label).toEqual(expected(metric, names, stored, request));
          expect(of(withExtra), `${label} with a preview`).toEqual(
            expected(metric, names, [...stored, ...extra.filter(passes)], request),
          );
          expect(of(alone), `${label} of a preview`).toEqual(
            expected(metric, names, extra.filter(passes), request),
          );
        }
      }
    }),
    { numRuns: RUNS, seed: 20_261_124 },
  );
});
