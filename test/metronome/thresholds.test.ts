import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, live, prepaidCustomer } from '../live/world.js';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { failure } from './failure.js';
import {
  advance,
  clockCustomer,
  fixedProduct,
  monthStart,
  rateCard,
  send,
  sumProduct,
  unique,
  unlimitedClocks,
} from './world.js';

let engine: TestEngine;

beforeAll(async () => {
  engine = await startTestEngine();
  await unlimitedClocks(engine);
});
afterAll(() => engine.stop());

const now = () => new Date().toISOString();
const FREE = { payment_gate_type: 'NONE' as const };

async function balanceOf(customerId: string, creditTypeId?: string): Promise<number> {
  const { data } = await engine.metronome.v1.contracts.getNetBalance({
    customer_id: customerId,
    ...(creditTypeId === undefined ? {} : { credit_type_id: creditTypeId }),
  });
  return data.balance;
}

async function commitsOf(customerId: string, name: string) {
  const { data } = await engine.metronome.v1.contracts.listBalances({
    customer_id: customerId,
    include_contract_balances: true,
    include_balance: true,
  });
  return data.filter((one) => one.name === name);
}

async function scheduledTotals(customerId: string): Promise<number[]> {
  const { data } = await engine.metronome.v1.customers.invoices.list({
    customer_id: customerId,
    status: 'FINALIZED',
  });
  return data.filter(({ type }) => type === 'SCHEDULED').map(({ total }) => total);
}

/** A customer who pays one token a unit and has some prepaid. */
async function tokenCustomer(options: {
  tokens: number;
  centsPerToken: number;
  threshold: number;
  rechargeTo: number;
  fraction?: number;
}) {
  const { metronome } = engine;
  const unit = (await live(engine, 'POST', 'pricing_units', { name: unique('Tokens') })).body.id;
  const { productId, eventType } = await sumProduct(metronome, 'Tokens');
  const fixed = await fixedProduct(metronome, 'Token purchase');
  const card = await rateCard(
    metronome,
    [{ product_id: productId, rate_type: 'FLAT', price: 1, credit_type_id: unit }],
    {
      credit_type_conversions: [
        { custom_credit_type_id: unit, fiat_per_custom_credit: options.centsPerToken },
      ],
    },
  );
  const { data: customer } = await metronome.v1.customers.create({ name: 'Tokens' });
  const startingAt = monthStart();
  await metronome.v1.contracts.create({
    customer_id: customer.id,
    starting_at: startingAt,
    rate_card_id: card,
    commits: [
      {
        type: 'PREPAID',
        product_id: fixed,
        priority: 1,
        access_schedule: {
          credit_type_id: unit,
          schedule_items: [
            { amount: options.tokens, starting_at: startingAt, ending_before: '2100-01-01T00:00:00Z' },
          ],
        },
      },
    ],
    prepaid_balance_threshold_configuration: {
      is_enabled: true,
      threshold_amount: options.threshold,
      recharge_to_amount: options.rechargeTo,
      custom_credit_type_id: unit,
      commit: { product_id: fixed, name: 'Auto-recharge' },
      payment_gate_config: FREE,
      ...(options.fraction === undefined
        ? {}
        : { discount_configuration: { payment_fraction: options.fraction } }),
    },
  });
  return { customerId: customer.id, unit, eventType };
}

