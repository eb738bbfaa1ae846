import { ApplicationFailure } from '@temporalio/common';
import { BillingError, type BillingErrorFields, type BillingErrorKind } from '../src/domain/errors.js';
import { BILLING_ERROR_TYPE } from '../workflows/messages.js';

interface CarriedBillingError extends BillingErrorFields {
  kind: BillingErrorKind;
}

/**
 * Wraps activities so that a refusal crosses Temporal as an ApplicationFailure of one type, with the fields of the
 * BillingError in its details; everything else goes on as it is and is retried.
 */
export function withBillingErrors<A extends object>(activities: A): A {
  const wrapped = Object.entries(activities).map(([name, activity]) => [
    name,
    async (...args: unknown[]): Promise<unknown> => {
      try {
        return await (activity as (...args: unknown[]) => Promise<unknown>)(...args);
      } catch (error) {
        throw error instanceof BillingError ? toFailure(error) : error;
      }
    },
  ]);
  return Object.fromEntries(wrapped) as A;
}

function toFailure(error: BillingError): ApplicationFailure {
  const carried: CarriedBillingError = {
    kind: error.kind,
    ...(error.code === undefined ? {} : { code: error.code }),
    ...(error.param === undefined ? {} : { param: error.param }),
    ...(error.retry === undefined ? {} : { retry: error.retry }),
  };
  return ApplicationFailure.create({
    message: error.message,
    type: BILLING_ERROR_TYPE,
    details: [carried],
    category: 'BENIGN',
  });
}

/** The BillingError inside a failure that came back from Temporal, or null when it was something else. */
export function billingErrorOf(error: unknown): BillingError | null {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof ApplicationFailure && cause.type === BILLING_ERROR_TYPE) {
      const { kind, ...fields } = cause.details?.[0] as CarriedBillingError;
      return new BillingError(kind, cause.message, fields);
    }
  }
  return null;
}
