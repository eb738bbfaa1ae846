import { readFileSync } from 'node:fs';
import type Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPrice, ensureMeter } from '../../src/demo/catalogue.js';
import { advanceClock, sendEvent } from '../../src/demo/client.js';
import { HOUR_MS, MINUTE_MS, SECOND_MS, unixSeconds } from '../../src/demo/dates.js';
import { HYBRID } from '../../src/demo/plans.js';
import { startTestEngine, type TestEngine } from '../support/engine.js';

const PAGE = readFileSync(new URL('../../docs/how-billing-works.md', import.meta.url), 'utf8');
const START = Date.UTC(2028, 0, 14);
const FEBRUARY = Date.UTC(2028, 1, 1);
const MARCH = Date.UTC(2028, 2, 1);

/** The example of docs/how-billing-works.md, lived through. */
describe('the worked example', () => {
  let engine: TestEngine;
  let stripe: Stripe;
  let clock = '';
  let customer = '';
  let subscription = '';

  beforeAll(async () => {
    engine = await startTestEngine();
    ({ stripe } = engine);
  });
  afterAll(() => engine.stop());

  async function calls(value: string, time: number): Promise<void> {
    const event = {
      eventName: 'demo_api_calls',
      customerId: customer,
      value,
      time,
      identifier: `${value}-${time}`,
    };
    expect(await sendEvent(stripe, event)).toBe('stored');
  }

  async function latest(): Promise<{ total: string; status: string | null; amounts: number[] }> {
    const [invoice] = (await stripe.invoices.list({ subscription, limit: 1 })).data;
    const total = `$${((invoice?.total ?? 0) / 100).toFixed(2)}`;
    return {
      total,
      status: invoice?.status ?? null,
      amounts: invoice?.lines.data.map((line) => line.amount) ?? [],
    };
  }

  test('the fee of the shortened first period is finalized at once', async () => {
    const [metered] = HYBRID.metered;
    const fee = HYBRID.monthlyFee;
    if (metered === undefined || fee === null) throw new Error('the plan has changed');
    const meterId = await ensureMeter(stripe, metered.meter);
    const { product, unitLabel, terms } = metered;
    const prices = await Promise.all([
      createPrice(stripe, {
        product: 'Platform',
        unitLabel: null,
        currency: 'usd',
        terms: fee.terms,
        meterId: null,
      }),
      createPrice(stripe, { product, unitLabel, currency: 'usd', terms, meterId }),
    ]);
    ({ id: clock } = await stripe.testHelpers.testClocks.create({ frozen_time: unixSeconds(START) }));
    ({ id: customer } = await stripe.customers.create({ name: 'Acme', test_clock: clock }));
    ({ id: subscription } = await stripe.subscriptions.create({
      customer,
      items: prices.map(({ id }) => ({ price: id })),
      billing_cycle_anchor: unixSeconds(FEBRUARY),
    }));
    expect(await latest()).toEqual({ total: '$28.45', status: 'open', amounts: [2845] });
    expect(PAGE).toContain('**$28.45**, finalized at once');
  });

  test('February: a draft, five late calls, then final', async () => {
    await advanceClock(stripe, clock, FEBRUARY - MINUTE_MS);
    await calls('12300', Date.UTC(2028, 0, 20));
    await advanceClock(stripe, clock, FEBRUARY);
    expect(await latest()).toEqual({ total: '$51.76', status: 'draft', amounts: [4900, 0, 276] });
    expect(PAGE).toContain('| $51.76 |');
    await advanceClock(stripe, clock, FEBRUARY + 20 * MINUTE_MS);
    await calls('5', FEBRUARY - SECOND_MS);
    await advanceClock(stripe, clock, FEBRUARY + HOUR_MS);
    expect(await latest()).toEqual({ total: '$51.77', status: 'open', amounts: [4900, 0, 277] });
    expect(PAGE).toContain('| **$51.77** |');
  });

  test('March bills what came too late for January as a difference', async () => {
    await calls('100000', Date.UTC(2028, 0, 31));
    await advanceClock(stripe, clock, MARCH + HOUR_MS);
    expect(await latest()).toEqual({ total: '$163.46', status: 'open', amounts: [11_446, 4900, 0] });
    expect(PAGE).toContain('| $114.46 |');
    expect(PAGE).toContain('| **$163.46** |');
  });
});
