/** What went wrong, in the core's words; each dialect derives its HTTP status and error object from the kind. */
export type BillingErrorKind =
  | 'invalid'
  | 'not_found'
  | 'conflict'
  | 'unauthenticated'
  | 'forbidden'
  | 'payment_required'
  | 'too_many_requests'
  | 'unavailable';

export interface BillingErrorFields {
  /** Stable machine-readable code in the dialect's vocabulary, for example `resource_missing`. */
  code?: string;
  /** The request parameter at fault, in Stripe's bracket notation, for example `items[0][price]`. */
  param?: string;
  /** Whether the official clients should send the request again. */
  retry?: boolean;
  /** Further properties of the error object in our own API. */
  details?: Readonly<Record<string, string>>;
}

/**
 * An expected failure: bad input, a wrong state, a missing object. The message is shown to the caller as it is.
 * Anything that is not a BillingError is a defect: it is logged and answered opaquely.
 */
export class BillingError extends Error {
  readonly kind: BillingErrorKind;
  readonly code: string | undefined;
  readonly param: string | undefined;
  readonly retry: boolean | undefined;
  readonly details: Readonly<Record<string, string>> | undefined;

  constructor(kind: BillingErrorKind, message: string, fields: BillingErrorFields = {}) {
    super(message);
    this.name = 'BillingError';
    this.kind = kind;
    this.code = fields.code;
    this.param = fields.param;
    this.retry = fields.retry;
    this.details = fields.details;
  }
}

/** A request that can never succeed as sent (HTTP 400 in Stripe's dialect). */
export function invalid(message: string, fields: BillingErrorFields = {}): BillingError {
  return new BillingError('invalid', message, fields);
}

/** No such object, in Stripe's wording: `No such customer: 'cus_x'`. */
export function notFound(noun: string, id: string, param?: string): BillingError {
  return new BillingError('not_found', `No such ${noun}: '${id}'`, {
    code: 'resource_missing',
    ...(param === undefined ? {} : { param }),
  });
}
