import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type JsonValue, toJsonText } from '../../src/json.js';

it('writes what JSON.stringify writes', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(toJsonText(value as JsonValue)).toBe(JSON.stringify(value));
    }),
    { numRuns: 500 },
  );
});

it('writes every digit of a bigint, and leaves out what is undefined', () => {
  expect(
    toJsonText({ total: 123_456_789_012_345_678_901_234_567_890n, gone: undefined, list: [1n, undefined] }),
  ).toBe('{"total":123456789012345678901234567890,"list":[1,null]}');
});
