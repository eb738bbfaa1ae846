import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import {
  advance,
  contractAt,
  draftTotal,
  fixedProduct,
  netBalance,
  rateCard,
  segment,
  send,
  sumProduct,
  unlimitedClocks,
  usageDrafts,
} from './world.js';

let engine: TestEngine;
let fixed: string;

beforeAll(async () => {
  engine = await startTestEngine();
  await unlimitedClocks(engine);
  fixed = await fixedProduct(engine.metronome, 'Fixed');
});
afterAll(() => engine.stop());

const START = '2024-01-01T00:00:00Z';

async function sold(terms: Partial<Parameters<typeof contractAt>[2]> = {}, at = '2024-01-15T00:00:00Z') {
  const product = await sumProduct(engine.metronome, 'Units');
  const card = await rateCard(engine.metronome, [
    { product_id: product.productId, rate_type: 'FLAT', price: 100 },
  ]);
  const customer = await contractAt(engine, at, { starting_at: START, rate_card_id: card, ...terms });
  return { ...product, ...customer, card };
}

type Sold = Awaited<ReturnType<typeof sold>>;

const use = (customer: Sold, amount: string, at = '2024-01-10T05:00:00Z') =>
  send(engine, customer.id, customer.eventType, [{ at, properties: { amount } }]);

async function invoices(customer: Sold, status?: 'DRAFT' | 'FINALIZED' | 'VOID') {
  const { data } = await engine.metronome.v1.customers.invoices.list({
    customer_id: customer.id,
    ...(status === undefined ? {} : { status }),
  });
  return data;
}

const prepaid = (amount: number) => ({
  type: 'PREPAID' as const,
  product_id: fixed,
  name: 'Prepaid',
  access_schedule: segment(amount, START, '2025-01-01T00:00:00Z'),
});

describe('invoices', () => {
  it('keep their id from draft to final and never change after', async () => {
    const customer = await sold();
    await use(customer, '10');
    const [draft] = await usageDrafts(engine, customer.id);
    const params = { customer_id: customer.id, invoice_id: draft?.id ?? '' };
    expect((await engine.metronome.v1.customers.invoices.retrieve(params)).data).toMatchObject({
      status: 'DRAFT',
      total: 1000,
    });
    await advance(engine, customer.clockId, '2024-02-01T12:00:00Z');
    await use(customer, '5', '2024-01-31T23:00:00Z');
    expect(await draftTotal(engine, customer.id)).toBe(1500);
    await advance(engine, customer.clockId, '2024-02-02T00:00:00Z');
    const final = await engine.metronome.v1.customers.invoices.retrieve(params);
    expect(final.data).toMatchObject({ id: draft?.id, status: 'FINALIZED', total: 1500 });
    await engine.metronome.v1.contracts.rateCards.rates.add({
      rate_card_id: customer.card,
      product_id: customer.productId,
      rate_type: 'FLAT',
      price: 999,
      starting_at: START,
      entitled: true,
    });
    expect((await engine.metronome.v1.customers.invoices.retrieve(params)).data.total).toBe(1500);
  });

  it('are voided and made anew: balances come back, and today’s terms and usage count', async () => {
    const customer = await sold({ commits: [prepaid(1200)] });
    await use(customer, '10');
    await advance(engine, customer.clockId, '2024-02-03T00:00:00Z');
    const [final] = await invoices(customer, 'FINALIZED');
    expect(final?.total).toBe(0);
    expect(await netBalance(engine, customer.id)).toBe(200);
    await use(customer, '4', '2024-01-20T00:00:00Z');
    const id = final?.id ?? '';
    expect((await engine.metronome.v1.invoices.void({ id })).data?.id).toBe(id);
    expect(await netBalance(engine, customer.id)).toBe(1200);
    const { data } = await engine.metronome.v1.invoices.regenerate({ id });
    expect(data?.id).not.toBe(id);
    const anew = await engine.metronome.v1.customers.invoices.retrieve({
      customer_id: customer.id,
      invoice_id: data?.id ?? '',
    });
    expect(anew.data).toMatchObject({ status: 'FINALIZED', total: 200, regenerated_from_invoice_id: id });
    expect(await netBalance(engine, customer.id)).toBe(0);
    expect((await invoices(customer, 'VOID')).map((one) => one.id)).toEqual([id]);
    await expect(engine.metronome.v1.invoices.regenerate({ id })).rejects.toMatchObject({ status: 400 });
    const balances = await engine.metronome.v1.contracts.listBalances({
      customer_id: customer.id,
      include_contract_balances: true,
      include_ledgers: true,
      include_balance: true,
    });
    const ledger = balances.data[0]?.ledger ?? [];
    expect(ledger.map(({ type, amount }) => [type.replace('PREPAID_COMMIT_', ''), amount])).toEqual([
      ['SEGMENT_START', 1200],
      ['AUTOMATED_INVOICE_DEDUCTION', -1000],
      ['AUTOMATED_INVOICE_DEDUCTION', -1200],
      ['CREDITED', 1000],
    ]);
    expect(ledger.reduce((sum, { amount }) => sum + amount, 0)).toBe(balances.data[0]?.balance);
  });

  it('of scheduled items are voided and made anew too', async () => {
    const customer = await sold({
      commits: [
        { ...prepaid(1000), invoice_schedule: { schedule_items: [{ amount: 900, timestamp: START }] } },
      ],
    });
    await expect
      .poll(async () => (await invoices(customer, 'FINALIZED')).map(({ total }) => total))
      .toEqual([900]);
    const id = (await invoices(customer, 'FINALIZED'))[0]?.id ?? '';
    await engine.metronome.v1.invoices.void({ id });
    expect((await invoices(customer, 'DRAFT')).map(({ type }) => type)).toEqual(['USAGE']);
    const { data } = await engine.metronome.v1.invoices.regenerate({ id });
    expect((await invoices(customer, 'FINALIZED')).map((one) => [one.id, one.total])).toEqual([
      [data?.id, 900],
    ]);
  });

  it('put scheduled charges on the usage invoice that ends on their day, if asked', async () => {
    const customer = await sold({
      scheduled_charges_on_usage_invoices: 'ALL',
      scheduled_charges: [
        {
          product_id: fixed,
          name: 'Fee',
          schedule: { schedule_items: [{ amount: 700, timestamp: '2024-02-01T00:00:00Z' }] },
        },
      ],
    });
    await use(customer, '1');
    expect((await invoices(customer)).map(({ type, total }) => [type, total])).toEqual([['USAGE', 800]]);
    await advance(engine, customer.clockId, '2024-02-02T00:00:00Z');
    expect((await invoices(customer, 'FINALIZED')).map(({ type, total }) => [type, total])).toEqual([
      ['USAGE', 800],
    ]);
  });

  it('list by date either way, page by page', async () => {
    const customer = await sold({}, '2024-04-15T00:00:00Z');
    await expect.poll(async () => (await invoices(customer, 'FINALIZED')).length).toBe(3);
    const down = [];
    for await (const one of engine.metronome.v1.customers.invoices.list({
      customer_id: customer.id,
      sort: 'date_desc',
      limit: 1,
    })) {
      down.push(one.start_timestamp?.slice(0, 7));
    }
    expect(down).toEqual(['2024-04', '2024-03', '2024-02', '2024-01']);
    const { data } = await engine.metronome.v1.customers.invoices.list({
      customer_id: customer.id,
      starting_on: '2024-02-01T00:00:00Z',
      ending_before: '2024-04-01T00:00:00Z',
    });
    expect(data.map(({ start_timestamp: start }) => start?.slice(0, 7))).toEqual(['2024-02', '2024-03']);
  });
});

