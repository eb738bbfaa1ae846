import type { Instant, Period } from '../period.js';
import type { Balance } from './balanceTerms.js';
import type { Override, RateSegment } from './terms.js';

/** What can change a price, or who pays for it, within a statement. */
export interface CutSources {
  segments: readonly RateSegment[];
  overrides: readonly Override[];
  balances: readonly Balance[];
}

/** The instants inside the period at which one of the sources begins or ends, ascending and distinct. */
export function cutInstantsOf(period: Period, sources: CutSources): Instant[] {
  const instants = new Set<Instant>();
  const note = (instant: Instant | null) => {
    if (instant !== null && period.start < instant && instant < period.end) instants.add(instant);
  };
  for (const { startingAt, endingBefore } of [...sources.segments, ...sources.overrides]) {
    note(startingAt);
    note(endingBefore);
  }
  for (const { access, shares } of sources.balances) {
    for (const { startingAt, endingBefore } of access) {
      note(startingAt);
      note(endingBefore);
    }
    for (const { spans } of shares?.bySeat.values() ?? []) {
      for (const { start, end } of spans) {
        note(start);
        note(end);
      }
    }
  }
  return [...instants].sort((a, b) => a - b);
}

/** The period in pieces between the instants, which lie inside it in ascending order. */
export function cutAt(period: Period, instants: readonly Instant[]): Period[] {
  const starts = [period.start, ...instants];
  return starts.map((start, index) => ({ start, end: starts[index + 1] ?? period.end }));
}

/** The index of the piece that contains the instant; the last one that starts at or before it. */
export function pieceIndexAt(pieces: readonly Period[], at: Instant): number {
  let low = 0;
  let high = pieces.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((pieces[middle]?.start ?? 0) <= at) low = middle;
    else high = middle - 1;
  }
  return low;
}
