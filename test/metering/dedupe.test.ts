import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { toText } from '../../src/domain/decimal.js';
import { findIdentifiers, rotateIdentifiers } from '../../src/metering/identifiers.js';
import type { EventOutcome, IncomingEvent, Ingest } from '../../src/metering/ingest.js';
import { readUsage } from '../../src/metering/usage.js';
import { DAY, event, type Fixture, NOW, openFixture, summary } from './fixture.js';

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

const withIdentifier = (value: string, rest: Partial<IncomingEvent>) =>
  event(eventName, customerId, value, rest);

async function sendOne(value: string, rest: Partial<IncomingEvent>, through = ingest) {
  const [outcome] = await through.ingest(fixture.accountId, [withIdentifier(value, rest)]);
  if (outcome === undefined) throw new Error('no answer');
  return outcome;
}

const eventOf = (outcome: EventOutcome) => ('event' in outcome ? outcome.event : null);

async function usage() {
  const period = { start: NOW - 40 * DAY, end: NOW + DAY };
  const reading = await readUsage(fixture.db, { accountId: fixture.accountId, meterId, customerId, period });
  return { value: toText(reading.value), count: reading.count };
}

describe('an identifier counts once', () => {
  it('a second use is a duplicate, whatever else it says', async () => {
    expect(summary(await sendOne('1', { identifier: 'x1' }))).toBe('stored');
    expect(await sendOne('1', { identifier: 'x1' })).toEqual({ status: 'duplicate', identifier: 'x1' });
    expect(summary(await sendOne('5', { identifier: 'x1', timestamp: NOW - 30 * DAY }))).toBe('duplicate');
    expect(await usage()).toEqual({ value: '1', count: 1n });
  });

  it('belongs to the account: another account may use the same', async () => {
    await sendOne('1', { identifier: 'shared' });
    const other = await fixture.anotherAccount();
    await other.addMeter(eventName);
    const customer = await other.addCustomer();
    const theirs = event(eventName, customer, '1', { identifier: 'shared' });
    // Both in one batch, too.
    const outcomes = await Promise.all([
      ingest.ingest(other.accountId, [theirs]),
      sendOne('1', { identifier: 'shared-2' }).then((outcome) => [outcome]),
      ingest.ingest(other.accountId, [{ ...theirs, identifier: 'shared-2' }]),
    ]);
    expect(outcomes.flat().map(summary)).toEqual(['stored', 'stored', 'stored']);
  });

  it('a refused event leaves its identifier free', async () => {
    expect(summary(await sendOne('NaN', { identifier: 'again' }))).toBe('meter_event_invalid_value');
    expect(summary(await sendOne('1', { identifier: 'again' }))).toBe('stored');
  });
});

describe('a repeated request', () => {
  it('gets the first answer and counts once', async () => {
    const first = await sendOne('2', { identifier: 'r1', idempotencyKey: 'key-1' });
    fixture.clock.now = NOW + 90_000;
    const again = await sendOne('2', { identifier: 'r1', idempotencyKey: 'key-1' });
    expect([first.status, again.status]).toEqual(['stored', 'replayed']);
    expect(eventOf(again)).toEqual(eventOf(first));
    expect(await usage()).toEqual({ value: '2', count: 1n });
  });

  it('is recognised without an identifier, by its key', async () => {
    const first = await sendOne('3', { idempotencyKey: 'key-2' });
    const again = await sendOne('3', { idempotencyKey: 'key-2' });
    expect(again.status).toBe('replayed');
    expect(eventOf(again)).toEqual(eventOf(first));
    expect(await usage()).toEqual({ value: '3', count: 1n });
  });

  it('is refused when it asks for something else under the same key', async () => {
    await sendOne('3', { idempotencyKey: 'key-3' });
    expect(await sendOne('4', { idempotencyKey: 'key-3' })).toMatchObject({ code: 'idempotency_key_reused' });
    expect(await usage()).toEqual({ value: '3', count: 1n });
  });

  it('with a new key is a second use of the identifier', async () => {
    await sendOne('3', { identifier: 'r4', idempotencyKey: 'key-4' });
    expect(summary(await sendOne('3', { identifier: 'r4', idempotencyKey: 'key-5' }))).toBe('duplicate');
    expect(summary(await sendOne('3', { identifier: 'r4' }))).toBe('duplicate');
  });

  it('meets itself inside one batch', async () => {
    const one = { identifier: 'r6', idempotencyKey: 'key-6' };
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => sendOne('1', one)));
    expect(outcomes.filter(({ status }) => status === 'stored')).toHaveLength(1);
    expect(outcomes.filter(({ status }) => status === 'replayed')).toHaveLength(19);
    expect(new Set(outcomes.map((outcome) => JSON.stringify('event' in outcome && outcome.event))).size).toBe(
      1,
    );
    expect(await usage()).toEqual({ value: '1', count: 1n });
  });
});

