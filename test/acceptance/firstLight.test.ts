import { rmSync } from 'node:fs';
import Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stripeFor } from '../support/engine.js';
import { startEngineProcess } from '../support/process.js';
import type { EngineProcess } from '../support/process.js';
import { endRecordedServers } from '../support/runDirectory.js';
import {
  DAY,
  HOUR,
  MINUTE,
  advance,
  createPrice,
  inLanes,
  invoicesOf,
  linesFor,
  secondsOf,
  shown,
} from './account.js';
import type { WholeInvoice } from './account.js';
import { exactSum, expectedLines, totalOf } from './pricing.js';
import type { Pricing } from './pricing.js';

/** The main job, from the outside: the program that `npm start` runs, and nothing but the official SDK. */

const START = secondsOf('2027-01-31T10:00:00Z');
const FIRST_END = secondsOf('2027-02-28T10:00:00Z');
const SECOND_END = secondsOf('2027-03-31T10:00:00Z');
const THIRD_END = secondsOf('2027-04-30T10:00:00Z');

const TOKENS: Pricing = {
  model: 'graduated',
  tiers: [
    { upTo: '10000', unit: '0', flat: '900' },
    { upTo: '100000', unit: '0.036' },
    { upTo: null, unit: '0.0125' },
  ],
};
const SEAT: Pricing = { model: 'licensed', unit: '2000' };
const SEATS = '3';
const ALERT_AT = 150_000;

interface Event {
  identifier: string;
  value: string;
  timestamp: number;
}

let engine: EngineProcess;
let stripe: Stripe;
let clock: Stripe.TestHelpers.TestClock;
let customer: Stripe.Customer;
let meter: Stripe.Billing.Meter;
let metered: Stripe.Price;
let seat: Stripe.Price;
let subscription: Stripe.Subscription;
/** The values that the engine has said it stored, by the period they belong to. */
const stored = { first: [] as string[], second: [] as string[] };

beforeAll(async () => {
  engine = await startEngineProcess();
  stripe = stripeFor(engine.ready.api, engine.ready.apiKey);
});
afterAll(async () => {
  engine.signal('SIGKILL');
  await engine.exited;
  await endRecordedServers(engine.dataDir);
  rmSync(engine.dataDir, { recursive: true, force: true });
});

function send({ identifier, value, timestamp }: Event): Promise<Stripe.Billing.MeterEvent> {
  return stripe.billing.meterEvents.create({
    event_name: meter.event_name,
    identifier,
    timestamp,
    payload: { stripe_customer_id: customer.id, value },
  });
}

/** 900 events over the first three days, a hundred of them sent twice with another value the second time. */
function thousandEvents(): Event[] {
  const events = Array.from({ length: 900 }, (_, index) => ({
    identifier: `event-${index}`,
    value: `${(index * 37) % 500}.25`,
    timestamp: START + Math.floor((index * 3 * DAY) / 900),
  }));
  const doubles = events
    .filter((_, index) => index % 9 === 4)
    .map((event) => ({ ...event, value: '1000000' }));
  // Each double travels right behind its original, so that both are on their way at once.
  return events.flatMap((event) => [
    event,
    ...doubles.filter(({ identifier }) => identifier === event.identifier),
  ]);
}

async function usage(): Promise<number | undefined> {
  const { data } = await stripe.billing.meters.listEventSummaries(meter.id, {
    customer: customer.id,
    start_time: START,
    end_time: FIRST_END,
  });
  return data[0]?.aggregated_value;
}

async function alertsFired(): Promise<Stripe.Event[]> {
  const { data } = await stripe.events.list({ type: 'billing.alert.triggered', limit: 100 });
  return data;
}

/** What an invoice says, without what only this one copy of it has. */
function content(invoice: Stripe.Invoice, lines: readonly Stripe.InvoiceLineItem[]) {
  const { total, subtotal, amount_due, currency, period_start, period_end } = invoice;
  return {
    ...{ total, subtotal, amount_due, currency, period_start, period_end },
    lines: lines.map((line) => ({
      ...shown(line),
      description: line.description,
      period: line.period,
      pricing: JSON.stringify(line.pricing),
    })),
  };
}

function expectSettled(invoice: WholeInvoice | undefined, sequence: number): asserts invoice is WholeInvoice {
  expect(invoice).toMatchObject({ status: 'open', number: `${customer.invoice_prefix}-000${sequence}` });
  expect(invoice?.total).toBe(totalOf(invoice?.allLines ?? []));
  expect(invoice?.amount_due).toBe(invoice?.total);
}