describe('a recharge of custom units', () => {
  it('fills up to its level at the price of the rate card (example 6.42)', async () => {
    const { customerId, unit, eventType } = await tokenCustomer({
      tokens: 500,
      centsPerToken: 10,
      threshold: 50,
      rechargeTo: 500,
    });
    await send(engine, customerId, eventType, [{ at: now(), properties: { amount: '449' } }]);
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(await balanceOf(customerId, unit)).toBe(51);
    const begin = Date.now();
    await send(engine, customerId, eventType, [{ at: now(), properties: { amount: '1' } }]);
    await eventually(
      () => balanceOf(customerId, unit),
      (balance) => balance === 500,
    );
    expect(Date.now() - begin).toBeLessThan(3000);
    const commits = await commitsOf(customerId, 'Auto-recharge');
    expect(commits).toHaveLength(1);
    expect(commits[0]).toMatchObject({
      type: 'PREPAID',
      priority: 100,
      access_schedule: { credit_type: { id: unit }, schedule_items: [{ amount: 450 }] },
      invoice_schedule: { schedule_items: [{ amount: 4500 }] },
    });
    const totals = await eventually(
      () => scheduledTotals(customerId),
      (found) => found.length > 0,
    );
    expect(totals).toEqual([4500]);
  });

  it('costs less with a discount (example 6.43)', async () => {
    const { customerId, unit, eventType } = await tokenCustomer({
      tokens: 100,
      centsPerToken: 50,
      threshold: 10,
      rechargeTo: 110,
      fraction: 0.9,
    });
    await send(engine, customerId, eventType, [{ at: now(), properties: { amount: '90' } }]);
    await eventually(
      () => balanceOf(customerId, unit),
      (balance) => balance === 110,
    );
    const totals = await eventually(
      () => scheduledTotals(customerId),
      (found) => found.length > 0,
    );
    expect(totals).toEqual([4500]);
  });
});

describe('a recharge of dollars', () => {
  const recharge = (fixed: string, threshold: number, to: number) => ({
    is_enabled: true,
    threshold_amount: threshold,
    recharge_to_amount: to,
    commit: { product_id: fixed, name: 'Top-up' },
    payment_gate_config: FREE,
  });

  it('comes once for one crossing, however many events cross at once', async () => {
    const { metronome } = engine;
    const { customerId, contractId, fixedProductId, eventType } = await prepaidCustomer(engine, {
      amount: 2000,
    });
    await metronome.v2.contracts.edit({
      customer_id: customerId,
      contract_id: contractId,
      add_prepaid_balance_threshold_configuration: recharge(fixedProductId, 500, 2000),
    });
    const one = () => send(engine, customerId, eventType, [{ at: now(), properties: { amount: '1' } }]);
    await Promise.all(Array.from({ length: 16 }, one));
    await eventually(
      () => balanceOf(customerId),
      (balance) => balance >= 1900,
    );
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const commits = await commitsOf(customerId, 'Top-up');
    expect(commits).toHaveLength(1);
    expect(await balanceOf(customerId)).toBe(
      2000 - 1600 + (commits[0]?.access_schedule?.schedule_items[0]?.amount ?? 0),
    );
  });

  it('has minimums (example 6.44), and is made at once when it is switched on below its threshold', async () => {
    const { metronome } = engine;
    const { customerId, contractId, fixedProductId } = await prepaidCustomer(engine, { amount: 400 });
    const edit = (threshold: number, to: number) =>
      metronome.v2.contracts.edit({
        customer_id: customerId,
        contract_id: contractId,
        add_prepaid_balance_threshold_configuration: recharge(fixedProductId, threshold, to),
      });
    expect((await failure(edit(499, 2100))).status).toBe(400);
    expect((await failure(edit(1000, 1999))).status).toBe(400);
    await edit(500, 2100);
    await eventually(
      () => balanceOf(customerId),
      (balance) => balance === 2100,
    );
    expect(await commitsOf(customerId, 'Top-up')).toHaveLength(1);
  });

  it('waits for a payment that somebody else takes', async () => {
    const { metronome } = engine;
    const { customerId, contractId, fixedProductId, eventType } = await prepaidCustomer(engine, {
      amount: 1000,
    });
    await metronome.v2.contracts.edit({
      customer_id: customerId,
      contract_id: contractId,
      add_prepaid_balance_threshold_configuration: {
        ...recharge(fixedProductId, 500, 2000),
        payment_gate_config: { payment_gate_type: 'EXTERNAL' },
      },
    });
    const workflows = async () => {
      const { data } = await engine.stripe.events.list({ limit: 100 });
      return data
        .filter(({ type }) => (type as string) === 'payment_gate.external_initiate')
        .map(({ data: { object } }) => object as unknown as Record<string, unknown>)
        .filter((object) => object['contract_id'] === contractId);
    };
    await send(engine, customerId, eventType, [{ at: now(), properties: { amount: '6' } }]);
    const [first] = await eventually(workflows, (found) => found.length > 0);
    expect(first).toMatchObject({ customer_id: customerId, invoice_total: 1600 });
    await send(engine, customerId, eventType, [{ at: now(), properties: { amount: '1' } }]);
    expect(await balanceOf(customerId)).toBe(300);
    const release = async (outcome: 'paid' | 'failed', workflow: unknown) => {
      const answer = await fetch(
        `${engine.baseUrl}/metronome/v1/contracts/commits/threshold-billing/release`,
        {
          method: 'POST',
          headers: { authorization: `Bearer ${engine.apiKey}`, 'content-type': 'application/json' },
          body: JSON.stringify({ workflow_id: workflow, outcome }),
        },
      );
      expect(answer.status).toBe(200);
    };
    await release('paid', first?.['workflow_id']);
    await release('paid', first?.['workflow_id']);
    expect(await balanceOf(customerId)).toBe(1900);
    expect(await commitsOf(customerId, 'Top-up')).toHaveLength(1);

    await send(engine, customerId, eventType, [{ at: now(), properties: { amount: '16' } }]);
    const found = await eventually(workflows, (all) => all.length > 1);
    const second = found.find((one) => one['workflow_id'] !== first?.['workflow_id']);
    await release('failed', second?.['workflow_id']);
    const { data: contract } = await metronome.v2.contracts.retrieve({
      customer_id: customerId,
      contract_id: contractId,
    });
    expect(contract.prepaid_balance_threshold_configuration?.is_enabled).toBe(false);
    expect(await balanceOf(customerId)).toBe(300);
  });
});

