import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { refusedUnwritten } from './fingerprints.js';
import {
  advance,
  contractAt,
  draftTotal,
  fixedProduct,
  netBalance,
  rateCard,
  segment,
  send,
  type SoldMetric,
  sumProduct,
  unlimitedClocks,
} from './world.js';

/** Edits of single commits and credits, and their ends. */

let engine: TestEngine;
let fixed: string;
let sold: SoldMetric;
let card: string;

const START = '2024-01-01T00:00:00Z';
const YEAR = [START, '2025-01-01T00:00:00Z'] as const;
const NOBODY = '00000000-0000-4000-8000-000000000000';

beforeAll(async () => {
  engine = await startTestEngine();
  await unlimitedClocks(engine);
  fixed = await fixedProduct(engine.metronome, 'Fixed');
  sold = await sumProduct(engine.metronome, 'Usage');
  card = await rateCard(engine.metronome, [{ product_id: sold.productId, rate_type: 'FLAT', price: 100 }]);
});
afterAll(() => engine.stop());

const use = (customerId: string, amount: string, at = '2024-01-10T00:00:00Z') =>
  send(engine, customerId, sold.eventType, [{ at, properties: { amount } }]);

async function balances(customerId: string, more: object = {}) {
  const { data } = await engine.metronome.v1.contracts.listBalances({
    customer_id: customerId,
    include_contract_balances: true,
    include_balance: true,
    include_ledgers: true,
    ...more,
  });
  return data;
}

async function invoices(customerId: string, status: string) {
  return (await engine.metronome.v1.customers.invoices.list({ customer_id: customerId, status })).data;
}

/** What the SDK has no method for. */
async function post(path: string, body: object): Promise<unknown> {
  return engine.metronome.post(path, { body });
}

describe('a credit of the customer', () => {
  it('lives longer, grants more and serves other contracts at once after its edit', async () => {
    const { metronome } = engine;
    const customer = await contractAt(engine, START, { starting_at: START, rate_card_id: card });
    const credit = await metronome.v1.customers.credits.create({
      customer_id: customer.id,
      product_id: fixed,
      priority: 1,
      access_schedule: segment(1000, START, '2024-01-05T00:00:00Z'),
    });
    await advance(engine, customer.clockId, '2024-01-15T00:00:00Z');
    await use(customer.id, '12');
    expect(await draftTotal(engine, customer.id)).toBe(1200);
    const [before] = await balances(customer.id);
    const item = before?.access_schedule?.schedule_items[0]?.id ?? '';
    const answer = await metronome.v2.contracts.editCredit({
      customer_id: customer.id,
      credit_id: credit.data.id,
      name: 'Trial',
      priority: 7,
      applicable_contract_ids: [customer.contractId],
      access_schedule: {
        update_schedule_items: [{ id: item, amount: 1100, ending_before: '2024-02-01T00:00:00Z' }],
      },
    });
    expect(answer.data).toEqual({ id: credit.data.id });
    expect(await draftTotal(engine, customer.id)).toBe(100);
    expect((await balances(customer.id))[0]).toMatchObject({
      name: 'Trial',
      priority: 7,
      balance: 0,
      applicable_contract_ids: [customer.contractId],
      access_schedule: {
        schedule_items: [{ id: item, amount: 1100, ending_before: '2024-02-01T00:00:00Z' }],
      },
    });
    const params = { customer_id: customer.id, contract_id: customer.contractId };
    expect((await metronome.v2.contracts.getEditHistory(params)).data).toEqual([]);
    await refusedUnwritten(
      engine.db,
      () => metronome.v2.contracts.editCommit({ customer_id: customer.id, commit_id: credit.data.id }),
      404,
      /commit/,
    );
    await refusedUnwritten(
      engine.db,
      () =>
        metronome.v2.contracts.editCredit({
          customer_id: customer.id,
          credit_id: credit.data.id,
          applicable_contract_ids: [NOBODY],
        }),
      404,
      /contract/,
    );
    await refusedUnwritten(
      engine.db,
      () =>
        metronome.v2.contracts.editCredit({
          customer_id: customer.id,
          credit_id: credit.data.id,
          rollover_fraction: 1,
        } as never),
      400,
      /rollover_fraction/,
    );
  });
});

