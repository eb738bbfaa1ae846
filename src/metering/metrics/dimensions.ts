import { createHash } from 'node:crypto';
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
      return { key: partKey(index, names, dimensions), dimensions };
    }),
  ];
}

function partKey(index: number, names: readonly string[], dimensions: Dimensions): string {
  const values = JSON.stringify(names.map((name) => dimensions[name] ?? null));
  return `${index}:${shortened(values)}`;
}

/** Long texts are told apart by their hash. */
export function shortened(text: string): string {
  if (text.length <= KEY_LENGTH_MAX) return text;
  return `sha256:${createHash('sha256').update(text).digest('base64url')}`;
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
