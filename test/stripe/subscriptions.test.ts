import type Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { assertStripeShape } from '../support/stripeSchemas.js';

const DAY = 86_400;
const START = Date.UTC(2024, 0, 31) / 1000;

let engine: TestEngine;
let stripe: Stripe;
let meter: Stripe.Billing.Meter;
let product: Stripe.Product;
let flat: Stripe.Price;
let metered: Stripe.Price;

beforeAll(async () => {
  engine = await startTestEngine();
  stripe = engine.stripe;
  meter = await stripe.billing.meters.create({
    display_name: 'API calls',
    event_name: 'api_calls',
    default_aggregation: { formula: 'sum' },
  });
  product = await stripe.products.create({ name: 'API', unit_label: 'call' });
  const monthly = { currency: 'usd', product: product.id };
  flat = await stripe.prices.create({ ...monthly, unit_amount: 2000, recurring: { interval: 'month' } });
  metered = await stripe.prices.create({
    ...monthly,
    billing_scheme: 'tiered',
    tiers_mode: 'graduated',
    tiers: [
      { up_to: 100, unit_amount: 0 },
      { up_to: 'inf', unit_amount_decimal: sdkDecimal('1.5') },
    ],
    recurring: { interval: 'month', usage_type: 'metered', meter: meter.id },
  });
});
afterAll(async () => {
  await engine.stop();
});

