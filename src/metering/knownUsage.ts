import { LRUCache } from 'lru-cache';
import type { BillableMetric } from '../domain/contract/metric.js';
import type { CountedUsage } from './metrics/count.js';
import { rowsOfParts } from './metrics/count.js';
import { type TextRow, usageOfParts } from './metrics/partUsage.js';
import { meteredEvent } from './metrics/sent.js';
import type { ResolvedEvent } from './resolve.js';
import type { RollupRow } from './rollup.js';

const SERIES_MAX = 200_000;
const ACCOUNTS_MAX = 10_000;

/** What a batch adds to metrics, when all that it needs is known. */
export interface KnownCounts {
  accounts: readonly string[];
  /** The ids of their metrics, sorted: what the database has to confirm. */
  metricIds: readonly string[];
  /** The arrival of the latest is its place in the batch. */
  rows: readonly RollupRow[];
  texts: readonly TextRow[];
}

/**
 * What careful writing has found out, so that the next batches need not ask. A series never changes its number, and the
 * metrics are confirmed by the database with each batch, so it can only be too little.
 */
export class KnownUsage {
  readonly #watched = new Set<string>();
  readonly #metrics = new LRUCache<string, readonly BillableMetric[]>({ max: ACCOUNTS_MAX });
  readonly #series = new LRUCache<string, string>({ max: SERIES_MAX });

  /** Whether something else counts or watches the account's events. */
  isWatched(accountId: string): boolean {
    return this.#watched.has(accountId);
  }

  watch(events: readonly ResolvedEvent[]): void {
    for (const { prepared } of events) this.#watched.add(prepared.accountId);
  }

  /** To be called once what was found out is committed. */
  learn({ metrics, series }: CountedUsage): void {
    for (const [accountId, ofAccount] of metrics) this.#metrics.set(accountId, ofAccount);
    for (const [key, seriesId] of series) this.#series.set(key, seriesId);
  }

  /** The metrics of these accounts are not what they were. */
  forgetMetrics(events: readonly ResolvedEvent[]): void {
    for (const { prepared } of events) this.#metrics.delete(prepared.accountId);
  }

  /** What the events add; null when a metric or a series is not known. Their places must have been given. */
  count(events: readonly ResolvedEvent[]): KnownCounts | null {
    const metrics = new Map<string, readonly BillableMetric[]>();
    for (const { prepared } of events) {
      if (metrics.has(prepared.accountId)) continue;
      const known = this.#metrics.get(prepared.accountId);
      if (known === undefined) return null;
      metrics.set(prepared.accountId, known);
    }
    const placed = events.map((event) => {
      const { customerKey, event: metered } = meteredEvent(event);
      return { accountId: event.prepared.accountId, customerKey, event: metered, place: event.place };
    });
    const usages = usageOfParts(placed, (accountId) => metrics.get(accountId) ?? []);
    const parts = [];
    for (const [key, usage] of usages) {
      const seriesId = this.#series.get(key);
      if (seriesId === undefined) return null;
      parts.push({ usage, seriesId });
    }
    const metricIds = [...metrics.values()].flatMap((ofAccount) => ofAccount.map(({ id }) => id)).sort();
    return { accounts: [...metrics.keys()].sort(), metricIds, ...rowsOfParts(parts) };
  }
}
