import { UsageError } from '../terminal/usageError.js';

/** Reads the value of `--map`: `KEY=COLUMN[,KEY=COLUMN]…`. Throws UsageError for a key that is not known or doubled. */
export function parsePairs(text: string, keys: readonly string[]): ReadonlyMap<string, string> {
  const given = new Map<string, string>();
  for (const part of text.split(',')) {
    const equals = part.indexOf('=');
    const key = part.slice(0, equals).trim();
    const value = part.slice(equals + 1).trim();
    if (equals < 1 || value === '') throw new UsageError(`--map: expected KEY=COLUMN, got '${part}'`);
    if (!keys.includes(key)) throw new UsageError(`--map: '${key}' is none of ${keys.join(', ')}`);
    if (given.has(key)) throw new UsageError(`--map: '${key}' is given twice`);
    given.set(key, value);
  }
  return given;
}
