import type { BillableMetric, MeteredEvent } from '../../domain/contract/metric.js';
import { add, type Decimal, ZERO } from '../../domain/decimal.js';
import type { Instant, Period } from '../../domain/period.js';
import type { Dimensions } from './dimensions.js';

/** Only events whose property has one of the values. */
export interface ValueFilter {
  name: string;
  values: readonly string[];
}

/** What is read of one metric: its usage by the values of these properties. */
export interface MetricTarget {
  metric: BillableMetric;
  names: readonly string[];
  filters: readonly ValueFilter[];
}

export interface ReadingQuery {
  accountId: string;
  /** Every name under which the customer's events may have been sent. */
  customerKeys: readonly string[];
  /** Ascending, without gaps: the pieces of the period. */
  windows: readonly Period[];
  /** Until when a level lasts that is metered over time; later it is not known yet. */
  at: Instant;
  /** Counted besides those stored, after them where the time is the same. */
  extraEvents: readonly MeteredEvent[];
  /**
   * `running`: what each window adds to the aggregate since the first one's start, as invoices need it. `separate`:
   * each window by itself.
   */
  mode: 'running' | 'separate';
}

/** The usage of one group of values. */
export interface GroupReading {
  dimensions: Dimensions;
  /** By window, ascending; windows in which nothing happened are left out. */
  windows: { index: number; quantity: Decimal }[];
}

/** The values of these names alone; the same object where it has no others. */
export function projected(dimensions: Dimensions, names: readonly string[]): Dimensions {
  if (hasExactly(dimensions, names)) return dimensions;
  return Object.fromEntries(names.map((name) => [name, dimensions[name] ?? null]));
}

/** Whether the values have these names and no others. */
export function hasExactly(dimensions: Dimensions, names: readonly string[]): boolean {
  const own = Object.keys(dimensions);
  return own.length === names.length && own.every((name) => names.includes(name));
}

export function passesFilters(dimensions: Dimensions, filters: readonly ValueFilter[]): boolean {
  return filters.every(({ name, values }) => {
    const value = dimensions[name] ?? null;
    return value !== null && values.includes(value);
  });
}

export function groupId(dimensions: Dimensions, names: readonly string[]): string {
  return JSON.stringify(names.map((name) => dimensions[name] ?? null));
}

/** Every property that the target must be able to tell apart. */
export function neededNames({ names, filters }: MetricTarget): string[] {
  return [...new Set([...names, ...filters.map(({ name }) => name)])];
}

/** The target that reads each row of the metric by itself, where its rows don't add up to the whole. */
export function rowTarget(target: MetricTarget): MetricTarget {
  const { rowKey = [] } = target.metric;
  const names = [...new Set([...target.names, ...rowKey])];
  return names.length === target.names.length ? target : { ...target, names };
}

/** What was read with `rowTarget`, summed by the names that the target itself asks for. */
export function sumOfRows(target: MetricTarget, rows: readonly GroupReading[]): GroupReading[] {
  if (rowTarget(target) === target) return [...rows];
  const groups = new Map<string, { dimensions: Dimensions; windows: Map<number, Decimal> }>();
  for (const { dimensions, windows } of rows) {
    const id = groupId(dimensions, target.names);
    const group = groups.get(id) ?? {
      dimensions: projected(dimensions, target.names),
      windows: new Map<number, Decimal>(),
    };
    groups.set(id, group);
    for (const { index, quantity } of windows) {
      group.windows.set(index, add(group.windows.get(index) ?? ZERO, quantity));
    }
  }
  return [...groups.values()].map(({ dimensions, windows }) => ({
    dimensions,
    windows: [...windows].sort(([a], [b]) => a - b).map(([index, quantity]) => ({ index, quantity })),
  }));
}
