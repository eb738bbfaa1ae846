import { Decimal as OracleDecimal } from 'decimal.js';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toText } from '../../src/domain/decimal.js';
import { cancelEvent } from '../../src/metering/adjust.js';
import type { Ingest } from '../../src/metering/ingest.js';
import { readUsages } from '../../src/metering/usage.js';
import { DAY, event, type Fixture, HOUR, MINUTE, NOW, openFixture, summary } from './fixture.js';

/**
 * Readings against an oracle that keeps every event in a list. Boundaries fall anywhere: inside a busy second, on
 * minutes, hours and days, around the events themselves.
 */
const SEED = 20_261_124;
const RUNS = 30;
const Exact = OracleDecimal.clone({ precision: 200 });

let fixture: Fixture;
let ingest: Ingest;

beforeAll(async () => {
  fixture = await openFixture();
  ingest = fixture.ingestWith();
});
afterAll(() => fixture.close());

interface Sent {
  timestamp: number;
  value: string;
  cancelled: boolean;
}

type Formula = 'sum' | 'count' | 'last';
type Window = 'hour' | 'day' | null;

const WINDOW_MS = { hour: HOUR, day: DAY };

/** Events in order of arrival; the last that arrived in a window is the one that counts there. */
function counting(sent: readonly Sent[], window: Window): Sent[] {
  const alive = sent.filter((one) => !one.cancelled);
  if (window === null) return alive;
  const newest = new Map<number, Sent>();
  for (const one of alive) newest.set(Math.floor(one.timestamp / WINDOW_MS[window]), one);
  return alive.filter((one) => newest.get(Math.floor(one.timestamp / WINDOW_MS[window])) === one);
}

function oracle(sent: readonly Sent[], formula: Formula, window: Window, start: number, end: number): string {
  const inside = counting(sent, window).filter((one) => one.timestamp >= start && one.timestamp < end);
  if (formula === 'count') return String(inside.length);
  if (formula === 'sum') return inside.reduce((sum, one) => sum.plus(one.value), new Exact(0)).toFixed();
  let last: Sent | null = null;
  for (const one of inside) if (last === null || one.timestamp >= last.timestamp) last = one;
  return new Exact(last?.value ?? 0).toFixed();
}

/** A busy second, its minute, its hour, its day, and the week before. */
const BUSY = NOW - 2 * HOUR;
const instant = fc.oneof(
  // Events of the same millisecond: the one that arrived last is the last.
  { weight: 2, arbitrary: fc.constantFrom(BUSY, BUSY + 1, BUSY + MINUTE, BUSY - DAY) },
  { weight: 4, arbitrary: fc.integer({ min: BUSY - 1_000, max: BUSY + 1_000 }) },
  { weight: 2, arbitrary: fc.integer({ min: BUSY - 3 * MINUTE, max: BUSY + 3 * MINUTE }) },
  { weight: 2, arbitrary: fc.integer({ min: BUSY - 5 * HOUR, max: BUSY + 2 * HOUR }) },
  { weight: 1, arbitrary: fc.integer({ min: BUSY - 7 * DAY, max: BUSY + 2 * HOUR }) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: -48, max: 2 }).map((n) => Math.floor(BUSY / HOUR) * HOUR + n * HOUR),
  },
  {
    weight: 1,
    arbitrary: fc.integer({ min: -90, max: 90 }).map((n) => Math.floor(BUSY / MINUTE) * MINUTE + n * MINUTE),
  },
);
const value = fc.oneof(
  fc.integer({ min: -1_000, max: 1_000 }).map(String),
  fc.tuple(fc.integer({ min: -999_999, max: 999_999 }), fc.integer({ min: 0, max: 12 })).map(([n, scale]) => {
    return new Exact(n).div(new Exact(10).pow(scale)).toFixed();
  }),
  fc.constantFrom('0', '-0', '999999999999999', '-0.000000000001', '1e-7'),
);
const story = fc.record({
  events: fc.array(fc.record({ timestamp: instant, value }), { minLength: 1, maxLength: 60 }),
  batch: fc.integer({ min: 1, max: 25 }),
  cancelled: fc.array(fc.nat(59), { maxLength: 8 }),
  periods: fc.array(fc.tuple(instant, instant), { minLength: 5, maxLength: 25 }),
});

