import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Answer, live, prepaidCustomer } from '../live/world.js';
import { metronomeFor } from '../support/engine.js';
import { sleep } from './account.js';
import { CrashWorld } from './crashWorld.js';

let world: CrashWorld;

beforeAll(async () => {
  world = await CrashWorld.start();
});
afterAll(() => world.stop());

const PREPAID = 100_000;
const HOLDS = 12;
const HELD = 1_000;

/** Sends until there is an answer that says what became of it. */
async function untilAnswered(send: () => Promise<Answer>): Promise<Answer> {
  const end = Date.now() + 60_000;
  for (;;) {
    const answer = await send().catch((error: unknown) => {
      // The process is gone: nobody knows what was stored.
      if (Date.now() > end) throw error;
      return null;
    });
    if (answer !== null && answer.status < 500) return answer;
    if (Date.now() > end) throw new Error(`never answered: ${JSON.stringify(answer)}`);
    await sleep(50);
  }
}

test('holds outlive the engine, and captures that it died under count once', async () => {
  const { api } = world;
  const metronome = metronomeFor(api.baseUrl, api.apiKey);
  const { customerId, eventType } = await prepaidCustomer({ metronome }, { amount: PREPAID });
  const authorize = (key: string) =>
    live(
      api,
      'POST',
      'authorizations',
      { customer: customerId, amount: HELD, expires_in: 3600 },
      { 'idempotency-key': key },
    );
  const purse = async () => {
    const { body } = await live(api, 'GET', `entitlements?customer=${customerId}&amount=0`);
    return [body.balance, body.held];
  };
  // When the engine dies under the holds, and each is asked for again under its key.
  const asked = Array.from({ length: HOLDS }, (_, index) => untilAnswered(() => authorize(`hold-${index}`)));
  await sleep(5);
  await world.kill('engine');
  const holds = await Promise.all(asked);
  expect(holds.map(({ status }) => status)).toEqual(holds.map(() => 200));
  expect(new Set(holds.map(({ body }) => body.id)).size).toBe(HOLDS);
  expect(await purse()).toEqual([String(PREPAID), String(HOLDS * HELD)]);
  // Dies again before any is captured, and under the captures.
  await world.kill('engine');
  const captures = holds.map(({ body }, index) =>
    untilAnswered(() =>
      live(api, 'POST', `authorizations/${body.id}/capture`, {
        events: [{ transaction_id: `capture-${index}`, event_type: eventType, properties: { amount: '3' } }],
      }),
    ),
  );
  await sleep(5);
  await world.kill('engine');
  // Then each is captured, and its three dollars are spent once.
  const captured = await Promise.all(captures);
  expect(captured.map(({ status, body }) => [status, body.status])).toEqual(
    captured.map(() => [200, 'captured']),
  );
  expect(await purse()).toEqual([String(PREPAID - HOLDS * 300), '0']);
}, 180_000);
