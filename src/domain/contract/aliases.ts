import type { Instant } from '../period.js';
import type { RateCardAlias } from './terms.js';

/** An alias that a rate card or a package has for a while. */
export interface AliasAssignment extends RateCardAlias {
  holderId: string;
}

/**
 * What an alias means at a contract's start: of those that have it at that instant, the one that got it last (the
 * order of the list). Null when none has.
 */
export function aliasHolder(
  assignments: readonly AliasAssignment[],
  alias: string,
  contractStart: Instant,
): string | null {
  const found = assignments.findLast(
    ({ name, startingAt, endingBefore }) =>
      name === alias &&
      (startingAt === null || startingAt <= contractStart) &&
      (endingBefore === null || contractStart < endingBefore),
  );
  return found?.holderId ?? null;
}

/**
 * What is left of an alias when somebody else takes it for a while: nothing, one part, or the parts before and after
 * (docs.metronome.com/api-reference, "create a package": the alias schedule of the other package is updated).
 */
export function aliasWithout<T extends RateCardAlias>(alias: T, taken: RateCardAlias): T[] {
  if (alias.name !== taken.name) return [alias];
  const [start, end] = [alias.startingAt ?? -Infinity, alias.endingBefore ?? Infinity];
  const [from, until] = [taken.startingAt ?? -Infinity, taken.endingBefore ?? Infinity];
  if (until <= start || end <= from) return [alias];
  return [
    ...(start < from ? [{ ...alias, endingBefore: taken.startingAt }] : []),
    ...(until < end ? [{ ...alias, startingAt: taken.endingBefore }] : []),
  ];
}
