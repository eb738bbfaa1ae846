import { BillingError } from '../../domain/errors.js';
import type { EventOutcome, RefusedEvent } from '../../metering/event.js';
import { incomingSentEvent } from '../../metering/metrics/sent.js';
import { EMPTY, type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { anyObject, list, object, text, timestamp } from './params.js';

const EVENTS_MAX = 100;
const NAME_LENGTH_MAX = 128;
/** A hundred events with properties of the largest size that one may have. */
const BODY_BYTES_MAX = 8 * 1024 * 1024;

const sentEvent = object({
  transaction_id: text({ max: NAME_LENGTH_MAX }),
  customer_id: text({ max: NAME_LENGTH_MAX }),
  event_type: text({ max: 500 }),
  timestamp: timestamp(),
  properties: anyObject().optional(),
});

export const ingestEndpoints: readonly MetronomeEndpoint[] = [
  metronomeEndpoint({
    method: 'POST',
    path: '/v1/ingest',
    // The ingest has transactions of its own, shared by the requests of a moment.
    transactional: false,
    bodyBytesMax: BODY_BYTES_MAX,
    body: list(sentEvent, { min: 1, max: EVENTS_MAX }),
    async handle(ctx, events) {
      const call = Symbol('ingest');
      const outcomes = await ctx.core.ingest.ingest(
        ctx.accountId,
        events.map((event, index) =>
          incomingSentEvent(call, index, {
            transactionId: event.transaction_id,
            customerKey: event.customer_id,
            eventType: event.event_type,
            timestamp: event.timestamp,
            properties: event.properties ?? {},
          }),
        ),
      );
      refuseIfAny(outcomes);
      return EMPTY;
    },
  }),
];

/**
 * A second event of a transaction id is ignored (docs.metronome.com, "idempotency"); an event outside the window
 * refuses the whole request.
 */
function refuseIfAny(outcomes: readonly EventOutcome[]): void {
  const refusal = outcomes.find((outcome): outcome is RefusedEvent => outcome.status === 'refused');
  if (refusal === undefined) return;
  throw new BillingError(refusal.kind ?? 'invalid', refusal.message);
}
