import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import {
  advance,
  clockCustomer,
  fixedProduct,
  rateCard,
  send,
  sumProduct,
  unlimitedClocks,
} from './world.js';

let engine: TestEngine;

beforeAll(async () => {
  engine = await startTestEngine();
  await unlimitedClocks(engine);
});
afterAll(() => engine.stop());

describe('a contract', () => {
  it('drafts, draws on a prepaid commit, and becomes final (example 6.1)', async () => {
    const { metronome } = engine;
    const { productId, eventType } = await sumProduct(metronome, 'Widgets');
    const commitProduct = await fixedProduct(metronome, 'Prepaid commit');
    const card = await rateCard(metronome, [{ product_id: productId, rate_type: 'FLAT', price: 100 }]);
    const customer = await clockCustomer(engine, '2024-09-01T00:00:00Z');
    const made = await metronome.v1.contracts.create({
      customer_id: customer.id,
      starting_at: '2024-09-01T00:00:00Z',
      rate_card_id: card,
      commits: [
        {
          type: 'PREPAID',
          product_id: commitProduct,
          name: 'Fifty dollars',
          priority: 1,
          access_schedule: {
            schedule_items: [
              { amount: 5000, starting_at: '2024-09-01T00:00:00Z', ending_before: '2025-09-01T00:00:00Z' },
            ],
          },
        },
      ],
    });
    const contractId = made.data.id;
    await advance(engine, customer.clockId, '2024-09-10T00:00:00Z');
    await send(engine, customer.id, eventType, [
      { at: '2024-09-05T12:00:00Z', properties: { amount: '80' } },
    ]);

    const drafts = await metronome.v1.customers.invoices.list({ customer_id: customer.id });
    expect(drafts.data).toHaveLength(1);
    const draft = drafts.data[0];
    expect(draft).toMatchObject({
      status: 'DRAFT',
      type: 'USAGE',
      contract_id: contractId,
      total: 3000,
      start_timestamp: '2024-09-01T00:00:00Z',
      end_timestamp: '2024-10-01T00:00:00Z',
      issued_at: '2024-10-02T00:00:00Z',
    });
    expect(
      draft?.line_items.map(({ quantity, unit_price, total }) => ({ quantity, unit_price, total })),
    ).toEqual([
      { quantity: 50, unit_price: 100, total: 5000 },
      { quantity: undefined, unit_price: undefined, total: -5000 },
      { quantity: 30, unit_price: 100, total: 3000 },
    ]);
    const net = await metronome.v1.contracts.getNetBalance({ customer_id: customer.id });
    expect(net.data.balance).toBe(0);

    await advance(engine, customer.clockId, '2024-10-02T00:00:00Z');
    const finals = await metronome.v1.customers.invoices.list({
      customer_id: customer.id,
      status: 'FINALIZED',
    });
    expect(finals.data.map(({ id, total }) => ({ id, total }))).toEqual([{ id: draft?.id, total: 3000 }]);
    const balances = await metronome.v1.contracts.listBalances({
      customer_id: customer.id,
      include_contract_balances: true,
      include_ledgers: true,
      include_balance: true,
    });
    expect(balances.data).toHaveLength(1);
    expect(balances.data[0]).toMatchObject({
      type: 'PREPAID',
      balance: 0,
      ledger: [
        { type: 'PREPAID_COMMIT_SEGMENT_START', amount: 5000, timestamp: '2024-09-01T00:00:00Z' },
        {
          type: 'PREPAID_COMMIT_AUTOMATED_INVOICE_DEDUCTION',
          amount: -5000,
          timestamp: '2024-10-01T00:00:00Z',
          invoice_id: draft?.id,
        },
      ],
    });
  });
});
