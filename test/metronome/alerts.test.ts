import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, prepaidCustomer } from '../live/world.js';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { failure } from './failure.js';
import { advance, clockCustomer, monthStart, send, sumProduct, unique, unlimitedClocks } from './world.js';

let engine: TestEngine;

beforeAll(async () => {
  engine = await startTestEngine();
  await unlimitedClocks(engine);
});
afterAll(() => engine.stop());

const now = () => new Date().toISOString();

async function statusOf(customerId: string, alertId: string): Promise<string | null> {
  const { data } = await engine.metronome.v1.customers.alerts.retrieve({
    customer_id: customerId,
    alert_id: alertId,
  });
  return data.customer_status;
}

/** What was told about an alert, oldest first. */
async function told(alertId: string) {
  const events = await engine.stripe.events.list({ limit: 100 });
  return events.data
    .map(({ type, data }) => ({
      type: type,
      object: data.object as unknown as Record<string, unknown>,
    }))
    .filter(({ type, object }) => type.startsWith('alerts.') && object['alert_id'] === alertId)
    .reverse();
}

describe('a low balance', () => {
  it('is told of within seconds of the usage, once, and again when it is over', async () => {
    const { metronome } = engine;
    const { customerId, eventType, fixedProductId } = await prepaidCustomer(engine, { amount: 1000 });
    const alert = await metronome.v1.alerts.create({
      alert_type: 'low_remaining_commit_balance_reached',
      name: 'Nearly empty',
      threshold: 300,
      customer_id: customerId,
    });
    expect(await statusOf(customerId, alert.data.id)).toBe('ok');
    await send(engine, customerId, eventType, [{ at: now(), properties: { amount: '6' } }]);
    await send(engine, customerId, eventType, [{ at: now(), properties: { amount: '1' } }]);
    const begin = Date.now();
    await eventually(
      () => statusOf(customerId, alert.data.id),
      (status) => status === 'in_alarm',
    );
    expect(Date.now() - begin).toBeLessThan(3000);
    await send(engine, customerId, eventType, [{ at: now(), properties: { amount: '1' } }]);
    await metronome.v1.customers.credits.create({
      customer_id: customerId,
      product_id: fixedProductId,
      priority: 1,
      access_schedule: {
        schedule_items: [{ amount: 5000, starting_at: monthStart(), ending_before: '2100-01-01T00:00:00Z' }],
      },
    });
    await metronome.v1.customers.commits.create({
      customer_id: customerId,
      type: 'PREPAID',
      product_id: fixedProductId,
      priority: 1,
      access_schedule: {
        schedule_items: [{ amount: 5000, starting_at: monthStart(), ending_before: '2100-01-01T00:00:00Z' }],
      },
    });
    await eventually(
      () => statusOf(customerId, alert.data.id),
      (status) => status === 'ok',
    );
    expect(await told(alert.data.id)).toMatchObject([
      {
        type: 'alerts.low_remaining_commit_balance_reached',
        object: {
          customer_id: customerId,
          alert_name: 'Nearly empty',
          threshold: 300,
          remaining_balance: 300,
        },
      },
      { type: 'alerts.low_remaining_commit_balance_reached_resolved' },
    ]);
  });

  it('is seen when the alert is made, for one customer and for all of them', async () => {
    const { metronome } = engine;
    const { customerId } = await prepaidCustomer(engine, { amount: 100 });
    const one = await metronome.v1.alerts.create({
      alert_type: 'low_remaining_commit_balance_reached',
      name: 'One',
      threshold: 100,
      customer_id: customerId,
    });
    expect(await statusOf(customerId, one.data.id)).toBe('in_alarm');
    const all = await metronome.v1.alerts.create({
      alert_type: 'low_remaining_contract_credit_and_commit_balance_reached',
      name: 'All',
      threshold: 100,
    });
    await eventually(
      () => statusOf(customerId, all.data.id),
      (status) => status === 'in_alarm',
    );
    const quiet = await metronome.v1.alerts.create({
      alert_type: 'low_remaining_commit_balance_reached',
      name: 'Quiet',
      threshold: 100,
      customer_id: customerId,
      evaluate_on_create: false,
    });
    expect(await statusOf(customerId, quiet.data.id)).toBe('in_alarm');
    expect(await told(one.data.id)).toHaveLength(1);
    expect(await told(quiet.data.id)).toHaveLength(0);

    const listed = [];
    for await (const item of metronome.v1.customers.alerts.list({ customer_id: customerId }))
      listed.push(item);
    expect(listed.map(({ alert }) => alert.name)).toEqual(['One', 'All', 'Quiet']);
    await metronome.v1.alerts.archive({ id: all.data.id });
    expect(await statusOf(customerId, all.data.id)).toBeNull();
  });
});

