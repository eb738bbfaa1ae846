import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestEngine } from '../support/engine.js';
import { advance, clockCustomer, rateCard, segment, send, startWorld, sumProduct } from './world.js';

let engine: TestEngine;
let fixed: string;

beforeAll(async () => {
  ({ engine, fixed } = await startWorld());
});
afterAll(() => engine.stop());

const START = '2024-10-01T00:00:00Z';

/**
 * Two contracts of a customer: one sells API, in statements from the 15th on, the other Storage and a fee of ten per cent
 * on both.
 */
async function world(scope: 'CONTRACT' | 'CUSTOMER', excludesFree = false) {
  const { metronome } = engine;
  const [api, storage] = [await sumProduct(metronome, 'API'), await sumProduct(metronome, 'Storage')];
  const fee = await metronome.v1.contracts.products.create({
    name: 'Support',
    type: 'COMPOSITE',
    composite_product_ids: [api.productId, storage.productId],
    ...({ composite_scope: scope } as object),
    exclude_free_usage: excludesFree,
  });
  const apiCard = await rateCard(metronome, [{ product_id: api.productId, rate_type: 'FLAT', price: 100 }]);
  const card = await rateCard(metronome, [
    { product_id: storage.productId, rate_type: 'FLAT', price: 50 },
    { product_id: fee.data.id, rate_type: 'PERCENTAGE', price: 0.1 },
  ]);
  const customer = await clockCustomer(engine, '2024-10-12T00:00:00Z');
  const contract = (terms: object) =>
    metronome.v1.contracts.create({ customer_id: customer.id, starting_at: START, ...terms });
  await contract({
    rate_card_id: apiCard,
    usage_statement_schedule: {
      frequency: 'MONTHLY',
      day: 'CUSTOM_DATE',
      billing_anchor_date: '2024-09-15T00:00:00Z',
    },
    credits: [{ product_id: fixed, access_schedule: segment(500, START, '2024-10-20T00:00:00Z') }],
  });
  const { data } = await contract({ rate_card_id: card });
  const use = (sold: { eventType: string }, at: string, amount: string) =>
    send(engine, customer.id, sold.eventType, [{ at, properties: { amount } }]);
  await use(api, '2024-10-10T05:00:00Z', '30');
  await use(storage, '2024-10-11T05:00:00Z', '10');
  return { ...customer, api, use, contractId: data.id };
}

/** The fee on the invoices of the second contract, by period. */
async function fees({ id, contractId }: { id: string; contractId: string }) {
  const { data } = await engine.metronome.v1.customers.invoices.list({
    customer_id: id,
    contract_id: contractId,
  });
  return data.map(({ status, start_timestamp: start, line_items: lines }) => [
    status,
    start?.slice(0, 7),
    lines.filter(({ name }) => name === 'Support').reduce((sum, { total }) => sum + total, 0),
  ]);
}

describe('a composite product', () => {
  it('with the scope CONTRACT counts the spend of its own contract', async () => {
    expect(await fees(await world('CONTRACT'))).toEqual([['DRAFT', '2024-10', 50]]);
  });

  it('with the scope CUSTOMER counts all contracts, whatever statements they have', async () => {
    const customer = await world('CUSTOMER');
    const { clockId, api, use } = customer;
    // 30 × 100, of which a credit pays 500, and 10 × 50.
    expect(await fees(customer)).toEqual([['DRAFT', '2024-10', 350]]);
    await advance(engine, clockId, '2024-10-20T00:00:00Z');
    // The statement of API is final and the next one has begun.
    expect(await fees(customer)).toEqual([['DRAFT', '2024-10', 350]]);
    await use(api, '2024-10-18T05:00:00Z', '10');
    expect(await fees(customer)).toEqual([['DRAFT', '2024-10', 450]]);
    // Late for API, whose next statement bills it; for the fee it is usage of October, once.
    await use(api, '2024-10-12T05:00:00Z', '7');
    expect(await fees(customer)).toEqual([['DRAFT', '2024-10', 520]]);
    await advance(engine, clockId, '2024-11-01T06:00:00Z');
    await use(api, '2024-11-01T05:00:00Z', '20');
    expect(await fees(customer)).toEqual([
      ['DRAFT', '2024-10', 520],
      ['DRAFT', '2024-11', 200],
    ]);
    await advance(engine, clockId, '2024-11-03T00:00:00Z');
    expect(await fees(customer)).toEqual([
      ['FINALIZED', '2024-10', 520],
      ['DRAFT', '2024-11', 200],
    ]);
    const { data } = await engine.metronome.v1.customers.invoices.listBreakdowns({
      customer_id: customer.id,
      starting_on: START,
      ending_before: '2024-11-01T00:00:00Z',
    });
    const days = data
      .filter(({ contract_id: contract }) => contract === customer.contractId)
      .map(({ breakdown_start_timestamp: day, line_items: lines }) => [
        day.slice(5, 10),
        lines.find(({ name }) => name === 'Support')?.total,
      ]);
    expect(days).toEqual([
      ['10-10', 300],
      ['10-11', 50],
      ['10-12', 70],
      ['10-18', 100],
    ]);
  });

  it('leaves out what free credits of another contract paid for, where it says so', async () => {
    expect(await fees(await world('CUSTOMER', true))).toEqual([['DRAFT', '2024-10', 300]]);
  });
});
