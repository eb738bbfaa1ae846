import type Metronome from '@metronome/sdk';
import { startTestEngine, type TestEngine } from '../support/engine.js';

let serial = 0;

/** A name that no other test has. */
export const unique = (word: string): string => `${word}-${(serial += 1)}-${Date.now()}`;

/** An engine whose clocks have no limits, and a product for commits and credits. */
export async function startWorld(): Promise<{ engine: TestEngine; fixed: string }> {
  const engine = await startTestEngine();
  await unlimitedClocks(engine);
  return { engine, fixed: await fixedProduct(engine.metronome, 'Commit') };
}

export interface SoldMetric {
  metricId: string;
  productId: string;
  eventType: string;
}

/** A metric that adds up `amount`, and a usage product on it. */
export async function sumProduct(
  metronome: Metronome,
  name: string,
  more: { pricing?: string[]; presentation?: string[]; tags?: string[] } = {},
): Promise<SoldMetric> {
  const eventType = unique(name.toLowerCase().replaceAll(' ', '_'));
  const group = [...(more.pricing ?? []), ...(more.presentation ?? [])];
  const metric = await metronome.v1.billableMetrics.create({
    name: `${name} amount`,
    aggregation_type: 'SUM',
    aggregation_key: 'amount',
    event_type_filter: { in_values: [eventType] },
    property_filters: [
      { name: 'amount', exists: true },
      ...group.map((key) => ({ name: key, exists: true })),
    ],
    ...(group.length === 0 ? {} : { group_keys: [group] }),
  });
  const product = await metronome.v1.contracts.products.create({
    name,
    type: 'USAGE',
    billable_metric_id: metric.data.id,
    ...(more.pricing === undefined ? {} : { pricing_group_key: more.pricing }),
    ...(more.presentation === undefined ? {} : { presentation_group_key: more.presentation }),
    ...(more.tags === undefined ? {} : { tags: more.tags }),
  });
  return { metricId: metric.data.id, productId: product.data.id, eventType };
}

export async function fixedProduct(metronome: Metronome, name: string): Promise<string> {
  return (await metronome.v1.contracts.products.create({ name, type: 'FIXED' })).data.id;
}

type RateInput = Metronome.V1.Contracts.RateCards.RateAddManyParams.Rate;

/** A card with these rates; each from 2020 on and entitled unless it says otherwise. */
export async function rateCard(
  metronome: Metronome,
  rates: (Omit<RateInput, 'starting_at' | 'entitled'> & Partial<RateInput>)[],
  more: Partial<Metronome.V1.Contracts.RateCardCreateParams> = {},
): Promise<string> {
  const card = await metronome.v1.contracts.rateCards.create({ name: unique('card'), ...more });
  if (rates.length > 0) {
    await metronome.v1.contracts.rateCards.rates.addMany({
      rate_card_id: card.data.id,
      rates: rates.map((rate) => ({ starting_at: '2020-01-01T00:00:00Z', entitled: true, ...rate })),
    });
  }
  return card.data.id;
}

export const hour = 3_600_000;
export const day = 24 * hour;

/** The start of the current month in UTC, plus days. */
export function monthStart(offsetDays = 0, months = 0): string {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + months, 1 + offsetDays)).toISOString();
}

/** A Stripe customer on a test clock and the same one in Metronome's dialect. */
export async function clockCustomer(
  engine: TestEngine,
  at: string,
  name = unique('Customer'),
): Promise<{ clockId: string; stripeId: string; id: string }> {
  const clock = await engine.stripe.testHelpers.testClocks.create({ frozen_time: Date.parse(at) / 1000 });
  const customer = await engine.stripe.customers.create({ name, test_clock: clock.id });
  const found = await engine.metronome.v1.customers.list({ ingest_alias: customer.id });
  const id = found.data[0]?.id;
  if (id === undefined) throw new Error('the customer is not known to the other dialect');
  return { clockId: clock.id, stripeId: customer.id, id };
}

