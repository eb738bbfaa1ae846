import type { Core } from '../core.js';
import { BillingError } from '../domain/errors.js';
import { isDatabaseAway } from '../storage/db.js';

/**
 * What a request failed with, in the core's words, for either dialect to answer; null for a defect, which is logged here
 * under the request id and answered opaquely. A database that is away is `unavailable`, to be tried again.
 */
export function expectedFailure(
  core: Pick<Core, 'log'>,
  requestId: string,
  endpoint: string,
  error: unknown,
): BillingError | null {
  if (error instanceof BillingError) return error;
  if (isDatabaseAway(error)) {
    core.log.warn({ requestId, endpoint }, 'request met a database that is away');
    return databaseAway();
  }
  core.log.error({ err: error, requestId, endpoint }, 'request failed');
  return null;
}

/** A write that was under way may have happened: the same request with its idempotency key finds out. */
function databaseAway(): BillingError {
  const message = 'The database is restarting. Send the same request again in a moment.';
  return new BillingError('unavailable', message, { retry: true });
}