describe('spend and usage', () => {
  it('fire at their thresholds; bought commits are no spend (example 6.52)', async () => {
    const { metronome } = engine;
    const { customerId, eventType } = await prepaidCustomer(engine, { amount: 300_000 });
    const spend = await metronome.v1.alerts.create({
      alert_type: 'spend_threshold_reached',
      name: 'Ten thousand dollars',
      threshold: 1_000_000,
      customer_id: customerId,
    });
    const total = await metronome.v1.alerts.create({
      alert_type: 'invoice_total_reached',
      name: 'An invoice of seven thousand',
      threshold: 700_000,
      customer_id: customerId,
      invoice_types_filter: ['USAGE'],
    });
    await send(engine, customerId, eventType, [{ at: now(), properties: { amount: '7000' } }]);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(await statusOf(customerId, spend.data.id)).toBe('ok');
    expect(await statusOf(customerId, total.data.id)).toBe('ok');
    await send(engine, customerId, eventType, [{ at: now(), properties: { amount: '3000' } }]);
    await eventually(
      () => statusOf(customerId, spend.data.id),
      (status) => status === 'in_alarm',
    );
    expect(await statusOf(customerId, total.data.id)).toBe('in_alarm');
  });

  it('follow a change of prices and of names, as drafts do', async () => {
    const { metronome } = engine;
    const { customerId, contractId, productId, eventType } = await prepaidCustomer(engine, { amount: 100 });
    const alert = await metronome.v1.alerts.create({
      alert_type: 'spend_threshold_reached',
      name: 'A thousand cents',
      threshold: 1000,
      customer_id: customerId,
    });
    const alias = unique('alias');
    await send(engine, alias, eventType, [{ at: now(), properties: { amount: '9' } }]);
    await metronome.v1.customers.setIngestAliases({ customer_id: customerId, ingest_aliases: [alias] });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(await statusOf(customerId, alert.data.id)).toBe('ok');
    await send(engine, unique('nobody'), eventType, [{ at: now(), properties: { amount: '99' } }]);
    const { data: contract } = await metronome.v2.contracts.retrieve({
      customer_id: customerId,
      contract_id: contractId,
    });
    await metronome.v1.contracts.rateCards.rates.add({
      rate_card_id: contract.rate_card_id ?? '',
      product_id: productId,
      starting_at: '2020-01-01T00:00:00Z',
      entitled: true,
      rate_type: 'FLAT',
      price: 200,
    });
    await eventually(
      () => statusOf(customerId, alert.data.id),
      (status) => status === 'in_alarm',
    );
    expect((await told(alert.data.id))[0]?.object['current_spend']).toBe(1800);
  });

  it('watches a metric by its quantity', async () => {
    const { metronome } = engine;
    const { customerId } = await prepaidCustomer(engine, { amount: 100 });
    const { metricId, eventType } = await sumProduct(metronome, 'Free of charge');
    const alert = await metronome.v1.alerts.create({
      alert_type: 'usage_threshold_reached',
      name: 'Much used',
      threshold: 10,
      customer_id: customerId,
      billable_metric_id: metricId,
    });
    await send(engine, customerId, eventType, [{ at: now(), properties: { amount: '9.5' } }]);
    await send(engine, customerId, eventType, [{ at: now(), properties: { amount: '0.5' } }]);
    await eventually(
      () => statusOf(customerId, alert.data.id),
      (status) => status === 'in_alarm',
    );
    expect((await told(alert.data.id))[0]?.object['current_usage']).toBe(10);
  });
});

