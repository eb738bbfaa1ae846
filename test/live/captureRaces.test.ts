import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { advance, clockCustomer, unlimitedClocks } from '../metronome/world.js';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { live, prepaidCustomer } from './world.js';

let engine: TestEngine;

beforeAll(async () => {
  engine = await startTestEngine();
  await unlimitedClocks(engine);
});
afterAll(() => engine.stop());

const CLIENTS = 8;

const capture = (hold: string, eventType: string, transactionId: string) =>
  live(engine, 'POST', `authorizations/${hold}/capture`, {
    events: [{ transaction_id: transactionId, event_type: eventType, properties: { amount: '3' } }],
  });

/** [balance, held] of a customer, in cents. */
async function purse(customerId: string): Promise<[string, string]> {
  const { body } = await live(engine, 'GET', `entitlements?customer=${customerId}&amount=0`);
  return [body.balance, body.held];
}

describe('captures of one hold by eight clients at once', () => {
  it('with the same events all succeed, and count once', async () => {
    const { customerId, eventType } = await prepaidCustomer(engine, { amount: 1000 });
    const { body } = await live(engine, 'POST', 'authorizations', { customer: customerId, amount: 400 });
    const transactionId = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: CLIENTS }, () => capture(body.id, eventType, transactionId)),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: CLIENTS }, () => 200));
    expect(await purse(customerId)).toEqual(['700', '0']);
  });

  it('with events of their own: one succeeds, and only its events count', async () => {
    const { customerId, eventType } = await prepaidCustomer(engine, { amount: 1000 });
    const { body } = await live(engine, 'POST', 'authorizations', { customer: customerId, amount: 400 });
    const ids = Array.from({ length: CLIENTS }, () => randomUUID());
    const answers = await Promise.all(ids.map((id) => capture(body.id, eventType, id)));
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([200, ...Array.from({ length: CLIENTS - 1 }, () => 409)]);
    expect(await purse(customerId)).toEqual(['700', '0']);
    const stored = await engine.metronome.v1.usage.search({ transactionIds: ids });
    const winner = ids[answers.findIndex(({ status }) => status === 200)];
    expect(stored.map(({ transaction_id: id }) => id)).toEqual([winner]);
  });
});

describe('a capture that races the end of its hold', () => {
  it('counts all of it or nothing, as it was answered', { timeout: 120_000 }, async () => {
    const begin = Date.parse('2030-03-01T00:00:00Z');
    const customer = await clockCustomer(engine, new Date(begin).toISOString());
    const { eventType } = await prepaidCustomer(engine, {
      amount: 100_000,
      customerId: customer.id,
      startingAt: new Date(begin).toISOString(),
    });
    let captured = 0;
    for (let round = 1; round <= 10; round += 1) {
      const { body } = await live(engine, 'POST', 'authorizations', {
        customer: customer.id,
        amount: 400,
        expires_in: 60,
      });
      const transactionId = randomUUID();
      const [answer] = await Promise.all([
        new Promise((resolve) => setTimeout(resolve, round * 5)).then(() =>
          capture(body.id, eventType, transactionId),
        ),
        advance(engine, customer.clockId, new Date(begin + round * 60_000).toISOString()),
      ]);
      expect([200, 409]).toContain(answer.status);
      if (answer.status === 200) captured += 1;
      const status = answer.status === 200 ? 'captured' : 'expired';
      expect((await live(engine, 'GET', `authorizations/${body.id}`)).body.status).toBe(status);
      const stored = await engine.metronome.v1.usage.search({ transactionIds: [transactionId] });
      expect(stored).toHaveLength(answer.status === 200 ? 1 : 0);
      expect(await purse(customer.id)).toEqual([String(100_000 - captured * 300), '0']);
    }
  });
});
