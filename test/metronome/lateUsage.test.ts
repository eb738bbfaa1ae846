import type Metronome from '@metronome/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { holdMetrics } from '../../src/metering/metrics/count.js';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import {
  advance,
  contractAt,
  fixedProduct,
  netBalance,
  rateCard,
  segment,
  send,
  setting,
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
const FEB_3 = '2024-02-03T00:00:00Z';
const MAR_3 = '2024-03-03T00:00:00Z';

type Rate = Omit<
  Metronome.V1.Contracts.RateCards.RateAddManyParams.Rate,
  'starting_at' | 'entitled' | 'product_id'
>;
type Terms = Partial<Parameters<typeof contractAt>[2]>;

async function sold(rates: Partial<Rate>[], terms: Terms = {}) {
  const product = await sumProduct(engine.metronome, 'Units');
  const card = await rateCard(
    engine.metronome,
    rates.map((rate) => ({ product_id: product.productId, rate_type: 'FLAT', ...rate })),
  );
  const customer = await contractAt(engine, '2024-01-15T00:00:00Z', {
    starting_at: START,
    rate_card_id: card,
    ...terms,
  });
  return { ...product, ...customer };
}

type Sold = Awaited<ReturnType<typeof sold>>;

/** Ten units at 3 dollars, the rest at 1 dollar. */
const TIERED: Partial<Rate> = {
  rate_type: 'TIERED',
  tiers: [{ size: 10, price: 300 }, { price: 100 }],
};
const FLAT: Partial<Rate> = { price: 100 };

const use = (customer: Sold, amount: string, at: string) =>
  send(engine, customer.id, customer.eventType, [{ at, properties: { amount } }]);

async function invoices(customer: Sold) {
  const { data } = await engine.metronome.v1.customers.invoices.list({ customer_id: customer.id });
  return data;
}

/** What there is of each kind: status, start of the period, total. */
const overview = async (customer: Sold) =>
  (await invoices(customer)).map(({ status, start_timestamp: start, total }) => [
    status,
    start?.slice(0, 10),
    total,
  ]);

type Line = Metronome.V1.Customers.Invoice['line_items'][number];

const late = (lines: readonly Line[] | undefined) =>
  (lines ?? [])
    .filter(({ metadata }) => metadata === 'late_usage')
    .map(({ name, quantity, unit_price: price, total, starting_at: from, ending_before: to }) => [
      name,
      quantity,
      price,
      total,
      from?.slice(0, 10),
      to?.slice(0, 10),
    ]);

const lateLines = async (customer: Sold) => late((await usageDrafts(engine, customer.id))[0]?.line_items);

async function finalOf(customer: Sold, month: string) {
  const found = (await invoices(customer)).find(
    ({ status, start_timestamp: start }) => status === 'FINALIZED' && start?.startsWith(month) === true,
  );
  if (found === undefined) throw new Error(`no final invoice of ${month}`);
  return found;
}

