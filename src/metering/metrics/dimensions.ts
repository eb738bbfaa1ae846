import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { keepValues } from '../../domain/contract/applicability.js';
import { type BillableMetric, groupValues, type MeteredEvent } from '../../domain/contract/metric.js';

/** The values of one group of usage; null where the event had none. */
export type Dimensions = Readonly<Record<string, string | null>>;

/** A part of a metric's usage that has a series of its own. */
export interface Part {
  /** '' is the whole usage, anything else one combination of the values of one group key. */
  key: string;
  dimensions: Dimensions;
}

/** What an index row takes without trouble. */
export const KEY_LENGTH_MAX = 500;
const WHOLE: Part = { key: '', dimensions: {} };

/** The parts that an event counts in: the whole, and one of each group key. */
export function partsOf(metric: BillableMetric, event: MeteredEvent): Part[] {
  return [
    WHOLE,
    ...metric.groupKeys.map((names, index) => {
      const dimensions = groupValues(event, names);
      const values = names.map((name) => dimensions[name] ?? null);
      return { key: partKey(index, values), dimensions };
    }),
  ];
}

/** The key of the part with these values of the metric's group key at a place. It has no line break. */
export function partKey(index: number, values: readonly (string | null)[]): string {
  return `${index}:${shortened(JSON.stringify(values))}`;
}

const KEPT_MAX = 50_000;
/** By metric and key. What a key says never changes, and those of a customer are asked for at every read. */
const kept = new LRUCache<string, Dimensions>({ max: KEPT_MAX });

/**
 * The values that a part's key says, the same object at every call; `stored` are those of a key that is only a hash
 * (see `isHashed`), and given back as they are.
 */
export function dimensionsOfKey(metric: BillableMetric, key: string, stored: Dimensions | null): Dimensions {
  if (key === '') return WHOLE.dimensions;
  if (stored !== null && isHashed(key)) return stored;
  const id = `${metric.id} ${key}`;
  const known = kept.get(id);
  if (known !== undefined) return known;
  const colon = key.indexOf(':');
  const names = metric.groupKeys[Number(key.slice(0, colon))] ?? [];
  const values = JSON.parse(key.slice(colon + 1)) as (string | null)[];
  const dimensions = keepValues(
    Object.fromEntries(names.map((name, index) => [name, values[index] ?? null] as const)),
  );
  kept.set(id, dimensions);
  return dimensions;
}

const HASH = 'sha256:';

function isHashed(key: string): boolean {
  return key.startsWith(HASH, key.indexOf(':') + 1);
}

/** The same in SQL, of a column; values that look like it do no harm. */
export const IS_HASHED = (column: string): string => `${column} like '%:${HASH}%'`;

/** Long texts are told apart by their hash. */
export function shortened(text: string): string {
  if (text.length <= KEY_LENGTH_MAX) return text;
  return `${HASH}${createHash('sha256').update(text).digest('base64url')}`;
}

/** The keys of the parts of one group key (by its place; null for the whole) are those in `[low, high)`. */
export function partRange(groupKey: number | null): { low: string; high: string } {
  return groupKey === null ? { low: '', high: '!' } : { low: `${groupKey}:`, high: `${groupKey};` };
}

/** The smallest group key that tells all of the names apart: null for none needed, undefined when there is none. */
export function groupKeyFor(metric: BillableMetric, names: readonly string[]): number | null | undefined {
  if (names.length === 0) return null;
  let best: number | undefined;
  metric.groupKeys.forEach((key, index) => {
    if (!names.every((name) => key.includes(name))) return;
    if (best === undefined || key.length < (metric.groupKeys[best]?.length ?? 0)) best = index;
  });
  return best;
}
