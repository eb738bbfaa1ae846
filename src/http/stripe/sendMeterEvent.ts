import type { Instant } from '../../domain/period.js';
import type { EventOutcome } from '../../metering/ingest.js';
import type { RequestContext } from '../endpoint.js';

/** One meter event as v1 and v2 both take it. */
export interface MeterEventParams {
  event_name: string;
  identifier?: string | undefined;
  payload: Record<string, string>;
  timestamp?: Instant | undefined;
}

/**
 * Hands one event to the ingest, which has transactions of its own, shared by the requests of a moment, and knows a
 * repeated request by its key: see `IncomingEvent`. What a refusal is called is for the dialect's version to say.
 */
export async function sendMeterEvent(ctx: RequestContext, params: MeterEventParams): Promise<EventOutcome> {
  const [outcome] = await ctx.core.ingest.ingest(ctx.accountId, [
    {
      eventName: params.event_name,
      identifier: params.identifier ?? null,
      idempotencyKey: ctx.idempotencyKey,
      timestamp: params.timestamp ?? null,
      payload: params.payload,
    },
  ]);
  if (outcome === undefined) throw new Error('the ingest did not answer');
  if (outcome.status === 'replayed') ctx.markReplayed();
  return outcome;
}
