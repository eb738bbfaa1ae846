import { customerNow } from '../../billing/clock.js';
import { createMeterEventSession } from '../../billing/meterEventSessions.js';
import { BillingError } from '../../domain/errors.js';
import { newId } from '../../ids.js';
import { cancelEvent } from '../../metering/adjust.js';
import type { EventOutcome, StoredMeterEvent } from '../../metering/ingest.js';
import { rfc3339, v2MeterEventObject } from '../../stripe/thin.js';
import { type Endpoint, endpoint } from '../endpoint.js';
import { timeParam } from '../live/time.js';
import { object, oneOf, text } from '../params.js';
import { payloadParam } from '../stripe/payloadParam.js';
import { sendMeterEvent } from '../stripe/sendMeterEvent.js';

const NAME_LENGTH_MAX = 100;

export const v2MeterEventsEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'POST',
    path: '/v2/billing/meter_events',
    transactional: false,
    idempotency: 'handler',
    params: object({
      event_name: text({ max: NAME_LENGTH_MAX }),
      identifier: text({ max: NAME_LENGTH_MAX }).optional(),
      payload: payloadParam(),
      timestamp: timeParam().optional(),
    }),
    async handle(ctx, params) {
      return v2MeterEventObject(storedOrThrow(await sendMeterEvent(ctx, params)));
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v2/billing/meter_event_adjustments',
    params: object({
      cancel: object({ identifier: text({ max: NAME_LENGTH_MAX }) }),
      event_name: text({ max: NAME_LENGTH_MAX }),
      type: oneOf(['cancel']),
    }),
    async handle({ tx, core, accountId }, params) {
      const { identifier } = params.cancel;
      const cancellation = { accountId, eventName: params.event_name, identifier };
      const { livemode } = await cancelEvent(tx, cancellation, (customer) =>
        customerNow(tx, core, accountId, customer),
      );
      return {
        id: newId('meterEventAdjustment'),
        object: 'v2.billing.meter_event_adjustment',
        cancel: { identifier },
        created: rfc3339(core.now()),
        event_name: params.event_name,
        livemode,
        status: 'complete',
        type: 'cancel',
      };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v2/billing/meter_event_session',
    // The token is shown once and must not be kept for a replay: a repeated request gets another one.
    idempotency: 'handler',
    params: object({}),
    async handle({ tx, core, accountId, livemode }) {
      const session = await createMeterEventSession(tx, core, accountId, livemode);
      return {
        id: session.id,
        object: 'v2.billing.meter_event_session',
        authentication_token: session.token,
        created: rfc3339(session.createdAt),
        expires_at: rfc3339(session.expiresAt),
        livemode: session.livemode,
      };
    },
  }),
];

function storedOrThrow(outcome: EventOutcome): StoredMeterEvent {
  if (outcome.status === 'duplicate') {
    throw new BillingError('invalid', `An event already exists with identifier ${outcome.identifier}.`, {
      code: 'duplicate_meter_event',
      retry: false,
    });
  }
  if (outcome.status !== 'refused') return outcome.event;
  throw new BillingError(outcome.kind ?? 'invalid', outcome.message, {
    code: outcome.code,
    ...(outcome.param === undefined ? {} : { param: outcome.param }),
  });
}