describe('on a test clock', () => {
  it('everything is told of when the clock is ready', async () => {
    const { metronome } = engine;
    const customer = await clockCustomer(engine, '2031-01-01T00:00:00Z');
    const { eventType } = await prepaidCustomer(engine, {
      amount: 10_000,
      customerId: customer.id,
      startingAt: '2031-01-01T00:00:00Z',
    });
    const { data: credit } = await metronome.v1.customers.credits.create({
      customer_id: customer.id,
      product_id: (await metronome.v1.contracts.products.create({ name: 'Gift', type: 'FIXED' })).data.id,
      priority: 1,
      access_schedule: {
        schedule_items: [
          { amount: 500, starting_at: '2031-01-01T00:00:00Z', ending_before: '2031-01-20T00:00:00Z' },
        ],
      },
    });
    expect(credit.id).toBeDefined();
    const make = async (
      alert_type: 'spend_threshold_reached' | 'low_remaining_days_for_contract_credit_segment_reached',
      threshold: number,
    ) =>
      (
        await metronome.v1.alerts.create({
          alert_type,
          name: unique('on a clock'),
          threshold,
          customer_id: customer.id,
        })
      ).data.id;
    const spend = await make('spend_threshold_reached', 1000);
    const days = await make('low_remaining_days_for_contract_credit_segment_reached', 5);
    await send(engine, customer.id, eventType, [{ at: '2031-01-01T00:30:00Z', properties: { amount: '2' } }]);
    await advance(engine, customer.clockId, '2031-01-31T00:00:00Z');
    // The days ran low on the 15th and the credit was gone on the 20th.
    const daysTold = await told(days);
    expect(daysTold.map(({ type }) => type)).toEqual([
      'alerts.low_remaining_days_for_contract_credit_segment_reached',
      'alerts.low_remaining_days_for_contract_credit_segment_reached_resolved',
    ]);
    expect(daysTold.map(({ object }) => object['timestamp'])).toEqual([
      '2031-01-15T00:00:00.000Z',
      '2031-01-20T00:00:00.000Z',
    ]);
    await send(engine, customer.id, eventType, [{ at: '2031-01-31T00:00:00Z', properties: { amount: '8' } }]);
    await advance(engine, customer.clockId, '2031-01-31T00:00:01Z');
    expect(await statusOf(customer.id, spend)).toBe('in_alarm');
    // A new period begins at nothing.
    await advance(engine, customer.clockId, '2031-02-02T00:00:00Z');
    expect(await statusOf(customer.id, spend)).toBe('ok');
  });
});

describe('an alert', () => {
  it('has a uniqueness key that is taken until it is given back, and fires anew after a reset', async () => {
    const { metronome } = engine;
    const { customerId } = await prepaidCustomer(engine, { amount: 100 });
    const make = () =>
      metronome.v1.alerts.create({
        alert_type: 'low_remaining_commit_balance_reached',
        name: 'Keyed',
        threshold: 100,
        customer_id: customerId,
        uniqueness_key: 'only-once',
      });
    const first = await make();
    expect((await failure(make())).status).toBe(409);
    await metronome.v1.customers.alerts.reset({ customer_id: customerId, alert_id: first.data.id });
    await eventually(
      () => told(first.data.id),
      (events) => events.length === 2,
    );
    await metronome.v1.alerts.archive({ id: first.data.id, release_uniqueness_key: true });
    expect((await make()).data.id).not.toBe(first.data.id);
  });

  it('is refused where it makes no sense', async () => {
    const { metronome } = engine;
    const { customerId } = await prepaidCustomer(engine, { amount: 100 });
    const base = { name: 'Wrong', threshold: 1, customer_id: customerId };
    const none = '00000000-0000-4000-8000-000000000000';
    const usage = await failure(
      metronome.v1.alerts.create({ ...base, alert_type: 'usage_threshold_reached' }),
    );
    expect([usage.status, usage.message]).toEqual([400, expect.stringContaining('billable_metric_id')]);
    const spend = { ...base, alert_type: 'spend_threshold_reached' as const };
    expect((await failure(metronome.v1.alerts.create({ ...spend, credit_type_id: none }))).status).toBe(400);
    expect((await failure(metronome.v1.alerts.create({ ...spend, customer_id: none }))).status).toBe(404);
    expect((await failure(metronome.v1.alerts.archive({ id: none }))).status).toBe(404);
    const unknown = metronome.v1.customers.alerts.retrieve({ customer_id: customerId, alert_id: none });
    expect((await failure(unknown)).status).toBe(404);
  });
});
