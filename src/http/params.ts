import { z } from 'zod';
import type { MetadataUpdate } from '../billing/metadata.js';
import { DecimalFormatError, parseDecimal } from '../domain/decimal.js';
import type { Decimal } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import type { InstantRange } from '../storage/pages.js';

export type { MetadataUpdate } from '../billing/metadata.js';

/**
 * The codecs of request parameters. Input: what the body decoder gives, so strings from forms and scalars from JSON.
 * Output: typed. `''` and null are Stripe's "unset" signal, which only `clearable` and `metadata` accept.
 * A failure carries Stripe's words and code; validation.ts adds the bracketed name.
 */

/** What a codec accepts, for the contract test, the compatibility table and the API description. */
export interface ParamDescription {
  kind: 'text' | 'integer' | 'decimal' | 'boolean' | 'instant' | 'enum' | 'metadata' | 'range';
  values?: readonly string[];
  /** Values of Stripe's that are refused by name. */
  unsupportedValues?: readonly string[];
  /** A word that stands beside the codec's own values, for example `inf`. */
  words?: readonly string[];
  clearable?: boolean;
}

/** The descriptions of codecs, by schema; see `describeParam`. */
export const paramDescriptions = z.registry<ParamDescription>();

/** The code, and the message as a function of the parameter's bracketed name. Carried inside a zod issue. */
export interface ParamFailure {
  code?: string;
  message: (param: string) => string;
}

type Codec<T> = z.ZodType<T>;
type Scalar = string | number | boolean | bigint;

const INT64_MAX = 9_223_372_036_854_775_807n;
const INTEGER_DIGITS_MAX = 19;
/** So that the whole part of any amount is exact in every JSON reader. */
const AMOUNT_DIGITS_MAX = 15;
const TEXT_LENGTH_MAX = 5000;
/** 9999-12-31T23:59:59Z: the last second that Postgres, JavaScript and RFC 3339 all write alike. */
const UNIX_SECONDS_MAX = 253_402_300_799;
const MILLIS = 1000;

const fail = (code: string | null, message: ParamFailure['message']): ParamFailure =>
  code === null ? { message } : { code, message };

const emptyValue = fail('parameter_invalid_empty', (param) =>
  `You passed an empty string for '${param}'. We assume empty values are an attempt to unset a parameter; ` +
  `however '${param}' cannot be unset. You should remove '${param}' from your request or supply a ` +
  'non-empty value.');

class Refusal {
  readonly failure: ParamFailure;
  constructor(failure: ParamFailure) {
    this.failure = failure;
  }
}

const refuse = (code: string | null, message: ParamFailure['message']): Refusal =>
  new Refusal(fail(code, message));

/** A codec from a function that returns the value or a failure made by `refuse`. */
function codec<T>(description: ParamDescription, read: (input: unknown) => T | Refusal): Codec<T> {
  const schema = z.any().transform((input: unknown, context): T => {
    const result = input === undefined ? MISSING : isEmpty(input) ? new Refusal(emptyValue) : read(input);
    if (!(result instanceof Refusal)) return result;
    context.addIssue({ code: 'custom', params: { failure: result.failure } });
    return z.NEVER;
  });
  paramDescriptions.add(schema, description);
  return schema as unknown as Codec<T>;
}

const MISSING = new Refusal(fail('parameter_missing', (param) => `Missing required param: ${param}.`));

/** Parses with an inner schema; its issues go to the outer context with their paths, missing values marked as such. */
function relay<T>(inner: Codec<T>, input: unknown, context: z.RefinementCtx): T {
  const parsed = inner.safeParse(input, { reportInput: true });
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) {
    const missing = issue.code === 'invalid_type' && issue.input === undefined;
    const { code, params, path } = issue as z.core.$ZodIssueCustom;
    if (missing) context.addIssue({ code: 'custom', path: [...path], params: { failure: MISSING.failure } });
    else if (code === 'custom') context.addIssue({ code, path: [...path], ...(params === undefined ? {} : { params }) });
    else context.addIssue({ ...(issue as z.core.$ZodIssue) } as never);
  }
  return z.NEVER;
}

function isEmpty(input: unknown): boolean {
  return input === '' || input === null;
}

function isScalar(input: unknown): input is Scalar {
  return ['string', 'number', 'boolean'].includes(typeof input);
}

/** A non-empty text of at most `max` characters (default 5,000, Stripe's). */
export function text(options: { max?: number } = {}): Codec<string> {
  const max = options.max ?? TEXT_LENGTH_MAX;
  return codec({ kind: 'text' }, (input) => {
    if (!isScalar(input)) return refuse(null, () => 'Invalid string');
    const value = String(input);
    if (!isStorable(value)) return refuse(null, () => 'Invalid string: must be valid Unicode without NUL characters');
    if (value.length > max) return tooLong(value, max);
    return value;
  });
}