/** Moves a clock and waits until everything due is done. */
export async function advance(engine: TestEngine, clockId: string, to: string): Promise<void> {
  await engine.stripe.testHelpers.testClocks.advance(clockId, { frozen_time: Date.parse(to) / 1000 });
  const deadline = Date.now() + 60_000;
  for (;;) {
    const clock = await engine.stripe.testHelpers.testClocks.retrieve(clockId);
    if (clock.status === 'ready') return;
    if (clock.status !== 'advancing' || Date.now() > deadline)
      throw new Error(`the clock is ${clock.status}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Lifts Stripe's limits on the distance of an advance and the customers of a clock. */
export async function unlimitedClocks(engine: TestEngine): Promise<void> {
  await setting(engine, { unlimited_test_clocks: true });
}

export async function setting(engine: TestEngine, change: Record<string, unknown>): Promise<void> {
  const words = Object.entries(change).map(([key, value]): [string, string] => [key, String(value)]);
  const body = new URLSearchParams(words);
  const answer = await fetch(`${engine.baseUrl}/live/v1/settings`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${engine.apiKey}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body,
  });
  if (!answer.ok) throw new Error(`settings: ${answer.status} ${await answer.text()}`);
}

/** Events of one type, each with its properties and time. */
export async function send(
  engine: TestEngine,
  customerId: string,
  eventType: string,
  events: { at: string; properties: Record<string, string> }[],
): Promise<void> {
  for (let from = 0; from < events.length; from += 100) {
    await engine.metronome.v1.usage.ingest({
      usage: events.slice(from, from + 100).map(({ at, properties }) => ({
        transaction_id: unique('tx'),
        customer_id: customerId,
        event_type: eventType,
        timestamp: at,
        properties,
      })),
    });
  }
}

type ContractParams = Metronome.V1.ContractCreateParams;

/** A contract of a new customer on a clock of its own. */
export async function contractAt(
  engine: TestEngine,
  at: string,
  terms: Partial<ContractParams> & { starting_at: string },
): Promise<{ clockId: string; stripeId: string; id: string; contractId: string }> {
  const customer = await clockCustomer(engine, at);
  const made = await engine.metronome.v1.contracts.create({ customer_id: customer.id, ...terms });
  return { ...customer, contractId: made.data.id };
}

/** One product at one price in cents, and a contract on it from the first of October 2024, seen from the fifteenth. */
export async function storageContract(
  engine: TestEngine,
  price: number,
  terms: Partial<ContractParams> = {},
): Promise<SoldMetric & Awaited<ReturnType<typeof contractAt>> & { card: string }> {
  const sold = await sumProduct(engine.metronome, 'Data Storage');
  const card = await rateCard(engine.metronome, [{ product_id: sold.productId, rate_type: 'FLAT', price }]);
  const customer = await contractAt(engine, '2024-10-15T00:00:00Z', {
    starting_at: '2024-10-01T00:00:00Z',
    rate_card_id: card,
    ...terms,
  });
  return { ...sold, ...customer, card };
}

/** Totals of finalized invoices by the day of issue. */
export async function finalTotals(
  engine: TestEngine,
  customerId: string,
  type?: 'USAGE' | 'SCHEDULED',
): Promise<[string | undefined, number][]> {
  const { data } = await engine.metronome.v1.customers.invoices.list({
    customer_id: customerId,
    status: 'FINALIZED',
    ...(type === undefined ? {} : { type }),
  });
  return data.map(({ total, issued_at: at }) => [at?.slice(0, 10), total]);
}

/** The draft usage invoices of a customer, the earliest first. */
export async function usageDrafts(
  engine: TestEngine,
  customerId: string,
): Promise<Metronome.V1.Customers.Invoice[]> {
  const list = await engine.metronome.v1.customers.invoices.list({
    customer_id: customerId,
    status: 'DRAFT',
    type: 'USAGE',
  });
  return list.data;
}

/** The lines of the first usage draft as [name, quantity, unit price, total]. */
export async function draftLines(
  engine: TestEngine,
  customerId: string,
): Promise<[string, number | undefined, number | undefined, number][]> {
  const [draft] = await usageDrafts(engine, customerId);
  return (draft?.line_items ?? []).map(({ name, quantity, unit_price: price, total }) => [
    name,
    quantity,
    price,
    total,
  ]);
}

export async function draftTotal(engine: TestEngine, customerId: string): Promise<number | undefined> {
  return (await usageDrafts(engine, customerId))[0]?.total;
}

export async function netBalance(engine: TestEngine, customerId: string): Promise<number> {
  return (await engine.metronome.v1.contracts.getNetBalance({ customer_id: customerId })).data.balance;
}

/** A prepaid commit without an invoice, or a credit: one segment. */
export function segment(amount: number, from: string, to: string) {
  return { schedule_items: [{ amount, starting_at: from, ending_before: to }] };
}