describe('a spend threshold', () => {
  it('charges what has accrued, and its commit covers the usage that it charged, on a clock', async () => {
    const { metronome } = engine;
    const customer = await clockCustomer(engine, '2031-01-01T00:00:00Z');
    const { fixedProductId, contractId, eventType } = await prepaidCustomer(engine, {
      amount: 1000,
      customerId: customer.id,
      startingAt: '2031-01-01T00:00:00Z',
    });
    await metronome.v2.contracts.edit({
      customer_id: customer.id,
      contract_id: contractId,
      add_spend_threshold_configuration: {
        is_enabled: true,
        threshold_amount: 10_000,
        commit: { product_id: fixedProductId, name: 'Spend reached' },
        payment_gate_config: FREE,
      },
    });
    const use = async (at: string, amount: string, then: string) => {
      await send(engine, customer.id, eventType, [{ at, properties: { amount } }]);
      await advance(engine, customer.clockId, then);
    };
    const draftTotal = async () => {
      const { data } = await metronome.v1.customers.invoices.list({
        customer_id: customer.id,
        status: 'DRAFT',
      });
      return data.filter(({ type }) => type === 'USAGE').map(({ total }) => total);
    };
    await use('2031-01-01T00:00:00Z', '109', '2031-01-05T00:00:00Z');
    expect([await draftTotal(), await scheduledTotals(customer.id)]).toEqual([[9900], []]);
    await use('2031-01-05T00:00:00Z', '11', '2031-01-06T00:00:00Z');
    expect([await draftTotal(), await scheduledTotals(customer.id)]).toEqual([[0], [11_000]]);
    await use('2031-01-06T00:00:00Z', '30', '2031-01-07T00:00:00Z');
    expect([await draftTotal(), await scheduledTotals(customer.id)]).toEqual([[3000], [11_000]]);
    await use('2031-01-07T00:00:00Z', '70', '2031-02-02T00:00:00Z');
    expect(await scheduledTotals(customer.id)).toEqual([11_000, 10_000]);
    expect(await commitsOf(customer.id, 'Spend reached')).toHaveLength(2);
    const { data } = await metronome.v1.customers.invoices.list({
      customer_id: customer.id,
      status: 'FINALIZED',
    });
    expect(data.filter(({ type }) => type === 'USAGE').map(({ total }) => total)).toEqual([0]);
  });
});