describe('several senders at once', () => {
  it('eight clients send the same batch: counted once, and everyone is answered', async () => {
    const batch = Array.from({ length: 2_000 }, (_, i) =>
      withIdentifier(String(i), { identifier: `same-${i}` }),
    );
    const clients = Array.from({ length: 8 }, () => fixture.ingestWith());
    const all = await Promise.all(
      clients.map((client, index) => {
        // Each in an order of its own: writers must not wait for each other in a circle.
        const order = index % 2 === 0 ? batch : [...batch].reverse();
        return client.ingest(fixture.accountId, order);
      }),
    );
    const stored = all.flat().filter((outcome) => outcome.status === 'stored');
    expect(stored).toHaveLength(2_000);
    expect(all.flat().filter((outcome) => outcome.status === 'duplicate')).toHaveLength(7 * 2_000);
    expect(await usage()).toEqual({ value: String((1_999 * 2_000) / 2), count: 2_000n });
    expect(fixture.logged.filter((entry) => entry.level === 'error')).toEqual([]);
  });

  it('writers on the same customers and meters neither lose anything nor wait in a circle', async () => {
    const others = await Promise.all(Array.from({ length: 12 }, () => fixture.addCustomer()));
    const secondMeter = `${eventName}_b`;
    await fixture.addMeter(secondMeter, { formula: 'last' });
    const clients = Array.from({ length: 4 }, () => fixture.ingestWith({ batchEventsMax: 40 }));
    const rounds = Array.from({ length: 60 }, (_, round) => {
      const order = round % 2 === 0 ? others : [...others].reverse();
      const events = order.flatMap((customer) => [
        event(eventName, customer, '1', { timestamp: NOW - round * 61_000 }),
        event(secondMeter, customer, String(round), { timestamp: NOW - round * 1000 }),
      ]);
      return (clients[round % 4] as Ingest).ingest(fixture.accountId, events);
    });
    const outcomes = (await Promise.all(rounds)).flat();
    expect(outcomes.every(({ status }) => status === 'stored')).toBe(true);
    for (const customer of others) {
      customerId = customer;
      expect(await usage()).toEqual({ value: '60', count: 60n });
    }
    expect(fixture.logged.filter((entry) => entry.level === 'error')).toEqual([]);
  });
});

describe('generations of identifiers', () => {
  it('remember an identifier for at least 35 days of arrival, and forget whole tables later', async () => {
    const own = await openFixture();
    try {
      await own.addMeter('m');
      const customer = await own.addCustomer();
      const writer = own.ingestWith();
      const send = async (identifier: string) =>
        (await writer.ingest(own.accountId, [event('m', customer, '1', { identifier })])).map(summary)[0];
      const tables = async () =>
        (
          await own.db.query<{ name: string }>(
            `select relname as name from pg_class where relname ~ '^meter_event_identifiers_\\d+$' order by 1`,
          )
        ).map(({ name }) => name.replace('meter_event_identifiers_', ''));
      await own.db.query('update identifier_generations set opened_at = $1', [new Date(NOW)]);
      own.clock.now = NOW + 34 * DAY;
      expect(await send('day-34')).toBe('stored');
      own.clock.now = NOW + 36 * DAY;
      expect(await send('day-36')).toBe('stored');
      expect(await tables()).toEqual(['1', '2']);
      own.clock.now = NOW + 68 * DAY;
      expect(await send('day-34')).toBe('duplicate');
      expect(await send('day-36')).toBe('duplicate');
      own.clock.now = NOW + 72 * DAY;
      expect(await send('day-36')).toBe('duplicate');
      expect(await tables()).toEqual(['2', '3']);
      expect(await findIdentifiers(own.db, [{ accountId: own.accountId, identifier: 'day-34' }])).toEqual([]);
      expect(await send('day-34')).toBe('stored');
      expect(own.logged.filter((entry) => entry.message === 'rotated event identifiers')).toHaveLength(2);
    } finally {
      await own.close();
    }
  });

  it('are held still by a writer until it commits, in one call too', async () => {
    let rotated = false;
    let rotation: Promise<void> | undefined;
    await fixture.db.transaction(async (tx) => {
      await tx.query(
        `select take_new_identifiers(array[$1], array[0::bigint], array[1], array['held'], array[1::bigint], array[1],
           array[0], array[null::bigint], array[null::bigint])`,
        [fixture.accountId],
      );
      rotation = rotateIdentifiers(fixture.db, Date.now() + 36 * DAY).then(({ opened }) => {
        rotated = opened !== null;
      });
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(rotated).toBe(false);
    });
    await rotation;
    expect(rotated).toBe(true);
    expect(summary(await sendOne('1', { identifier: 'held' }))).toBe('duplicate');
  });

  it('are changed under writers without letting one identifier in twice', async () => {
    let now = Date.now();
    let rotations = 0;
    const state = { sending: true };
    const rotating = (async () => {
      while (state.sending) {
        now += 36 * DAY;
        // Dropping is held back: the point here is the change of the newest.
        await fixture.db.query('update identifier_generations set closed_at = null');
        const { opened } = await rotateIdentifiers(fixture.db, now);
        if (opened !== null) rotations += 1;
      }
    })();
    // Ten rounds under way at a time, for as long as it takes to see enough changes.
    const outcomes: EventOutcome[] = [];
    let rounds = 0;
    while (rounds < 40 || (rotations < 4 && rounds < 400)) {
      const some = Array.from({ length: 10 }, (_, index) => round(rounds + index));
      outcomes.push(...(await Promise.all(some)).flat());
      rounds += some.length;
    }
    state.sending = false;
    await rotating;
    expect(rotations).toBeGreaterThan(3);
    expect(outcomes.filter(({ status }) => status === 'stored')).toHaveLength(rounds * 50);
    expect(outcomes.filter(({ status }) => status === 'duplicate')).toHaveLength(rounds * 100);
    expect((await usage()).count).toBe(BigInt(rounds * 50));
  });
});

/** Three senders of the same fifty events. New ones each time: one that has met a used identifier looks twice for a while. */
async function round(number: number): Promise<EventOutcome[]> {
  const events = Array.from({ length: 50 }, (_, i) =>
    withIdentifier('1', { identifier: `turn-${number}-${i}` }),
  );
  const senders = Array.from({ length: 3 }, () => fixture.ingestWith({ batchEventsMax: 50 }));
  return (await Promise.all(senders.map((sender) => sender.ingest(fixture.accountId, events)))).flat();
}
