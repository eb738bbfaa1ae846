import { describe, expect, it } from 'vitest';
import { instantAfter, type RelativeTime, spanAfter } from '../../src/domain/contract/relative.js';

const at = (text: string) => Date.parse(text);
const text = (instant: number) => new Date(instant).toISOString().slice(0, 13);
const after = (start: string, value: number, unit: RelativeTime['unit']) =>
  text(instantAfter(at(start), { value, unit }));
const span = (start: string, offset: RelativeTime, duration: RelativeTime) => {
  const found = spanAfter(at(start), offset, duration);
  return [text(found.start), text(found.end)];
};
const months = (value: number): RelativeTime => ({ unit: 'MONTHS', value });

describe('times after the start of a contract', () => {
  it.each([
    ['2026-01-31T07:00:00Z', 0, 'DAYS', '2026-01-31T07'],
    ['2026-01-31T07:00:00Z', 1, 'DAYS', '2026-02-01T07'],
    ['2026-01-31T07:00:00Z', 2, 'WEEKS', '2026-02-14T07'],
    ['2026-01-31T07:00:00Z', 1, 'MONTHS', '2026-02-28T07'],
    ['2026-01-31T07:00:00Z', 2, 'MONTHS', '2026-03-31T07'],
    ['2028-01-31T00:00:00Z', 1, 'MONTHS', '2028-02-29T00'],
    ['2028-02-29T00:00:00Z', 1, 'YEARS', '2029-02-28T00'],
    ['2028-02-29T00:00:00Z', 4, 'YEARS', '2032-02-29T00'],
  ] as const)('%s + %d %s', (start, value, unit, expected) => {
    expect(after(start, value, unit)).toBe(expected);
  });

  it('make spans that meet where they count in months', () => {
    const start = '2026-01-31T00:00:00Z';
    expect(span(start, months(0), months(1))).toEqual(['2026-01-31T00', '2026-02-28T00']);
    expect(span(start, months(1), months(1))).toEqual(['2026-02-28T00', '2026-03-31T00']);
    expect(span(start, months(2), { unit: 'YEARS', value: 1 })).toEqual(['2026-03-31T00', '2027-03-31T00']);
    expect(span(start, { unit: 'DAYS', value: 0 }, months(3))).toEqual(['2026-01-31T00', '2026-04-30T00']);
  });

  it('count from the beginning of the span where the units differ', () => {
    const start = '2026-01-31T00:00:00Z';
    expect(span(start, months(1), { unit: 'DAYS', value: 30 })).toEqual(['2026-02-28T00', '2026-03-30T00']);
    expect(span(start, { unit: 'WEEKS', value: 1 }, months(1))).toEqual(['2026-02-07T00', '2026-03-07T00']);
  });
});
