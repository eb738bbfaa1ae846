import { z } from 'zod';
import { type Decimal, DecimalFormatError, compare, parseDecimal } from '../../domain/decimal.js';
import { invalid } from '../../domain/errors.js';
import type { Instant } from '../../domain/period.js';
import { JsonNumber } from '../../json.js';

/**
 * The codecs of the Metronome dialect. Bodies carry JSON values, queries carry texts: codecs whose name begins with
 * `query` read texts. What does not fit is refused by the field's name.
 */
export type Codec<T> = z.ZodType<T>;

export const HOUR_MS = 3_600_000;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const RFC3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d\d:?\d\d)$/;
const DATE = /^\d{4}-\d\d-\d\d$/;

type Read<T> = (input: unknown) => T | Problem;

class Problem {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

function codec<T>(read: Read<T>): Codec<T> {
  return z.unknown().transform((input, context): T => {
    const result = input === undefined ? new Problem('is required') : read(input);
    if (!(result instanceof Problem)) return result;
    context.addIssue({ code: 'custom', message: result.text });
    return z.NEVER;
  });
}

/** An object that refuses fields it does not know. */
export const object = z.strictObject;

/** At least `min`, at most `max` entries. */
export function list<T>(item: Codec<T>, { min = 0, max = 10_000 } = {}): Codec<T[]> {
  return z
    .array(item, { error: 'must be an array' })
    .min(min, { error: `must have at least ${min} entries` })
    .max(max, { error: `may have at most ${max} entries` });
}

/** The field, or null to unset it. */
export function nullable<T>(inner: Codec<T>): Codec<T | null> {
  return inner.nullable();
}

export function text({ min = 1, max = 10_000 } = {}): Codec<string> {
  return codec((input) => {
    if (typeof input !== 'string') return new Problem('must be a string');
    if (input.length < min)
      return new Problem(min === 1 ? 'must not be empty' : `must have at least ${min} characters`);
    return input.length > max ? new Problem(`may have at most ${max} characters`) : input;
  });
}

export function boolean(): Codec<boolean> {
  return codec((input) => (typeof input === 'boolean' ? input : new Problem('must be true or false')));
}

/** In lower case, as ids are kept. */
export function uuid(): Codec<string> {
  return codec((input) =>
    typeof input === 'string' && UUID.test(input) ? input.toLowerCase() : new Problem('must be a UUID'),
  );
}

export function isUuid(value: string): boolean {
  return UUID.test(value);
}

/** A customer under any of its names: its id in either dialect, or an alias. */
export function customerId(): Codec<string> {
  return text({ max: 128 });
}

/** RFC 3339 in whole milliseconds; a bare date is its midnight UTC. */
export function timestamp(): Codec<Instant> {
  return codec(readTimestamp);
}

/** The same on a whole hour, as every boundary of a schedule must be. */
export function hourTimestamp(): Codec<Instant> {
  return codec((input) => {
    const instant = readTimestamp(input);
    return instant instanceof Problem || instant % HOUR_MS === 0
      ? instant
      : new Problem('must be on a whole hour');
  });
}

function readTimestamp(input: unknown): Instant | Problem {
  const problem = new Problem('must be an RFC 3339 timestamp');
  if (typeof input !== 'string' || !(RFC3339.test(input) || DATE.test(input))) return problem;
  const instant = Date.parse(input.replace(' ', 'T').toUpperCase());
  if (Number.isNaN(instant) || !isCalendarDate(input)) return problem;
  return instant;
}

/** Date.parse takes 31 February for a day in March. */
function isCalendarDate(input: string): boolean {
  const day = input.slice(0, 10);
  const parsed = Date.parse(`${day}T00:00:00Z`);
  return !Number.isNaN(parsed) && new Date(parsed).toISOString().startsWith(day);
}

export interface DecimalBounds {
  min?: Decimal;
  max?: Decimal;
  /** Refuses `min` itself. */
  above?: Decimal;
}

/** An exact decimal, from a JSON number or its text. */
export function decimal(bounds: DecimalBounds = {}): Codec<Decimal> {
  return codec((input) => {
    const source = numberText(input);
    if (source === null) return new Problem('must be a number');
    try {
      const value = parseDecimal(source);
      return boundsProblem(value, bounds) ?? value;
    } catch (error) {
      if (!(error instanceof DecimalFormatError)) throw error;
      return new Problem(error.reason === 'syntax' ? 'must be a number' : 'has too many digits');
    }
  });
}

function numberText(input: unknown): string | null {
  if (input instanceof JsonNumber) return input.text;
  if (typeof input === 'number') return String(input);
  return typeof input === 'string' ? input : null;
}

function boundsProblem(value: Decimal, { min, max, above }: DecimalBounds): Problem | null {
  if (min !== undefined && compare(value, min) < 0) return new Problem('is too small');
  if (above !== undefined && compare(value, above) <= 0) return new Problem('is too small');
  if (max !== undefined && compare(value, max) > 0) return new Problem('is too large');
  return null;
}

/** A whole number. */
export function integer({ min = 0, max = Number.MAX_SAFE_INTEGER } = {}): Codec<number> {
  return codec((input) => {
    if (typeof input !== 'number' || !Number.isSafeInteger(input)) return new Problem('must be an integer');
    return input < min || input > max ? new Problem(`must be from ${min} to ${max}`) : input;
  });
}

/** One of the words in any case, as it is written here. */
export function oneOf<const V extends string>(
  values: readonly V[],
  others: Readonly<Record<string, V>> = {},
): Codec<V> {
  const known = new Map<string, V>([
    ...values.map((value) => [value.toLowerCase(), value] as const),
    ...Object.entries(others).map(([word, value]) => [word.toLowerCase(), value] as const),
  ]);
  return codec((input) => {
    const found = typeof input === 'string' ? known.get(input.toLowerCase()) : undefined;
    return found ?? new Problem(`must be one of ${values.join(', ')}`);
  });
}

/** Refused by name: known of Metronome, and not served. */
export const unsupported = z
  .unknown()
  .refine((value) => value === undefined || (Array.isArray(value) && value.length === 0), {
    error: 'is not supported by Durabill yet',
  })
  .optional();

const RATE_TYPES = ['FLAT', 'PERCENTAGE', 'SUBSCRIPTION', 'TIERED', 'TIERED_PERCENTAGE'] as const;

/** Metronome prices CUSTOM rates by a rate processor that it writes for a customer; here they would bill nothing. */
export function rateType(): Codec<(typeof RATE_TYPES)[number]> {
  const known = oneOf(RATE_TYPES);
  return z
    .unknown()
    .refine((input) => typeof input !== 'string' || input.toUpperCase() !== 'CUSTOM', {
      error: `CUSTOM is not supported, since it needs a rate processor; it must be one of ${RATE_TYPES.join(', ')}`,
      abort: true,
    })
    .pipe(known);
}

const CUSTOM_FIELD_LENGTH_MAX = 200;

/** Texts by name. */
export function textMap({ max = 10_000 } = {}): Codec<Record<string, string>> {
  return z.record(z.string(), text({ min: 0, max }), { error: 'must be an object of strings' });
}

/** docs.metronome.com: values of custom fields have at most 200 characters. */
export function customFields(): Codec<Record<string, string>> {
  return textMap({ max: CUSTOM_FIELD_LENGTH_MAX });
}

/** Any JSON object, kept as it was sent. */
export function anyObject(): Codec<Record<string, unknown>> {
  return z.record(z.string(), z.unknown(), { error: 'must be an object' });
}

export function queryInteger({ min = 0, max = Number.MAX_SAFE_INTEGER } = {}): Codec<number> {
  const inner = integer({ min, max });
  return z
    .unknown()
    .transform((input) => (typeof input === 'string' && /^-?\d{1,15}$/.test(input) ? Number(input) : input))
    .pipe(inner);
}

export function queryBoolean(): Codec<boolean> {
  return codec((input) => {
    if (input === 'true' || input === '1') return true;
    return input === 'false' || input === '0' ? false : new Problem('must be true or false');
  });
}

/** Values joined by commas. */
export function queryList<T>(item: Codec<T>, { max = 100 } = {}): Codec<T[]> {
  return z
    .unknown()
    .transform((input) =>
      typeof input === 'string' ? input.split(',').filter((part) => part !== '') : input,
    )
    .pipe(list(item, { max }));
}

/** The value, checked; the first thing wrong with it is thrown as `invalid`, named by its path. */
export function validate<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  const parsed = schema.safeParse(input, { reportInput: true });
  if (parsed.success) return parsed.data;
  throw invalid(messageOf(deepest(parsed.error.issues)));
}

