import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Stripe from 'stripe';
import { describe, expect, test } from 'vitest';
import { Connection } from '../../bench/client/connection.js';
import { type Form, type HttpJob } from '../../bench/client/jobs.js';
import { requestWriter } from '../../bench/client/requests.js';
import { parseBenchArgs } from '../../bench/options.js';
import { renderTable } from '../../bench/results.js';
import { latenciesOf, slopeOf } from '../../bench/stats.js';

/** A request as a server sees it. */
interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

/** Runs `send` against a server that records what it is sent and answers `{}`. */
async function seenBy(send: (port: number) => Promise<void>): Promise<Seen[]> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      seen.push({ method: request.method, url: request.url, headers: request.headers, body });
      response.setHeader('content-length', 2).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await send((server.address() as AddressInfo).port);
  } finally {
    server.closeAllConnections();
    server.close();
  }
  return seen;
}

async function writtenBy(form: Form, count: number): Promise<Seen[]> {
  return seenBy(async (port) => {
    const job: HttpJob = {
      kind: 'http',
      api: `http://127.0.0.1:${port}`,
      apiKey: 'sk_test_x',
      form,
      connections: 1,
      customers: ['cus_a', 'cus_b'],
      eventName: 'calls',
    };
    const write = requestWriter(job, 'sk_test_x');
    const connection = await Connection.open('127.0.0.1', port);
    for (let number = 0; number < count; number += 1) {
      expect(await connection.request(...write(number))).toEqual({ status: 200, body: '{}' });
    }
    connection.close();
  });
}

describe('what the load generator sends', () => {
  test('is what the official SDK sends for a v1 event: headers and the shape of the body', async () => {
    const [official] = await seenBy(async (port) => {
      const config = { host: '127.0.0.1', port, protocol: 'http', telemetry: false } as const;
      await new Stripe('sk_test_x', config).billing.meterEvents.create({
        event_name: 'calls',
        payload: { stripe_customer_id: 'cus_a', value: '1' },
        identifier: 'x',
        timestamp: 1,
      });
    });
    const [ours] = await writtenBy('v1', 1);
    expect(Object.keys(ours?.headers ?? {}).sort()).toEqual(Object.keys(official?.headers ?? {}).sort());
    const keys = (body = '') => body.split('&').map((part) => part.split('=')[0]);
    expect({ url: ours?.url, keys: keys(ours?.body) }).toEqual({
      url: official?.url,
      keys: keys(official?.body),
    });
  });

  test.each(['v1', 'v2'] as const)('never has an identifier or a key twice (%s)', async (form) => {
    const requests = await writtenBy(form, 20);
    expect(new Set(requests.map(({ headers }) => headers['idempotency-key'])).size).toBe(20);
    expect(new Set(requests.map(({ body }) => /identifier"?[=:]"?([\w-]+)/.exec(body)?.[1])).size).toBe(20);
  });

  test('a batch that is written over in place has as many events, all of them new', async () => {
    const requests = await writtenBy('bulk1000', 3);
    const events = requests.flatMap(({ body }) =>
      body
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { identifier: string; payload: { value: string } }),
    );
    expect(events).toHaveLength(3000);
    expect(new Set(events.map(({ identifier }) => identifier)).size).toBe(3000);
    expect(events[5]?.payload).toEqual({ stripe_customer_id: 'cus_b', value: '6' });
    const [stream] = await writtenBy('stream100', 1);
    expect((JSON.parse(stream?.body ?? '') as { events: unknown[] }).events).toHaveLength(100);
  });
});

describe('figures', () => {
  test('percentiles', () => {
    const millis = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(latenciesOf(millis)).toEqual({ count: 200, p50: 101, p99: 199, max: 200 });
    expect(latenciesOf([])).toEqual({ count: 0, p50: 0, p99: 0, max: 0 });
  });

  test('the slope of a line, and of noise around a level', () => {
    expect(
      slopeOf([
        [0, 5],
        [1, 7],
        [2, 9],
      ]),
    ).toBe(2);
    expect(
      slopeOf([
        [0, 5],
        [1, 6],
        [2, 5],
      ]),
    ).toBe(0);
  });

  test('a table is readable as text and as Markdown', () => {
    expect(renderTable({ title: 'T', head: ['what', 'n'], rows: [['a', '1,000']] })).toBe(
      '### T\n\n| what |     n |\n|------|------:|\n| a    | 1,000 |',
    );
  });
});

describe('options', () => {
  test('say what to measure and how long', () => {
    expect(parseBenchArgs(['--only', 'reads,memory', '--seconds', '2'])).toMatchObject({
      only: ['reads', 'memory'],
      seconds: 2,
      events: 1_000_000,
    });
    expect(parseBenchArgs(['--full', '--events', '5'])).toMatchObject({ events: 5, subscriptions: 10_000 });
  });

  test('give the big rate card a million events only where everything is asked for', () => {
    const eventsOf = (...args: string[]) => {
      const options = parseBenchArgs(args);
      return options === 'help' ? null : options.contractEvents;
    };
    expect([eventsOf(), eventsOf('--full'), eventsOf('--full', '--events', '7')]).toEqual([
      200_000, 1_000_000, 7,
    ]);
  });

  test.each([[['--only', 'speed']], [['--seconds', '0']], [['--events', 'many']]])('refuse %j', (args) => {
    expect(() => parseBenchArgs(args)).toThrow(/is none of|must be a whole number/);
  });
});
