import { appendFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { UnavailableError } from '../../src/cli/poster.js';
import { UsageError } from '../../src/terminal/usageError.js';
import { type CliFixture, refusals, startCliFixture } from './fixture.js';

let cli: CliFixture;
let meter: string;
let name: string;
let count = 0;

beforeAll(async () => {
  cli = await startCliFixture();
});
afterAll(() => cli.stop());
beforeEach(async () => {
  count += 1;
  name = `calls_${count}`;
  meter = await cli.createMeter(name);
});

const HOUR = 3_600_000;
const at = (hoursAgo: number) => new Date(Date.now() - hoursAgo * HOUR).toISOString();
const file = (content: string, suffix = 'csv') => cli.write(`${name}.${suffix}`, content);
/** Rows of value 1, each at another time. */
const rows = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `${at(300 - (from + i) / 100)},${cli.customer},1`).join('\n');
const rowsFile = (howMany: number) => file(`timestamp,stripe_customer_id,value\n${rows(0, howMany)}\n`);
const named = (...args: string[]) => ['--map', `event_name=${name}`, ...args];

describe('a CSV file', () => {
  test('is sent once, however often it is sent', async () => {
    const path = file(
      `event_name,identifier,timestamp,stripe_customer_id,value\n` +
        `${name},${name}-a,${at(5)},${cli.customer},1.5\n${name},${name}-b,${at(4)},${cli.customer},2\n`,
    );
    expect(await cli.send([path])).toMatchObject({ complete: true, rows: 2, stored: 2, skipped: 0 });
    expect(await cli.send([path])).toMatchObject({ rows: 2, stored: 2, skipped: 2, duplicate: 0 });
    expect(await cli.send([path, '--restart'])).toMatchObject({
      rows: 2,
      stored: 0,
      duplicate: 2,
      refused: 0,
    });
    expect(await cli.total(meter)).toBe(3.5);
  });

  test('with columns of its own names, other columns as properties, empty cells left out', async () => {
    const path = file(
      `When,Account,Tokens,model,region\n${at(2)},${cli.customer},10,large,\n${at(1)},${cli.customer},20,,eu\n`,
    );
    const map = `timestamp=When,customer=Account,value=Tokens,event_name=${name}`;
    expect(await cli.send([path, '--map', map])).toMatchObject({ stored: 2, refused: 0 });
    const { rows: stored } = await cli.api.db
      .query<{ payload: unknown }>(
        'select payload from meter_events join usage_series using (series_id) where meter_id = $1 order by event_time',
        [meter],
      )
      .then((found) => ({ rows: found.map(({ payload }) => payload) }));
    expect(stored).toEqual([
      { stripe_customer_id: cli.customer, value: '10', model: 'large' },
      { stripe_customer_id: cli.customer, value: '20', region: 'eu' },
    ]);
  });

  test('names the lines of rows that are refused, here or by the engine, and stores the others', async () => {
    const path = file(
      `timestamp,stripe_customer_id,value\n${at(9)},${cli.customer},1\nyesterday,${cli.customer},2\n` +
        `${at(8)},cus_nobody,4\n${at(7)},${cli.customer}\n${at(6)},${cli.customer},many\n${at(5)},${cli.customer},8\n`,
    );
    const result = await cli.send([path, ...named()]);
    expect(result).toMatchObject({ complete: true, rows: 6, stored: 2, refused: 4 });
    expect(refusals(result)).toEqual([
      [3, 'unusable_row'],
      [4, 'meter_event_customer_not_found'],
      [5, 'unusable_row'],
      [6, 'meter_event_invalid_value'],
    ]);
    expect(await cli.total(meter)).toBe(9);
  });

  test('equal rows without identifier are two events, in a second run from the start as well', async () => {
    const row = `${at(3)},${cli.customer},5`;
    const path = file(`timestamp,stripe_customer_id,value\n${row}\n${row}\n`);
    expect(await cli.send([path, ...named()])).toMatchObject({ stored: 2 });
    expect(await cli.send([path, ...named('--restart')])).toMatchObject({ stored: 0, duplicate: 2 });
    expect(await cli.total(meter)).toBe(10);
  });

  test('without identifiers and times is refused, unless the file is named', async () => {
    const path = file(`stripe_customer_id,value\n${cli.customer},5\n`);
    await expect(cli.send([path, ...named()])).rejects.toThrow(/line 2 has neither an identifier nor a time/);
    expect(await cli.send([path, ...named('--namespace', 'march')])).toMatchObject({ stored: 1 });
    expect(await cli.send([path, ...named('--namespace', 'april')])).toMatchObject({ stored: 1 });
    expect(await cli.send([path, ...named('--namespace', 'march', '--restart')])).toMatchObject({
      duplicate: 1,
    });
    expect(await cli.total(meter)).toBe(10);
  });
});

