import Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fireAlert } from '../../src/billing/alerts.js';
import { createIngest } from '../../src/metering/ingest.js';
import { type Notifier, startNotifier } from '../../src/metering/notifier.js';
import type { TestApi } from '../support/api.js';
import { startTestApi } from '../support/api.js';
import { assertStripeShape } from '../support/stripeSchemas.js';

let api: TestApi;
let notifier: Notifier;
let customer: Stripe.Customer;
let meter: Stripe.Billing.Meter;
let meters = 0;

beforeAll(async () => {
  api = await startTestApi();
  const { db, core } = api;
  notifier = startNotifier({
    db,
    log: core.log,
    budgetPerSecond: 100,
    signal: () => Promise.reject(new Error('there is no subscription in these tests')),
    fireAlert: async (alert) => {
      await fireAlert(core, alert);
    },
  });
  const onCommitted = () => {
    notifier.wake();
  };
  Object.assign(core, { ingest: createIngest({ db, log: core.log, now: () => core.now(), onCommitted }) });
});
afterAll(async () => {
  await notifier.stop();
  await api.stop();
});
beforeEach(async () => {
  customer = await api.stripe.customers.create();
  meters += 1;
  meter = await api.stripe.billing.meters.create({
    display_name: 'Requests',
    event_name: `requests_${meters}`,
    default_aggregation: { formula: 'sum' },
  });
});

function create(
  threshold: Partial<Stripe.Billing.AlertCreateParams.UsageThreshold> = {},
  rest: Partial<Stripe.Billing.AlertCreateParams> = {},
): Promise<Stripe.Billing.Alert> {
  return api.stripe.billing.alerts.create({
    alert_type: 'usage_threshold',
    title: 'Near the limit',
    usage_threshold: { gte: 100, meter: meter.id, recurrence: 'one_time', ...threshold },
    ...rest,
  });
}

async function send(value: string): Promise<void> {
  const payload = { stripe_customer_id: customer.id, value };
  await api.stripe.billing.meterEvents.create({ event_name: meter.event_name, payload });
}

async function triggered(alertId: string): Promise<Stripe.Event[]> {
  const events = await api.stripe.events.list({ type: 'billing.alert.triggered', limit: 100 });
  return events.data.filter((one) => (one.data.object as Stripe.Billing.AlertTriggered).alert.id === alertId);
}

async function untilTriggered(alertId: string): Promise<Stripe.Event> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const [event] = await triggered(alertId);
    if (event !== undefined) return event;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the alert did not fire');
}

async function refusalOf(call: Promise<unknown>): Promise<Stripe.errors.StripeError> {
  const error: unknown = await call.then(
    () => null,
    (failure: unknown) => failure,
  );
  if (error instanceof Stripe.errors.StripeError) return error;
  throw new Error('the call was expected to be refused');
}

