import type Metronome from '@metronome/sdk';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { toText } from '../../src/domain/decimal.js';
import { loadRateCard, resolveRateCard } from '../../src/storage/rateCards.js';
import { USD_CREDIT_TYPE_ID } from '../../src/storage/pricingUnits.js';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { failure, refusal } from './failure.js';

let engine: TestEngine;
let cards: Metronome['v1']['contracts']['rateCards'];
let usage: string;
let regional: string;
let seats: string;

beforeAll(async () => {
  engine = await startTestEngine();
  cards = engine.metronome.v1.contracts.rateCards;
  const { products } = engine.metronome.v1.contracts;
  const { data: metric } = await engine.metronome.v1.billableMetrics.create({
    name: 'Calls',
    aggregation_type: 'COUNT',
    property_filters: ['region', 'tier'].map((name) => ({ name, exists: true })),
    group_keys: [['region', 'tier']],
  });
  const make = async (body: object) => (await products.create({ name: 'P', type: 'USAGE', ...body })).data.id;
  usage = await make({ name: 'Calls', billable_metric_id: metric.id, tags: ['api'] });
  regional = await make({ billable_metric_id: metric.id, pricing_group_key: ['region', 'tier'] });
  seats = await make({ type: 'SUBSCRIPTION', name: 'Seats' });
});
afterAll(() => engine.stop());

