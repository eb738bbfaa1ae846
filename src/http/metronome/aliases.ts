import type { z } from 'zod';
import type { AliasInput } from '../../billing/metronome/aliases.js';
import type { JsonValue } from '../../json.js';
import { hourTimestamp, list, object, text } from './params.js';
import { optionalTime } from './render.js';

const alias = object({
  name: text({ max: 200 }),
  starting_at: hourTimestamp().optional(),
  ending_before: hourTimestamp().optional(),
});

/** Names of a rate card or a package, with their schedule. */
export const aliases = list(alias, { max: 100 });

export function aliasOf(input: z.output<typeof alias>): AliasInput {
  return {
    name: input.name,
    startingAt: input.starting_at ?? null,
    endingBefore: input.ending_before ?? null,
  };
}

/** The names as reads show them; left out where there are none. */
export function aliasObjects(given: readonly AliasInput[]): JsonValue {
  if (given.length === 0) return undefined;
  return given.map(({ name, startingAt, endingBefore }) => ({
    name,
    starting_at: optionalTime(startingAt),
    ending_before: optionalTime(endingBefore),
  }));
}
