import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Ingest } from '../../src/metering/ingest.js';
import type { Database } from '../../src/storage/db.js';
import { DAY, event, type Fixture, HOUR, NOW, openFixture, summary } from './fixture.js';

let fixture: Fixture;
let ingest: Ingest;
let eventName: string;
let meterId: string;
let customerId: string;
let asked: string[];
let meters = 0;

beforeAll(async () => {
  fixture = await openFixture();
});
afterAll(() => fixture.close());
beforeEach(async () => {
  asked = [];
  ingest = fixture.ingestWith({ db: listening(fixture.db) });
  meters += 1;
  eventName = `calls_${meters}`;
  meterId = await fixture.addMeter(eventName);
  customerId = await fixture.addCustomer();
});

/** The same database, which notes the statements that it is asked by name outside of transactions. */
function listening(db: Database): Database {
  return {
    ...db,
    queryNamed: (name, text, values) => {
      asked.push(name);
      return db.queryNamed(name, text, values);
    },
  };
}

async function send(customer = customerId): Promise<string> {
  const outcomes = await ingest.ingest(fixture.accountId, [event(eventName, customer, '1')]);
  return outcomes.map(summary).join();
}

/** From here on the meter and the customer are recalled. */
async function settleIn(customer = customerId): Promise<void> {
  for (let round = 0; round < 3; round += 1) expect(await send(customer)).toBe('stored');
  asked = [];
}

function set(table: string, change: string, id: string): Promise<object[]> {
  return fixture.db.query(`update ${table} set ${change} where account_id = $1 and id = $2`, [
    fixture.accountId,
    id,
  ]);
}

const inactive = `status = 'inactive', deactivated_at = now()`;

describe('what the ingest remembers', () => {
  it('spares the look-up: an event is one exchange with the database', async () => {
    await settleIn();
    expect(await send()).toBe('stored');
    expect(asked).toEqual(['metering_store_new']);
  });

  it('is given up as soon as the meter is deactivated elsewhere', async () => {
    await settleIn();
    await set('meters', inactive, meterId);
    expect(await send()).toBe('archived_meter');
    await set('meters', `status = 'active', deactivated_at = null`, meterId);
    expect(await send()).toBe('stored');
  });

  it('is given up as soon as the customer is deleted', async () => {
    await settleIn();
    await set('customers', 'deleted_at = now()', customerId);
    expect(await send()).toBe('meter_event_customer_not_found');
  });

  it('follows a test clock from step to step', async () => {
    const start = NOW - 10 * DAY;
    const clock = await fixture.addTestClock(start);
    const clocked = await fixture.addCustomer(clock);
    await settleIn(clocked);
    for (const frozen of [start + HOUR, start + 3 * DAY]) {
      await set('test_clocks', `frozen_time = '${new Date(frozen).toISOString()}'`, clock);
      const [outcome] = await ingest.ingest(fixture.accountId, [event(eventName, clocked, '1')]);
      expect(outcome).toMatchObject({ status: 'stored', event: { timestamp: frozen } });
    }
  });

  it('does not refuse on the strength of it: a clock that moved on makes room for a later event', async () => {
    const start = NOW - 10 * DAY;
    const clock = await fixture.addTestClock(start);
    const clocked = await fixture.addCustomer(clock);
    await settleIn(clocked);
    await set('test_clocks', `frozen_time = '${new Date(start + DAY).toISOString()}'`, clock);
    const later = event(eventName, clocked, '1', { timestamp: start + DAY });
    expect((await ingest.ingest(fixture.accountId, [later])).map(summary)).toEqual(['stored']);
  });

  it('sees a change that was under way while it looked', async () => {
    await fixture.db.transaction(async (tx) => {
      await tx.query(`update meters set ${inactive} where account_id = $1 and id = $2`, [
        fixture.accountId,
        meterId,
      ]);
      await settleIn();
    });
    expect(await send()).toBe('archived_meter');
  });

  it('learns of a first alert on the meter, and marks what it makes due', async () => {
    await settleIn();
    await fixture.db.query(
      `insert into billing_alerts (account_id, id, livemode, created_at, title, status, meter_id, threshold, recurrence)
       values ($1, 'alrt_' || $2, false, now(), 'two', 'active', $2, 2, 'one_time')`,
      [fixture.accountId, meterId],
    );
    expect(await send()).toBe('stored');
    const urgent = await fixture.db.query<{ urgent: boolean }>(
      `select urgent_since is not null as urgent from usage_totals t join usage_series s on s.series_id = t.series_id
       where s.meter_id = $1 and s.customer_id = $2`,
      [meterId, customerId],
    );
    expect(urgent).toEqual([{ urgent: true }]);
  });

  it('is not shared between accounts', async () => {
    await settleIn();
    const other = await fixture.anotherAccount();
    const outcomes = await ingest.ingest(other.accountId, [event(eventName, customerId, '1')]);
    expect(outcomes.map(summary)).toEqual(['no_meter']);
  });
});
