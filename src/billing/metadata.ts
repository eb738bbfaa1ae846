import { invalid } from '../domain/errors.js';

/** An object's metadata as it is stored. */
export type Metadata = Record<string, string>;

/** A change of metadata: null clears all of it, a null value deletes its key. */
export type MetadataUpdate = null | Readonly<Record<string, string | null>>;

const KEYS_MAX = 50;

/**
 * The metadata after a change; undefined changes nothing. Refuses more than 50 keys (docs.stripe.com/api/metadata).
 */
export function applyMetadata(current: Metadata, update: MetadataUpdate | undefined): Metadata {
  if (update === undefined) return current;
  if (update === null) return {};
  const changed = new Map(Object.entries(current));
  for (const [key, value] of Object.entries(update)) {
    if (value === null) changed.delete(key);
    else changed.set(key, value);
  }
  if (changed.size > KEYS_MAX) {
    throw invalid(
      `Metadata can have at most ${KEYS_MAX} keys, and this change would make it ${changed.size}.`,
      {
        param: 'metadata',
      },
    );
  }
  return Object.fromEntries(changed);
}
