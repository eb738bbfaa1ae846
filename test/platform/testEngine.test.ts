import { afterEach, expect, test } from 'vitest';
import { startTestEngine } from '../support/engine.js';
import type { TestEngine } from '../support/engine.js';

const engines: TestEngine[] = [];

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.stop();
});

test('an engine in this process answers the official SDK, and goes on after a pause', async () => {
  const first = await startTestEngine();
  const customer = await first.stripe.customers.create({ name: 'Ada' });
  const ready = await fetch(`${first.baseUrl}/readyz`);
  expect(await ready.json()).toEqual({
    status: 'ok',
    checks: { database: 'ok', temporal: 'ok', engine: 'ok' },
  });
  await first.pause();
  await expect(fetch(`${first.baseUrl}/healthz`)).rejects.toThrow();

  const second = await startTestEngine({ resume: first });
  engines.push(second);
  expect(second.apiKey).toBe(first.apiKey);
  expect(await second.stripe.customers.retrieve(customer.id)).toMatchObject({ id: customer.id, name: 'Ada' });
});

test('engines side by side do not see each other', async () => {
  const [one, two] = await Promise.all([startTestEngine(), startTestEngine()]);
  engines.push(one, two);
  const customer = await one.stripe.customers.create({});
  await expect(two.stripe.customers.retrieve(customer.id)).rejects.toMatchObject({
    code: 'resource_missing',
  });
  expect(one.taskQueue).not.toBe(two.taskQueue);
});
