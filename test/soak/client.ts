import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from './random.js';

/** One event as the client meant it. */
export interface SentEvent {
  readonly meter: string;
  readonly customer: string;
  readonly identifier: string;
  /** Thousandths. */
  readonly value: bigint;
  /** Epoch seconds. */
  readonly time: number;
}

export interface Sum {
  /** Thousandths. */
  value: bigint;
  count: bigint;
}

export interface ClientDeps {
  readonly api: string;
  readonly apiKey: string;
  readonly eventNames: readonly string[];
  readonly customers: readonly string[];
  readonly random: Random;
}

type Shape = 'bulk' | 'form';

const BULK_MAX = 400;
const REQUEST_MS = 10_000;
const PAUSE_MS = 50;
/** How long one batch may go unanswered, whatever is killed. */
const PATIENCE_MS = 120_000;

/** Sends events in several lanes, each batch again until it is acknowledged, and adds up what it has sent. */
export class SoakClient {
  readonly #deps: ClientDeps;
  /** By `meter customer`. */
  readonly sums = new Map<string, Sum>();
  /** Requests that had to be sent again, and batches sent twice at once on purpose. */
  retries = 0;
  doubles = 0;
  events = 0;
  #next = 0;
  #stopped = false;

  constructor(deps: ClientDeps) {
    this.#deps = deps;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Resolves after `stop`, when everything that was begun is acknowledged. */
  async run(lanes: number): Promise<void> {
    await Promise.all(Array.from({ length: lanes }, () => this.#lane()));
  }

  async #lane(): Promise<void> {
    const { random } = this.#deps;
    while (!this.#stopped) {
      const shape: Shape = random.chance(0.5) ? 'bulk' : 'form';
      const batch = this.#makeBatch(shape === 'bulk' ? random.between(1, BULK_MAX) : 1);
      const twice = random.chance(0.1);
      if (twice) this.doubles += 1;
      await Promise.all([
        this.#sendUntilAcknowledged(shape, batch),
        ...(twice ? [this.#sendUntilAcknowledged(shape, batch)] : []),
      ]);
    }
  }

  #makeBatch(size: number): SentEvent[] {
    const { random, eventNames, customers } = this.#deps;
    const now = Math.floor(Date.now() / 1000);
    return Array.from({ length: size }, () => {
      this.#next += 1;
      this.events += 1;
      const event: SentEvent = {
        meter: random.pick(eventNames),
        customer: random.pick(customers),
        identifier: `soak-${this.#next}`,
        value: BigInt(random.between(-2_000, 9_000)),
        time: now - random.between(0, 7200),
      };
      const key = `${event.meter} ${event.customer}`;
      const sum = this.sums.get(key) ?? { value: 0n, count: 0n };
      sum.value += event.value;
      sum.count += 1n;
      this.sums.set(key, sum);
      return event;
    });
  }

  async #sendUntilAcknowledged(shape: Shape, batch: readonly SentEvent[]): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const problem =
        shape === 'bulk' ? await this.#postBulk(batch) : await this.#postForm(batch[0] as SentEvent);
      if (problem === null) return;
      if (Date.now() > deadline) throw new Error(`never acknowledged: ${problem}`);
      this.retries += 1;
      await sleep(PAUSE_MS);
    }
  }

  /** Null when all of it is stored, now or before; otherwise why to try again. Throws for a refusal. */
  async #postBulk(batch: readonly SentEvent[]): Promise<string | null> {
    const lines = batch.map(({ meter, customer, identifier, value, time }) =>
      JSON.stringify({
        event_name: meter,
        identifier,
        timestamp: time,
        payload: { stripe_customer_id: customer, value: decimal(value) },
      }),
    );
    const answer = await this.#post('/live/v1/events', 'application/x-ndjson', lines.join('\n'));
    if (answer === null) return 'no answer';
    if (answer.status !== 200) return retryable(answer);
    const told = JSON.parse(answer.text) as {
      stored: number;
      duplicate: number;
      refused: number;
      results: { code?: string }[];
    };
    if (told.results.some(({ code }) => code === 'unavailable')) return 'some of it could not be stored';
    if (told.refused > 0 || told.stored + told.duplicate !== batch.length)
      throw new Error(answer.text.slice(0, 500));
    return null;
  }

  async #postForm({ meter, customer, identifier, value, time }: SentEvent): Promise<string | null> {
    const body = new URLSearchParams({
      event_name: meter,
      identifier,
      timestamp: String(time),
      'payload[stripe_customer_id]': customer,
      'payload[value]': decimal(value),
    });
    const type = 'application/x-www-form-urlencoded';
    const answer = await this.#post('/v1/billing/meter_events', type, body.toString());
    if (answer === null) return 'no answer';
    // The first request was stored and its answer lost, or the other of two was quicker.
    if (answer.status === 200 || answer.text.includes('An event already exists')) return null;
    return retryable(answer);
  }

  async #post(path: string, type: string, body: string): Promise<Answer | null> {
    const { api, apiKey } = this.#deps;
    try {
      const response = await fetch(`${api}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${apiKey}`, 'content-type': type },
        body,
        signal: AbortSignal.timeout(REQUEST_MS),
      });
      return { status: response.status, text: await response.text() };
    } catch {
      // The process was killed, or does not answer in time: nobody knows what was stored.
      return null;
    }
  }
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function retryable({ status, text }: Answer): string {
  if (status === 429 || status >= 500) return `${status} ${text.slice(0, 200)}`;
  throw new Error(`refused: ${status} ${text.slice(0, 500)}`);
}

/** Thousandths as decimal text. */
export function decimal(thousandths: bigint): string {
  const size = (thousandths < 0n ? -thousandths : thousandths).toString().padStart(4, '0');
  return `${thousandths < 0n ? '-' : ''}${size.slice(0, -3)}.${size.slice(-3)}`;
}

/** Decimal text as thousandths. Throws for more than three places. */
export function thousandths(text: string): bigint {
  const match = /^(-?)(\d+)(?:\.(\d{1,3})0*)?$/.exec(text);
  if (match === null) throw new Error(`not thousandths: ${text}`);
  const [, sign, whole = '', fraction = ''] = match;
  const size = BigInt(`${whole}${fraction.padEnd(3, '0')}`);
  return sign === '-' ? -size : size;
}
