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
export function cutInstantsOf(period: Period, sources: CutSources): readonly Instant[] {
  const instants: Instant[] = [];
  const note = (instant: Instant | null) => {
    if (instant !== null && period.start < instant && instant < period.end) instants.push(instant);
  };
  const noteAll = (spans: readonly Span[]) => {
    for (const { startingAt, endingBefore } of spans) {
      note(startingAt);
      note(endingBefore);
    }
  };
  if (sources.segments.length < LONG_LIST) noteAll(sources.segments);
  else for (const instant of boundsOf(sources.segments)) note(instant);
  noteAll(sources.overrides);
  for (const { access, shares } of sources.balances) {
    if (
      access.every(({ startingAt, endingBefore }) => endingBefore <= period.start || startingAt >= period.end)
    ) {
      continue;
    }
    const counting = shares === undefined ? null : sharesFor(shares, sources.usage);
    if (counting?.length === 0) continue;
    noteAll(access);
    for (const { start, end } of (counting ?? []).flatMap(({ spans }) => spans)) {
      note(start);
      note(end);
    }
  }
  // Nearly always there is none or one, for each of ten thousand combinations.
  return instants.length < 2 ? instants : [...new Set(instants)].sort((a, b) => a - b);
}

interface Span {
  startingAt: Instant;
  endingBefore: Instant | null;
}

const LONG_LIST = 32;
/** Of a whole card: most of its rates begin together, and a list never changes once it is made. */
const knownBounds = new WeakMap<readonly Span[], readonly Instant[]>();

function boundsOf(spans: readonly Span[]): readonly Instant[] {
  const known = knownBounds.get(spans);
  if (known !== undefined) return known;
  const bounds = new Set<Instant>();
  for (const { startingAt, endingBefore } of spans) {
    bounds.add(startingAt);
    if (endingBefore !== null) bounds.add(endingBefore);
  }
  const distinct = [...bounds];
  knownBounds.set(spans, distinct);
  return distinct;
}

function sharesFor({ groupKey, bySeat }: SeatShares, usage: CutSources['usage']): SeatShare[] {
  if (usage === undefined) return [...bySeat.values()];
  const share = bySeat.get(seatNamed(usage, groupKey) ?? '');
  return share === undefined ? [] : [share];
}

/** The period in pieces between the instants, which lie inside it in ascending order. */
export function cutAt(period: Period, instants: readonly Instant[]): Period[] {
  if (instants.length === 0) return [period];
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
