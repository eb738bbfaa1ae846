import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import type { Browser, Page } from 'playwright-core';
import type Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import '../support/provided.js';
import { startTestEngine } from '../support/engine.js';
import type { TestEngine } from '../support/engine.js';
import { makeRunDirectory } from '../support/runDirectory.js';

/** What a person sees of a subscription in the Temporal UI, in a real browser. */

const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const hasBrowser = existsSync(CHROMIUM);
if (!hasBrowser) {
  process.stderr.write(
    `no browser at ${CHROMIUM}: skipping the look at the Temporal UI (apt-get install chromium)\n`,
  );
}

const FLAGS = [
  // Chromium refuses to run as root with its sandbox.
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];
const START = Date.UTC(2027, 0, 31, 10) / 1000;
const PATIENCE = { timeout: 30_000, interval: 250 };

let engine: TestEngine;
let browser: Browser;
let page: Page;
let customer: Stripe.Customer;
let subscription: Stripe.Subscription;
/** Pictures of the pages, for people; swept away by a later run. */
let pictures: string;

async function subscribe(): Promise<void> {
  const { stripe } = engine;
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: START });
  const meter = await stripe.billing.meters.create({
    display_name: 'Tokens',
    event_name: 'tokens',
    default_aggregation: { formula: 'sum' },
  });
  const [inference, platform] = await Promise.all([
    stripe.products.create({ name: 'Inference' }),
    stripe.products.create({ name: 'Platform fee' }),
  ]);
  const price = (product: Stripe.Product, recurring: object) =>
    stripe.prices.create({
      product: product.id,
      currency: 'usd',
      unit_amount: 20,
      recurring: { interval: 'month', ...recurring },
    });
  const usage = await price(inference, { usage_type: 'metered', meter: meter.id });
  const flat = await price(platform, {});
  // A name in the customer's own words, which must not be taken for Markdown.
  customer = await stripe.customers.create({
    name: 'Ada | *Love* & [Co](https://example.com)',
    test_clock: clock.id,
  });
  subscription = await stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: usage.id }, { price: flat.id, quantity: 3 }],
  });
}

function send(value: string): Promise<Stripe.Billing.MeterEvent> {
  return engine.stripe.billing.meterEvents.create({
    event_name: 'tokens',
    timestamp: START,
    payload: { stripe_customer_id: customer.id, value },
  });
}

/** All text of the page, a line each; what a workflow says of itself is shown in frames. */
async function seen(): Promise<string[]> {
  const texts = await Promise.all(page.frames().map((frame) => frame.locator('body').innerText()));
  return texts.flatMap((text) => text.split('\n')).map((line) => line.replaceAll('\t', ' ').trim());
}

async function photograph(name: string): Promise<void> {
  await page.screenshot({ path: join(pictures, `${name}.png`) });
}

describe.skipIf(!hasBrowser)('the Temporal UI', () => {
  beforeAll(async () => {
    pictures = makeRunDirectory('pictures');
    engine = await startTestEngine();
    await subscribe();
    browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });
    page = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
    page.setDefaultTimeout(PATIENCE.timeout);
  });
  afterAll(async () => {
    await browser.close();
    await engine.stop();
  });

  test('finds a subscription by its customer', async () => {
    const query = encodeURIComponent(`CustomerId="${customer.id}"`);
    await page.goto(`${inject('durabill').temporalUiUrl}/namespaces/default/workflows?query=${query}`);
    const link = page.getByRole('link', { name: `subscription/${engine.accountId}/${subscription.id}` });
    await link.waitFor();
    await photograph('list');
    expect(await page.getByRole('row').count()).toBe(2);
    await link.click();
    await page.getByRole('tab', { name: 'User Metadata' }).click();
  });

  test('shows customer, status, period end and the usage of the moment', async () => {
    await send('5000');
    await send('2.5');
    let lines: string[] = [];
    const usage = async () => {
      // The panel is read again when asked to.
      await page.keyboard.press('r');
      lines = await seen();
      return lines.find((line) => line.includes('Inference'));
    };
    await expect.poll(usage, PATIENCE).toMatch(/\b5002\.5\b/);
    await photograph('usage');
    const named = (word: string) => lines.find((line) => line.startsWith(word));
    expect(named('Customer')).toContain('Ada | *Love* & [Co](https://example.com)');
    expect(named('Customer')).toContain(customer.id);
    expect(named('Status')).toMatch(/\bactive$/);
    expect(named('Period ends')).toMatch(/\b2027-02-28 10:00$/);
    expect(named('Platform fee')).toContain('licensed');
    await send('1000000');
    await expect.poll(usage, PATIENCE).toMatch(/\b1005002\.5\b/);
  });

  test('shows what it can be searched by', async () => {
    await page.getByRole('tab', { name: 'Search Attributes' }).click();
    await expect
      .poll(async () => (await seen()).join(' '), PATIENCE)
      .toContain('"SubscriptionStatus": "active"');
    await photograph('search-attributes');
    const text = (await seen()).join(' ');
    expect(text).toContain(`"CustomerId": "${customer.id}"`);
    expect(text).toContain('"PeriodEnd": "2027-02-28T10:00:00.000Z"');
    for (const { price } of subscription.items.data) expect(text).toContain(`"${price.id}"`);
  });
});
