import Stripe from 'stripe';
import type { ExpectedLine, Pricing } from './pricing.js';

/** Things that every acceptance test does through the official SDK. Times are Unix seconds. */

export const MINUTE = 60;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

const CLOCK_POLL_MS = 100;

/** The settings of the account, which neither vendor's client knows. */
export async function changeSettings(
  api: { baseUrl: string; apiKey: string },
  settings: Record<string, string | number | boolean>,
): Promise<void> {
  const response = await fetch(`${api.baseUrl}/live/v1/settings`, {
    method: 'POST',
    headers: { authorization: `Bearer ${api.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(settings),
  });
  if (!response.ok) throw new Error(`settings were refused: ${await response.text()}`);
}

/** A recurring price of each model. A metered one has a meter. */
export async function createPrice(
  stripe: Stripe,
  product: string,
  pricing: Pricing,
  recurring: { meter?: string; interval?: 'day' | 'month' } = {},
): Promise<Stripe.Price> {
  const { meter, interval = 'month' } = recurring;
  const usage = meter === undefined ? { interval } : { interval, usage_type: 'metered' as const, meter };
  return stripe.prices.create({ product, currency: 'usd', recurring: usage, ...priceTerms(pricing) });
}

function priceTerms(pricing: Pricing): Partial<Stripe.PriceCreateParams> {
  switch (pricing.model) {
    case 'licensed':
      return { unit_amount_decimal: decimal(pricing.unit) };
    case 'package':
      return {
        unit_amount_decimal: decimal(pricing.unit),
        transform_quantity: { divide_by: wholeNumber(pricing.size), round: 'up' },
      };
    default:
      return {
        billing_scheme: 'tiered',
        tiers_mode: pricing.model,
        tiers: pricing.tiers.map(({ upTo, unit, flat }) => ({
          up_to: upTo === null ? 'inf' : wholeNumber(upTo),
          ...(unit === undefined ? {} : { unit_amount_decimal: decimal(unit) }),
          ...(flat === undefined ? {} : { flat_amount_decimal: decimal(flat) }),
        })),
      };
  }
}

function decimal(text: string): Stripe.Decimal {
  return Stripe.Decimal.from(text);
}

function wholeNumber(text: string): number {
  return Number.parseInt(text, 10);
}

/** Moves a test clock and waits until everything due on the way is done. */
export async function advance(
  stripe: Stripe,
  clockId: string,
  to: number,
  timeoutSeconds = 60,
): Promise<void> {
  await stripe.testHelpers.testClocks.advance(clockId, { frozen_time: to });
  await untilReady(stripe, clockId, timeoutSeconds);
}

export async function untilReady(stripe: Stripe, clockId: string, timeoutSeconds = 60): Promise<void> {
  const deadline = Date.now() + timeoutSeconds * 1000;
  for (;;) {
    const clock = await stripe.testHelpers.testClocks.retrieve(clockId);
    if (clock.status === 'ready') return;
    if (clock.status === 'internal_failure') throw new Error(`test clock ${clockId} has failed`);
    if (Date.now() > deadline) {
      throw new Error(
        `test clock ${clockId} is still at ${isoOf(clock.frozen_time)} after ${timeoutSeconds} s`,
      );
    }
    await sleep(CLOCK_POLL_MS);
  }
}

/** An invoice with all its lines. */
export type WholeInvoice = Stripe.Invoice & { allLines: Stripe.InvoiceLineItem[] };

/** All invoices of a customer with all their lines, oldest first. */
export async function invoicesOf(stripe: Stripe, customer: string): Promise<WholeInvoice[]> {
  const invoices: WholeInvoice[] = [];
  for await (const invoice of stripe.invoices.list({ customer, limit: 100 })) {
    invoices.push({ ...invoice, allLines: await linesOf(stripe, invoice) });
  }
  return invoices.reverse();
}

async function linesOf(stripe: Stripe, { id, lines }: Stripe.Invoice): Promise<Stripe.InvoiceLineItem[]> {
  if (!lines.has_more) return lines.data;
  const all: Stripe.InvoiceLineItem[] = [];
  for await (const line of stripe.invoices.listLineItems(id, { limit: 100 })) all.push(line);
  return all;
}

/** What an expected line is compared with. */
export function shown(line: Stripe.InvoiceLineItem): ExpectedLine {
  return { amount: line.amount, quantity: line.quantity_decimal?.toString() ?? 'none' };
}

/** The lines of one price, as compared. */
export function linesFor(invoice: WholeInvoice, priceId: string): ExpectedLine[] {
  return invoice.allLines.filter((line) => line.pricing?.price_details?.price === priceId).map(shown);
}

/** Runs `work` over all items, `lanes` at a time. The first failure ends it. */
export async function inLanes<T>(
  items: readonly T[],
  lanes: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      const index = next;
      next += 1;
      await work(items[index] as T, index);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

export function isoOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}

/** Unix seconds of an ISO 8601 text. */
export function secondsOf(iso: string): number {
  return Date.parse(iso) / 1000;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
