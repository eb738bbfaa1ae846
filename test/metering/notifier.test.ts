import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fireAlert } from '../../src/billing/alerts.js';
import type { SubscriptionRef } from '../../src/core.js';
import { BillingError } from '../../src/domain/errors.js';
import { newId } from '../../src/ids.js';
import type { Ingest } from '../../src/metering/ingest.js';
import {
  type AlertRef,
  type Notifier,
  type NotifierDeps,
  startNotifier,
} from '../../src/metering/notifier.js';
import type { MeterEventsBatch } from '../../workflows/messages.js';
import { DAY, event, type Fixture, NOW, openFixture } from './fixture.js';
import { addAlert, addMeteredPrice, addSubscription } from './subscriptionsFixture.js';

interface Signal {
  subscriptionId: string;
  batch: MeterEventsBatch;
  at: number;
}

let fixture: Fixture;
let ingest: Ingest;
let signals: Signal[];
let notifiers: Notifier[];
let meterId: string;
let priceId: string;

beforeEach(async () => {
  fixture = await openFixture();
  signals = [];
  notifiers = [];
  ingest = fixture.ingestWith({
    onCommitted: () => {
      for (const notifier of notifiers) notifier.wake();
    },
  });
  meterId = await fixture.addMeter('requests');
  priceId = await addMeteredPrice(fixture, meterId);
});
afterEach(async () => {
  for (const notifier of notifiers) await notifier.stop();
  await fixture.close();
});

function start(overrides: Partial<NotifierDeps> = {}): Notifier {
  const notifier = startNotifier({
    db: fixture.db,
    log: fixture.log,
    budgetPerSecond: 100,
    signal: record,
    fireAlert: fire,
    ...overrides,
  });
  notifiers.push(notifier);
  return notifier;
}

function record({ subscriptionId }: SubscriptionRef, batch: MeterEventsBatch): Promise<void> {
  signals.push({ subscriptionId, batch, at: Date.now() });
  return Promise.resolve();
}

async function fire(alert: AlertRef): Promise<void> {
  await fireAlert({ db: fixture.db, now: () => fixture.clock.now }, alert);
}

async function send(customerId: string, ...values: string[]): Promise<void> {
  const outcomes = await ingest.ingest(
    fixture.accountId,
    values.map((value) => event('requests', customerId, value)),
  );
  for (const outcome of outcomes) expect(outcome.status).toBe('stored');
}