type Issue = z.core.$ZodIssue;

/** Of a union's alternatives, what the first one says. */
function deepest(issues: readonly Issue[]): Issue | undefined {
  const unknown = issues.find((issue) => issue.code === 'unrecognized_keys');
  const issue = unknown ?? issues[0];
  if (issue?.code !== 'invalid_union') return issue;
  const inner = deepest(issue.errors[0] ?? []);
  return inner === undefined ? issue : { ...inner, path: [...issue.path, ...inner.path] };
}

function messageOf(issue: Issue | undefined): string {
  if (issue === undefined) return 'Invalid request.';
  const path = pathText(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const names = issue.keys.map((key) => `'${path === '' ? key : `${path}.${key}`}'`).join(', ');
    return `Unknown field${issue.keys.length > 1 ? 's' : ''} ${names}.`;
  }
  if (issue.code === 'invalid_type' && issue.input === undefined) return `Invalid '${path}': is required.`;
  const reason =
    issue.code === 'invalid_type' && issue.expected === 'object' ? 'must be an object' : issue.message;
  return path === '' ? `Invalid request body: ${reason}.` : `Invalid '${path}': ${reason}.`;
}

function pathText(path: readonly PropertyKey[]): string {
  let name = '';
  for (const part of path) {
    if (typeof part === 'number') name += `[${part}]`;
    else name += name === '' ? String(part) : `.${String(part)}`;
  }
  return name;
}
