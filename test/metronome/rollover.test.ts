import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import {
  advance,
  contractAt,
  fixedProduct,
  rateCard,
  segment,
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

const DATES = {
  january: '2026-01-01T00:00:00Z',
  february: '2026-02-01T00:00:00Z',
  later: '2026-02-10T00:00:00Z',
};

/** A contract with a hundred dollars to roll over in full, of which January's usage takes `used` cents. */
async function januaryContract(used: number) {
  const { metronome } = engine;
  const { productId, eventType } = await sumProduct(metronome, 'Rolled');
  const card = await rateCard(metronome, [{ product_id: productId, rate_type: 'FLAT', price: 1 }]);
  const customer = await contractAt(engine, DATES.january, {
    starting_at: DATES.january,
    rate_card_id: card,
    commits: [
      {
        type: 'PREPAID',
        product_id: await fixedProduct(metronome, 'Commit'),
        rollover_fraction: 1,
        access_schedule: segment(10_000, DATES.january, '2026-03-01T00:00:00Z'),
      },
    ],
  });
  await send(engine, customer.id, eventType, [{ at: DATES.january, properties: { amount: String(used) } }]);
  const renew = async () => {
    await metronome.v1.contracts.create({
      customer_id: customer.id,
      starting_at: DATES.february,
      rate_card_id: card,
      transition: { type: 'RENEWAL', from_contract_id: customer.contractId },
    });
  };
  return { ...customer, renew };
}

/** [balance, ledger] of each balance, what was rolled over last. */
async function balances(customerId: string): Promise<[number, number][]> {
  const { data } = await engine.metronome.v1.contracts.listBalances({
    customer_id: customerId,
    include_contract_balances: true,
    include_balance: true,
    include_ledgers: true,
  });
  return data
    .sort((a, b) => Number('rolled_over_from' in a) - Number('rolled_over_from' in b))
    .map(({ balance, ledger }): [number, number] => [
      balance ?? NaN,
      (ledger ?? []).reduce((sum, { amount }) => sum + amount, 0),
    ]);
}

describe('what a renewal takes over', () => {
  it('is settled when the last statement is final: its void gives nothing to the renewal', async () => {
    const customer = await januaryContract(10_000);
    await customer.renew();
    await advance(engine, customer.clockId, DATES.later);
    expect(await balances(customer.id)).toEqual([[0, 0]]);
    const { data } = await engine.metronome.v1.customers.invoices.list({
      customer_id: customer.id,
      status: 'FINALIZED',
    });
    await engine.metronome.v1.invoices.void({ id: data[0]?.id ?? '' });
    expect(await balances(customer.id)).toEqual([[0, 0]]);
  });

  it('is settled at once where the last statement was final before: again a void changes nothing', async () => {
    const customer = await januaryContract(4_000);
    await advance(engine, customer.clockId, DATES.later);
    await customer.renew();
    expect(await balances(customer.id)).toEqual([
      [0, 0],
      [6_000, 6_000],
    ]);
    const { data } = await engine.metronome.v1.customers.invoices.list({
      customer_id: customer.id,
      status: 'FINALIZED',
    });
    await engine.metronome.v1.invoices.void({ id: data[0]?.id ?? '' });
    expect(await balances(customer.id)).toEqual([
      [0, 0],
      [6_000, 6_000],
    ]);
  });

  it('keeps a promise: what moves of a postpaid commit is trued up at the end of the renewal', async () => {
    const { metronome } = engine;
    const { productId, eventType } = await sumProduct(metronome, 'Promised');
    const card = await rateCard(metronome, [{ product_id: productId, rate_type: 'FLAT', price: 1 }]);
    const customer = await contractAt(engine, DATES.january, {
      starting_at: DATES.january,
      rate_card_id: card,
      commits: [
        {
          type: 'POSTPAID',
          product_id: await fixedProduct(metronome, 'Promise'),
          rollover_fraction: 0.5,
          access_schedule: segment(10_000, DATES.january, DATES.february),
          invoice_schedule: { schedule_items: [{ timestamp: DATES.february, amount: 10_000 }] },
        },
      ],
    });
    await send(engine, customer.id, eventType, [{ at: DATES.january, properties: { amount: '4000' } }]);
    await metronome.v1.contracts.create({
      customer_id: customer.id,
      starting_at: DATES.february,
      ending_before: '2026-03-01T00:00:00Z',
      rate_card_id: card,
      transition: { type: 'RENEWAL', from_contract_id: customer.contractId },
    });
    await advance(engine, customer.clockId, DATES.later);
    await send(engine, customer.id, eventType, [{ at: DATES.later, properties: { amount: '2000' } }]);
    await advance(engine, customer.clockId, '2026-03-10T00:00:00Z');
    const { data } = await metronome.v1.customers.invoices.list({
      customer_id: customer.id,
      status: 'FINALIZED',
    });
    // Of 10,000 promised 4,000 were used, half of the grant moves, and 2,000 of that are used.
    const totals = (type: string) =>
      data.filter((invoice) => invoice.type === type).map(({ total }) => total);
    expect(totals('USAGE')).toEqual([4_000, 2_000]);
    expect(totals('SCHEDULED')).toEqual([1_000, 3_000]);
    expect((await balances(customer.id)).map(([, ledger]) => ledger)).toEqual([0, 0]);
  });
});
