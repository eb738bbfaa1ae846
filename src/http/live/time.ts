import type { Instant } from '../../domain/period.js';
import { type Codec, codec, refuse } from '../codec.js';

const SECONDS_MAX = 253_402_300_799;
const RFC3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

/** Unix seconds, or RFC 3339 to the millisecond; undefined for anything else. */
export function readTime(value: unknown): Instant | undefined {
  if (typeof value === 'string' && RFC3339.test(value)) {
    const instant = Date.parse(value.replace(' ', 'T'));
    return Number.isNaN(instant) ? undefined : instant;
  }
  const seconds = typeof value === 'string' && /^\d{1,12}$/.test(value) ? Number(value) : value;
  if (typeof seconds !== 'number' || !Number.isInteger(seconds)) return undefined;
  return seconds < 0 || seconds > SECONDS_MAX ? undefined : seconds * 1000;
}

/** A time as a parameter. */
export function timeParam(): Codec<Instant> {
  return codec({ kind: 'instant' }, (input) => {
    return readTime(input) ?? refuse(null, () => 'Invalid time: must be Unix seconds or an RFC 3339 time');
  });
}
