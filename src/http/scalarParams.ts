import { DecimalFormatError, parseDecimal } from '../domain/decimal.js';
import type { Decimal } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import { type Codec, codec, isScalar, isStorable, Refusal, refuse, shown, unsupportedWord } from './codec.js';

const INT64_MAX = 9_223_372_036_854_775_807n;
const INTEGER_DIGITS_MAX = 19;
/** So that the whole part of any amount is exact in every JSON reader. */
const AMOUNT_DIGITS_MAX = 15;
const TEXT_LENGTH_MAX = 5000;
/** 9999-12-31T23:59:59Z: the last second that Postgres, JavaScript and RFC 3339 all write alike. */
const UNIX_SECONDS_MAX = 253_402_300_799;
const MILLIS = 1000;

/** A non-empty text of at most `max` characters (default 5,000, Stripe's). */
export function text(options: { max?: number } = {}): Codec<string> {
  const max = options.max ?? TEXT_LENGTH_MAX;
  return codec({ kind: 'text' }, (input) => {
    if (!isScalar(input)) return refuse(null, () => 'Invalid string');
    const value = String(input);
    if (!isStorable(value))
      return refuse(null, () => 'Invalid string: must be valid Unicode without NUL characters');
    if (value.length > max) return tooLong(value, max);
    return value;
  });
}

function tooLong(value: string, max: number): Refusal {
  const shown = value.length > 60 ? `${value.slice(0, 30)}…${value.slice(-20)}` : value;
  return refuse(
    'parameter_invalid_string_length',
    () => `Invalid string: ${shown}; must be at most ${max} characters`,
  );
}

/** A whole number that counts something (never money or quantity), inside `min` and `max`. */
export function integer(options: { min?: number; max?: number } = {}): Codec<number> {
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = options;
  return codec({ kind: 'integer' }, (input) => {
    const value = readInteger(input);
    if (value instanceof Refusal) return value;
    if (value < BigInt(min)) return outside(`greater than or equal to ${min}`);
    if (value > BigInt(max)) return outside(`less than or equal to ${max}`);
    return Number(value);
  });
}

/** A whole number of up to 64 bits: money in minor units, a quantity, the edge of a tier. */
export function bigintParam(options: { min?: bigint; max?: bigint } = {}): Codec<bigint> {
  const { min = -INT64_MAX - 1n, max = INT64_MAX } = options;
  return codec({ kind: 'integer' }, (input) => {
    const value = readInteger(input);
    if (value instanceof Refusal) return value;
    if (value < min) return outside(`greater than or equal to ${min}`);
    if (value > max) return outside(`less than or equal to ${max}`);
    return value;
  });
}

function outside(bound: string): Refusal {
  return refuse('parameter_invalid_integer', () => `This value must be ${bound}.`);
}

function readInteger(input: unknown): bigint | Refusal {
  const written = typeof input === 'number' && Number.isSafeInteger(input) ? String(input) : input;
  if (typeof written === 'string' && /^[+-]?\d+$/.test(written)) {
    const digits = written.replace(/^[+-]?0*/, '');
    if (digits.length > INTEGER_DIGITS_MAX) return invalidInteger(written);
    const value = BigInt(written.replace('+', ''));
    if (value <= INT64_MAX && value >= -INT64_MAX - 1n) return value;
  }
  return invalidInteger(input);
}

function invalidInteger(input: unknown): Refusal {
  return refuse('parameter_invalid_integer', () => `Invalid integer: ${shown(input)}`);
}

/** An exact decimal in plain notation, with at most `maxFractionDigits` digits after the point (default 12, Stripe's). */
export function decimal(options: { maxFractionDigits?: number } = {}): Codec<Decimal> {
  const maxFractionDigits = options.maxFractionDigits ?? 12;
  const maxIntegerDigits = AMOUNT_DIGITS_MAX;
  return codec({ kind: 'decimal' }, (input) => {
    if (typeof input !== 'string' && typeof input !== 'number') {
      return refuse(null, () => `Invalid decimal: ${shown(input)}`);
    }
    try {
      return parseDecimal(String(input), { maxFractionDigits, maxIntegerDigits });
    } catch (error) {
      if (!(error instanceof DecimalFormatError)) throw error;
      if (error.reason === 'too_many_fraction_digits') {
        return refuse(
          null,
          () => `Invalid decimal: ${shown(input)}; must contain at most ${maxFractionDigits} decimal places`,
        );
      }
      return refuse(null, () => `Invalid decimal: ${shown(input)}`);
    }
  });
}

/** `true` or `false`. */
export function boolean(): Codec<boolean> {
  return codec({ kind: 'boolean' }, (input) => {
    if (input === true || input === 'true') return true;
    if (input === false || input === 'false') return false;
    return refuse(null, () => `Invalid boolean: ${shown(input)}`);
  });
}

/** Unix seconds → instant (epoch ms). */
export function instant(): Codec<Instant> {
  return codec({ kind: 'instant' }, readInstant);
}

function readInstant(input: unknown): Instant | Refusal {
  const seconds = readInteger(input);
  if (seconds instanceof Refusal) return seconds;
  if (seconds < 0n || seconds > BigInt(UNIX_SECONDS_MAX)) {
    return refuse(null, () => 'Invalid timestamp: must be an integer Unix timestamp in seconds');
  }
  return Number(seconds) * MILLIS;
}

/** One of the given words. `unsupported` are words of Stripe's that we know and refuse by name. */
export function oneOf<const V extends string>(
  values: readonly V[],
  options: { unsupported?: readonly string[] } = {},
): Codec<V> {
  const unsupported = options.unsupported ?? [];
  return codec({ kind: 'enum', values, unsupportedValues: unsupported }, (input) => {
    const value = values.find((candidate) => candidate === input);
    if (value !== undefined) return value;
    if (typeof input === 'string' && unsupported.includes(input)) {
      return new Refusal(unsupportedWord(input));
    }
    return refuse(null, (param) => `Invalid ${param}: must be ${listed(values)}`);
  });
}

function listed(values: readonly string[]): string {
  if (values.length === 1) return `${values[0]}`;
  if (values.length === 2) return `one of ${values[0]} or ${values[1]}`;
  return `one of ${values.slice(0, -1).join(', ')}, or ${values.at(-1)}`;
}
