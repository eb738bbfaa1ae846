import { invalid } from '../../domain/errors.js';
import type { Instant } from '../../domain/period.js';
import type { StoredAlias } from '../../storage/aliases.js';

/** A name that a rate card or a package is to have for a while; null is open. */
export interface AliasInput {
  name: string;
  startingAt: Instant | null;
  endingBefore: Instant | null;
}

/** An alias that stays as it was keeps when it was assigned; a new or changed one is the latest of its name. */
export function aliasesWith(
  before: readonly StoredAlias[],
  given: readonly AliasInput[],
  at: Instant,
): StoredAlias[] {
  return given.map((alias) => {
    if (alias.startingAt !== null && alias.endingBefore !== null && alias.endingBefore <= alias.startingAt) {
      throw invalid(`Invalid 'aliases': '${alias.name}' must end after it starts.`);
    }
    const same = before.find(
      ({ name, startingAt, endingBefore }) =>
        name === alias.name && startingAt === alias.startingAt && endingBefore === alias.endingBefore,
    );
    return same ?? { ...alias, assignedAt: at };
  });
}
