import { type Decimal, parseDecimal, toText } from '../domain/decimal.js';
import { JsonNumber } from '../json.js';

/** How a decimal stands inside a stored document. */
interface StoredDecimal {
  $decimal: string;
}

/**
 * The JSON text of a document of plain values and Decimals; `fromDocument` reads it back unchanged, a number that was
 * kept exact as text becomes a Decimal.
 */
export function toDocument(value: unknown): string {
  return JSON.stringify(encoded(value));
}

/** The value of a jsonb column that `toDocument` wrote. */
export function fromDocument(stored: unknown): unknown {
  return decoded(stored);
}

function encoded(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(encoded);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof JsonNumber) return { $decimal: value.text } satisfies StoredDecimal;
  if (isDecimal(value)) return { $decimal: toText(value) } satisfies StoredDecimal;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, encoded(part)]));
}

function decoded(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(decoded);
  if (typeof value !== 'object' || value === null) return value;
  const text = (value as Partial<StoredDecimal>).$decimal;
  if (typeof text === 'string') return parseDecimal(text);
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, decoded(part)]));
}

function isDecimal(value: object): value is Decimal {
  return typeof (value as Partial<Decimal>).coefficient === 'bigint';
}