describe('first light', () => {
  test('a customer on a test clock subscribes to a flat and a metered price: the flat part is billed at once', async () => {
    clock = await stripe.testHelpers.testClocks.create({ frozen_time: START });
    meter = await stripe.billing.meters.create({
      display_name: 'Tokens',
      event_name: 'tokens',
      default_aggregation: { formula: 'sum' },
    });
    const product = await stripe.products.create({ name: 'Assistant', unit_label: 'token' });
    metered = await createPrice(stripe, product.id, TOKENS, { meter: meter.id });
    seat = await createPrice(stripe, product.id, SEAT);
    customer = await stripe.customers.create({ name: 'Ada', test_clock: clock.id });
    await stripe.billing.alerts.create({
      alert_type: 'usage_threshold',
      title: 'Many tokens',
      usage_threshold: {
        gte: ALERT_AT,
        meter: meter.id,
        recurrence: 'one_time',
        filters: [{ type: 'customer', customer: customer.id }],
      },
    });
    subscription = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: metered.id }, { price: seat.id, quantity: 3 }],
    });
    expect(subscription.status).toBe('active');
    const invoices = await invoicesOf(stripe, customer.id);
    expect(invoices).toHaveLength(1);
    const [first] = invoices;
    expectSettled(first, 1);
    expect(first.billing_reason).toBe('subscription_create');
    expect(first.allLines.map(shown)).toEqual(expectedLines(SEAT, SEATS));
    expect(first.allLines[0]?.period).toEqual({ start: START, end: FIRST_END });
  });

  test('a thousand events in parallel: a repeated identifier is refused and counted once', async () => {
    await advance(stripe, clock.id, START + 3 * DAY);
    const events = thousandEvents();
    expect(events).toHaveLength(1000);
    const refused: Stripe.errors.StripeError[] = [];
    const accepted: Event[] = [];
    await inLanes(events, 32, async (event) => {
      try {
        const answer = await send(event);
        expect(answer).toMatchObject({ identifier: event.identifier, timestamp: event.timestamp });
        accepted.push(event);
      } catch (error) {
        if (!(error instanceof Stripe.errors.StripeInvalidRequestError)) throw error;
        expect(error).toMatchObject({
          statusCode: 400,
          message: `An event already exists with identifier ${event.identifier}.`,
        });
        refused.push(error);
      }
    });
    expect(new Set(accepted.map(({ identifier }) => identifier)).size).toBe(900);
    expect([accepted.length, refused.length]).toEqual([900, 100]);
    stored.first.push(...accepted.map(({ value }) => value));
    expect(String(await usage())).toBe(exactSum(stored.first));
  });

  test('the alert fires once, at the time of the clock', async () => {
    await expect.poll(alertsFired, { timeout: 20_000 }).toHaveLength(1);
    await send({ identifier: 'above-the-alert', value: '0.5', timestamp: START + 3 * DAY });
    stored.first.push('0.5');
    const [event] = await alertsFired();
    const triggered = event?.data.object as Stripe.Billing.AlertTriggered;
    expect(triggered).toMatchObject({ customer: customer.id, created: START + 3 * DAY });
    expect(triggered.value).toBeGreaterThanOrEqual(ALERT_AT);
  });

  test('the preview is the invoice that the period end makes; late usage inside the grace is still on it', async () => {
    const preview = await stripe.invoices.createPreview({ subscription: subscription.id });
    expect(preview.total).toBe(
      totalOf([...expectedLines(TOKENS, exactSum(stored.first)), ...expectedLines(SEAT, SEATS)]),
    );
    await advance(stripe, clock.id, FIRST_END + 30 * MINUTE);
    const draft = (await invoicesOf(stripe, customer.id)).at(-1);
    expect(draft).toMatchObject({ status: 'draft', number: null, billing_reason: 'subscription_cycle' });
    expect(draft?.automatically_finalizes_at).toBe(FIRST_END + HOUR);
    expect(content(draft!, draft!.allLines)).toEqual(content(preview, preview.lines.data));

    // One event of the last second of the period, one of its end, which belongs to the next.
    await send({ identifier: 'late', value: '12345.5', timestamp: FIRST_END - 1 });
    stored.first.push('12345.5');
    await send({ identifier: 'boundary', value: '20000', timestamp: FIRST_END });
    stored.second.push('20000');
    await advance(stripe, clock.id, FIRST_END + HOUR);

    const invoices = await invoicesOf(stripe, customer.id);
    expect(invoices).toHaveLength(2);
    const [, invoice] = invoices;
    expectSettled(invoice, 2);
    expect(invoice.id).toBe(draft?.id);
    expect(invoice.status_transitions.finalized_at).toBe(FIRST_END + HOUR);
    expect(linesFor(invoice, metered.id)).toEqual(expectedLines(TOKENS, exactSum(stored.first)));
    expect(linesFor(invoice, seat.id)).toEqual(expectedLines(SEAT, SEATS));
    for (const line of invoice.allLines) {
      const isUsage = line.pricing?.price_details?.price === metered.id;
      const period = isUsage ? { start: START, end: FIRST_END } : { start: FIRST_END, end: SECOND_END };
      expect(line.period).toEqual(period);
    }
  });

  test('usage after finalization is billed as the difference on the next invoice', async () => {
    const billed = expectedLines(TOKENS, exactSum(stored.first));
    await advance(stripe, clock.id, FIRST_END + 2 * DAY);
    await send({ identifier: 'very-late', value: '50000', timestamp: FIRST_END - DAY });
    stored.first.push('50000');
    await send({ identifier: 'in-the-second', value: '99000.75', timestamp: FIRST_END + DAY });
    stored.second.push('99000.75');
    await advance(stripe, clock.id, SECOND_END + 2 * HOUR);

    const invoices = await invoicesOf(stripe, customer.id);
    expect(invoices).toHaveLength(3);
    const [, , invoice] = invoices;
    expectSettled(invoice, 3);
    const isLate = (line: Stripe.InvoiceLineItem) => line.period.end === FIRST_END;
    const late = invoice.allLines.filter(isLate);
    const difference = totalOf(expectedLines(TOKENS, exactSum(stored.first))) - totalOf(billed);
    expect(difference).toBeGreaterThan(0);
    expect(late.map(shown)).toEqual([{ amount: difference, quantity: '50000' }]);
    expect(late[0]?.description).toContain('31 Jan 2027 – 28 Feb 2027');
    const own = { ...invoice, allLines: invoice.allLines.filter((line) => !isLate(line)) };
    expect(linesFor(own, metered.id)).toEqual(expectedLines(TOKENS, exactSum(stored.second)));
    expect(linesFor(own, seat.id)).toEqual(expectedLines(SEAT, SEATS));
    expect(own.allLines.map((line) => line.period.end)).toContain(THIRD_END);
    expect(await alertsFired()).toHaveLength(1);
  });
});
