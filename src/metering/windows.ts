import { add, negate, ZERO } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import type { Queryable } from '../storage/db.js';
import type { Counted, RollupRow, Sums } from './rollup.js';
import { addRollups, floorTo, HOUR_MS, MINUTE_MS, sumsOf } from './rollup.js';
import { readHours, removeRollups, type SeriesSpan } from './rollupRows.js';
import { correctTotals, type TotalCorrection } from './totals.js';

const WINDOW_MS = { hour: HOUR_MS, day: 24 * HOUR_MS };

/** The UTC hour or day that an instant is in. */
export function windowAt(seriesId: string, window: 'hour' | 'day', instant: Instant): SeriesSpan {
  const start = floorTo(instant, WINDOW_MS[window]);
  return { seriesId, start, end: start + WINDOW_MS[window] };
}

interface WindowedEvent {
  span: SeriesSpan;
  event: Counted;
}

/**
 * The events of a batch on meters with an event time window. Of a window only the event received last counts
 * (docs.stripe.com/billing/subscriptions/usage-based/meters/configure), so its rollups hold that one event.
 */
export class WindowedEvents {
  readonly #newest = new Map<string, WindowedEvent>();

  add(span: SeriesSpan, event: Counted): void {
    const key = `${span.seriesId}/${span.start}`;
    const before = this.#newest.get(key);
    if (before === undefined || before.event.arrival < event.arrival) this.#newest.set(key, { span, event });
  }

  /** Lets each count in its window, unless a later arrival counts already. The caller holds the locks of the series. */
  async write(q: Queryable): Promise<void> {
    const entries = [...this.#newest.values()];
    if (entries.length === 0) return;
    const current = await readHours(
      q,
      entries.map((entry) => entry.span),
    );
    const newer = entries.flatMap((entry, index) => {
      const before = current[index]?.[0] ?? null;
      const isNewer = before === null || before.latest.arrival < entry.event.arrival;
      return isNewer ? [{ ...entry, before }] : [];
    });
    await replaceCounting(q, newer);
  }
}

export interface Replacement {
  span: SeriesSpan;
  /** What counted in the window until now; null when nothing did. */
  before: Sums | null;
  /** What counts from now on. */
  event: Counted | null;
}

/** Changes which event counts in each window. The caller holds the locks of the series. */
export async function replaceCounting(q: Queryable, replacements: readonly Replacement[]): Promise<void> {
  await removeRollups(
    q,
    replacements.filter(({ before }) => before !== null).map(({ span }) => span),
  );
  await addRollups(
    q,
    replacements.flatMap(({ span, event }) => (event === null ? [] : rowsOf(span.seriesId, event))),
  );
  const corrections = new Map<string, TotalCorrection>();
  for (const { span, before, event } of replacements) {
    const sum = corrections.get(span.seriesId) ?? { seriesId: span.seriesId, count: 0n, total: ZERO };
    sum.count += (event === null ? 0n : 1n) - (before?.count ?? 0n);
    sum.total = add(add(sum.total, event?.value ?? ZERO), negate(before?.total ?? ZERO));
    corrections.set(span.seriesId, sum);
  }
  await correctTotals(q, [...corrections.values()]);
}

function rowsOf(seriesId: string, event: Counted): RollupRow[] {
  const sums = sumsOf(event);
  return [
    { seriesId, grain: 1, bucket: floorTo(event.timestamp, MINUTE_MS), sums },
    { seriesId, grain: 60, bucket: floorTo(event.timestamp, HOUR_MS), sums },
  ];
}
