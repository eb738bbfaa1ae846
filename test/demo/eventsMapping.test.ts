import { describe, expect, test } from 'vitest';
import { mapRecord, parseMapping } from '../../src/demo/eventsMapping.js';
import { shiftInto } from '../../src/demo/eventsRun.js';
import { parseTime } from '../../src/events-file/time.js';

const record = (values: Record<string, string>) => ({ line: 9, values: new Map(Object.entries(values)) });

describe('a mapping', () => {
  test('names the columns; only the time is a must', () => {
    expect(parseMapping('timestamp=TIMESTAMP')).toEqual({
      timestamp: 'TIMESTAMP',
      value: null,
      customer: null,
      identifier: null,
      eventName: 'demo_file_usage',
    });
    expect(parseMapping('timestamp=At, value=Tokens Used ,event_name=tokens')).toMatchObject({
      value: 'Tokens Used',
      eventName: 'tokens',
    });
  });

  test.each([
    ['value=x', 'which column holds the time'],
    ['timestamp', 'KEY=COLUMN'],
    ['timestamp=', 'KEY=COLUMN'],
    ['timestamp=a,time=b', "'time' is none of"],
    ['timestamp=a,timestamp=b', 'given twice'],
  ])('%s is refused', (text, message) => {
    expect(() => parseMapping(text)).toThrow(message);
  });
});

describe('a row', () => {
  const mapping = parseMapping('timestamp=at,value=n,customer=who,identifier=id');

  test('becomes usage', () => {
    const row = record({ at: '2023-11-16 18:15:46.6805900', n: ' 12.5 ', who: 'Acme', id: 'e1' });
    expect(mapRecord(mapping, 5, row, 3)).toEqual({
      line: 9,
      number: 3,
      time: Date.UTC(2023, 10, 16, 18, 15, 46),
      value: '12.5',
      customer: 'Acme',
      identifier: 'e1',
    });
  });

  test.each([
    [{ at: 'yesterday', n: '1', who: 'A', id: 'x' }, "'yesterday' in at is not a time"],
    [{ at: '2023-02-30', n: '1', who: 'A', id: 'x' }, "'2023-02-30' in at is not a time"],
    [{ at: '2023-02-28', n: '1,5', who: 'A', id: 'x' }, "'1,5' in n is not a number"],
    [{ at: '2023-02-28', n: '', who: 'A', id: 'x' }, "'' in n is not a number"],
    [{ at: '2023-02-28', n: '1', who: ' ', id: 'x' }, 'no customer in who'],
    [{ at: '2023-02-28', n: '1', who: 'A', id: '' }, 'no identifier in id'],
  ])('%j is not usable', (values, problem) => {
    expect(mapRecord(mapping, 5, record(values), 1)).toEqual({ line: 9, problem });
  });

  test('without a customer goes to one of the customers by its number, the same one each time', () => {
    const spread = parseMapping('timestamp=at');
    const customerOf = (number: number) => {
      const row = mapRecord(spread, 5, record({ at: '2023-02-28' }), number);
      return 'problem' in row ? row.problem : row.customer;
    };
    const first = Array.from({ length: 1000 }, (_, number) => customerOf(number));
    expect(Array.from({ length: 1000 }, (_, number) => customerOf(number))).toEqual(first);
    const counts = ['1', '2', '3', '4', '5'].map(
      (n) => first.filter((name) => name === `Customer ${n}`).length,
    );
    expect(counts.reduce((sum, count) => sum + count)).toBe(1000);
    for (const count of counts) expect(count).toBeGreaterThan(150);
  });
});

describe('times', () => {
  const at = Date.UTC(2024, 1, 29, 12, 30, 5);

  test.each([
    '2024-02-29T12:30:05Z',
    '2024-02-29 12:30:05',
    '2024-02-29T12:30:05.999Z',
    '2024-02-29T14:30:05+02:00',
    '2024-02-29 08:00:05 -0430',
    String(at / 1000),
    String(at),
    `${at}000`,
    `${at}000000`,
    `${at / 1000}.75`,
  ])('%s', (text) => {
    expect(parseTime(text)).toBe(at);
  });

  test.each(['', 'now', '29/02/2024', '2023-02-29', '2024-02-29T25:00:00Z', '2024-02-29 12:61', '12'])(
    'not %j',
    (text) => {
      expect(parseTime(text)).toBeNull();
    },
  );

  test('move by whole days, so that the first falls on the first billed day', () => {
    const start = Date.UTC(2028, 0, 1);
    expect(new Date(at + shiftInto(start, at)).toISOString()).toBe('2028-01-01T12:30:05.000Z');
  });
});
