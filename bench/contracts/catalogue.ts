import { randomBytes } from 'node:crypto';
import { call, callForm, type ContractsWorld } from './api.js';

export type Properties = Readonly<Record<string, string>>;

/** A usage product with a rate for every combination of its dimensions. */
export interface Priced {
  readonly eventName: string;
  readonly productId: string;
  readonly cardId: string;
  /** By combination: its dimensions, and its price in hundredths of a cent. */
  readonly combinations: readonly { values: Properties; price: bigint }[];
}

export interface BenchCustomer {
  /** Stripe's id, which events name. */
  readonly stripeId: string;
  /** Metronome's id. */
  readonly id: string;
}

const PRICES = 997;

/** The start of this month, from which contracts run and usage counts. */
export function monthStart(): string {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1)).toISOString();
}

/** Makes metric, product and card; `sizes` are the numbers of values of each dimension. */
export async function createPriced(
  world: ContractsWorld,
  name: string,
  sizes: Readonly<Record<string, number>>,
): Promise<Priced> {
  const eventName = await createMeter(world, name);
  const dimensions = Object.keys(sizes);
  const { data: metric } = await call<Made>(world, '/metronome/v1/billable-metrics/create', {
    name,
    aggregation_type: 'SUM',
    aggregation_key: 'value',
    event_type_filter: { in_values: [eventName] },
    property_filters: ['value', ...dimensions].map((one) => ({ name: one, exists: true })),
    group_keys: [dimensions],
  });
  const { data: product } = await call<Made>(world, '/metronome/v1/contract-pricing/products/create', {
    name,
    type: 'USAGE',
    billable_metric_id: metric.id,
    pricing_group_key: dimensions,
  });
  const combinations = combinationsOf(sizes);
  const cardId = await createCard(world, product.id, combinations);
  return { eventName, productId: product.id, cardId, combinations };
}

/** Bulk events are Stripe's: they need a meter that knows their name. Returns the name. */
async function createMeter(world: ContractsWorld, name: string): Promise<string> {
  const eventName = `${name}_${randomBytes(4).toString('hex')}`;
  await callForm(world, '/v1/billing/meters', {
    display_name: name,
    event_name: eventName,
    'default_aggregation[formula]': 'sum',
  });
  return eventName;
}

/** The same events on a meter alone: no metric looks at them, and no card prices them. */
export async function createUnpriced(
  world: ContractsWorld,
  name: string,
  sizes: Readonly<Record<string, number>>,
): Promise<Priced> {
  const eventName = await createMeter(world, name);
  return { eventName, productId: '', cardId: '', combinations: combinationsOf(sizes) };
}

function combinationsOf(sizes: Readonly<Record<string, number>>): Priced['combinations'] {
  return combine(sizes).map((values, index) => ({ values, price: BigInt(1 + (index % PRICES)) }));
}

/** A customer of Stripe's dialect alone. */
export async function createPlainCustomer(world: ContractsWorld): Promise<BenchCustomer> {
  const { id } = await callForm<{ id: string }>(world, '/v1/customers', { name: 'Benchmark' });
  return { stripeId: id, id };
}

interface Made {
  readonly data: { readonly id: string };
}

async function createCard(
  world: ContractsWorld,
  productId: string,
  combinations: Priced['combinations'],
): Promise<string> {
  const root = '/metronome/v1/contract-pricing/rate-cards';
  const { data: card } = await call<Made>(world, `${root}/create`, { name: 'Benchmark' });
  await call(world, `${root}/addRates`, {
    rate_card_id: card.id,
    rates: combinations.map(({ values, price }) => ({
      product_id: productId,
      pricing_group_values: values,
      starting_at: '2020-01-01T00:00:00Z',
      entitled: true,
      rate_type: 'FLAT',
      price: Number(price) / 100,
    })),
  });
  return card.id;
}

function combine(sizes: Readonly<Record<string, number>>): Properties[] {
  return Object.entries(sizes).reduce<Properties[]>(
    (found, [name, size]) =>
      found.flatMap((values) =>
        Array.from({ length: size }, (_, index) => ({ ...values, [name]: `${name}-${index}` })),
      ),
    [{}],
  );
}

export async function createFixedProduct(world: ContractsWorld): Promise<string> {
  const made = await call<Made>(world, '/metronome/v1/contract-pricing/products/create', {
    name: 'Credits',
    type: 'FIXED',
  });
  return made.data.id;
}

/** A customer with a contract from the start of the month, on the card. */
export async function createContractCustomer(
  world: ContractsWorld,
  cardId: string,
  terms: object = {},
): Promise<BenchCustomer> {
  const { stripeId } = await createPlainCustomer(world);
  const found = await call<{ data: { id: string }[] }>(
    world,
    `/metronome/v1/customers?ingest_alias=${stripeId}`,
  );
  const id = found.data[0]?.id;
  if (id === undefined) throw new Error(`${stripeId} is not known to the other dialect`);
  await call(world, '/metronome/v1/contracts/create', {
    customer_id: id,
    rate_card_id: cardId,
    starting_at: monthStart(),
    ...terms,
  });
  return { stripeId, id };
}