/** Postgres stores neither NUL characters nor halves of surrogate pairs. */
function isStorable(value: string): boolean {
  return !/[\u0000\p{Surrogate}]/u.test(value);
}

function tooLong(value: string, max: number): Refusal {
  const shown = value.length > 60 ? `${value.slice(0, 30)}…${value.slice(-20)}` : value;
  return refuse('parameter_invalid_string_length', () =>
    `Invalid string: ${shown}; must be at most ${max} characters`);
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

/** A caller's value inside a message: short, on one line. */
function shown(input: unknown): string {
  const value = isScalar(input) ? String(input) : Array.isArray(input) ? '[…]' : '{…}';
  const line = value.replace(/[\u0000-\u001f\u007f]/g, ' ');
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
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
        return refuse(null, () =>
          `Invalid decimal: ${shown(input)}; must contain at most ${maxFractionDigits} decimal places`);
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
      return refuse('parameter_unsupported', (param) =>
        `Unsupported ${param}: ${input} is not supported by Durabill yet; must be ${listed(values)}`);
    }
    return refuse(null, (param) => `Invalid ${param}: must be ${listed(values)}`);
  });
}

function listed(values: readonly string[]): string {
  if (values.length === 1) return `${values[0]}`;
  if (values.length === 2) return `one of ${values[0]} or ${values[1]}`;
  return `one of ${values.slice(0, -1).join(', ')}, or ${values.at(-1)}`;
}

/** One of `words`, or what `other` accepts: `up_to` is `inf` or a number. */
export function wordOr<const W extends string, T>(words: readonly W[], other: Codec<T>): Codec<W | T> {
  const schema = z.any().transform((input: unknown, context): W | T => {
    const word = words.find((candidate) => candidate === input);
    if (word !== undefined) return word;
    return relay(other, input, context);
  });
  const inner = paramDescriptions.get(other);
  paramDescriptions.add(schema, { ...(inner ?? { kind: 'text' }), words });
  return schema as unknown as Codec<W | T>;
}

/** `''` (or null) → null, else the codec: for what may be unset. */
export function clearable<T>(inner: Codec<T>): Codec<T | null> {
  const schema = z.any().transform((input: unknown, context): T | null => {
    if (isEmpty(input)) return null;
    return relay(inner, input, context);
  });
  clearableInners.set(schema, inner);
  return schema as unknown as Codec<T | null>;
}

/** What `clearable` and `array` wrap, for those who describe schemas. */
export const clearableInners = new WeakMap<z.ZodType, z.ZodType>();
export const arrayItems = new WeakMap<z.ZodType, z.ZodType>();

/**
 * A list: `a[]=`, `a[0]=` or a JSON array, of at most `max` elements. Numeric keys give the order; gaps close.
 */
export function array<T>(item: Codec<T>, options: { max?: number } = {}): Codec<T[]> {
  const list = z.array(item).max(options.max ?? Number.MAX_SAFE_INTEGER);
  const schema = z.any().transform((input: unknown, context): T[] => {
    return relay(list, asList(input), context);
  });
  arrayItems.set(schema, item);
  return schema as unknown as Codec<T[]>;
}

function asList(input: unknown): unknown {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return input;
  const entries = Object.entries(input);
  if (entries.length === 0 || !entries.every(([key]) => /^\d{1,6}$/.test(key))) return input;
  return entries.sort(([a], [b]) => Number(a) - Number(b)).map(([, value]) => value as unknown);
}

/** A nested object with exactly these properties. */
export function object<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  return z.strictObject(shape);
}

const METADATA_KEY_LENGTH_MAX = 40;
const METADATA_VALUE_LENGTH_MAX = 500;

/** Stripe's metadata (docs.stripe.com/api/metadata): keys of at most 40 characters without brackets, values of 500. */
export function metadata(): Codec<MetadataUpdate> {
  const schema = z.any().transform((input: unknown, context): MetadataUpdate => {
    const result = readMetadata(input);
    if (!(result instanceof MetadataRefusal)) return result;
    context.addIssue({ code: 'custom', path: result.path, params: { failure: result.failure } });
    return z.NEVER;
  });
  paramDescriptions.add(schema, { kind: 'metadata', clearable: true });
  return schema as unknown as Codec<MetadataUpdate>;
}

