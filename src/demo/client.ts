import { setTimeout as sleep } from 'node:timers/promises';
import Stripe from 'stripe';
import { SECOND_MS, unixSeconds } from './dates.js';

/** A meter event as the demo sends it. */
export interface UsageEvent {
  readonly eventName: string;
  readonly customerId: string;
  readonly value: string;
  /** Epoch ms, whole seconds. */
  readonly time: number;
  readonly identifier: string;
}

export type SendOutcome = 'stored' | 'duplicate' | { readonly refused: string };

const BUSY_PAUSE_MILLIS = 250;
const BUSY_ATTEMPTS = 40;

/** Stripe's own client, pointed at an engine. */
export function createClient(api: string, key: string): Stripe {
  const { hostname, port, protocol } = new URL(api);
  const secure = protocol === 'https:';
  return new Stripe(key, {
    host: hostname,
    port: port === '' ? (secure ? 443 : 80) : port,
    protocol: secure ? 'https' : 'http',
    telemetry: false,
  });
}

/** Sends one event, again while the engine is busy. A refusal is an outcome, anything else that fails is thrown. */
export async function sendEvent(stripe: Stripe, event: UsageEvent): Promise<SendOutcome> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await stripe.billing.meterEvents.create({
        event_name: event.eventName,
        identifier: event.identifier,
        timestamp: unixSeconds(event.time),
        payload: { stripe_customer_id: event.customerId, value: event.value },
      });
      return 'stored';
    } catch (error) {
      if (error instanceof Stripe.errors.StripeInvalidRequestError) {
        return error.message.startsWith('An event already exists') ? 'duplicate' : { refused: error.message };
      }
      if (!(error instanceof Stripe.errors.StripeRateLimitError) || attempt === BUSY_ATTEMPTS) throw error;
    }
    await sleep(BUSY_PAUSE_MILLIS);
  }
}

/** Works on items as they come, `lanes` at a time. The first failure ends it. */
export async function inLanes<T>(
  items: AsyncIterable<T> | Iterable<T>,
  lanes: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  let failed = false;
  const lane = async (): Promise<void> => {
    while (!failed) {
      const next = await iterator.next();
      if (next.done === true) return;
      await work(next.value);
    }
  };
  const watched = async (): Promise<void> => {
    try {
      await lane();
    } catch (error) {
      failed = true;
      throw error;
    }
  };
  await Promise.all(Array.from({ length: lanes }, watched));
}

/** Moves a test clock and waits until everything that falls due on the way is done. Throws when the clock fails. */
export async function advanceClock(stripe: Stripe, clockId: string, to: number): Promise<void> {
  let clock = await stripe.testHelpers.testClocks.advance(clockId, { frozen_time: unixSeconds(to) });
  for (let pause = 20; clock.status === 'advancing'; pause = Math.min(pause * 2, SECOND_MS / 4)) {
    await sleep(pause);
    clock = await stripe.testHelpers.testClocks.retrieve(clockId);
  }
  if (clock.status !== 'ready') throw new Error(`test clock ${clockId} ended as ${clock.status}`);
}
