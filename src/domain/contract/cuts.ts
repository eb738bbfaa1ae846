import type { Instant, Period } from '../period.js';
import { type ChargeTarget, seatNamed } from './applicability.js';
import type { Balance, SeatShare, SeatShares } from './balanceTerms.js';
import type { Override, RateSegment } from './terms.js';

/** What can change a price, or who pays for it, within a statement. */
export interface CutSources {
  segments: readonly RateSegment[];
  overrides: readonly Override[];
  balances: readonly Balance[];
  /** Of balances granted seat by seat only the share of the seat that this names counts; without it all do. */
  usage?: Pick<ChargeTarget, 'pricingGroupValues' | 'presentationGroupValues'>;
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
    if (
      access.every(({ startingAt, endingBefore }) => endingBefore <= period.start || startingAt >= period.end)
    ) {
      continue;
    }
    const counting = shares === undefined ? null : sharesFor(shares, sources.usage);
    if (counting?.length === 0) continue;
    for (const { startingAt, endingBefore } of access) {
      note(startingAt);
      note(endingBefore);
    }
    for (const { start, end } of (counting ?? []).flatMap(({ spans }) => spans)) {
      note(start);
      note(end);
    }
  }
  return [...instants].sort((a, b) => a - b);
}

function sharesFor({ groupKey, bySeat }: SeatShares, usage: CutSources['usage']): SeatShare[] {
  if (usage === undefined) return [...bySeat.values()];
  const share = bySeat.get(seatNamed(usage, groupKey) ?? '');
  return share === undefined ? [] : [share];
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
