import type { CountedUsage } from './metrics/count.js';
import type { EventOutcome, StoredMeterEvent } from './event.js';
import type { ResolvedEvent } from './resolve.js';

/** Events of one batch; an event's arrival is the batch's number times this plus its place. */
export const BATCH_EVENTS_MAX = 65_536;

export interface Written {
  outcomes: EventOutcome[];
  /** Whether an identifier of the batch had been used before. */
  used: boolean;
  /** What was found out about metrics while the batch was written the careful way. */
  counted: CountedUsage | null;
}

/** The answer for a stored event. What it looks like is made when somebody asks; in large batches nobody does. */
export class Stored {
  readonly status: 'stored' | 'replayed';
  readonly #event: ResolvedEvent;

  constructor(status: 'stored' | 'replayed', event: ResolvedEvent) {
    this.status = status;
    this.#event = event;
  }

  get event(): StoredMeterEvent {
    const { prepared, series, timestamp, createdAt } = this.#event;
    return {
      identifier: prepared.identifier,
      eventName: prepared.event.eventName,
      meterId: series.meter.id,
      customerId: series.customerId,
      livemode: series.meter.livemode,
      timestamp,
      createdAt,
      payload: prepared.event.payload,
    };
  }
}