const post = (path: string, body: unknown): Promise<Response> =>
  fetch(engine.baseUrl + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${engine.apiKey}`, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

const START = '2025-01-01T00:00:00Z';
const LATER = '2025-06-01T00:00:00Z';
const newCard = async (body: object = {}) => (await cards.create({ name: 'List prices', ...body })).data.id;
const flat = (price: number, rest: object = {}) => ({
  product_id: usage,
  starting_at: START,
  entitled: true,
  rate_type: 'FLAT' as const,
  price,
  ...rest,
});
const ratesAt = async (rate_card_id: string, at: string, selectors: object[] = []) => {
  const found = [];
  for await (const rate of cards.rates.list({ rate_card_id, at, limit: 2, selectors })) found.push(rate);
  return found;
};

it('custom pricing units are made, listed and converted', async () => {
  const made = await post('/live/v1/pricing_units', { name: 'Tokens' });
  const unit = (await made.json()) as { id: string };
  expect(unit).toEqual({ id: expect.any(String) as string, name: 'Tokens', is_currency: false });
  expect((await post('/live/v1/pricing_units', { name: 'Tokens' })).status).toBe(409);
  const units = [];
  for await (const one of engine.metronome.v1.pricingUnits.list({ limit: 5 })) units.push(one);
  expect(units[0]).toEqual({ id: USD_CREDIT_TYPE_ID, name: 'USD (cents)', is_currency: true });
  expect(units.at(-1)).toEqual(unit);

  const conversion = { custom_credit_type_id: unit.id, fiat_per_custom_credit: 12.5 };
  const id = await newCard({ credit_type_conversions: [conversion], description: 'Tokens' });
  expect((await cards.retrieve({ id })).data).toMatchObject({
    id,
    description: 'Tokens',
    fiat_credit_type: { id: USD_CREDIT_TYPE_ID, name: 'USD (cents)' },
    credit_type_conversions: [
      { custom_credit_type: { id: unit.id, name: 'Tokens' }, fiat_per_custom_credit: '12.5' },
    ],
  });
  await cards.rates.add({ rate_card_id: id, ...flat(3, { credit_type_id: unit.id }) });
  expect((await ratesAt(id, START))[0]?.rate.credit_type).toEqual({ id: unit.id, name: 'Tokens' });
  const changed = cards.rates.add({ rate_card_id: id, ...flat(3, { starting_at: LATER }) });
  expect(await refusal(changed)).toContain('the pricing unit of a rate cannot change');
  const plain = cards.rates.add({ rate_card_id: await newCard(), ...flat(3, { credit_type_id: unit.id }) });
  expect(await refusal(plain)).toContain('has no conversion');
});

it('rates follow one another and are read as of an instant', async () => {
  const id = await newCard();
  await cards.rates.addMany({
    rate_card_id: id,
    rates: [
      flat(100),
      flat(120, { starting_at: LATER, commit_rate: { rate_type: 'FLAT', price: 88.9 } }),
      {
        ...flat(0, { product_id: regional, pricing_group_values: { region: 'eu', tier: 'gold' } }),
        rate_type: 'TIERED',
        price: undefined,
        tiers: [{ size: 1000, price: 10 }, { price: 9 }],
      } as never,
      flat(50, { product_id: regional, pricing_group_values: { region: 'us', tier: 'gold' } }),
      flat(1000, { product_id: seats, billing_frequency: 'MONTHLY' }),
      flat(10_000, { product_id: seats, billing_frequency: 'ANNUAL', entitled: false }),
    ],
  });
  const first = await ratesAt(id, START);
  expect(first).toHaveLength(5);
  expect(first[0]).toEqual({
    product_id: usage,
    product_name: 'Calls',
    product_tags: ['api'],
    product_custom_fields: {},
    starting_at: START,
    ending_before: LATER,
    entitled: true,
    rate: { rate_type: 'FLAT', price: 100, credit_type: { id: USD_CREDIT_TYPE_ID, name: 'USD (cents)' } },
  });
  expect((await ratesAt(id, LATER))[0]).toMatchObject({
    starting_at: LATER,
    rate: { price: 120 },
    commit_rate: { rate_type: 'FLAT', price: 88.9 },
  });
  const selected = async (selector: object) =>
    (await ratesAt(id, START, [selector])).map(({ rate }) => rate.price);
  expect(await selected({ pricing_group_values: { region: 'us', tier: 'gold' } })).toEqual([50]);
  expect(await selected({ pricing_group_values: { region: 'us' } })).toEqual([]);
  expect(await selected({ partial_pricing_group_values: { tier: 'gold' } })).toEqual([undefined, 50]);
  expect(await selected({ product_id: seats, billing_frequency: 'ANNUAL' })).toEqual([10_000]);
  expect(await selected({ product_tags: ['api'] })).toEqual([100]);
  const schedule = await cards.retrieveRateSchedule({
    rate_card_id: id,
    starting_at: START,
    selectors: [{ product_id: usage }],
  });
  expect(schedule.data.map(({ rate }) => rate.price)).toEqual([100, 120]);
  expect(schedule.next_page).toBeNull();
});

it('a decimal keeps every digit on the way in and out', async () => {
  const id = await newCard();
  const price = '0.1234567890123456789012345';
  const body = JSON.stringify({ rate_card_id: id, ...flat(0) }).replace('"price":0', `"price":${price}`);
  const added = await post('/metronome/v1/contract-pricing/rate-cards/addRate', body);
  expect(await added.text()).toContain(`"price":${price}`);
  const card = await loadRateCard(engine.db, engine.accountId, id);
  expect(card?.rates.map(({ rate }) => rate.price && toText(rate.price))).toEqual([price]);
});

it('an unchanged card comes from memory, a changed one does not', async () => {
  const id = await newCard();
  await cards.rates.add({ rate_card_id: id, ...flat(1) });
  const first = await loadRateCard(engine.db, engine.accountId, id);
  expect(await loadRateCard(engine.db, engine.accountId, id)).toBe(first);
  await cards.rates.add({ rate_card_id: id, ...flat(2, { starting_at: LATER }) });
  expect((await loadRateCard(engine.db, engine.accountId, id))?.rates).toHaveLength(2);
  expect(await loadRateCard(engine.db, engine.accountId, crypto.randomUUID())).toBeNull();
});

it('ten thousand rates are added at once and read page by page', async () => {
  const id = await newCard();
  const rates = Array.from({ length: 10_000 }, (_, n) =>
    flat(n, {
      product_id: regional,
      pricing_group_values: { region: `r${n % 100}`, tier: `t${Math.floor(n / 100)}` },
    }),
  );
  await cards.rates.addMany({ rate_card_id: id, rates });
  const selectors = [{ product_id: regional, pricing_group_values: { region: 'r7', tier: 't42' } }];
  expect((await ratesAt(id, START, selectors)).map(({ rate }) => rate.price)).toEqual([4207]);
  const page = await cards.rates.list({ rate_card_id: id, at: START, limit: 100 });
  expect([page.data.length, page.hasNextPage()]).toEqual([100, true]);
});

it('an alias means the card that got it last, at the instant asked for', async () => {
  const old = await newCard({ aliases: [{ name: 'list' }] });
  const next = await newCard({ aliases: [{ name: 'list', starting_at: LATER }] });
  const resolved = async (at: string) =>
    (await resolveRateCard(engine.db, engine.accountId, { alias: 'list' }, Date.parse(at))).id;
  expect([await resolved(START), await resolved(LATER)]).toEqual([old, next]);
  await expect(resolveRateCard(engine.db, engine.accountId, { alias: 'none' }, 0)).rejects.toThrow('none');
  await cards.update({ rate_card_id: next, name: 'Next', aliases: [] });
  expect((await cards.retrieve({ id: next })).data).toMatchObject({ name: 'Next' });
  expect(await resolved(LATER)).toBe(old);
  await cards.archive({ id: next });
  const listed = [];
  for await (const card of cards.list({ body: {} })) listed.push(card.id);
  expect(listed).toContain(old);
  expect(listed).not.toContain(next);
  expect(await refusal(cards.rates.add({ rate_card_id: next, ...flat(1) }))).toContain('is archived');
});

it('rates that make no sense are refused, and none of a batch is kept', async () => {
  const id = await newCard();
  const add = (rest: object) => refusal(cards.rates.add({ rate_card_id: id, ...flat(1), ...rest }));
  const tiered = { rate_type: 'TIERED', price: undefined };
  expect(await add({ ...tiered, tiers: [{ size: 5, price: 1 }] })).toContain(
    'the last tier must be open-ended',
  );
  expect(await add({ ...tiered, tiers: [{ price: 1 }, { price: 2 }] })).toContain(
    'must be above zero on every tier',
  );
  expect(await add(tiered)).toContain("'tiers': is required");
  expect(await add({ price: -1 })).toContain('must not be negative');
  expect(await add({ price: undefined })).toContain("'price': is required");
  expect(await add({ rate_type: 'PERCENTAGE', price: 5 })).toContain('percentages are from 0 to 1');
  expect(await add({ minimum_config: { minimum: 5 } })).toContain('percentage rates only');
  expect(await add({ starting_at: '2025-01-01T00:30:00Z' })).toContain('must be on a whole hour');
  expect(await add({ starting_at: '2025-02-30T00:00:00Z' })).toContain('must be an RFC 3339 timestamp');
  expect(await add({ ending_before: START })).toContain('must be after starting_at');
  expect(await add({ product_id: crypto.randomUUID() })).toMatch(/^404 No such product/);
  expect(await add({ product_id: seats })).toContain("'billing_frequency': is required");
  expect(await add({ billing_frequency: 'MONTHLY' })).toContain('applies only to SUBSCRIPTION');
  expect(await add({ product_id: regional })).toContain(
    "'region' of the product's pricing group key is missing",
  );
  expect(await add({ pricing_group_values: { planet: 'x' } })).toContain("'planet' is not in");
  expect(await add({ credit_type_id: crypto.randomUUID() })).toContain('has no conversion');
  expect(await add({ colour: 'red' })).toBe("400 Unknown field 'colour'.");
  const batch = cards.rates.addMany({ rate_card_id: id, rates: [flat(1), flat(-1)] });
  expect(await refusal(batch)).toBe("400 Invalid 'rates[1].price': must not be negative.");
  expect(await ratesAt(id, LATER)).toEqual([]);
  const nowhere = cards.rates.add({ rate_card_id: crypto.randomUUID(), ...flat(1) });
  expect((await failure(nowhere)).status).toBe(404);
});