const MODES: { formula: Formula; window: Window }[] = (['sum', 'count', 'last'] as const).flatMap((formula) =>
  ([null, 'hour', 'day'] as const).map((window) => ({ formula, window })),
);

describe.each(MODES)('usage of a meter: $formula, event time window $window', ({ formula, window }) => {
  const eventName = `m_${formula}_${window ?? 'none'}`;
  let meterId: string;
  beforeAll(async () => {
    meterId = await fixture.addMeter(eventName, { formula, ...(window === null ? {} : { window }) });
  });

  it('equals the oracle over any period, before and after cancellations', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(story, async ({ events, batch, cancelled, periods }) => {
        run += 1;
        const customerId = await fixture.addCustomer();
        const identifierOf = (index: number) => `${eventName}-${run}-${index}`;
        const sent: Sent[] = events.map((one) => ({ ...one, cancelled: false }));
        for (let from = 0; from < sent.length; from += batch) {
          const outcomes = await ingest.ingest(
            fixture.accountId,
            sent.slice(from, from + batch).map((one, index) =>
              event(eventName, customerId, one.value, {
                identifier: identifierOf(from + index),
                timestamp: one.timestamp,
              }),
            ),
          );
          expect(outcomes.every((outcome) => summary(outcome) === 'stored')).toBe(true);
        }
        const check = async () => {
          const queries = [...periods, [NOW - 30 * DAY, NOW + DAY] as const].map(([a, b]) => ({
            meterId,
            customerId,
            period: { start: Math.min(a, b), end: Math.max(a, b) },
          }));
          const readings = await readUsages(fixture.db, fixture.accountId, queries);
          const found = readings.map((reading) => toText(reading.value));
          const wanted = queries.map(({ period }) => oracle(sent, formula, window, period.start, period.end));
          expect(found).toEqual(wanted.map((text) => (text === '-0' ? '0' : text)));
          await checkTotals(customerId, meterId, counting(sent, window));
        };
        await check();
        for (const index of new Set(cancelled)) {
          const one = sent[index];
          if (one === undefined) continue;
          await fixture.db.transaction((tx) =>
            cancelEvent(
              tx,
              { accountId: fixture.accountId, eventName, identifier: identifierOf(index) },
              () => Promise.resolve(NOW),
            ),
          );
          one.cancelled = true;
        }
        await check();
      }),
      { numRuns: RUNS, seed: SEED, endOnFailure: false },
    );
  });
});

/** The lifetime total that alerts are judged by, and the maximum that rollups keep. */
async function checkTotals(customerId: string, meterId: string, sent: readonly Sent[]): Promise<void> {
  const [row] = await fixture.db.query<{
    count: bigint;
    total: string;
    last: string | null;
    max: string | null;
  }>(
    `select t.count, trim_scale(t.total) as total, trim_scale(t.last_value) as last,
       (select trim_scale(max(r.max)) from usage_rollups r where r.series_id = t.series_id and r.grain = 60) as max
     from usage_totals t join usage_series s using (series_id)
     where s.customer_id = $1 and s.meter_id = $2`,
    [customerId, meterId],
  );
  const values = sent.map((one) => new Exact(one.value));
  const last = sent.reduce<Sent | null>((a, b) => (a === null || b.timestamp >= a.timestamp ? b : a), null);
  const plain = (one: OracleDecimal | undefined): string | null =>
    one?.plus(0).toFixed().replace(/^-0$/, '0') ?? null;
  expect(row).toEqual({
    count: BigInt(sent.length),
    total: plain(values.reduce((sum, one) => sum.plus(one), new Exact(0))),
    last: last === null ? null : plain(new Exact(last.value)),
    max: values.length === 0 ? null : plain(Exact.max(...values)),
  });
}
