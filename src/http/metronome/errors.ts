import type { BillingError, BillingErrorKind } from '../../domain/errors.js';
import type { JsonObject } from '../../json.js';

/** What goes out when a request fails (docs.metronome.com/api-reference/status-codes). */
export interface MetronomeFailure {
  status: number;
  body: JsonObject;
  headers: Readonly<Record<string, string>>;
}

const STATUS: Record<BillingErrorKind, number> = {
  invalid: 400,
  not_found: 404,
  conflict: 409,
  unauthenticated: 401,
  forbidden: 403,
  payment_required: 402,
  too_many_requests: 429,
  unavailable: 503,
};

/** Failures whose status is not that of their kind; in Metronome's dialect a reused key is a conflict. */
const STATUS_BY_CODE: Readonly<Record<string, number>> = {
  request_too_large: 413,
  idempotency_key_reused: 409,
};

/**
 * An expected failure as `{message}`. The client repeats every 409 unless told otherwise, and a conflict does not go
 * away by repeating: it carries `x-should-retry: false`, except where the error says that it may.
 */
export function metronomeFailure(error: BillingError): MetronomeFailure {
  const status = STATUS_BY_CODE[error.code ?? ''] ?? STATUS[error.kind];
  const retry = error.retry ?? (status === 409 ? false : undefined);
  return {
    status,
    body: { message: error.message },
    headers: {
      ...(retry === undefined ? {} : { 'x-should-retry': String(retry) }),
      ...(status === 429 ? { 'X-Metronome-Rate-Limit-Type': 'client' } : {}),
    },
  };
}

/** The answer to a defect: says nothing but that it's ours. The log has the cause under the same request id. */
export function metronomeDefect(requestId: string): MetronomeFailure {
  return {
    status: 500,
    body: { message: `An unexpected error occurred (request ${requestId}).` },
    headers: {},
  };
}
