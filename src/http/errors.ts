import type { BillingError, BillingErrorKind } from '../domain/errors.js';
import type { JsonObject } from '../json.js';

/** What goes out when a request fails: the status and Stripe's error object (docs.stripe.com/api/errors). */
export interface ErrorAnswer {
  status: number;
  body: { error: JsonObject };
  /** The `Stripe-Should-Retry` header; null leaves the choice to the client. */
  retry: boolean | null;
}

interface Category {
  status: number;
  type: 'api_error' | 'card_error' | 'idempotency_error' | 'invalid_request_error';
  code?: string;
}

const CATEGORIES: Record<BillingErrorKind, Category> = {
  invalid: { status: 400, type: 'invalid_request_error' },
  not_found: { status: 404, type: 'invalid_request_error' },
  conflict: { status: 409, type: 'invalid_request_error' },
  unauthenticated: { status: 401, type: 'invalid_request_error' },
  forbidden: { status: 403, type: 'invalid_request_error' },
  payment_required: { status: 402, type: 'card_error' },
  too_many_requests: { status: 429, type: 'invalid_request_error', code: 'rate_limit' },
  unavailable: { status: 503, type: 'api_error' },
};

/** Becomes the type `idempotency_error`, which Stripe sends without a code. */
const KEY_REUSED = 'idempotency_key_reused';
/** Clients find their error class by these types, whatever the status. */
const TYPE_BY_CODE: Readonly<Record<string, string>> = {
  billing_meter_event_session_expired: 'temporary_session_expired',
};
const STATUS_BY_CODE: Readonly<Record<string, number>> = { request_too_large: 413 };

/**
 * Stripe's answer for an expected failure. An object that is missing is 404 when the URL names it and 400 when a
 * parameter does (`sentParams` are the top-level names of the parameters that were sent).
 */
export function errorAnswer(error: BillingError, sentParams: ReadonlySet<string> = new Set()): ErrorAnswer {
  const category = CATEGORIES[error.kind];
  const named = error.param !== undefined && sentParams.has(rootOf(error.param));
  const status = error.kind === 'not_found' && named ? 400 : category.status;
  const reused = error.code === KEY_REUSED;
  const code = reused ? undefined : (error.code ?? category.code);
  return {
    status: STATUS_BY_CODE[code ?? ''] ?? status,
    body: {
      error: {
        ...(code === undefined ? {} : { code, doc_url: docUrl(code) }),
        message: error.message,
        ...(error.param === undefined ? {} : { param: error.param }),
        type: reused ? 'idempotency_error' : (TYPE_BY_CODE[code ?? ''] ?? category.type),
        ...error.details,
      },
    },
    retry: error.retry ?? null,
  };
}

/** The answer to a defect: says nothing but that it's ours. The log has the cause under the same request id. */
export function defectAnswer(requestId: string): ErrorAnswer {
  const message = `An unexpected error occurred. The request id is ${requestId}.`;
  return { status: 500, body: { error: { message, type: 'api_error' } }, retry: null };
}

/** `items[0][price]` → `items`. */
function rootOf(param: string): string {
  const bracket = param.indexOf('[');
  return bracket < 0 ? param : param.slice(0, bracket);
}

function docUrl(code: string): string {
  return `https://stripe.com/docs/error-codes/${code.replaceAll('_', '-')}`;
}
