import { describe, expect, it } from 'vitest';
import { parseJsonExact } from '../../src/http/metronome/json.js';
import {
  type Codec,
  decimal,
  hourTimestamp,
  object,
  oneOf,
  timestamp,
  validate,
} from '../../src/http/metronome/params.js';
import { JsonNumber, jsonNumber, toJsonText } from '../../src/json.js';
import { parseDecimal, toText } from '../../src/domain/decimal.js';

const amount = (text: string) => {
  const { n } = validate(object({ n: decimal() }), parseJsonExact(`{"n":${text}}`));
  return toText(n);
};

describe('exact JSON', () => {
  it.each([
    ['0.1', '0.1'],
    ['100', '100'],
    ['-0', '0'],
    ['12345678901234567890.123456789', '12345678901234567890.123456789'],
    ['0.1234567890123456789', '0.1234567890123456789'],
    ['1e2', '100'],
    ['2.5E-3', '0.0025'],
    ['999999999999999', '999999999999999'],
    ['"7.25"', '7.25'],
    [' \n-1234567890123456.5', '-1234567890123456.5'],
    ['0.00000000000001', '0.00000000000001'],
  ])('reads %s with every digit', (text, expected) => {
    expect(amount(text)).toBe(expected);
  });

  it('takes texts that look like numbers for texts', () => {
    const text =
      '{"a":"12345678901234567890","b":"x \\" 1e5, 12345678901234567890","c":[12345678901234567890]}';
    expect(parseJsonExact(text)).toEqual({
      a: '12345678901234567890',
      b: 'x " 1e5, 12345678901234567890',
      c: [new JsonNumber('12345678901234567890')],
    });
  });

  it.each([
    '{',
    '[01]',
    '[1.]',
    '[123456789012345678.]',
    '[1e5e5]',
    '{"a":"\\u0000"}',
    '["\\ud800"]',
    '{"__proto__":1}',
  ])('refuses %s', (text) => {
    expect(() => parseJsonExact(text)).toThrow(/^Invalid request/);
  });

  it('refuses deep nesting instead of falling over it', () => {
    expect(() => parseJsonExact(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)).toThrow(/^Invalid request/);
  });

  it('writes decimals as JSON numbers', () => {
    expect(toJsonText({ total: jsonNumber(parseDecimal('-0.10000000000000000000001')) })).toBe(
      '{"total":-0.10000000000000000000001}',
    );
  });
});

describe('codecs', () => {
  const check =
    <T>(codec: Codec<T>, value: unknown) =>
    () =>
      validate(object({ f: codec }), { f: value });

  it('read instants, and only those that exist', () => {
    expect(check(timestamp(), '2024-02-29T12:00:00+02:00')()).toEqual({ f: Date.UTC(2024, 1, 29, 10) });
    expect(check(timestamp(), '2024-02-29')()).toEqual({ f: Date.UTC(2024, 1, 29) });
    for (const wrong of [
      '2023-02-29T00:00:00Z',
      '2024-01-01T25:00:00Z',
      'now',
      5,
      '2024-01-01T00:00:00',
      null,
    ]) {
      expect(check(timestamp(), wrong)).toThrow("Invalid 'f': must be an RFC 3339 timestamp.");
    }
    expect(check(hourTimestamp(), '2024-01-01T00:00:01Z')).toThrow('must be on a whole hour');
  });

  it('take words in any case', () => {
    expect(check(oneOf(['LIST_RATE']), 'list_Rate')()).toEqual({ f: 'LIST_RATE' });
    expect(check(oneOf(['LIST_RATE']), 'other')).toThrow("Invalid 'f': must be one of LIST_RATE.");
  });

  it.each([true, [], {}, 'abc', null, 'NaN', '0x10'])('take %o for no number', (value) => {
    expect(check(decimal(), value)).toThrow("Invalid 'f': must be a number.");
  });
});
