import type { Instant, Period } from '../../domain/period.js';
import { floorTo } from '../rollup.js';

/** The grains of metrics' rollups, the coarsest first. */
type MetricGrain = 60 | 1440 | 30_000;
const GRAINS: readonly MetricGrain[] = [30_000, 1440, 60];

/** The start of the hour, day or UTC month that an instant is in. */
export function bucketOf(grain: MetricGrain, instant: Instant): Instant {
  if (grain !== 30_000) return floorTo(instant, grain * 60_000);
  const date = new Date(instant);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth());
}

/** The end of that bucket. */
export function bucketEnd(grain: MetricGrain, bucket: Instant): Instant {
  if (grain !== 30_000) return bucket + grain * 60_000;
  const date = new Date(bucket);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1);
}

/** Part of a period that is read from rows of one grain. */
export interface Span extends Period {
  grain: MetricGrain;
}

/**
 * Covers the windows, whose bounds are on the hour, with as few rows as can be: whole months and days that lie in one
 * window, hours for the rest. Neighbours of one grain are joined, whatever window they are in.
 */
export function spansOf(windows: readonly Period[]): Span[] {
  const spans: Span[] = [];
  for (const window of windows) cover(spans, window, 0);
  return spans;
}

function cover(spans: Span[], { start, end }: Period, level: number): void {
  const grain = GRAINS[level];
  if (start >= end || grain === undefined) return;
  const floor = bucketOf(grain, start);
  const first = floor === start ? start : bucketEnd(grain, floor);
  const last = bucketOf(grain, end);
  if (first >= last) {
    cover(spans, { start, end }, level + 1);
    return;
  }
  cover(spans, { start, end: first }, level + 1);
  const before = spans.at(-1);
  if (before?.grain === grain && before.end === first) before.end = last;
  else spans.push({ grain, start: first, end: last });
  cover(spans, { start: last, end }, level + 1);
}