class MetadataRefusal {
  readonly path: string[];
  readonly failure: ParamFailure;
  constructor(path: string[], failure: ParamFailure) {
    this.path = path;
    this.failure = failure;
  }
}

function readMetadata(input: unknown): MetadataUpdate | MetadataRefusal {
  if (isEmpty(input)) return null;
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    return new MetadataRefusal([], fail(null, () => 'Invalid object'));
  }
  const update: Record<string, string | null> = {};
  for (const [key, value] of Object.entries(input)) {
    const failure = metadataFailure(key, value);
    if (failure !== null) return new MetadataRefusal([key], failure);
    update[key] = isEmpty(value) ? null : String(value);
  }
  return update;
}

function metadataFailure(key: string, value: unknown): ParamFailure | null {
  if (!isStorable(key) || (typeof value === 'string' && !isStorable(value))) {
    return fail(null, () => 'Metadata must be valid Unicode without NUL characters');
  }
  if (key === '' || /[[\]]/.test(key)) {
    return fail(null, () => 'Metadata keys must not be empty and must not contain square brackets');
  }
  if (key.length > METADATA_KEY_LENGTH_MAX) {
    return fail(null, () => `Metadata keys must have at most ${METADATA_KEY_LENGTH_MAX} characters`);
  }
  if (isEmpty(value)) return null;
  if (!isScalar(value)) return fail(null, () => 'Metadata values must be strings');
  if (String(value).length > METADATA_VALUE_LENGTH_MAX) {
    return fail(null, () => `Metadata values must have at most ${METADATA_VALUE_LENGTH_MAX} characters`);
  }
  return null;
}

const RANGE_KEYS = ['gt', 'gte', 'lt', 'lte'] as const;

/** Stripe's `created` filter: one second, or `gt`, `gte`, `lt`, `lte` in Unix seconds. → instants `[from, before)`. */
export function rangeFilter(): Codec<InstantRange> {
  const bounds = z.strictObject(
    Object.fromEntries(RANGE_KEYS.map((key) => [key, instant().optional()])) as Record<
      (typeof RANGE_KEYS)[number],
      z.ZodOptional<Codec<Instant>>
    >,
  );
  const schema = z.any().transform((input: unknown, context): InstantRange => {
    const isObject = typeof input === 'object' && input !== null;
    const data = relay<Instant | Bounds>(isObject ? bounds : instant(), input, context);
    return data === z.NEVER ? z.NEVER : rangeOf(data);
  });
  paramDescriptions.add(schema, { kind: 'range' });
  return schema as unknown as Codec<InstantRange>;
}

type Bounds = { [K in (typeof RANGE_KEYS)[number]]?: Instant | undefined };

function rangeOf(data: Instant | Bounds): InstantRange {
  if (typeof data === 'number') return { from: data, before: data + MILLIS };
  const from = [data.gte, data.gt === undefined ? undefined : data.gt + MILLIS];
  const before = [data.lt, data.lte === undefined ? undefined : data.lte + MILLIS];
  const given = (value: Instant | undefined): value is Instant => value !== undefined;
  const starts = from.filter(given);
  const ends = before.filter(given);
  return {
    from: starts.length === 0 ? null : Math.max(...starts),
    before: ends.length === 0 ? null : Math.min(...ends),
  };
}

const LIST_LIMIT_DEFAULT = 10;
const LIST_LIMIT_MAX = 100;

function listShape() {
  return {
    limit: integer({ min: 1, max: LIST_LIMIT_MAX }).default(LIST_LIMIT_DEFAULT),
    starting_after: text().optional(),
    ending_before: text().optional(),
  };
}

function bothCursors(params: { starting_after?: unknown; ending_before?: unknown }, context: z.RefinementCtx): void {
  if (params.starting_after === undefined || params.ending_before === undefined) return;
  const message = 'Received both starting_after and ending_before parameters. Please pass in only one.';
  context.addIssue({ code: 'custom', params: { failure: fail(null, () => message) } });
}

/** The parameters of a list: the filters, `limit` (1–100, default 10), `starting_after`, `ending_before`, `created`. */
export function listParams<Shape extends z.ZodRawShape>(filters: Shape) {
  return z
    .strictObject({ ...listShape(), created: rangeFilter().optional(), ...filters })
    .superRefine((params, context) => { bothCursors(params as never, context); });
}

/** The same for the few lists that Stripe doesn't filter by `created` (meters, invoice lines, subscription items). */
export function listParamsWithoutCreated<Shape extends z.ZodRawShape>(filters: Shape) {
  return z
    .strictObject({ ...listShape(), ...filters })
    .superRefine((params, context) => { bothCursors(params as never, context); });
}
