import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { advance, clockCustomer, send, unlimitedClocks } from '../metronome/world.js';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { type Answer, live, prepaidCustomer } from './world.js';

let engine: TestEngine;

beforeAll(async () => {
  engine = await startTestEngine();
  await unlimitedClocks(engine);
});
afterAll(() => engine.stop());

const authorize = (customer: string, amount: number | string, more: Record<string, unknown> = {}) =>
  live(engine, 'POST', 'authorizations', { customer, amount, ...more });
const entitlement = (customer: string, amount: number) =>
  live(engine, 'GET', `entitlements?customer=${customer}&amount=${amount}`);

describe('a hold', () => {
  it('is captured with its usage, and the same capture again changes nothing', async () => {
    const { customerId, eventType } = await prepaidCustomer(engine, { amount: 1000 });
    const held = await authorize(customerId, '400', { metadata: { job: '7' } });
    expect(held.status).toBe(200);
    expect(held.body).toMatchObject({
      object: 'authorization',
      amount: '400',
      status: 'authorized',
      available: '600',
      metadata: { job: '7' },
    });
    expect(held.body.expires_at - held.body.created).toBe(600);
    expect((await entitlement(customerId, 700)).body).toMatchObject({
      allowed: false,
      reason: 'insufficient_balance',
      balance: '1000',
      held: '400',
      available: '600',
    });

    const events = [{ transaction_id: randomUUID(), event_type: eventType, properties: { amount: '3' } }];
    const path = `authorizations/${held.body.id}/capture`;
    const captured = await live(engine, 'POST', path, { events });
    expect(captured.status).toBe(200);
    expect(captured.body).toMatchObject({ status: 'captured', available: '700', events: { stored: 1 } });
    expect((await entitlement(customerId, 700)).body).toMatchObject({
      allowed: true,
      reason: null,
      held: '0',
    });
    expect(await live(engine, 'POST', path, { events })).toEqual(captured);
    const [first] = events;
    const others = [{ ...first, transaction_id: randomUUID() }];
    const refused = await live(engine, 'POST', path, { events: others });
    expect([refused.status, refused.body.error.code]).toEqual([409, 'authorization_closed']);
    const net = await engine.metronome.v1.contracts.getNetBalance({ customer_id: customerId });
    expect(net.data.balance).toBe(700);
    expect((await live(engine, 'POST', `authorizations/${held.body.id}/release`)).status).toBe(409);
  });

  it('is given back once, and refuses what comes after', async () => {
    const { customerId, eventType } = await prepaidCustomer(engine, { amount: 500 });
    const { body } = await authorize(customerId, 500);
    const short = await authorize(customerId, 1);
    expect(short.status).toBe(402);
    expect(short.body.error).toMatchObject({ code: 'insufficient_balance', available: '0' });
    for (let time = 1; time <= 2; time += 1) {
      const released = await live(engine, 'POST', `authorizations/${body.id}/release`);
      expect([released.status, released.body.status, released.body.available]).toEqual([
        200,
        'released',
        '500',
      ]);
    }
    const transactionId = randomUUID();
    const late = await live(engine, 'POST', `authorizations/${body.id}/capture`, {
      events: [{ transaction_id: transactionId, event_type: eventType, properties: { amount: '1' } }],
    });
    expect([late.status, late.body.error.code]).toEqual([409, 'authorization_closed']);
    expect(await engine.metronome.v1.usage.search({ transactionIds: [transactionId] })).toEqual([]);
  });

  it('charges usage above it as overage', async () => {
    const { customerId, eventType } = await prepaidCustomer(engine, { amount: 200 });
    const { body } = await authorize(customerId, 200);
    await live(engine, 'POST', `authorizations/${body.id}/capture`, {
      events: [{ transaction_id: randomUUID(), event_type: eventType, properties: { amount: '5' } }],
    });
    const { data } = await engine.metronome.v1.customers.invoices.list({
      customer_id: customerId,
      status: 'DRAFT',
    });
    expect(data.map(({ total }) => total)).toEqual([300]);
    expect((await entitlement(customerId, 1)).body).toMatchObject({ allowed: false, balance: '0' });
  });

  it('stores nothing of a capture with an event that cannot be stored, and stays open', async () => {
    const { customerId, eventType } = await prepaidCustomer(engine, { amount: 500 });
    const { body } = await authorize(customerId, 100);
    const transactionId = randomUUID();
    const old = { transaction_id: randomUUID(), event_type: eventType, timestamp: '2001-01-01T00:00:00Z' };
    const good = { transaction_id: transactionId, event_type: eventType, properties: { amount: '1' } };
    const path = `authorizations/${body.id}`;
    expect((await live(engine, 'POST', `${path}/capture`, { events: [good, old] })).status).toBe(400);
    expect((await live(engine, 'GET', path)).body).toMatchObject({ status: 'authorized', available: '400' });
    expect(await engine.metronome.v1.usage.search({ transactionIds: [transactionId] })).toEqual([]);
  });

  it('runs out by the time of its customer', async () => {
    const customer = await clockCustomer(engine, '2030-03-01T00:00:00Z');
    const { eventType } = await prepaidCustomer(engine, {
      amount: 500,
      customerId: customer.id,
      startingAt: '2030-03-01T00:00:00Z',
    });
    const { body } = await authorize(customer.id, 300, { expires_in: 3600 });
    await send(engine, customer.id, eventType, [{ at: '2030-03-01T00:00:00Z', properties: { amount: '1' } }]);
    expect((await live(engine, 'GET', `authorizations/${body.id}`)).body.available).toBe('100');
    await advance(engine, customer.clockId, '2030-03-01T01:00:00Z');
    expect((await live(engine, 'GET', `authorizations/${body.id}`)).body).toMatchObject({
      status: 'expired',
      available: '400',
    });
    expect((await live(engine, 'POST', `authorizations/${body.id}/release`)).status).toBe(409);
  });

  it('is the same one for the same Idempotency-Key', async () => {
    const { customerId } = await prepaidCustomer(engine, { amount: 500 });
    const headers = { 'idempotency-key': randomUUID() };
    const ask = (amount: number) =>
      live(engine, 'POST', 'authorizations', { customer: customerId, amount }, headers);
    const [one, two] = await Promise.all([ask(300), ask(300)]);
    expect([one.status, two.status, one.body.id === two.body.id]).toEqual([200, 200, true]);
    expect((await ask(200)).status).toBe(400);
    expect((await entitlement(customerId, 0)).body.available).toBe('200');
  });

  it('refuses what makes no sense', async () => {
    const { customerId } = await prepaidCustomer(engine, { amount: 500 });
    expect((await authorize(customerId, 0)).status).toBe(400);
    expect((await authorize(customerId, 1, { expires_in: 86_401 })).status).toBe(400);
    expect((await authorize('nobody', 1)).status).toBe(400);
    expect((await authorize(customerId, 1, { colour: 'red' })).status).toBe(400);
    expect((await live(engine, 'GET', 'authorizations/auth_none')).status).toBe(404);
  });
});

describe('a thousand parallel requests', () => {
  it('on a balance for six hundred get exactly six hundred holds', { timeout: 60_000 }, async () => {
    const { customerId } = await prepaidCustomer(engine, { amount: 600 });
    const begin = Date.now();
    const answers = await Promise.all(Array.from({ length: 1000 }, () => authorize(customerId, 1)));
    const took = Date.now() - begin;
    const count = (wanted: number) => answers.filter(({ status }: Answer) => status === wanted).length;
    expect([count(200), count(402)]).toEqual([600, 400]);
    expect((await entitlement(customerId, 1)).body).toMatchObject({
      held: '600',
      available: '0',
      allowed: false,
    });
    expect(took).toBeLessThan(30_000);
  });
});
