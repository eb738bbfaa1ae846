import { propertyText } from '../../domain/contract/event.js';
import {
  aggregatedValue,
  type BillableMetric,
  groupValues,
  matchesFilters,
  type MeteredEvent,
} from '../../domain/contract/metric.js';
import type { Instant } from '../../domain/period.js';
import { floorTo, HOUR_MS, type RollupRow, SeriesUsage, type Sums, addSums } from '../rollup.js';
import { partKey, shortened } from './dimensions.js';
import { bucketOf } from './grains.js';
import type { SeriesName } from './series.js';

/** An event of a batch; `place` is its place in the order of arrival. */
export interface PlacedEvent {
  accountId: string;
  customerKey: string;
  event: MeteredEvent;
  place: number;
}

/** What a batch adds to the usage of one customer name on one part of a metric. */
export class PartUsage {
  readonly #first: PlacedEvent;
  readonly #metric: BillableMetric;
  readonly #groupKey: readonly string[];
  readonly #key: string;
  readonly #hours = new SeriesUsage('', HOUR_MS);
  readonly #texts = new Map<Instant, Set<string>>();

  constructor(first: PlacedEvent, metric: BillableMetric, groupKey: readonly string[], key: string) {
    this.#first = first;
    this.#metric = metric;
    this.#groupKey = groupKey;
    this.#key = key;
  }

  get name(): SeriesName {
    const { accountId, customerKey: customerId, event } = this.#first;
    const dimensions = groupValues(event, this.#groupKey);
    return { accountId, meterId: this.#metric.id, customerId, key: this.#key, dimensions };
  }

  add({ event, place }: PlacedEvent, value: ReturnType<typeof aggregatedValue>): void {
    const isText = typeof value === 'string';
    this.#hours.add(
      event.timestamp,
      place,
      isText || this.#metric.aggregation.type === 'COUNT' ? null : value,
    );
    if (!isText) return;
    const hour = floorTo(event.timestamp, HOUR_MS);
    this.#texts.set(hour, (this.#texts.get(hour) ?? new Set()).add(shortened(value)));
  }

  /** By hour, day and month, in the order of the primary key; `latest.arrival` is the event's place. */
  rows(seriesId: string): RollupRow[] {
    const hours = this.#hours.buckets();
    const rows: RollupRow[] = [];
    for (const grain of GRAINS) {
      for (const [bucket, sums] of inBuckets(hours, grain)) rows.push({ seriesId, grain, bucket, sums });
    }
    return rows;
  }

  texts(seriesId: string): TextRow[] {
    return [...this.#texts]
      .sort(([a], [b]) => a - b)
      .flatMap(([bucket, texts]) => [...texts].sort().map((text) => ({ seriesId, bucket, text })));
  }
}

/** A distinct text of an hour, for UNIQUE. */
export interface TextRow {
  seriesId: string;
  bucket: Instant;
  text: string;
}

const GRAINS = [60, 1440, 30_000] as const;

function inBuckets(hours: ReadonlyMap<Instant, Sums>, grain: (typeof GRAINS)[number]): [Instant, Sums][] {
  const buckets = new Map<Instant, Sums>();
  for (const [hour, sums] of hours) {
    const bucket = bucketOf(grain, hour);
    const before = buckets.get(bucket);
    buckets.set(bucket, before === undefined ? sums : addSums(before, sums));
  }
  return buckets.size === 1 ? [...buckets] : [...buckets].sort(([a], [b]) => a - b);
}

/** What the events of a batch add, by the key of the series that it belongs to (see `seriesKey`). */
export function usageOfParts(
  events: readonly PlacedEvent[],
  metricsOf: (accountId: string) => readonly BillableMetric[],
): Map<string, PartUsage> {
  const usages = new Map<string, PartUsage>();
  for (const placed of events) {
    for (const metric of metricsOf(placed.accountId)) addEvent(usages, metric, placed);
  }
  return usages;
}

const WHOLE: readonly string[] = [];

function addEvent(usages: Map<string, PartUsage>, metric: BillableMetric, placed: PlacedEvent): void {
  const { event } = placed;
  if (!matchesFilters(metric, event)) return;
  const value = aggregatedValue(metric, event);
  if (value === null) return;
  usageOf(usages, metric, placed, WHOLE, '').add(placed, value);
  metric.groupKeys.forEach((names, index) => {
    const key = partKey(
      index,
      names.map((name) => propertyText(event, name)),
    );
    usageOf(usages, metric, placed, names, key).add(placed, value);
  });
}

function usageOf(
  usages: Map<string, PartUsage>,
  metric: BillableMetric,
  placed: PlacedEvent,
  names: readonly string[],
  key: string,
): PartUsage {
  const id = seriesKey(metric.id, placed.customerKey, key);
  let usage = usages.get(id);
  if (usage === undefined) {
    usage = new PartUsage(placed, metric, names, key);
    usages.set(id, usage);
  }
  return usage;
}

/** One text a series of a metric: metrics' ids are unique and of one length, and there is no line break in a part's key. */
function seriesKey(metricId: string, customerKey: string, partsKey: string): string {
  return `${metricId}${customerKey}\n${partsKey}`;
}