describe('subscriptions on a test clock', () => {
  test('a year of month ends: one invoice a period, dated by the boundary, numbered without gaps', async () => {
    const { clock, customer } = await clockedCustomer(START);
    const subscription = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: flat.id }, { price: metered.id }],
      expand: ['latest_invoice', 'customer'],
    });
    expect(subscription.status).toBe('active');
    assertStripeShape('subscription', subscription);
    const first = subscription.latest_invoice as Stripe.Invoice;
    assertStripeShape('invoice', first);
    expect(first).toMatchObject({ status: 'open', total: 2000, billing_reason: 'subscription_create' });
    await send(customer.id, '150', START);
    const preview = await stripe.invoices.createPreview({ subscription: subscription.id });
    expect(preview).toMatchObject({ total: 2075, status: 'draft', billing_reason: 'upcoming' });
    assertStripeShape('invoice', preview);
    for (const month of [2, 4, 6]) await advance(clock.id, Date.UTC(2024, month, 1, 2) / 1000);
    const invoices = await stripe.invoices
      .list({ subscription: subscription.id, limit: 100 })
      .autoPagingToArray({ limit: 100 });
    invoices.reverse();
    expect(invoices.map((invoice) => new Date(invoice.created * 1000).toISOString().slice(0, 10))).toEqual([
      '2024-01-31',
      '2024-02-29',
      '2024-03-31',
      '2024-04-30',
      '2024-05-31',
      '2024-06-30',
    ]);
    expect(invoices.map((invoice) => invoice.total)).toEqual([2000, 2075, 2000, 2000, 2000, 2000]);
    expect(invoices.map((invoice) => Number(invoice.number?.split('-')[1]))).toEqual([1, 2, 3, 4, 5, 6]);
    expect(invoices.every((invoice) => invoice.status === 'open')).toBe(true);
    for (const invoice of invoices) assertStripeShape('invoice', invoice);
    const lines = await stripe.invoices.listLineItems(invoices[1]?.id ?? '');
    expect(lines.data.map((line) => [line.amount, line.quantity, line.period.end])).toEqual([
      [2000, 1, Date.UTC(2024, 2, 31) / 1000],
      [0, 100, Date.UTC(2024, 1, 29) / 1000],
      [75, 50, Date.UTC(2024, 1, 29) / 1000],
    ]);
  });

  test('cancel now bills the open usage only when asked, and is refused the second time', async () => {
    const { clock, customer } = await clockedCustomer(START);
    const subscription = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: metered.id }],
    });
    expect(subscription.latest_invoice).toBeNull();
    await send(customer.id, '300', START);
    await advance(clock.id, START + 5 * DAY);
    const canceled = await stripe.subscriptions.cancel(subscription.id, {
      invoice_now: true,
      cancellation_details: { comment: 'moving on', feedback: 'unused' },
      expand: ['latest_invoice'],
    });
    expect(canceled).toMatchObject({ status: 'canceled', ended_at: START + 5 * DAY });
    expect(canceled.cancellation_details).toEqual({
      comment: 'moving on',
      feedback: 'unused',
      reason: 'cancellation_requested',
    });
    expect(canceled.latest_invoice).toMatchObject({ total: 300, status: 'open' });
    await expect(stripe.subscriptions.cancel(subscription.id)).rejects.toMatchObject({
      code: 'resource_missing',
    });
    expect((await stripe.subscriptions.list({ customer: customer.id })).data).toHaveLength(0);
    expect((await stripe.subscriptions.list({ customer: customer.id, status: 'all' })).data).toHaveLength(1);
  });

  test('cancel at period end can be taken back, and otherwise ends with the usage billed', async () => {
    const { clock, customer } = await clockedCustomer(START);
    const { id } = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: flat.id }, { price: metered.id }],
    });
    const set = await stripe.subscriptions.update(id, {
      cancel_at_period_end: true,
      metadata: { why: 'test' },
    });
    expect(set).toMatchObject({ cancel_at_period_end: true, cancel_at: Date.UTC(2024, 1, 29) / 1000 });
    expect(set.metadata).toEqual({ why: 'test' });
    const back = await stripe.subscriptions.update(id, { cancel_at_period_end: false });
    expect(back).toMatchObject({ cancel_at_period_end: false, cancel_at: null });
    await stripe.subscriptions.update(id, { cancel_at_period_end: true });
    await send(customer.id, '101', START);
    const preview = await stripe.invoices.createPreview({ subscription: id });
    await advance(clock.id, Date.UTC(2024, 1, 29, 2) / 1000);
    const ended = await stripe.subscriptions.retrieve(id, { expand: ['latest_invoice'] });
    expect(ended).toMatchObject({ status: 'canceled', ended_at: Date.UTC(2024, 1, 29) / 1000 });
    // 1 unit at 1.5 cents is 1.5, rounded half away from zero; nothing is billed in advance.
    expect((ended.latest_invoice as Stripe.Invoice).total).toBe(2);
    expect(preview.total).toBe(2);
    await expect(stripe.invoices.createPreview({ subscription: id })).rejects.toMatchObject({
      code: 'invoice_upcoming_none',
    });
  });

  test('a first period shortened by an anchor is prorated over the interval that ends at the anchor', async () => {
    const start = Date.UTC(2024, 3, 16) / 1000;
    const { customer } = await clockedCustomer(start);
    const anchor = Date.UTC(2024, 4, 1) / 1000;
    const prorated = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: flat.id, quantity: 3 }],
      billing_cycle_anchor: anchor,
      expand: ['latest_invoice'],
    });
    // 15 of April's 30 days of 3 × 2000.
    expect((prorated.latest_invoice as Stripe.Invoice).total).toBe(3000);
    expect(prorated.items.data[0]).toMatchObject({ current_period_start: start, current_period_end: anchor });
    const free = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: flat.id }],
      billing_cycle_anchor: anchor,
      proration_behavior: 'none',
    });
    expect(free.latest_invoice).toBeNull();
  });

  test('sells a price that an item describes, and refuses one that is no longer for sale', async () => {
    const { customer } = await clockedCustomer(START);
    const subscription = await stripe.subscriptions.create({
      customer: customer.id,
      items: [
        {
          price_data: {
            currency: 'usd',
            product: product.id,
            unit_amount: 750,
            recurring: { interval: 'week' },
          },
          quantity: 2,
        },
      ],
      expand: ['latest_invoice'],
    });
    expect((subscription.latest_invoice as Stripe.Invoice).total).toBe(1500);
    const inline = subscription.items.data[0]?.price;
    expect(inline).toMatchObject({ active: false, unit_amount: 750 });
    const retired = await stripe.prices.create({
      currency: 'usd',
      product: product.id,
      unit_amount: 1,
      recurring: { interval: 'week' },
    });
    await stripe.prices.update(retired.id, { active: false });
    await expect(
      stripe.subscriptions.create({ customer: customer.id, items: [{ price: retired.id }] }),
    ).rejects.toMatchObject({ param: 'items[0][price]' });
  });

  test('periods of different lengths live side by side in one subscription', async () => {
    const { clock, customer } = await clockedCustomer(START);
    const weekly = await stripe.prices.create({
      currency: 'usd',
      product: product.id,
      unit_amount: 700,
      recurring: { interval: 'week' },
    });
    const { id } = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: weekly.id }, { price: metered.id }],
    });
    await send(customer.id, '200', START);
    await advance(clock.id, START + 14 * DAY);
    await advance(clock.id, START + 28 * DAY);
    await advance(clock.id, START + 30 * DAY);
    const invoices = (await stripe.invoices.list({ subscription: id, limit: 20 })).data.reverse();
    expect(invoices.map((invoice) => invoice.total)).toEqual([700, 700, 700, 700, 700, 150]);
  });
});

