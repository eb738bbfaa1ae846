import { describe, expect, test } from 'vitest';
import { parseDemoArgs } from '../../src/demo/args.js';
import { UsageError } from '../../src/terminal/usageError.js';

const parse = (...args: string[]) => parseDemoArgs(args, '/home/me');

describe('the command line', () => {
  test('without options: the story, an engine of its own, and it stays up', () => {
    expect(parse()).toEqual({
      exit: false,
      dataDir: '.durabill/demo',
      port: null,
      remote: null,
      events: null,
    });
  });

  test('a running engine is named by address and key together', () => {
    expect(parse('--api', 'http://127.0.0.1:4000', '--key', 'sk_test_x')).toMatchObject({
      remote: { api: 'http://127.0.0.1:4000', key: 'sk_test_x', temporalUi: null },
    });
    expect(() => parse('--api', 'http://127.0.0.1:4000')).toThrow('--api and --key go together');
    expect(() => parse('--api', 'ftp://x', '--key', 'k')).toThrow('not an http URL');
  });

  test('a file of events, with everything that can be said about it', () => {
    const options = parse(
      ...['--events', 'usage.csv', '--map', 'timestamp=AT,value=N,customer=WHO', '--customers', '7'],
      ...['--price', 'package:1000=0.03', '--currency', 'EUR', '--delimiter', ';'],
    );
    expect(options).toMatchObject({
      events: {
        file: '/home/me/usage.csv',
        format: { kind: 'csv', delimiter: ';' },
        mapping: { timestamp: 'AT', value: 'N', customer: 'WHO', identifier: null },
        terms: { model: 'package', size: '1000', unit: '3' },
        currency: 'eur',
        customers: 7,
      },
    });
  });

  test('the name of the file says what it is, unless the command line does', () => {
    const format = (...args: string[]) => {
      const options = parse('--map', 'timestamp=at', ...args);
      return options === 'help' ? null : options.events?.format.kind;
    };
    expect(format('--events', 'usage.ndjson')).toBe('ndjson');
    expect(format('--events', 'usage.txt')).toBe('csv');
    expect(format('--events', 'usage.txt', '--format', 'ndjson')).toBe('ndjson');
  });

  test.each([
    [['--wat'], "Unknown option '--wat'"],
    [['--port', 'x'], '--port'],
    [['--map', 'timestamp=a'], '--map goes with --events'],
    [['--events', 'a.csv'], '--events needs --map'],
    [['--events', 'a.csv', '--map', 'timestamp=a', '--currency', 'xxq'], '--currency'],
    [['--events', 'a.csv', '--map', 'timestamp=a', '--customers', '0'], '--customers'],
    [['--events', 'a.csv', '--map', 'timestamp=a', '--delimiter', 'ab'], '--delimiter'],
    [['--events', 'a.csv', '--map', 'timestamp=a', '--format', 'xml'], '--format'],
  ])('%j is refused', (args, message) => {
    expect(() => parse(...args)).toThrow(UsageError);
    expect(() => parse(...args)).toThrow(message);
  });
});