describe('billing alerts', () => {
  it('are created, read and listed in Stripe’s shape, newest first, by meter', async () => {
    const everyone = await create();
    const one = await create({ filters: [{ type: 'customer', customer: customer.id }], gte: 5 });
    assertStripeShape('billing.alert', one);
    expect(JSON.parse(JSON.stringify(one))).toEqual({
      id: one.id,
      object: 'billing.alert',
      alert_type: 'usage_threshold',
      livemode: false,
      status: 'active',
      title: 'Near the limit',
      usage_threshold: {
        filters: [{ type: 'customer', customer: customer.id }],
        gte: 5,
        meter: meter.id,
        recurrence: 'one_time',
      },
    });
    expect(everyone.usage_threshold?.filters).toEqual([]);
    expect((await api.stripe.billing.alerts.retrieve(one.id)).usage_threshold?.gte).toBe(5);
    const listed = await api.stripe.billing.alerts.list({ meter: meter.id, alert_type: 'usage_threshold' });
    assertStripeShape('list of billing.alert', listed);
    expect(listed.data.map(({ id }) => id)).toEqual([one.id, everyone.id]);
    const expanded = await api.stripe.billing.alerts.retrieve(one.id, { expand: ['usage_threshold.meter'] });
    expect(expanded.usage_threshold?.meter).toMatchObject({ id: meter.id, event_name: meter.event_name });
  });

  it('are switched off and on, and archived for good', async () => {
    const { id } = await create();
    expect((await api.stripe.billing.alerts.deactivate(id)).status).toBe('inactive');
    expect((await api.stripe.billing.alerts.activate(id)).status).toBe('active');
    expect((await api.stripe.billing.alerts.archive(id)).status).toBe('archived');
    expect((await api.stripe.billing.alerts.list({ meter: meter.id })).data).toEqual([]);
    expect(await refusalOf(api.stripe.billing.alerts.activate(id))).toMatchObject({ statusCode: 400 });
    expect((await api.stripe.billing.alerts.retrieve(id)).status).toBe('archived');
  });

  it('fire when usage reaches the threshold, with the alert and the value in the event', async () => {
    const alert = await create({ gte: 10 });
    await send('9.5');
    await send('0.5');
    const event = await untilTriggered(alert.id);
    const object = event.data.object as Stripe.Billing.AlertTriggered;
    assertStripeShape('billing.alert_triggered', object);
    expect(object).toMatchObject({
      customer: customer.id,
      value: 10,
      livemode: false,
      alert: { id: alert.id },
    });
    expect(event.request?.id).toBeNull();
    await send('100');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await triggered(alert.id)).toHaveLength(1);
  });

  it('that are switched off do not fire; switched on again they do with the next usage', async () => {
    const alert = await create({ gte: 10 });
    await api.stripe.billing.alerts.deactivate(alert.id);
    await send('50');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await triggered(alert.id)).toEqual([]);
    await api.stripe.billing.alerts.activate(alert.id);
    await send('1');
    const event = await untilTriggered(alert.id);
    expect((event.data.object as Stripe.Billing.AlertTriggered).value).toBe(51);
  });

  it('can be 25 for the same meter and customer, not more', async () => {
    const filters = [{ type: 'customer' as const, customer: customer.id }];
    const alerts: Stripe.Billing.Alert[] = [];
    for (let i = 1; i <= 25; i += 1) alerts.push(await create({ filters, gte: i }));
    expect((await refusalOf(create({ filters, gte: 26 }))).message).toContain('at most 25');
    await create({ gte: 26 });
    await api.stripe.billing.alerts.archive(alerts[0]?.id ?? '');
    await create({ filters, gte: 26 });
  });

  it.each([
    ['a threshold of zero', { gte: 0 }, 'usage_threshold[gte]'],
    ['a fraction', { gte: 1.5 }, 'usage_threshold[gte]'],
    ['an unknown meter', { meter: 'mtr_x' }, 'usage_threshold[meter]'],
    ['an unknown recurrence', { recurrence: 'always' }, 'usage_threshold[recurrence]'],
    [
      'an unknown customer',
      { filters: [{ type: 'customer', customer: 'cus_x' }] },
      'usage_threshold[filters][0][customer]',
    ],
    [
      'a filter without a customer',
      { filters: [{ type: 'customer' }] },
      'usage_threshold[filters][0][customer]',
    ],
  ])('refuses %s', async (_name, change, param) => {
    const threshold = change as Partial<Stripe.Billing.AlertCreateParams.UsageThreshold>;
    expect(await refusalOf(create(threshold))).toMatchObject({ statusCode: 400, param });
    expect((await api.stripe.billing.alerts.list({ meter: meter.id })).data).toEqual([]);
  });

  it('refuses two filters, an alert without a threshold, and one on an inactive meter', async () => {
    const filter = { type: 'customer' as const, customer: customer.id };
    expect(await refusalOf(create({ filters: [filter, filter] }))).toMatchObject({ statusCode: 400 });
    const bare = api.stripe.billing.alerts.create({ alert_type: 'usage_threshold', title: 'None' });
    expect(await refusalOf(bare)).toMatchObject({ code: 'parameter_missing', param: 'usage_threshold' });
    await api.stripe.billing.meters.deactivate(meter.id);
    expect(await refusalOf(create())).toMatchObject({ statusCode: 400, param: 'usage_threshold[meter]' });
  });
});
