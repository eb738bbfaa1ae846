import type { Instant } from '../../domain/period.js';
import { type Codec, codec, refuse, shown } from '../codec.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/i;
/** 9999-12-31T23:59:59Z */
const UNIX_SECONDS_MAX = 253_402_300_799;

/** The id of something of Metronome's dialect. */
export function uuidParam(): Codec<string> {
  return codec({ kind: 'text' }, (input) =>
    typeof input === 'string' && UUID.test(input)
      ? input.toLowerCase()
      : refuse(null, () => `Invalid id: ${shown(input)}; must be a UUID`),
  );
}

/** Unix seconds or RFC 3339, as an instant. */
export function momentParam(): Codec<Instant> {
  return codec({ kind: 'instant' }, (input) => {
    const text = String(input);
    if (/^\d{1,12}$/.test(text) && Number(text) <= UNIX_SECONDS_MAX) return Number(text) * 1000;
    const parsed = RFC3339.test(text) ? Date.parse(text) : Number.NaN;
    return Number.isNaN(parsed)
      ? refuse(null, () => `Invalid timestamp: ${shown(input)}; must be Unix seconds or RFC 3339`)
      : parsed;
  });
}
