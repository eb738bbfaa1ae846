import { describe, expect, it } from 'vitest';
import { type Aggregation, increments, readWindow } from '../../../src/domain/contract/aggregation.js';
import {
  aggregatedValue,
  type BillableMetric,
  groupValues,
  matchesFilters,
} from '../../../src/domain/contract/metric.js';
import { toText } from '../../../src/domain/decimal.js';
import {
  balanceOf,
  burned,
  dec,
  invoiceOf,
  rateOf,
  segmentOf,
  shownLines,
  total,
  usageProduct,
  used,
  utc,
} from './builders.js';

const DAY = 86_400_000;
const START = utc('2024-09-01');

/** The increments of a metric whose days have these values. */
function daily(
  aggregation: Aggregation,
  days: (string | { at: number; value: string })[][],
  before = '0',
): string[] {
  const windows = days.map((values, day) => {
    const start = START + day * DAY;
    const events = values.map((one) =>
      typeof one === 'string'
        ? { at: start, value: aggregation.type === 'UNIQUE' ? one : dec(one) }
        : { at: start + one.at, value: dec(one.value) },
    );
    return readWindow({ start, end: start + DAY }, events);
  });
  return increments(aggregation, windows, dec(before)).map(toText);
}

describe('aggregations as increments', () => {
  it.each<[Aggregation['type'], string[][], string[]]>([
    ['COUNT', [['5', '5'], [], ['1']], ['2', '0', '1']],
    ['SUM', [['5', '-2'], [], ['0.1']], ['3', '0', '0.1']],
    ['MAX', [['3', '7'], ['6'], ['9']], ['7', '0', '2']],
    ['LATEST', [['7'], ['9'], ['10'], ['5']], ['7', '2', '1', '-5']],
    ['UNIQUE', [['a', 'b', 'a'], ['b'], ['c', 'b']], ['2', '0', '1']],
  ])('6.34 %s of %j', (type, days, expected) => {
    expect(daily({ type } as Aggregation, days)).toEqual(expected);
  });

  it('time-weighted sums are level × hours, and the level lasts', () => {
    const days = [[{ at: 6 * 3_600_000, value: '10' }], [], [{ at: 12 * 3_600_000, value: '0' }]];
    expect(daily({ type: 'TIME_WEIGHTED_SUM' }, days)).toEqual(['180', '240', '120']);
    expect(daily({ type: 'TIME_WEIGHTED_SUM' }, [[], []], '2')).toEqual(['48', '48']);
  });

  it('percentiles are by nearest rank over the statement so far', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => String(index + 1));
    const percentile = (percent: string) =>
      daily({ type: 'PERCENTILE', percent: dec(percent) }, [hundred, ['1000']]);
    expect(percentile('50')).toEqual(['50', '1']);
    expect(percentile('95')).toEqual(['95', '1']);
    expect(percentile('99.9')).toEqual(['100', '900']);
    expect(
      daily({ type: 'PERCENTILE', percent: dec('50') }, [
        ['4', '8'],
        ['1', '1', '1'],
      ]),
    ).toEqual(['4', '-3']);
  });
});

describe('a LATEST metric on an invoice', () => {
  const seats = usageProduct('Seats');
  const day = (number: number, quantity: string) => used('Seats', `2024-09-0${number}`, quantity);

  it('6.35 lets a commit that is valid from day 2 cover only the 2', () => {
    const access = [segmentOf('99999', '2024-09-02', '2025-01-01', 'from day 2')];
    const invoice = invoiceOf({
      products: [seats],
      rates: [rateOf('Seats', '100')],
      usage: [day(1, '7'), day(2, '2')],
      balances: [balanceOf('Commit', '0', { access })],
    });
    expect(burned(invoice)).toEqual({ Commit: '200' });
    expect(total(invoice)).toBe('700');
  });

  const rising = [rateOf('Seats', '300'), rateOf('Seats', '400', { startingAt: utc('2024-09-02') })];

  it('6.36 prices the rise at the new rate', () => {
    const invoice = invoiceOf({ products: [seats], rates: rising, usage: [day(1, '7'), day(2, '2')] });
    expect(total(invoice)).toBe('2900');
  });

  it('6.37 gives a fall back at the rate of its day', () => {
    const invoice = invoiceOf({ products: [seats], rates: rising, usage: [day(1, '40'), day(2, '-10')] });
    expect(shownLines(invoice)).toEqual(['Seats 40 × 300 = 12000', 'Seats -10 × 400 = -4000']);
    expect(total(invoice)).toBe('8000');
  });

  it('does not look ahead: a credit pays for the rise although the fall makes the invoice negative', () => {
    const invoice = invoiceOf({
      products: [seats],
      rates: rising,
      usage: [day(1, '10'), day(2, '-10')],
      balances: [balanceOf('Credit', '3000')],
    });
    expect(burned(invoice)).toEqual({ Credit: '3000' });
    expect(total(invoice)).toBe('-4000');
  });
});

describe('what a metric looks at', () => {
  const metric: BillableMetric = {
    id: 'metric',
    name: 'Tokens',
    eventTypeFilter: { inValues: ['call'], notInValues: null },
    propertyFilters: [
      { name: 'tokens', exists: true, inValues: null, notInValues: null },
      { name: 'model', exists: null, inValues: ['a', 'b'], notInValues: null },
      { name: 'region', exists: null, inValues: null, notInValues: ['test'] },
      { name: 'internal', exists: false, inValues: null, notInValues: null },
    ],
    aggregation: { type: 'SUM' },
    aggregationKey: 'tokens',
    groupKeys: [['model', 'region']],
  };
  const event = (properties: Record<string, unknown>, eventType = 'call') => ({
    eventType,
    timestamp: 0,
    properties,
  });

  it.each([
    [{ tokens: 3, model: 'a' }, true],
    [{ tokens: '3', model: 'b', region: 'eu' }, true],
    [{ model: 'a' }, false],
    [{ tokens: 3, model: 'c' }, false],
    [{ tokens: 3 }, false],
    [{ tokens: 3, model: 'a', region: 'test' }, false],
    [{ tokens: 3, model: 'a', internal: false }, false],
  ])('%j passes: %s', (properties, expected) => {
    expect(matchesFilters(metric, event(properties))).toBe(expected);
  });

  it('refuses other types of event, and reads numbers from text and from JSON', () => {
    expect(matchesFilters(metric, event({ tokens: 3, model: 'a' }, 'ping'))).toBe(false);
    expect(aggregatedValue(metric, event({ tokens: '0.10' }))).toEqual(dec('0.1'));
    expect(aggregatedValue(metric, event({ tokens: 1e-7 }))).toEqual(dec('0.0000001'));
    expect(aggregatedValue(metric, event({ tokens: 'many' }))).toBeNull();
    expect(groupValues(event({ model: 'a' }), ['model', 'region'])).toEqual({ model: 'a', region: null });
  });
});
