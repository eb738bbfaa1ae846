import { z } from 'zod';
import {
  arrayItems,
  type Codec,
  clearableInners,
  isEmpty,
  paramDescriptions,
  relay,
  unsupportedWord,
} from './codec.js';

/**
 * One of `words`, or what `other` accepts: `up_to` is `inf` or a number. `unsupported` are further words of Stripe's
 * that we know and refuse by name.
 */
export function wordOr<const W extends string, T>(
  words: readonly W[],
  other: Codec<T>,
  options: { unsupported?: readonly string[] } = {},
): Codec<W | T> {
  const unsupported = options.unsupported ?? [];
  const schema = z.any().transform((input: unknown, context): W | T => {
    const word = words.find((candidate) => candidate === input);
    if (word !== undefined) return word;
    if (typeof input !== 'string' || !unsupported.includes(input)) return relay(other, input, context);
    context.addIssue({ code: 'custom', params: { failure: unsupportedWord(input) } });
    return z.NEVER;
  });
  const inner = paramDescriptions.get(other) ?? { kind: 'text' };
  paramDescriptions.add(schema, { ...inner, words, unsupportedValues: unsupported });
  return schema;
}

/** `''` (or null) → null, else the codec: for what may be unset. */
export function clearable<T>(inner: Codec<T>): Codec<T | null> {
  const schema = z.any().transform((input: unknown, context): T | null => {
    if (isEmpty(input)) return null;
    return relay(inner, input, context);
  });
  clearableInners.set(schema, inner);
  return schema;
}

/**
 * A list: `a[]=`, `a[0]=` or a JSON array, of at most `max` elements. Numeric keys give the order; gaps close.
 */
export function array<T>(item: Codec<T>, options: { max?: number } = {}): Codec<T[]> {
  const list = z.array(item).max(options.max ?? Number.MAX_SAFE_INTEGER);
  const schema = z.any().transform((input: unknown, context): T[] => {
    return relay(list, asList(input), context);
  });
  arrayItems.set(schema, item);
  return schema;
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
