import type { TestEngine } from '../support/engine.js';
import { fixedProduct, rateCard, sumProduct } from '../metronome/world.js';

/** Every property that an answer of our own API may have; which of them one has is what its test checks. */
export interface LiveObject {
  id: string;
  status: string;
  amount: string;
  available: string;
  balance: string;
  held: string;
  allowed: boolean;
  reason: string | null;
  created: number;
  expires_at: number;
  error: { code: string; message: string };
}

export interface Answer {
  status: number;
  body: LiveObject;
}

/** A request to our own API. */
export async function live(
  engine: Pick<TestEngine, 'baseUrl' | 'apiKey'>,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`${engine.baseUrl}/live/v1/${path}`, {
    method,
    headers: { authorization: `Bearer ${engine.apiKey}`, 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as LiveObject };
}

/** Asks until the answer is as wanted; fails after `patience` milliseconds with the last answer. */
export async function eventually<T>(
  ask: () => Promise<T>,
  wanted: (answer: T) => boolean,
  patience = 10_000,
): Promise<T> {
  const end = Date.now() + patience;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (Date.now() > end) throw new Error(`still ${JSON.stringify(answer)} after ${patience / 1000} seconds`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export interface Prepaid {
  /** In Metronome's dialect. */
  customerId: string;
  contractId: string;
  productId: string;
  fixedProductId: string;
  eventType: string;
}

export interface PrepaidOptions {
  /** What the customer has prepaid, in cents. */
  amount: number;
  /** Metronome's id of a customer that exists; else one is made. */
  customerId?: string;
  /** Default: the start of last month, on wall time. */
  startingAt?: string;
  /** More words of the contract. */
  contract?: Record<string, unknown>;
}

/** A customer whose usage costs a dollar a unit, and who has prepaid. */
export async function prepaidCustomer(
  engine: Pick<TestEngine, 'metronome'>,
  options: PrepaidOptions,
): Promise<Prepaid> {
  const { metronome } = engine;
  const { productId, eventType } = await sumProduct(metronome, 'Units');
  const fixedProductId = await fixedProduct(metronome, 'Credits');
  const card = await rateCard(metronome, [{ product_id: productId, rate_type: 'FLAT', price: 100 }]);
  const customerId = options.customerId ?? (await metronome.v1.customers.create({ name: 'Prepaid' })).data.id;
  const startingAt = options.startingAt ?? thisMonth();
  const { data } = await metronome.v1.contracts.create({
    customer_id: customerId,
    starting_at: startingAt,
    rate_card_id: card,
    commits: [
      {
        type: 'PREPAID',
        product_id: fixedProductId,
        priority: 1,
        access_schedule: {
          schedule_items: [
            { amount: options.amount, starting_at: startingAt, ending_before: '2100-01-01T00:00:00Z' },
          ],
        },
      },
    ],
    ...options.contract,
  });
  return { customerId, contractId: data.id, productId, fixedProductId, eventType };
}

function thisMonth(): string {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1)).toISOString();
}
