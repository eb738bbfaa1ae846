import { ZERO } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import { instantArray, jsonArray, plainArray, textArray } from './arrays.js';
import { MARK_URGENT } from './dueAlerts.js';
import type { ResolvedEvent } from './resolve.js';
import type { RollupRow, Sums, TotalChange } from './rollup.js';
import { addSums, compareSeriesIds, rollupColumns, rollupRows, SeriesUsage, totalColumns } from './rollup.js';

/** Values that repeat, as a list and their places in it, counted from one as Postgres does. */
class Places<T> {
  readonly values: T[] = [];
  readonly #places = new Map<T, number>();
  #last: T | undefined;
  #lastPlace = 0;

  of(value: T): number {
    if (value === this.#last) return this.#lastPlace;
    let place = this.#places.get(value);
    if (place === undefined) {
      place = this.values.push(value);
      this.#places.set(value, place);
    }
    this.#last = value;
    this.#lastPlace = place;
    return place;
  }
}

/** The parameters of the SQL functions that store events, one list of columns a batch. */
export class EventColumns {
  readonly #events: readonly ResolvedEvent[];
  readonly #metricRows: readonly RollupRow[];
  readonly #accounts = new Places<string>();
  readonly #instants = new Places<Instant>();
  readonly #accountPlaces: string;
  readonly #eventInstants: string;
  readonly #createdInstants: string;
  readonly #series: string;
  readonly #places: string;
  readonly #identifiers: string;

  /** `metricRows` are what metrics add, where the same call stores it. */
  constructor(events: readonly ResolvedEvent[], metricRows: readonly RollupRow[] = []) {
    this.#events = events;
    this.#metricRows = metricRows;
    this.#accountPlaces = plainArray(events, ({ prepared }) => this.#accounts.of(prepared.accountId));
    this.#eventInstants = plainArray(events, ({ timestamp }) => this.#instants.of(timestamp));
    this.#createdInstants = plainArray(events, ({ createdAt }) => this.#instants.of(createdAt));
    this.#series = plainArray(events, ({ series }) => series.seriesId);
    this.#places = plainArray(events, ({ place }) => place);
    this.#identifiers = textArray(events, ({ prepared }) => prepared.identifier);
  }

  /** Of `store_new_meter_events`. */
  ofNew(): unknown[] {
    return [
      this.#accounts.values,
      plainArray(this.#instants.values, (instant) => instant),
      this.#accountPlaces,
      plainArray(this.#events, ({ prepared }) => prepared.keyHash),
      plainArray(this.#events, ({ prepared }) => prepared.requestHash),
      ...this.#ofAll(),
    ];
  }

  /** Of `add_meter_events`, whose identifiers have been taken and whose first arrival is known. */
  ofTaken(base: bigint): unknown[] {
    return [base.toString(), ...this.#ofAll()];
  }

  #ofAll(): unknown[] {
    const events = this.#events;
    return [
      instantArray(this.#instants.values, (instant) => instant),
      this.#series,
      plainArray(events, ({ part }) => part?.seriesId ?? null),
      this.#eventInstants,
      this.#createdInstants,
      this.#places,
      plainArray(events, ({ valueText }) => valueText),
      this.#identifiers,
      jsonArray(events, ({ prepared }) => prepared.payloadJson),
      ...usageColumns(events, this.#metricRows),
    ];
  }
}

/** The usage of a batch by series. On meters with an event time window it only says that something arrived. */
function usageColumns(events: readonly ResolvedEvent[], metricRows: readonly RollupRow[]): unknown[] {
  const wholes = new Map<string, SeriesUsage>();
  const parts = new Map<string, SeriesUsage>();
  for (const event of events) {
    const { series, part } = event;
    const usage = usageOf(wholes, series.seriesId);
    usage.arrived += 1;
    usage.hasAlerts ||= series.meter.hasAlerts && series.meter.eventTimeWindow === null;
    const value = event.valueText === null ? null : event.value;
    // The series of events as Metronome's dialect sent them has no meter, and so no usage of its own.
    if (series.meter.eventTimeWindow === null && series.meter.id !== '') {
      usage.add(event.timestamp, event.place, value);
    }
    if (part !== null) usageOf(parts, part.seriesId).add(event.timestamp, event.place, value);
  }
  const changes: TotalChange[] = [];
  const rows: RollupRow[] = [];
  const alerted: string[] = [];
  for (const usage of sortedBySeries(wholes)) {
    const minutes = usage.buckets();
    const hours = usage.hours();
    rows.push(...rollupRows(usage.seriesId, minutes, hours));
    changes.push(totalChange(usage, [...hours.values()]));
    if (usage.hasAlerts) alerted.push(usage.seriesId);
  }
  for (const usage of sortedBySeries(parts))
    rows.push(...rollupRows(usage.seriesId, usage.buckets(), usage.hours()));
  return [
    ...totalColumns(changes),
    ...rollupColumns([...rows, ...metricRows]),
    MARK_URGENT,
    plainArray(alerted, (seriesId) => seriesId),
  ];
}

function usageOf(usages: Map<string, SeriesUsage>, seriesId: string): SeriesUsage {
  let usage = usages.get(seriesId);
  if (usage === undefined) {
    usage = new SeriesUsage(seriesId);
    usages.set(seriesId, usage);
  }
  return usage;
}

function sortedBySeries(usages: ReadonlyMap<string, SeriesUsage>): SeriesUsage[] {
  return [...usages.values()].sort((a, b) => compareSeriesIds(a.seriesId, b.seriesId));
}

function totalChange({ seriesId, arrived: events }: SeriesUsage, sums: readonly Sums[]): TotalChange {
  const arrived = BigInt(events);
  if (sums.length === 0) return { seriesId, arrived, count: 0n, total: ZERO, latest: null };
  const { count, total, latest } = sums.reduce(addSums);
  return { seriesId, arrived, count, total, latest };
}