describe('a commit of a contract', () => {
  /** $10 of access for $9, and 4 units used in January, which is final. */
  async function spent() {
    const customer = await contractAt(engine, START, {
      starting_at: START,
      rate_card_id: card,
      commits: [
        {
          type: 'PREPAID',
          product_id: fixed,
          priority: 1,
          access_schedule: segment(1000, ...YEAR),
          invoice_schedule: { schedule_items: [{ amount: 900, timestamp: START }] },
        },
      ],
    });
    await advance(engine, customer.clockId, '2024-01-12T00:00:00Z');
    await use(customer.id, '4');
    await advance(engine, customer.clockId, '2024-02-03T00:00:00Z');
    const [commit] = await balances(customer.id);
    if (commit?.type !== 'PREPAID') throw new Error('no commit');
    const access = commit.access_schedule?.schedule_items[0]?.id ?? '';
    const purchase = commit.invoice_schedule?.schedule_items?.[0]?.id ?? '';
    return { ...customer, commit: { customer_id: customer.id, commit_id: commit.id }, access, purchase };
  }

  it('is edited by its id and shows in the history of the contract', async () => {
    const { metronome } = engine;
    const customer = await spent();
    const { commit } = customer;
    const answer = await metronome.v2.contracts.editCommit({
      ...commit,
      description: 'More of it',
      access_schedule: {
        add_schedule_items: [{ amount: 500, starting_at: '2024-02-01T00:00:00Z', ending_before: YEAR[1] }],
      },
      invoice_schedule: { add_schedule_items: [{ amount: 450, timestamp: '2024-02-01T00:00:00Z' }] },
    });
    expect(answer.data.id).toBe(commit.commit_id);
    expect(await netBalance(engine, customer.id)).toBe(1000 - 400 + 500);
    // Its date is past: an invoice of its own, final at once.
    await expect
      .poll(async () => (await invoices(customer.id, 'FINALIZED')).map(({ total }) => total).sort())
      .toEqual([0, 450, 900]);
    const history = await metronome.v2.contracts.getEditHistory({
      customer_id: customer.id,
      contract_id: customer.contractId,
    });
    expect(history.data).toMatchObject([
      { update_commits: [{ id: commit.commit_id, description: 'More of it' }] },
    ]);
    await refusedUnwritten(
      engine.db,
      () => metronome.v2.contracts.editCommit({ ...commit, applicable_contract_ids: [customer.contractId] }),
      400,
      /applicable_contract_ids/,
    );
  });

  it('keeps what final invoices stand on until these are void', async () => {
    const { metronome } = engine;
    const customer = await spent();
    const { commit, access, purchase } = customer;
    const edit = (change: object) => () => metronome.v2.contracts.editCommit({ ...commit, ...change });
    const dropAccess = edit({ access_schedule: { remove_schedule_items: [{ id: access }] } });
    const raise = edit({ invoice_schedule: { update_schedule_items: [{ id: purchase, amount: 950 }] } });
    const dropPurchase = edit({ invoice_schedule: { remove_schedule_items: [{ id: purchase }] } });
    await refusedUnwritten(engine.db, dropAccess, 400, /access_schedule.*void it first/);
    await refusedUnwritten(engine.db, raise, 400, /invoice_schedule.*finalized invoice/);
    await refusedUnwritten(engine.db, dropPurchase, 400, /invoice_schedule.*finalized invoice/);
    await refusedUnwritten(
      engine.db,
      () => post('/v2/contracts/commits/archive', commit),
      400,
      /commit_id.*void them first/,
    );
    for (const { id } of await invoices(customer.id, 'FINALIZED')) await metronome.v1.invoices.void({ id });
    await raise();
    await refusedUnwritten(engine.db, dropPurchase, 400, /invoice_schedule.*finalized invoice/);
    await dropAccess();
    expect((await balances(customer.id))[0]).toMatchObject({
      balance: 0,
      access_schedule: { schedule_items: [] },
      invoice_schedule: { schedule_items: [{ amount: 950 }] },
    });
  });

  it('is archived once nothing stands on it: no ledger, no balance, and the statement is made without it', async () => {
    const { metronome } = engine;
    const customer = await spent();
    for (const { id } of await invoices(customer.id, 'FINALIZED')) await metronome.v1.invoices.void({ id });
    expect(await post('/v2/contracts/commits/archive', customer.commit)).toEqual({
      data: { id: customer.commit.commit_id },
    });
    expect(await balances(customer.id)).toEqual([]);
    const [archived] = await balances(customer.id, { include_archived: true });
    expect(archived).toMatchObject({ balance: 0, archived_at: expect.any(String) as string });
    expect(archived?.ledger ?? null).toBeNull();
    const voided = (await invoices(customer.id, 'VOID')).find(({ type }) => type === 'USAGE');
    const { data } = await metronome.v1.invoices.regenerate({ id: voided?.id ?? '' });
    const anew = await metronome.v1.customers.invoices.retrieve({
      customer_id: customer.id,
      invoice_id: data?.id ?? '',
    });
    expect(anew.data.total).toBe(400);
    await refusedUnwritten(
      engine.db,
      () => post('/v2/contracts/commits/archive', customer.commit),
      400,
      /archived already/,
    );
    await refusedUnwritten(
      engine.db,
      () => metronome.v2.contracts.editCommit({ ...customer.commit, name: 'Late' }),
      400,
      /commit_id.*archived/,
    );
    await refusedUnwritten(
      engine.db,
      () => post('/v2/contracts/credits/archive', { customer_id: customer.id, credit_id: NOBODY }),
      404,
      /credit/,
    );
  });
});
