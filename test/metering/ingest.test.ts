import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { toText } from '../../src/domain/decimal.js';
import type { Instant } from '../../src/domain/period.js';
import type { Ingest } from '../../src/metering/ingest.js';
import { readUsage } from '../../src/metering/usage.js';
import { DAY, event, type Fixture, HOUR, MINUTE, NOW, openFixture, summary } from './fixture.js';

let fixture: Fixture;
let ingest: Ingest;
let meterId: string;
let customerId: string;
let eventName: string;
let meters = 0;

beforeAll(async () => {
  fixture = await openFixture();
});
afterAll(() => fixture.close());
beforeEach(async () => {
  fixture.clock.now = NOW;
  ingest = fixture.ingestWith();
  meters += 1;
  eventName = `requests_${meters}`;
  meterId = await fixture.addMeter(eventName);
  customerId = await fixture.addCustomer();
});

async function usage(start: Instant = NOW - 40 * DAY, end: Instant = NOW + DAY) {
  const { accountId, db } = fixture;
  const reading = await readUsage(db, { accountId, meterId, customerId, period: { start, end } });
  return { value: toText(reading.value), count: reading.count };
}

async function send(...values: string[]): Promise<string[]> {
  const outcomes = await ingest.ingest(
    fixture.accountId,
    values.map((value) => event(eventName, customerId, value)),
  );
  return outcomes.map(summary);
}

describe('storing meter events', () => {
  it('counts what it has acknowledged, at once and exactly', async () => {
    expect(await send('1', '0.1', '0.2', '-0.000000000005', '100000000000000')).toEqual(
      Array(5).fill('stored'),
    );
    expect(await usage()).toEqual({ value: '100000000000001.299999999995', count: 5n });
  });

  it('dates an event without a timestamp to the second it arrived in', async () => {
    fixture.clock.now = NOW + 789;
    const [outcome] = await ingest.ingest(fixture.accountId, [event(eventName, customerId, '1')]);
    expect(outcome).toMatchObject({ status: 'stored', event: { timestamp: NOW, createdAt: NOW + 789 } });
    expect((await usage(NOW, NOW + 1)).count).toBe(1n);
  });

  it('answers for each event of a call in its place', async () => {
    const outcomes = await ingest.ingest(fixture.accountId, [
      event(eventName, customerId, '1', { identifier: 'a' }),
      event('no_such_meter', customerId, '1'),
      event(eventName, 'cus_nobody', '1'),
      event(eventName, customerId, 'NaN'),
      event(eventName, customerId, '2', { identifier: 'a' }),
      event(eventName, customerId, '4', { identifier: 'b' }),
    ]);
    expect(outcomes.map(summary)).toEqual([
      'stored',
      'no_meter',
      'meter_event_customer_not_found',
      'meter_event_invalid_value',
      'duplicate',
      'stored',
    ]);
    expect(await usage()).toEqual({ value: '5', count: 2n });
  });

  it('stores 9,999 of 10,000 events when one is bad', async () => {
    const events = Array.from({ length: 10_000 }, (_, i) =>
      event(eventName, customerId, i === 4321 ? '1e400' : '2'),
    );
    const outcomes = await ingest.ingest(fixture.accountId, events);
    expect(outcomes.filter((outcome) => outcome.status === 'stored')).toHaveLength(9_999);
    expect(outcomes[4321]).toMatchObject({ status: 'refused', code: 'meter_event_invalid_value' });
    expect(await usage()).toEqual({ value: '19998', count: 9_999n });
  });
});

describe('the last value', () => {
  it('is the latest by time of event, and among events of the same instant by arrival', async () => {
    meterId = await fixture.addMeter(`level_${meters}`, { formula: 'last' });
    const at = (value: string, timestamp: Instant) =>
      ingest.ingest(fixture.accountId, [event(`level_${meters}`, customerId, value, { timestamp })]);
    const hour = NOW - (NOW % HOUR);
    await at('5', hour + 90_500);
    await at('6', hour + 90_500);
    await at('1', hour + 90_499);
    for (const end of [hour + 90_501, hour + 2 * MINUTE, hour + HOUR, hour + DAY]) {
      expect(await usage(hour, end)).toEqual({ value: '6', count: 3n });
    }
    expect(await usage(hour, hour + 90_500)).toEqual({ value: '1', count: 1n });
  });
});