describe('an NDJSON file', () => {
  test('holds events as the API takes them', async () => {
    const event = (value: unknown, rest: object = {}) =>
      JSON.stringify({
        event_name: name,
        timestamp: at(2),
        payload: { stripe_customer_id: cli.customer, value },
        ...rest,
      });
    const lines = [
      event('1'),
      '',
      event(2, { identifier: `${name}-own` }),
      '{"broken',
      event('4', { event_name: 'nothing' }),
    ];
    const result = await cli.send([file(lines.join('\n'), 'ndjson')]);
    expect(result).toMatchObject({ rows: 4, stored: 2, refused: 2 });
    expect(refusals(result)).toEqual([
      [4, 'unusable_row'],
      [5, 'no_meter'],
    ]);
    expect(await cli.total(meter)).toBe(3);
  });

  test('or anything else, taken apart by paths', async () => {
    const line = JSON.stringify({
      when: Date.now(),
      who: { id: cli.customer },
      usage: { tokens: 7 },
      secret: 'x',
    });
    const map = `timestamp=when,customer=who.id,value=usage.tokens,event_name=${name}`;
    expect(await cli.send([file(line, 'jsonl'), '--map', map])).toMatchObject({ stored: 1 });
    expect(await cli.total(meter)).toBe(7);
  });

  test('a line that makes the engine refuse the whole batch costs that line only', async () => {
    const event = (value: string, rest: object = {}) =>
      JSON.stringify({
        event_name: name,
        timestamp: at(2),
        payload: { stripe_customer_id: cli.customer, value },
        ...rest,
      });
    // Long enough that its depth matters.
    const nest = `${'['.repeat(100)}"${'x'.repeat(20_000)}"${']'.repeat(100)}`;
    const deep = `{"event_name":"${name}","timestamp":1,"payload":${nest}}`;
    const lines = [event('1'), event('2'), deep, event('4'), event('8')];
    const result = await cli.send([file(lines.join('\n'), 'ndjson')]);
    expect(result).toMatchObject({ rows: 5, stored: 4, refused: 1 });
    expect(result.refusals[0]).toMatchObject({ line: 3 });
    expect(result.refusals[0]?.message).toContain('nested');
    expect(await cli.total(meter)).toBe(15);
  });
});

describe('a second run', () => {
  test('goes on where an interrupted one was', async () => {
    const path = rowsFile(100);
    const interruption = new AbortController();
    const first = await cli.send([path, ...named('--batch', '10', '--connections', '2')], {
      interrupt: interruption.signal,
      onProgress: ({ rows: done }) => {
        if (done >= 40) interruption.abort();
      },
    });
    expect(first.complete).toBe(false);
    expect(first.rows).toBeGreaterThanOrEqual(40);
    expect(first.rows).toBeLessThan(100);
    expect(await cli.total(meter)).toBe(first.rows);
    const second = await cli.send([path, ...named('--batch', '10')]);
    expect(second).toMatchObject({
      complete: true,
      skipped: first.rows,
      rows: 100,
      stored: 100,
      duplicate: 0,
    });
    expect(await cli.total(meter)).toBe(100);
  });

  test('sends what was added to the file', async () => {
    const path = rowsFile(20);
    await cli.send([path, ...named()]);
    appendFileSync(path, `${rows(20, 25)}\n`);
    expect(await cli.send([path, ...named()])).toMatchObject({
      skipped: 20,
      rows: 25,
      stored: 25,
      duplicate: 0,
    });
    expect(await cli.total(meter)).toBe(25);
  });

  test('sends everything when the file is another than it was', async () => {
    await cli.send([rowsFile(5), ...named()]);
    const other = file(`timestamp,stripe_customer_id,value\n${at(1)},${cli.customer},7\n${rows(10, 15)}\n`);
    expect(await cli.send([other, ...named()])).toMatchObject({ skipped: 0, rows: 6, stored: 6 });
    expect(await cli.total(meter)).toBe(17);
  });
});

describe('an engine in trouble', () => {
  test('answers that are lost, 429 and 503 are tried again, and count once', async () => {
    let calls = 0;
    const waits: string[] = [];
    const unreliable: typeof fetch = async (input, init) => {
      calls += 1;
      if (calls === 1) return Response.json({ error: { message: 'full' } }, { status: 429 });
      if (calls === 2) return new Response('upstream', { status: 503 });
      const answer = await fetch(input, init);
      if (calls === 3) throw new TypeError('fetch failed');
      if (calls === 4) {
        const results = [{ index: 0, status: 'refused', code: 'unavailable', message: 'not now' }];
        return Response.json({ stored: 4, duplicate: 0, refused: 1, results });
      }
      return answer;
    };
    const result = await cli.send([rowsFile(10), ...named('--connections', '1', '--batch', '5')], {
      fetch: unreliable,
      onWaiting: (why) => waits.push(why),
    });
    expect(result).toMatchObject({ complete: true, stored: 5, duplicate: 5, refused: 0 });
    expect(waits).toHaveLength(4);
    expect(await cli.total(meter)).toBe(10);
  });

  test('that stays away ends the run, which can be taken up again', async () => {
    const path = rowsFile(10);
    let calls = 0;
    const dying: typeof fetch = (input, init) => {
      calls += 1;
      return calls > 1 ? Promise.reject(new TypeError('fetch failed')) : fetch(input, init);
    };
    const args = [path, ...named('--connections', '1', '--batch', '5', '--patience', '1')];
    await expect(cli.send(args, { fetch: dying })).rejects.toBeInstanceOf(UnavailableError);
    expect(await cli.send(args)).toMatchObject({ skipped: 5, rows: 10, stored: 10, duplicate: 0 });
    expect(await cli.total(meter)).toBe(10);
  });

  test('a wrong key is said at once', async () => {
    const sent = cli.send([rowsFile(1), ...named('--key', 'sk_test_wrong')]);
    await expect(sent).rejects.toBeInstanceOf(UsageError);
    await expect(sent).rejects.toThrow(/refuses to take events/);
  });
});
