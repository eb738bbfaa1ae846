import { customerNow } from '../../billing/clock.js';
import { BillingError, invalid } from '../../domain/errors.js';
import { cancelEvent } from '../../metering/adjust.js';
import type { EventOutcome, StoredMeterEvent } from '../../metering/ingest.js';
import { meterEventAdjustmentObject, meterEventObject } from '../../stripe/meterEvent.js';
import { type Endpoint, endpoint } from '../endpoint.js';
import { instant, object, oneOf, text } from '../params.js';
import { payloadParam } from './payloadParam.js';
import { sendMeterEvent } from './sendMeterEvent.js';

const NAME_LENGTH_MAX = 100;

export const meterEventsEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'POST',
    path: '/v1/billing/meter_events',
    // See `sendMeterEvent`.
    transactional: false,
    idempotency: 'handler',
    params: object({
      event_name: text({ max: NAME_LENGTH_MAX }),
      identifier: text({ max: NAME_LENGTH_MAX }).optional(),
      payload: payloadParam(),
      timestamp: instant().optional(),
    }),
    async handle(ctx, params) {
      return meterEventObject(storedOrThrow(await sendMeterEvent(ctx, params)));
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v1/billing/meter_event_adjustments',
    params: object({
      cancel: object({ identifier: text({ max: NAME_LENGTH_MAX }).optional() }).optional(),
      event_name: text({ max: NAME_LENGTH_MAX }),
      type: oneOf(['cancel']),
    }),
    async handle(ctx, params) {
      const identifier = params.cancel?.identifier;
      if (identifier === undefined) {
        const param = 'cancel[identifier]';
        throw invalid(`Missing required param: ${param}.`, { code: 'parameter_missing', param });
      }
      const { accountId, tx, core } = ctx;
      const { livemode } = await cancelEvent(
        tx,
        { accountId, eventName: params.event_name, identifier },
        (customer) => customerNow(tx, core, accountId, customer),
      );
      return meterEventAdjustmentObject({ eventName: params.event_name, identifier, livemode });
    },
  }),
];

/** The stored event, or the refusal in Stripe's words. A duplicate has no code there: callers look at the text. */
function storedOrThrow(outcome: EventOutcome): StoredMeterEvent {
  if (outcome.status === 'duplicate') {
    throw invalid(`An event already exists with identifier ${outcome.identifier}.`, { retry: false });
  }
  if (outcome.status !== 'refused') return outcome.event;
  const { message, param } = outcome;
  const named = param === undefined ? {} : { param };
  if (outcome.code === 'meter_event_customer_not_found') {
    throw new BillingError('not_found', message, { code: 'resource_missing', ...named });
  }
  throw new BillingError(outcome.kind ?? 'invalid', message, { code: outcome.code, ...named });
}