describe('late usage of a final statement', () => {
  it('is billed on the next draft as in its own period, the tiers going on; each time it comes', async () => {
    const customer = await sold([TIERED]);
    await use(customer, '8', '2024-01-10T05:00:00Z');
    await advance(engine, customer.clockId, FEB_3);
    expect(await overview(customer)).toEqual([
      ['FINALIZED', '2024-01-01', 2400],
      ['DRAFT', '2024-02-01', 0],
    ]);
    await use(customer, '5', '2024-01-20T00:00:00Z');
    // Two units are left of the first ten.
    expect(await lateLines(customer)).toEqual([
      ['Units (late usage)', 2, 300, 600, '2024-01-01', '2024-02-01'],
      ['Units (late usage)', 3, 100, 300, '2024-01-01', '2024-02-01'],
    ]);
    await use(customer, '4', '2024-01-31T23:59:59Z');
    await use(customer, '1', '2024-02-01T00:00:00Z');
    await advance(engine, customer.clockId, MAR_3);
    // 2 × 300 + 7 × 100, and February's own unit at 300.
    expect(await overview(customer)).toEqual([
      ['FINALIZED', '2024-01-01', 2400],
      ['FINALIZED', '2024-02-01', 1600],
      ['DRAFT', '2024-03-01', 0],
    ]);
    await use(customer, '3', '2024-01-30T00:00:00Z');
    await use(customer, '11', '2024-02-28T00:00:00Z');
    expect(await lateLines(customer)).toEqual([
      ['Units (late usage)', 3, 100, 300, '2024-01-01', '2024-02-01'],
      ['Units (late usage)', 9, 300, 2700, '2024-02-01', '2024-03-01'],
      ['Units (late usage)', 2, 100, 200, '2024-02-01', '2024-03-01'],
    ]);
    await advance(engine, customer.clockId, '2024-05-03T00:00:00Z');
    expect((await overview(customer)).map(([, , total]) => total)).toEqual([2400, 1600, 3200, 0, 0]);
  });

  it('costs what its own days cost', async () => {
    const customer = await sold([
      { ...FLAT, ending_before: '2024-01-16T00:00:00Z' },
      { price: 250, starting_at: '2024-01-16T00:00:00Z' } as Partial<Rate>,
    ]);
    await use(customer, '1', '2024-01-02T00:00:00Z');
    await advance(engine, customer.clockId, FEB_3);
    await use(customer, '2', '2024-01-15T23:00:00Z');
    await use(customer, '4', '2024-01-16T00:00:00Z');
    expect(await lateLines(customer)).toEqual([
      ['Units (late usage)', 2, 100, 200, '2024-01-01', '2024-01-16'],
      ['Units (late usage)', 4, 250, 1000, '2024-01-16', '2024-02-01'],
    ]);
  });

  it('burns what was accessible at its time, and ledgers stay equal to balances', async () => {
    const customer = await sold([FLAT], {
      commits: [
        {
          type: 'PREPAID',
          product_id: fixed,
          name: 'January',
          access_schedule: segment(1000, START, '2024-02-01T00:00:00Z'),
        },
        {
          type: 'PREPAID',
          product_id: fixed,
          name: 'February',
          access_schedule: segment(700, '2024-02-01T00:00:00Z', '2024-04-01T00:00:00Z'),
        },
      ],
    });
    await use(customer, '6', '2024-01-10T00:00:00Z');
    await advance(engine, customer.clockId, FEB_3);
    expect(await netBalance(engine, customer.id)).toBe(700);
    await use(customer, '5', '2024-01-20T00:00:00Z');
    await use(customer, '2', '2024-02-02T00:00:00Z');
    // January has 400 left: 4 units are covered, one is due. February's commit pays for February alone.
    expect(await netBalance(engine, customer.id)).toBe(500);
    expect((await lateLines(customer)).map(([, quantity, , total]) => [quantity, total])).toEqual([
      [4, 400],
      [undefined, -400],
      [1, 100],
    ]);
    expect((await usageDrafts(engine, customer.id))[0]?.total).toBe(100);
    await advance(engine, customer.clockId, MAR_3);
    const { data } = await engine.metronome.v1.contracts.listBalances({
      customer_id: customer.id,
      include_contract_balances: true,
      include_ledgers: true,
      include_balance: true,
    });
    const ledgers = new Map(data.map(({ name, ledger }) => [name, ledger ?? []]));
    expect(ledgers.get('January')?.map(({ type, amount }) => [type, amount])).toEqual([
      ['PREPAID_COMMIT_SEGMENT_START', 1000],
      ['PREPAID_COMMIT_AUTOMATED_INVOICE_DEDUCTION', -600],
      ['PREPAID_COMMIT_AUTOMATED_INVOICE_DEDUCTION', -400],
    ]);
    for (const { ledger, balance } of data) {
      expect((ledger ?? []).reduce((sum, { amount }) => sum + amount, 0)).toBe(balance);
    }
    expect(data.map(({ name, balance }) => [name, balance])).toEqual(
      expect.arrayContaining([
        ['January', 0],
        ['February', 500],
      ]),
    );
  });

  it('is taken up by its own statement when that is made anew', async () => {
    const customer = await sold([TIERED]);
    await use(customer, '8', '2024-01-10T00:00:00Z');
    await advance(engine, customer.clockId, FEB_3);
    await use(customer, '5', '2024-01-20T00:00:00Z');
    expect((await lateLines(customer)).length).toBe(2);
    const { id } = await finalOf(customer, '2024-01');
    await engine.metronome.v1.invoices.void({ id });
    await engine.metronome.v1.invoices.regenerate({ id });
    // 10 × 300 + 3 × 100 on the one, nothing on the other.
    expect(await overview(customer)).toEqual(
      expect.arrayContaining([
        ['FINALIZED', '2024-01-01', 3300],
        ['DRAFT', '2024-02-01', 0],
      ]),
    );
    await use(customer, '1', '2024-01-21T00:00:00Z');
    expect((await lateLines(customer)).map(([, quantity, price]) => [quantity, price])).toEqual([[1, 100]]);
  });

  it('that a later statement has billed stays there when its own is made anew, each unit at its tier', async () => {
    const customer = await sold([TIERED]);
    await use(customer, '8', '2024-01-10T00:00:00Z');
    await advance(engine, customer.clockId, FEB_3);
    await use(customer, '1', '2024-01-30T00:00:00Z');
    await advance(engine, customer.clockId, MAR_3);
    // The ninth unit is on February's invoice; three more come, of which the first is the tenth.
    await use(customer, '3', '2024-01-30T01:00:00Z');
    const { id } = await finalOf(customer, '2024-01');
    await engine.metronome.v1.invoices.void({ id });
    await engine.metronome.v1.invoices.regenerate({ id });
    expect((await finalOf(customer, '2024-01')).total).toBe(8 * 300 + 1 * 300 + 2 * 100);
    expect((await finalOf(customer, '2024-02')).total).toBe(300);
    expect(await lateLines(customer)).toEqual([]);
  });

  it('goes with the invoice that billed it: void takes it away, and making that anew brings it back', async () => {
    const customer = await sold([FLAT]);
    await use(customer, '8', '2024-01-10T00:00:00Z');
    await advance(engine, customer.clockId, FEB_3);
    await use(customer, '5', '2024-01-31T00:00:00Z');
    await advance(engine, customer.clockId, MAR_3);
    const { id } = await finalOf(customer, '2024-02');
    await engine.metronome.v1.invoices.void({ id });
    expect(await lateLines(customer)).toEqual([]);
    await use(customer, '1', '2024-01-31T01:00:00Z');
    expect((await lateLines(customer)).map(([, quantity]) => quantity)).toEqual([1]);
    await engine.metronome.v1.invoices.regenerate({ id });
    const anew = await finalOf(customer, '2024-02');
    expect([anew.total, late(anew.line_items).map(([, quantity]) => quantity)]).toEqual([600, [6]]);
    expect(await lateLines(customer)).toEqual([]);
  });

  it('of a contract that is over gets a statement of its own, final after a grace', async () => {
    const customer = await sold([TIERED], { ending_before: '2024-02-01T00:00:00Z' });
    await use(customer, '9', '2024-01-10T00:00:00Z');
    await advance(engine, customer.clockId, FEB_3);
    expect(await overview(customer)).toEqual([['FINALIZED', '2024-01-01', 2700]]);
    await use(customer, '2', '2024-01-20T00:00:00Z');
    const [draft] = await usageDrafts(engine, customer.id);
    expect([draft?.total, late(draft?.line_items).length]).toEqual([400, 2]);
    await advance(engine, customer.clockId, '2024-02-04T00:00:00Z');
    const final = (await invoices(customer))[1];
    expect(final).toMatchObject({ id: draft?.id, status: 'FINALIZED', total: 400 });
    await use(customer, '1', '2024-01-21T00:00:00Z');
    await advance(engine, customer.clockId, '2024-02-10T00:00:00Z');
    expect((await overview(customer)).map(([status, , total]) => [status, total])).toEqual([
      ['FINALIZED', 2700],
      ['FINALIZED', 400],
      ['FINALIZED', 100],
    ]);
    await engine.metronome.v1.invoices.void({ id: final?.id ?? '' });
    await engine.metronome.v1.invoices.regenerate({ id: final?.id ?? '' });
    expect((await overview(customer)).map(([status, , total]) => [status, total]).sort()).toEqual([
      ['FINALIZED', 100],
      ['FINALIZED', 2700],
      ['FINALIZED', 400],
      ['VOID', 400],
    ]);
  });

  it('met by its closing is on the statement or late, never lost and never twice', async () => {
    const customer = await sold([FLAT]);
    await use(customer, '8', '2024-01-10T00:00:00Z');
    // Somebody stores usage who may not have seen the closing announced: it waits for that.
    let end = () => {};
    const writer = engine.db.transaction(async (tx) => {
      await holdMetrics(tx, [engine.accountId]);
      await new Promise<void>((resolve) => (end = resolve));
    });
    const moved = advance(engine, customer.clockId, FEB_3);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect((await overview(customer)).map(([status]) => status)).not.toContain('FINALIZED');
    await use(customer, '5', '2024-01-20T00:00:00Z');
    end();
    await writer;
    await moved;
    const totals = (await invoices(customer)).map(({ total }) => total);
    expect(totals.reduce((sum, total) => sum + total, 0)).toBe(1300);
    await advance(engine, customer.clockId, MAR_3);
    const after = (await invoices(customer)).map(({ total }) => total);
    expect(after.reduce((sum, total) => sum + total, 0)).toBe(1300);
  });

  it('shows in breakdowns alone where the account drops it', async () => {
    await setting(engine, { late_usage: 'drop' });
    try {
      const customer = await sold([FLAT]);
      await use(customer, '8', '2024-01-10T00:00:00Z');
      await advance(engine, customer.clockId, FEB_3);
      await use(customer, '5', '2024-01-20T00:00:00Z');
      expect(await lateLines(customer)).toEqual([]);
      const { data } = await engine.metronome.v1.customers.invoices.listBreakdowns({
        customer_id: customer.id,
        starting_on: '2024-01-20T00:00:00Z',
        ending_before: '2024-01-21T00:00:00Z',
      });
      expect(data.map(({ total }) => total)).toEqual([500]);
      await advance(engine, customer.clockId, MAR_3);
      expect((await overview(customer)).map(([, , total]) => total)).toEqual([800, 0, 0]);
    } finally {
      await setting(engine, { late_usage: 'bill' });
    }
  });
});
