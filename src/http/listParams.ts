import { z } from 'zod';
import type { Instant } from '../domain/period.js';
import type { InstantRange } from '../storage/pages.js';
import { type Codec, fail, paramDescriptions, relay } from './codec.js';
import { instant, integer, text } from './scalarParams.js';

const MILLIS = 1000;
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
  return schema;
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

function bothCursors(params: object, context: z.RefinementCtx): void {
  const { starting_after: after, ending_before: before } = params as Readonly<Record<string, unknown>>;
  if (after === undefined || before === undefined) return;
  const message = 'Received both starting_after and ending_before parameters. Please pass in only one.';
  context.addIssue({ code: 'custom', params: { failure: fail(null, () => message) } });
}

type ListShape<Shape extends z.ZodRawShape> = ReturnType<typeof listShape> & Shape;
type CreatedShape = { created: z.ZodOptional<Codec<InstantRange>> };

/** The parameters of a list: the filters, `limit` (1–100, default 10), `starting_after`, `ending_before`, `created`. */
export function listParams<Shape extends z.ZodRawShape>(
  filters: Shape,
): z.ZodObject<ListShape<CreatedShape & Shape>, z.core.$strict> {
  return listParamsWithoutCreated({ created: rangeFilter().optional(), ...filters });
}

/** The same for the few lists that Stripe doesn't filter by `created` (meters, invoice lines, subscription items). */
export function listParamsWithoutCreated<Shape extends z.ZodRawShape>(
  filters: Shape,
): z.ZodObject<ListShape<Shape>, z.core.$strict> {
  return z.strictObject({ ...listShape(), ...filters }).superRefine(bothCursors);
}
