import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toText } from '../../src/domain/decimal.js';
import { cancelEvent } from '../../src/metering/adjust.js';
import { createPartitions } from '../../src/metering/partitions.js';
import { readUsage } from '../../src/metering/usage.js';
import { DAY, event, type Fixture, NOW, openFixture, summary } from './fixture.js';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await openFixture();
});
afterAll(() => fixture.close());

async function usage(meterId: string, customerId: string): Promise<string> {
  const period = { start: NOW - 35 * DAY, end: NOW + DAY };
  const reading = await readUsage(fixture.db, { accountId: fixture.accountId, meterId, customerId, period });
  return toText(reading.value);
}

describe('cancelling while events arrive', () => {
  it.each(['sum', 'last'] as const)('is exact on a %s meter whatever meets whatever', async (formula) => {
    const eventName = `race_${formula}`;
    const meterId = await fixture.addMeter(eventName, { formula });
    const customerId = await fixture.addCustomer();
    const ingest = fixture.ingestWith({ batchEventsMax: 3 });
    const second = fixture.ingestWith({ batchEventsMax: 2 });
    // All in one minute, so that every writer wants the same rows.
    const send = (n: number) =>
      (n % 2 === 0 ? ingest : second).ingest(fixture.accountId, [
        event(eventName, customerId, String(n), {
          identifier: `${eventName}-${n}`,
          timestamp: NOW - 30_000 + n,
        }),
      ]);
    const cancel = (n: number) =>
      fixture.db.transaction((tx) =>
        cancelEvent(tx, { accountId: fixture.accountId, eventName, identifier: `${eventName}-${n}` }, () =>
          Promise.resolve(NOW),
        ),
      );
    await Promise.all(Array.from({ length: 40 }, (_, n) => send(n)));
    await Promise.all(
      Array.from({ length: 80 }, (_, n) => (n % 2 === 0 ? send(40 + n / 2) : cancel((n - 1) / 2))),
    );
    const left = Array.from({ length: 40 }, (_, n) => 40 + n);
    const wanted = formula === 'sum' ? left.reduce((sum, n) => sum + n, 0) : 79;
    expect(await usage(meterId, customerId)).toBe(String(wanted));
    const [total] = await fixture.db.query<{ count: bigint }>(
      `select t.count from usage_totals t join usage_series s using (series_id) where s.meter_id = $1`,
      [meterId],
    );
    expect(total?.count).toBe(40n);
  });

  it('counts one of two cancellations of the same event', async () => {
    const meterId = await fixture.addMeter('twice');
    const customerId = await fixture.addCustomer();
    const ingest = fixture.ingestWith();
    await ingest.ingest(fixture.accountId, [
      event('twice', customerId, '5', { identifier: 'twice-1' }),
      event('twice', customerId, '8', { identifier: 'twice-2' }),
    ]);
    const cancel = () =>
      fixture.db.transaction((tx) =>
        cancelEvent(tx, { accountId: fixture.accountId, eventName: 'twice', identifier: 'twice-1' }, () =>
          Promise.resolve(NOW),
        ),
      );
    const results = await Promise.allSettled([cancel(), cancel(), cancel()]);
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    expect(await usage(meterId, customerId)).toBe('8');
  });

  it('leaves the identifier used', async () => {
    const customerId = await fixture.addCustomer();
    await fixture.addMeter('used');
    const ingest = fixture.ingestWith();
    const one = event('used', customerId, '5', { identifier: 'used-1', idempotencyKey: 'used-key' });
    const first = await ingest.ingest(fixture.accountId, [one]);
    await fixture.db.transaction((tx) =>
      cancelEvent(tx, { accountId: fixture.accountId, eventName: 'used', identifier: 'used-1' }, () =>
        Promise.resolve(NOW),
      ),
    );
    const again = await ingest.ingest(fixture.accountId, [one, { ...one, idempotencyKey: 'another' }]);
    expect([...first, ...again].map(summary)).toEqual(['stored', 'replayed', 'duplicate']);
  });
});

describe('month partitions', () => {
  it('are made once by many who want them at the same time, while others write', async () => {
    const months = Array.from({ length: 6 }, (_, i) => Date.UTC(2040, i, 15));
    const makers = Array.from({ length: 4 }, () => createPartitions(fixture.db));
    await fixture.addMeter('meanwhile');
    const customerId = await fixture.addCustomer();
    const ingest = fixture.ingestWith();
    const writing = Array.from({ length: 30 }, () =>
      ingest.ingest(fixture.accountId, [event('meanwhile', customerId, '1')]),
    );
    await Promise.all([...makers.map((maker) => maker.ensure(months)), ...writing]);
    const rows = await fixture.db.query<{ name: string }>(
      `select inhrelid::regclass::text as name from pg_inherits
       where inhparent = 'meter_events'::regclass and inhrelid::regclass::text like '%2040%' order by 1`,
    );
    expect(rows.map(({ name }) => name)).toEqual([
      'meter_events_2040_01',
      'meter_events_2040_02',
      'meter_events_2040_03',
      'meter_events_2040_04',
      'meter_events_2040_05',
      'meter_events_2040_06',
    ]);
  });

  it('come back when one was removed behind the ingest’s back', async () => {
    const eventName = 'removed';
    const meterId = await fixture.addMeter(eventName);
    const frozen = Date.UTC(2045, 6, 10);
    const customerId = await fixture.addCustomer(await fixture.addTestClock(frozen));
    const ingest = fixture.ingestWith();
    const send = async () =>
      (await ingest.ingest(fixture.accountId, [event(eventName, customerId, '1')])).map(summary);
    expect(await send()).toEqual(['stored']);
    await fixture.db.query('alter table meter_events detach partition meter_events_2045_07');
    await fixture.db.query('drop table meter_events_2045_07');
    expect(await send()).toEqual(['stored']);
    const period = { start: frozen, end: frozen + DAY };
    const reading = await readUsage(fixture.db, {
      accountId: fixture.accountId,
      meterId,
      customerId,
      period,
    });
    expect(reading.count).toBe(2n);
  });
});
