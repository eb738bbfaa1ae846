import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixedProduct, rateCard, sumProduct } from '../metronome/world.js';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { live, prepaidCustomer } from './world.js';

let engine: TestEngine;

beforeAll(async () => {
  engine = await startTestEngine();
});
afterAll(() => engine.stop());

const ask = (query: Record<string, string>) =>
  live(engine, 'GET', `entitlements?${new URLSearchParams(query).toString()}`);

describe('an entitlement', () => {
  it('follows the balance for every name of the customer', async () => {
    const { customerId } = await prepaidCustomer(engine, { amount: 1000 });
    await engine.metronome.v1.customers.setIngestAliases({
      customer_id: customerId,
      ingest_aliases: ['acme'],
    });
    for (const customer of [customerId, 'acme']) {
      const { status, body } = await ask({ customer, amount: '1000' });
      expect(status).toBe(200);
      expect(body).toMatchObject({
        object: 'entitlement',
        allowed: true,
        reason: null,
        balance: '1000',
        held: '0',
        available: '1000',
      });
    }
    expect((await ask({ customer: 'acme', amount: '1000.5' })).body.reason).toBe('insufficient_balance');
    expect((await ask({ customer: 'nobody', amount: '1' })).status).toBe(400);
    expect((await ask({ customer: 'acme' })).status).toBe(400);
  });

  it('knows what a contract sells', async () => {
    const { metronome } = engine;
    const sold = await sumProduct(metronome, 'Sold');
    const kept = await sumProduct(metronome, 'Kept back');
    const other = await sumProduct(metronome, 'Elsewhere');
    const credits = await fixedProduct(metronome, 'Credits');
    const card = await rateCard(metronome, [
      { product_id: sold.productId, rate_type: 'FLAT', price: 100 },
      { product_id: kept.productId, rate_type: 'FLAT', price: 100, entitled: false },
    ]);
    const customer = await metronome.v1.customers.create({ name: 'Chooser' });
    await metronome.v1.contracts.create({
      customer_id: customer.data.id,
      starting_at: '2026-01-01T00:00:00Z',
      rate_card_id: card,
      credits: [
        {
          product_id: credits,
          priority: 1,
          applicable_product_ids: [kept.productId],
          access_schedule: {
            schedule_items: [
              { amount: 700, starting_at: '2026-01-01T00:00:00Z', ending_before: '2100-01-01T00:00:00Z' },
            ],
          },
        },
      ],
    });
    const check = async (product: string) =>
      (await ask({ customer: customer.data.id, amount: '1', product })).body;
    expect(await check(kept.productId)).toMatchObject({ allowed: false, reason: 'not_entitled' });
    expect(await check(other.productId)).toMatchObject({ allowed: false, reason: 'not_entitled' });
    expect(await check(sold.productId)).toMatchObject({ reason: 'insufficient_balance', balance: '0' });
    expect((await ask({ customer: customer.data.id, amount: '700' })).body).toMatchObject({ allowed: true });
  });
});