describe('invoices', () => {
  test('finalize, pay out of band, void: each only from the right state', async () => {
    const { clock, customer } = await clockedCustomer(START);
    const { id } = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: flat.id }] });
    await advance(clock.id, Date.UTC(2024, 1, 29) / 1000);
    const [draft, open] = (await stripe.invoices.list({ subscription: id })).data;
    expect([draft?.status, open?.status]).toEqual(['draft', 'open']);
    const finalized = await stripe.invoices.finalizeInvoice(draft?.id ?? '');
    expect(finalized).toMatchObject({ status: 'open', amount_due: 2000 });
    await expect(stripe.invoices.finalizeInvoice(finalized.id)).rejects.toMatchObject({
      message: "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
    });
    await expect(stripe.invoices.pay(finalized.id)).rejects.toMatchObject({ param: 'paid_out_of_band' });
    const paid = await stripe.invoices.pay(finalized.id, { paid_out_of_band: true });
    expect(paid).toMatchObject({ status: 'paid', amount_paid: 2000, amount_remaining: 0 });
    await expect(stripe.invoices.voidInvoice(paid.id)).rejects.toMatchObject({
      type: 'StripeInvalidRequestError',
    });
    const voided = await stripe.invoices.voidInvoice(open?.id ?? '');
    expect(voided.status).toBe('void');
    // Two hours on, the draft's own finalization finds it done.
    await advance(clock.id, Date.UTC(2024, 1, 29, 3) / 1000);
    expect((await stripe.invoices.retrieve(paid.id)).status).toBe('paid');
    const types = (await stripe.events.list({ limit: 100 })).data.map((event) => event.type);
    for (const type of ['invoice.created', 'invoice.finalized', 'invoice.paid', 'invoice.voided']) {
      expect(types).toContain(type);
    }
  });

  test('a draft shows late usage as soon as it is acknowledged, and finalizes with it', async () => {
    const { clock, customer } = await clockedCustomer(START);
    const { id } = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: metered.id }],
    });
    await send(customer.id, '102', START);
    const end = Date.UTC(2024, 1, 29) / 1000;
    await advance(clock.id, end);
    const [draft] = (await stripe.invoices.list({ subscription: id })).data;
    expect(draft).toMatchObject({ status: 'draft', total: 3, automatically_finalizes_at: end + 3600 });
    await send(customer.id, '2', end - 1);
    // On the boundary: this one belongs to the next period.
    await send(customer.id, '50', end);
    expect((await stripe.invoices.retrieve(draft?.id ?? '')).total).toBe(6);
    await advance(clock.id, end + 7200);
    expect(await stripe.invoices.retrieve(draft?.id ?? '')).toMatchObject({ status: 'open', total: 6 });
    expect((await stripe.invoices.createPreview({ subscription: id })).total).toBe(0);
  });

  test("the customer's balance pays first, and credit beyond the invoice stays", async () => {
    const { clock, customer } = await clockedCustomer(START);
    await stripe.customers.update(customer.id, { balance: -2500 });
    const { id } = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: flat.id }] });
    await advance(clock.id, Date.UTC(2024, 1, 29, 2) / 1000);
    const invoices = (await stripe.invoices.list({ subscription: id })).data.reverse();
    expect(
      invoices.map((invoice) => [
        invoice.starting_balance,
        invoice.ending_balance,
        invoice.amount_due,
        invoice.status,
      ]),
    ).toEqual([
      [-2500, -500, 0, 'paid'],
      [-500, 0, 1500, 'open'],
    ]);
    expect((await stripe.customers.retrieve(customer.id)) as Stripe.Customer).toMatchObject({ balance: 0 });
  });
});

describe('test clocks', () => {
  test('refuse to go back or too far, and take their customers with them when deleted', async () => {
    const { clock, customer } = await clockedCustomer(START);
    const { id } = await stripe.subscriptions.create({ customer: customer.id, items: [{ price: flat.id }] });
    assertStripeShape('test_helpers.test_clock', clock);
    const go = (frozenTime: number) =>
      stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: frozenTime });
    await expect(go(START)).rejects.toMatchObject({ param: 'frozen_time' });
    await expect(go(START + 70 * DAY)).rejects.toMatchObject({ param: 'frozen_time' });
    await stripe.testHelpers.testClocks.del(clock.id);
    expect((await stripe.subscriptions.retrieve(id)).status).toBe('canceled');
    expect(await stripe.customers.retrieve(customer.id)).toMatchObject({ deleted: true });
    await expect(stripe.testHelpers.testClocks.retrieve(clock.id)).rejects.toMatchObject({
      code: 'resource_missing',
    });
  });
});

/** The SDK types decimals as its own class; on the wire they are text. */
function sdkDecimal(text: string): Stripe.Decimal {
  return text as unknown as Stripe.Decimal;
}

async function clockedCustomer(frozenTime: number) {
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: frozenTime });
  const customer = await stripe.customers.create({ name: 'Ada', test_clock: clock.id });
  return { clock, customer };
}

async function advance(clockId: string, frozenTime: number): Promise<void> {
  await stripe.testHelpers.testClocks.advance(clockId, { frozen_time: frozenTime });
  await expect
    .poll(async () => (await stripe.testHelpers.testClocks.retrieve(clockId)).status, {
      timeout: 30_000,
      interval: 50,
    })
    .toBe('ready');
}

async function send(customerId: string, value: string, timestamp: number): Promise<void> {
  await stripe.billing.meterEvents.create({
    event_name: 'api_calls',
    payload: { stripe_customer_id: customerId, value },
    timestamp,
  });
}
