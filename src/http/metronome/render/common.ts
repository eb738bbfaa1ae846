import type { PricingUnit } from '../../../domain/contract/terms.js';
import type { Decimal } from '../../../domain/decimal.js';
import { type JsonObject, type JsonValue, jsonNumber } from '../../../json.js';

export type Units = ReadonlyMap<string, PricingUnit>;

export function numberOf(value: Decimal | null): JsonValue {
  return value === null ? undefined : jsonNumber(value);
}

/** The object with those properties that have a value. */
export function present(properties: Readonly<Record<string, JsonValue>>): JsonObject {
  // A loop, since an invoice may have ten thousand lines of twenty properties.
  const found: Record<string, JsonValue> = {};
  for (const name of Object.keys(properties)) {
    const value = properties[name];
    if (value !== undefined && value !== null) found[name] = value;
  }
  return found;
}

/** Words of a request that were kept: exact numbers become numbers again. */
export function rawJson(value: unknown): JsonValue {
  if (Array.isArray(value)) return value.map(rawJson);
  if (typeof value !== 'object' || value === null) return value as JsonValue;
  if (typeof (value as Partial<Decimal>).coefficient === 'bigint') return jsonNumber(value as Decimal);
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, rawJson(part)]));
}