async function until(condition: () => boolean | Promise<boolean>, ms = 10_000): Promise<void> {
  const end = Date.now() + ms;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error('it did not happen in time');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const ofSubscription = (id: string) => signals.filter((signal) => signal.subscriptionId === id);
const latestValue = (id: string) => ofSubscription(id).at(-1)?.batch.readings[0]?.value;

async function firings(): Promise<{ alertId: string; customerId: string; value: string }[]> {
  return fixture.db.query(
    `select alert_id as "alertId", customer_id as "customerId", value from billing_alert_firings order by fired_at`,
  );
}

describe('telling subscriptions of usage', () => {
  it('sends the cumulative reading of the open period, soon', async () => {
    const customerId = await fixture.addCustomer();
    const subscriptionId = await addSubscription(fixture, customerId, [priceId]);
    await ingest.ingest(fixture.accountId, [
      event('requests', customerId, '1000', { timestamp: NOW - 11 * DAY }),
      event('requests', customerId, '5', { timestamp: NOW - 10 * DAY }),
    ]);
    start();
    await until(() => signals.length === 1);
    await send(customerId, '7', '0.5');
    await until(() => signals.length === 2);
    expect(signals.map(({ batch }) => batch)).toMatchObject([
      { events: '2', readings: [{ meterId, periodStart: NOW - 10 * DAY, value: '5' }], alertIds: [] },
      { events: '2', readings: [{ meterId, value: '12.5' }] },
    ]);
    const [first, second] = signals.map(({ batch }) => BigInt(batch.watermark));
    expect((second as bigint) > (first as bigint)).toBe(true);
    expect(signals.every((signal) => signal.subscriptionId === subscriptionId)).toBe(true);
  });

  it('puts what comes together into one signal: one in flight and one a second', async () => {
    const customerId = await fixture.addCustomer();
    const subscriptionId = await addSubscription(fixture, customerId, [priceId]);
    let inFlight = 0;
    let most = 0;
    start({
      async signal(ref, batch) {
        inFlight += 1;
        most = Math.max(most, inFlight);
        await new Promise((resolve) => setTimeout(resolve, 300));
        inFlight -= 1;
        await record(ref, batch);
      },
    });
    const until3s = Date.now() + 3_000;
    let sent = 0;
    while (Date.now() < until3s) {
      await send(customerId, '1');
      sent += 1;
    }
    await until(() => latestValue(subscriptionId) === String(sent));
    expect(most).toBe(1);
    expect(signals.length).toBeGreaterThanOrEqual(2);
    expect(signals.length).toBeLessThanOrEqual(5);
    const gaps = signals.slice(1).map((signal, index) => signal.at - (signals[index] as Signal).at);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(990);
    const told = signals.reduce((sum, { batch }) => sum + Number(batch.events), 0);
    expect(told).toBe(sent);
  });

  it('tells every running subscription of the customer on the meter, and no other', async () => {
    const customerId = await fixture.addCustomer();
    const otherMeter = await fixture.addMeter('storage', { formula: 'last' });
    const otherPrice = await addMeteredPrice(fixture, otherMeter);
    const both = await addSubscription(fixture, customerId, [priceId, otherPrice]);
    const second = await addSubscription(fixture, customerId, [priceId], { periodStart: NOW - DAY });
    const unconcerned = await addSubscription(fixture, customerId, [otherPrice]);
    const ended = await addSubscription(fixture, customerId, [priceId]);
    await fixture.db.query(`update subscriptions set status = 'canceled', ended_at = now() where id = $1`, [
      ended,
    ]);
    start();
    await send(customerId, '3');
    await until(() => ofSubscription(both).length === 1 && ofSubscription(second).length === 1);
    expect(ofSubscription(both)[0]?.batch.readings.map(({ value }) => value)).toEqual(['3', '0']);
    await ingest.ingest(fixture.accountId, [event('storage', customerId, '9')]);
    await until(() => ofSubscription(unconcerned).length === 1);
    await until(() => ofSubscription(both).length === 2);
    expect(ofSubscription(both)[1]?.batch.readings.map(({ value }) => value)).toEqual(['3', '9']);
    expect(ofSubscription(second)).toHaveLength(1);
    expect(ofSubscription(ended)).toHaveLength(0);
  });

  it('keeps to the budget with several notifiers side by side, and reaches everyone once', async () => {
    const customers = await Promise.all(Array.from({ length: 120 }, () => fixture.addCustomer()));
    for (const customerId of customers) await addSubscription(fixture, customerId, [priceId]);
    await ingest.ingest(
      fixture.accountId,
      customers.map((customerId) => event('requests', customerId, '1')),
    );
    for (let i = 0; i < 3; i += 1) start({ budgetPerSecond: 40 });
    await until(() => signals.length >= customers.length);
    expect(new Set(signals.map((signal) => signal.subscriptionId)).size).toBe(customers.length);
    expect(signals).toHaveLength(customers.length);
    const times = signals.map((signal) => signal.at).sort((a, b) => a - b);
    for (const from of times) {
      // A tenth of a second's budget may be saved up, and timers are not exact.
      expect(times.filter((at) => at >= from && at < from + 1000).length).toBeLessThanOrEqual(40 + 4 + 2);
    }
  });

  it('goes on after a restart with what was not told', async () => {
    const customerId = await fixture.addCustomer();
    const subscriptionId = await addSubscription(fixture, customerId, [priceId]);
    const first = start({ signal: () => Promise.reject(new Error('Temporal is away')) });
    await send(customerId, '4');
    await until(() => fixture.logged.some((entry) => entry.message.includes('could not be told')));
    await first.stop();
    start();
    await until(() => latestValue(subscriptionId) === '4');
    expect(signals[0]?.batch.events).toBe('1');
  });

  it('takes over from a notifier that died while it held the claim', async () => {
    const customerId = await fixture.addCustomer();
    const subscriptionId = await addSubscription(fixture, customerId, [priceId]);
    await send(customerId, '4');
    await fixture.db.query(
      `insert into usage_notices (account_id, customer_id, claimed_until) values ($1, $2, now() + interval '1 second')`,
      [fixture.accountId, customerId],
    );
    const started = Date.now();
    start();
    await until(() => latestValue(subscriptionId) === '4');
    expect(Date.now() - started).toBeGreaterThan(900);
  });

  it('logs a subscription without a workflow and goes on', async () => {
    const customerId = await fixture.addCustomer();
    const subscriptionId = await addSubscription(fixture, customerId, [priceId]);
    let calls = 0;
    start({
      signal: () => {
        calls += 1;
        return Promise.reject(new BillingError('not_found', 'no workflow'));
      },
    });
    await send(customerId, '4');
    await until(() => fixture.logged.some((entry) => entry.message.includes('no workflow runs')));
    await until(
      async () =>
        (await fixture.db.query('select from usage_totals where dirty_since is not null')).length === 0,
    );
    expect(calls).toBe(1);
    expect(fixture.logged.find((entry) => entry.message.includes('no workflow runs'))?.fields).toMatchObject({
      subscriptionId,
    });
  });

  it('does not hold up ingest while a signal takes its time', async () => {
    const customerId = await fixture.addCustomer();
    await addSubscription(fixture, customerId, [priceId]);
    let answer: (() => void) | undefined;
    start({
      signal: () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    });
    await send(customerId, '1');
    await until(() => answer !== undefined);
    const before = Date.now();
    await send(customerId, '1');
    expect(Date.now() - before).toBeLessThan(1_000);
    answer?.();
  });
});

describe('alerts', () => {
  it('go to the workflow with an urgent signal, ahead of those who wait', async () => {
    const others = await Promise.all(Array.from({ length: 30 }, () => fixture.addCustomer()));
    for (const customerId of others) await addSubscription(fixture, customerId, [priceId]);
    const customerId = await fixture.addCustomer();
    const subscriptionId = await addSubscription(fixture, customerId, [priceId]);
    const alertId = await addAlert(fixture, meterId, '10', customerId);
    await ingest.ingest(
      fixture.accountId,
      others.map((other) => event('requests', other, '1')),
    );
    await send(customerId, '6', '4');
    start({ budgetPerSecond: 10 });
    await until(() => signals.length >= 3);
    expect(signals[0]).toMatchObject({
      subscriptionId,
      batch: { alertIds: [alertId], readings: [{ value: '10' }] },
    });
    expect(signals.slice(1).every(({ batch }) => batch.alertIds.length === 0)).toBe(true);
  });

  it('go out at once even when the subscription was just told, and once', async () => {
    const customerId = await fixture.addCustomer();
    const subscriptionId = await addSubscription(fixture, customerId, [priceId]);
    await addAlert(fixture, meterId, '10');
    start({
      async signal(ref, batch) {
        await record(ref, batch);
        for (const alertId of batch.alertIds) await fire({ ...ref, alertId, customerId });
      },
    });
    await send(customerId, '9');
    await until(() => latestValue(subscriptionId) === '9');
    const crossed = Date.now();
    await send(customerId, '1');
    await until(async () => (await firings()).length === 1);
    expect(Date.now() - crossed).toBeLessThan(900);
    for (let i = 0; i < 5; i += 1) await send(customerId, '100');
    await until(() => latestValue(subscriptionId) === '510');
    expect(signals.filter(({ batch }) => batch.alertIds.length > 0)).toHaveLength(1);
    expect(await firings()).toHaveLength(1);
  });

  it('are fired directly for a customer without a subscription on the meter', async () => {
    const customerId = await fixture.addCustomer();
    const alertId = await addAlert(fixture, meterId, '10');
    start();
    await send(customerId, '11');
    await until(async () => (await firings()).length === 1);
    expect(await firings()).toEqual([{ alertId, customerId, value: '11' }]);
    const [told] = await fixture.db.query<{ data: object; created: number }>(
      `select data -> 'object' as data, created_at as created from events where type = 'billing.alert.triggered'`,
    );
    expect(told?.data).toMatchObject({ object: 'billing.alert_triggered', customer: customerId, value: 11 });
  });

  it('are fired directly when the workflow that was told does not do it', async () => {
    const customerId = await fixture.addCustomer();
    await addSubscription(fixture, customerId, [priceId]);
    await addAlert(fixture, meterId, '10');
    start();
    await send(customerId, '10');
    await until(async () => (await firings()).length === 1);
    expect(signals.filter(({ batch }) => batch.alertIds.length > 0)).toHaveLength(1);
  });

  it('are fired directly while the signal to the workflow takes its time', async () => {
    const customerId = await fixture.addCustomer();
    await addSubscription(fixture, customerId, [priceId]);
    await addAlert(fixture, meterId, '10');
    let answer: (() => void) | undefined;
    start({
      signal: () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    });
    await send(customerId, '10');
    await until(async () => (await firings()).length === 1);
    expect(answer).toBeDefined();
    answer?.();
  });

  it('count usage from before they were made, but wait for new usage', async () => {
    const customerId = await fixture.addCustomer();
    start();
    await send(customerId, '100');
    const alertId = await addAlert(fixture, meterId, '50');
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(await firings()).toEqual([]);
    await send(customerId, '1');
    await until(async () => (await firings()).length === 1);
    expect(await firings()).toEqual([{ alertId, customerId, value: '101' }]);
  });

  it('fire once however many try at the same moment', async () => {
    const customerId = await fixture.addCustomer();
    const alertId = await addAlert(fixture, meterId, '5');
    await send(customerId, '5');
    const alert = { accountId: fixture.accountId, alertId, customerId };
    const core = { db: fixture.db, now: () => NOW };
    const results = await Promise.all(Array.from({ length: 8 }, () => fireAlert(core, alert)));
    expect(results.filter(Boolean)).toHaveLength(1);
    expect(await fixture.db.query(`select from events where type = 'billing.alert.triggered'`)).toHaveLength(
      1,
    );
    expect(await fireAlert(core, { ...alert, alertId: newId('alert') })).toBe(false);
  });

  it('settle: everything due by acknowledged events of a clock is recorded, at the clock’s time', async () => {
    const frozen = Date.UTC(2031, 3, 1);
    const clockId = await fixture.addTestClock(frozen);
    const clocked = await fixture.addCustomer(clockId);
    const elsewhere = await fixture.addCustomer();
    await addSubscription(fixture, clocked, [priceId]);
    const alerts = [await addAlert(fixture, meterId, '5'), await addAlert(fixture, meterId, '6', clocked)];
    await addAlert(fixture, meterId, '7', clocked);
    const notifier = start({ signal: () => Promise.reject(new Error('away')) });
    await send(clocked, '6');
    await send(elsewhere, '1');
    await notifier.settle(fixture.accountId, clockId);
    const [first, second] = await firings();
    expect([first?.alertId, second?.alertId].sort()).toEqual([...alerts].sort());
    expect(await firings()).toHaveLength(2);
    const times = await fixture.db.query(
      `select created_at as at from events where type = 'billing.alert.triggered'`,
    );
    expect(times).toEqual([{ at: frozen }, { at: frozen }]);
    await notifier.settle(fixture.accountId, clockId);
    expect(await firings()).toHaveLength(2);
  });
});