describe('refusing meter events', () => {
  const cases: [string, string | null, string][] = [
    ['an empty value', '', 'meter_event_invalid_value'],
    ['a blank value', ' 1', 'meter_event_invalid_value'],
    ['a word', 'ten', 'meter_event_invalid_value'],
    ['NaN', 'NaN', 'meter_event_invalid_value'],
    ['infinity', 'Infinity', 'meter_event_invalid_value'],
    ['a number beyond all measure', '1e400', 'meter_event_invalid_value'],
    ['a hexadecimal number', '0x10', 'meter_event_invalid_value'],
    ['16 significant digits', '1234567890.123456', 'meter_event_value_too_many_digits'],
    ['100 digits', '9'.repeat(100), 'meter_event_value_too_many_digits'],
    ['no value', null, 'meter_event_value_not_found'],
  ];
  it.each(cases)('refuses %s', async (_name, value, code) => {
    const [outcome] = await ingest.ingest(fixture.accountId, [event(eventName, customerId, value)]);
    expect(outcome).toMatchObject({ status: 'refused', code });
    expect(await usage()).toEqual({ value: '0', count: 0n });
  });

  it('takes 15 significant digits wherever the point is, and scientific notation of sensible size', async () => {
    expect(await send('123456789012345', '0.000000123456789012345', '1e3', '2.5E-3')).toEqual(
      Array(4).fill('stored'),
    );
    expect((await usage()).value).toBe('123456789013345.002500123456789012345');
  });

  it('asks for no value where events are only counted', async () => {
    meterId = await fixture.addMeter('clicks', { formula: 'count' });
    const outcomes = await ingest.ingest(fixture.accountId, [
      event('clicks', customerId, null),
      event('clicks', customerId, 'not a number'),
    ]);
    expect(outcomes.map(summary)).toEqual(['stored', 'stored']);
    expect(await usage()).toEqual({ value: '2', count: 2n });
  });

  it('refuses an event without a customer, and one for a customer who was deleted', async () => {
    const nobody = event(eventName, '', '1');
    const [missing, empty] = await ingest.ingest(fixture.accountId, [
      { ...nobody, payload: { value: '1' } },
      nobody,
    ]);
    expect(missing).toMatchObject({
      code: 'meter_event_no_customer_defined',
      message: 'Customer mapping key stripe_customer_id not found in payload.',
    });
    expect(empty).toMatchObject({ code: 'meter_event_no_customer_defined' });
    await fixture.db.query('update customers set deleted_at = now() where id = $1', [customerId]);
    expect(await send('1')).toEqual(['meter_event_customer_not_found']);
  });

  it('follows a meter that is deactivated and reactivated, at once', async () => {
    const setStatus = (status: string) =>
      fixture.db.query('update meters set status = $2 where id = $1', [meterId, status]);
    expect(await send('1')).toEqual(['stored']);
    await setStatus('inactive');
    const [outcome] = await ingest.ingest(fixture.accountId, [event(eventName, customerId, '1')]);
    expect(outcome).toMatchObject({
      code: 'archived_meter',
      message: `No active meter found for event name "${eventName}"`,
    });
    await setStatus('active');
    expect(await send('1')).toEqual(['stored']);
    expect((await usage()).count).toBe(2n);
  });

  it('follows an event name to another meter, which names its customers elsewhere, at once', async () => {
    expect(await send('1')).toEqual(['stored']);
    await fixture.db.query(`update meters set status = 'inactive' where id = $1`, [meterId]);
    meterId = await fixture.addMeter(eventName);
    await fixture.db.query(`update meters set customer_key = 'org' where id = $1`, [meterId]);
    const other = await fixture.addCustomer();
    const one = {
      ...event(eventName, customerId, '4'),
      payload: { org: other, stripe_customer_id: customerId, value: '4' },
    };
    expect((await ingest.ingest(fixture.accountId, [one])).map(summary)).toEqual(['stored']);
    expect((await usage()).count).toBe(0n);
    customerId = other;
    expect(await usage()).toEqual({ value: '4', count: 1n });
  });

  it('refuses text that Postgres cannot hold without harm to the others in the batch', async () => {
    const outcomes = await Promise.all([
      ingest.ingest(fixture.accountId, [event(eventName, customerId, '1', { identifier: 'nul\u0000' })]),
      ingest.ingest(fixture.accountId, [event(eventName, customerId, '1')]),
      ingest.ingest(fixture.accountId, [
        {
          ...event(eventName, customerId, '1'),
          payload: { stripe_customer_id: customerId, value: '1', x: '\ud800' },
        },
      ]),
      ingest.ingest(fixture.accountId, [event(`${eventName}\u0000`, customerId, '1')]),
    ]);
    expect(outcomes.map(([outcome]) => outcome?.status)).toEqual(['refused', 'stored', 'refused', 'refused']);
    expect((await usage()).count).toBe(1n);
  });
});

