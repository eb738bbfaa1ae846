import { notFound } from '../../domain/errors.js';

/**
 * Ids of what is computed rather than stored say where it stands in its list, so that a page can begin after it.
 */
export function cursorId(prefix: string, parts: readonly (string | number)[]): string {
  return prefix + Buffer.from(JSON.stringify(parts), 'utf8').toString('base64url');
}

/** The parts of such an id. Refuses what is none, as an unknown cursor. */
export function cursorParts(prefix: string, length: number, noun: string, id: string): (string | number)[] {
  let parts: unknown;
  try {
    parts = id.startsWith(prefix)
      ? JSON.parse(Buffer.from(id.slice(prefix.length), 'base64url').toString())
      : null;
  } catch {
    parts = null;
  }
  const valid = Array.isArray(parts) && parts.length === length && parts.every(isPart);
  if (!valid) throw notFound(noun, id, 'starting_after');
  return parts as (string | number)[];
}

function isPart(part: unknown): part is string | number {
  return typeof part === 'string' || (typeof part === 'number' && Number.isSafeInteger(part));
}