describe('balances', () => {
  it('of the customer serve its contracts, and a used key is a conflict', async () => {
    const customer = await sold();
    const credit = {
      customer_id: customer.id,
      product_id: fixed,
      priority: 1,
      uniqueness_key: `key-${customer.id}`,
      access_schedule: segment(500, START, '2025-01-01T00:00:00Z'),
    };
    const made = await engine.metronome.v1.customers.credits.create(credit);
    await expect(engine.metronome.v1.customers.credits.create(credit)).rejects.toMatchObject({ status: 409 });
    await use(customer, '3');
    expect(await netBalance(engine, customer.id)).toBe(200);
    const final = await engine.metronome.v1.contracts.getNetBalance({
      customer_id: customer.id,
      invoice_inclusion_mode: 'FINALIZED',
    });
    expect(final.data.balance).toBe(500);
    const { data } = await engine.metronome.v1.customers.credits.list({
      customer_id: customer.id,
      include_ledgers: true,
    });
    expect(data.map(({ id }) => id)).toEqual([made.data.id]);
    await engine.metronome.v1.contracts.addManualBalanceEntry({
      customer_id: customer.id,
      id: made.data.id,
      segment_id: data[0]?.access_schedule?.schedule_items[0]?.id ?? '',
      amount: -150.5,
      reason: 'correction',
    });
    expect(await netBalance(engine, customer.id)).toBe(49.5);
    await engine.metronome.v1.customers.credits.updateEndDate({
      customer_id: customer.id,
      credit_id: made.data.id,
      access_ending_before: '2024-01-12T00:00:00Z',
    });
    expect(await netBalance(engine, customer.id)).toBe(0);
  });

  it('of a customer’s commit are billed on the contract that it names', async () => {
    const customer = await sold();
    const base = {
      customer_id: customer.id,
      product_id: fixed,
      priority: 1,
      type: 'PREPAID' as const,
      access_schedule: segment(1000, START, '2025-01-01T00:00:00Z'),
      invoice_schedule: { schedule_items: [{ amount: 800, timestamp: START }] },
    };
    await expect(engine.metronome.v1.customers.commits.create(base)).rejects.toMatchObject({ status: 400 });
    await engine.metronome.v1.customers.commits.create({ ...base, invoice_contract_id: customer.contractId });
    await expect
      .poll(async () => (await invoices(customer, 'FINALIZED')).map(({ total }) => total))
      .toEqual([800]);
    expect(await netBalance(engine, customer.id)).toBe(1000);
  });

  it('of a postpaid commit make a true-up of what is missing, after the last usage', async () => {
    const customer = await sold({
      ending_before: '2024-03-01T00:00:00Z',
      commits: [
        {
          type: 'POSTPAID',
          product_id: fixed,
          name: 'Minimum',
          access_schedule: segment(5000, START, '2024-03-01T00:00:00Z'),
        },
      ],
    });
    await use(customer, '30');
    expect((await invoices(customer, 'DRAFT')).map(({ type, total }) => [type, total])).toEqual([
      ['USAGE', 3000],
      ['SCHEDULED', 2000],
    ]);
    await advance(engine, customer.clockId, '2024-03-01T12:00:00Z');
    await use(customer, '5', '2024-02-28T00:00:00Z');
    await advance(engine, customer.clockId, '2024-03-05T00:00:00Z');
    expect((await invoices(customer)).map(({ status, type, total }) => [status, type, total])).toEqual([
      ['FINALIZED', 'USAGE', 3000],
      ['FINALIZED', 'SCHEDULED', 1500],
      ['FINALIZED', 'USAGE', 500],
    ]);
  });
});