describe('the time of an event', () => {
  const window: [string, Instant, string][] = [
    ['exactly 35 days old', -35 * DAY, 'stored'],
    ['a millisecond older than 35 days', -35 * DAY - 1, 'timestamp_too_far_in_past'],
    ['36 days old', -36 * DAY, 'timestamp_too_far_in_past'],
    ['5 minutes ahead', 5 * MINUTE, 'stored'],
    ['6 minutes ahead', 6 * MINUTE, 'timestamp_in_future'],
  ];
  it.each(window)('%s', async (_name, offset, expected) => {
    const at = event(eventName, customerId, '1', { timestamp: NOW + offset });
    expect((await ingest.ingest(fixture.accountId, [at])).map(summary)).toEqual([expected]);
  });

  it.each([Date.UTC(1999, 1, 28, 23), Date.UTC(2071, 0, 1)])(
    'follows the test clock of the customer',
    async (frozen) => {
      const clockId = await fixture.addTestClock(frozen);
      const clocked = await fixture.addCustomer(clockId);
      const send = async (timestamp: Instant | null) =>
        (await ingest.ingest(fixture.accountId, [event(eventName, clocked, '1', { timestamp })])).map(
          summary,
        )[0];
      expect(await send(null)).toBe('stored');
      expect(await send(frozen - 34 * DAY)).toBe('stored');
      expect(await send(frozen + 4 * MINUTE)).toBe('stored');
      expect(await send(frozen - 36 * DAY)).toBe('timestamp_too_far_in_past');
      expect(await send(frozen + HOUR)).toBe('timestamp_in_future');
      const { accountId, db } = fixture;
      const read = (period: { start: Instant; end: Instant }) =>
        readUsage(db, { accountId, meterId, customerId: clocked, period });
      expect((await read({ start: frozen, end: frozen + 1 })).count).toBe(1n);
      expect((await read({ start: frozen - 35 * DAY, end: frozen + HOUR })).count).toBe(3n);
      await db.query('update test_clocks set frozen_time = $2 where id = $1', [
        clockId,
        new Date(frozen + 90 * DAY),
      ]);
      expect(await send(frozen)).toBe('timestamp_too_far_in_past');
      expect(await send(null)).toBe('stored');
      expect((await read({ start: frozen + 90 * DAY, end: frozen + 91 * DAY })).count).toBe(1n);
    },
  );
});

describe('bounds', () => {
  it('turns calls away while too much is waiting, and takes them again afterwards', async () => {
    ingest = fixture.ingestWith({ queuedEventsMax: 10, lanes: 1, batchEventsMax: 5 });
    const calls = Array.from({ length: 40 }, () => send('1'));
    const results = await Promise.allSettled(calls);
    const refusals = results.filter((result) => result.status === 'rejected');
    expect(refusals.length).toBeGreaterThan(0);
    for (const { reason } of refusals) {
      expect(reason).toMatchObject({ kind: 'too_many_requests', code: 'rate_limit' });
    }
    expect((await usage()).count).toBe(BigInt(results.length - refusals.length));
    expect(await send('1')).toEqual(['stored']);
  });

  it('drains: everything accepted is answered first', async () => {
    let answered = 0;
    const calls = Array.from({ length: 30 }, () => send('1').then(() => (answered += 1)));
    await ingest.drain();
    await Promise.resolve();
    expect(answered).toBe(30);
    await Promise.all(calls);
  });
});
