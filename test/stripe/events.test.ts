import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { changedAttributes } from '../../src/billing/events.js';
import type { TestApi } from '../support/api.js';
import { startTestApi } from '../support/api.js';
import { assertStripeShape } from '../support/stripeSchemas.js';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(async () => {
  await api.stop();
});

describe('events', () => {
  it('keep the object as it was, and the request that caused them', async () => {
    const product = await api.stripe.products.create({ name: 'before' }, { idempotencyKey: 'events-1' });
    await api.stripe.products.update(product.id, { name: 'after' });
    const [created] = (await api.stripe.events.list({ type: 'product.created' })).data;
    const event = await api.stripe.events.retrieve(created?.id ?? '');
    assertStripeShape('event', event);
    assertStripeShape('product', event.data.object);
    expect(event).toMatchObject({
      object: 'event',
      type: 'product.created',
      api_version: '2026-10-28.endive',
      livemode: false,
      pending_webhooks: 0,
      data: { object: { id: product.id, name: 'before' } },
      request: { id: product.lastResponse.requestId, idempotency_key: 'events-1' },
    });
  });

  it('are found by type, by several types, by a wildcard', async () => {
    const product = await api.stripe.products.create({ name: 'p' });
    await api.stripe.prices.create({ product: product.id, currency: 'usd', unit_amount: 1 });
    await api.stripe.customers.create();
    const types = async (filter: object) =>
      new Set((await api.stripe.events.list({ limit: 100, ...filter })).data.map(({ type }) => type));
    expect(await types({ type: 'price.created' })).toEqual(new Set(['price.created']));
    expect(await types({ type: 'product.*' })).toEqual(new Set(['product.created', 'product.updated']));
    expect(await types({ types: ['customer.*', 'price.created'] })).toEqual(
      new Set(['customer.created', 'price.created']),
    );
    expect((await types({ type: '*' })).size).toBeGreaterThan(2);
    expect(await types({ type: 'pr%' })).toEqual(new Set());
    expect(await types({ created: { gt: Math.floor(Date.now() / 1000) + 60 } })).toEqual(new Set());
  });

  it('are refused in Stripe’s words', async () => {
    await expect(api.stripe.events.retrieve('evt_nope')).rejects.toMatchObject({
      statusCode: 404,
      message: "No such event: 'evt_nope'",
    });
    await expect(api.stripe.events.list({ type: 'a', types: ['b'] })).rejects.toMatchObject({
      code: 'parameters_exclusive',
      param: 'type',
    });
    await expect(api.stripe.events.list({ types: Array(21).fill('a') as string[] })).rejects.toMatchObject({
      param: 'types',
    });
    await expect(api.stripe.events.list({ delivery_success: true })).rejects.toMatchObject({
      code: 'parameter_unsupported',
      param: 'delivery_success',
    });
  });

  it('name what changed, down to the property', () => {
    expect(
      changedAttributes({ a: 1, b: { c: 1, d: 2 }, e: [1] }, { a: 1, b: { c: 3, d: 2 }, e: [1], f: 4 }),
    ).toEqual({
      b: { c: 1 },
      f: null,
    });
    expect(changedAttributes({ a: { b: 1n } }, { a: { b: 1n } })).toBeUndefined();
    expect(changedAttributes({ a: null }, { a: { b: 1 } })).toEqual({ a: null });
    expect(changedAttributes({ a: [1, 2] }, { a: [1] })).toEqual({ a: [1, 2] });
  });
});
