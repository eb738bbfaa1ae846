import { LRUCache } from 'lru-cache';
import { BillingError } from '../domain/errors.js';

/** Who sends a request. */
export interface Principal {
  accountId: string;
  livemode: boolean;
  keyId: string;
  type: 'secret' | 'restricted' | 'publishable';
}

export type FindApiKey = (secret: string) => Promise<Principal | null>;
export type Authenticate = (authorization: string | undefined) => Promise<Principal>;

const CACHED_KEYS_MAX = 10_000;
/** A revoked key works for at most this long in other processes. */
const CACHE_MILLIS = 2_000;
const SECRET_LENGTH_MAX = 255;

const MISSING_KEY =
  'You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth ' +
  "(e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for details.";

/**
 * Checks `Authorization: Bearer KEY`, or Basic with the key as user name. Known keys are remembered for a moment, so
 * that a request seldom pays for a query; unknown ones never are.
 */
export function createAuthenticate(findApiKey: FindApiKey): Authenticate {
  const known = new LRUCache<string, Principal>({ max: CACHED_KEYS_MAX, ttl: CACHE_MILLIS });
  return async (authorization) => {
    const secret = secretOf(authorization);
    if (secret === null) throw new BillingError('unauthenticated', MISSING_KEY);
    let principal = known.get(secret);
    if (principal === undefined) {
      const found = secret.length > SECRET_LENGTH_MAX ? null : await findApiKey(secret);
      if (found === null) {
        throw new BillingError('unauthenticated', `Invalid API Key provided: ${masked(secret)}`);
      }
      principal = found;
      known.set(secret, principal);
    }
    if (principal.type === 'publishable') {
      const message = 'This API call cannot be made with a publishable API key. Please use a secret API key.';
      throw new BillingError('forbidden', message, { code: 'secret_key_required' });
    }
    return principal;
  };
}

function secretOf(authorization: string | undefined): string | null {
  const [, scheme = '', value = ''] = /^(\S+)\s+(\S+)\s*$/.exec(authorization ?? '') ?? [];
  if (scheme.toLowerCase() === 'bearer') return value;
  if (scheme.toLowerCase() !== 'basic') return null;
  const user = Buffer.from(value, 'base64').toString('utf8').split(':')[0] ?? '';
  return user === '' ? null : user;
}

/** `sk_test_abc…3456` → `sk_test_********3456`: enough to recognise, nothing to use. */
function masked(secret: string): string {
  const prefix = /^(?:sk|rk|pk)_(?:test|live)_/.exec(secret)?.[0] ?? '';
  const rest = secret.slice(prefix.length);
  const shown = rest.length >= 12 ? rest.slice(-4).replace(/[^\x21-\x7e]/g, '*') : '';
  return `${prefix}${'*'.repeat(Math.min(rest.length - shown.length, 24))}${shown}`;
}
