import { requireRateCard } from '../../billing/metronome/rateCards.js';
import { addRates } from '../../billing/metronome/rates.js';
import { covers } from '../../domain/contract/rateCard.js';
import { type EffectiveRate, effectiveRates, isSelected } from '../../domain/contract/rateSchedule.js';
import type { PricingUnit } from '../../domain/contract/terms.js';
import { invalid } from '../../domain/errors.js';
import type { Instant } from '../../domain/period.js';
import type { JsonObject } from '../../json.js';
import { type LoadedProduct, loadProducts } from '../../storage/contractProducts.js';
import type { Queryable } from '../../storage/db.js';
import { loadPricingUnits } from '../../storage/pricingUnits.js';
import { loadRateCard } from '../../storage/rateCards.js';
import type { StoredRate } from '../../storage/rates.js';
import { type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { cursorPage, pageOf } from './paging.js';
import { list, object, timestamp, uuid } from './params.js';
import { newRateOf, rateFields, rateInput, selectors, selectorsOf } from './rateParams.js';
import { commitRateObject, optionalTime, rateObject, rfc3339 } from './render.js';

const URL = '/v1/contract-pricing/rate-cards';
const RATES_MAX = 20_000;
const RATES_BYTES_MAX = 16 * 1024 * 1024;

const addMany = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/addRates`,
  bodyBytesMax: RATES_BYTES_MAX,
  body: object({ rate_card_id: uuid(), rates: list(rateInput, { min: 1, max: RATES_MAX }) }),
  async handle(ctx, { rate_card_id: id, rates }) {
    await addRates(
      ctx,
      id,
      rates.map((rate, index) => newRateOf(rate, `rates[${index}].`)),
    );
    return { data: { id } };
  },
});

const addOne = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/addRate`,
  body: object({ rate_card_id: uuid(), ...rateFields }),
  async handle(ctx, { rate_card_id: id, ...input }) {
    const [added] = await addRates(ctx, id, [newRateOf(input)]);
    if (added === undefined) throw new Error('a rate was not added');
    const units = await loadPricingUnits(ctx.q, ctx.accountId);
    return {
      data: {
        ...rateObject(added.rate, units, added.details),
        pricing_group_values: valuesObject(added.pricingGroupValues),
        commit_rate: added.commitRate === null ? undefined : commitRateObject(added.commitRate),
      },
    };
  },
});

const getRates = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/getRates`,
  transactional: false,
  body: object({ rate_card_id: uuid(), at: timestamp(), selectors: selectors.optional() }),
  query: object(cursorPage),
  async handle({ q, accountId }, input, _path, query) {
    const shown = await readRates(q, accountId, input.rate_card_id, input.at);
    const choice = selectorsOf(input.selectors);
    const found = shown.rates.filter(
      (one) => covers(one, input.at) && isSelected(one.rate, shown.products.get(one.rate.productId), choice),
    );
    return pageOf(found, query, keyOf, (one) => scheduleObject(one, shown));
  },
});

const getRateSchedule = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/getRateSchedule`,
  transactional: false,
  body: object({
    rate_card_id: uuid(),
    starting_at: timestamp(),
    ending_before: timestamp().optional(),
    selectors: selectors.optional(),
  }),
  query: object(cursorPage),
  async handle({ q, accountId }, input, _path, query) {
    const { starting_at: from, ending_before: until } = input;
    if (until !== undefined && until <= from)
      throw invalid("Invalid 'ending_before': must be after starting_at.");
    const shown = await readRates(q, accountId, input.rate_card_id, from);
    const choice = selectorsOf(input.selectors);
    const found = shown.rates.filter(
      (one) =>
        (one.endingBefore === null || one.endingBefore > from) &&
        (until === undefined || one.startingAt < until) &&
        isSelected(one.rate, shown.products.get(one.rate.productId), choice),
    );
    return pageOf(found, query, keyOf, (one) => scheduleObject(one, shown));
  },
});

export const rateEndpoints: readonly MetronomeEndpoint[] = [addMany, addOne, getRates, getRateSchedule];

interface ShownRates {
  rates: EffectiveRate<StoredRate>[];
  products: ReadonlyMap<string, LoadedProduct>;
  units: ReadonlyMap<string, PricingUnit>;
}

async function readRates(q: Queryable, accountId: string, id: string, at: Instant): Promise<ShownRates> {
  await requireRateCard(q, accountId, id);
  const card = await loadRateCard(q, accountId, id);
  return {
    rates: effectiveRates((card?.rates ?? []) as readonly StoredRate[]),
    products: await loadProducts(q, accountId, at),
    units: await loadPricingUnits(q, accountId),
  };
}

function keyOf({ rate, startingAt }: EffectiveRate<StoredRate>): string {
  return `${rate.sequence}/${startingAt}`;
}

function scheduleObject(one: EffectiveRate<StoredRate>, { products, units }: ShownRates): JsonObject {
  const { rate } = one;
  const product = products.get(rate.productId);
  return {
    product_id: rate.productId,
    product_name: product?.name ?? '',
    product_tags: product?.tags ?? [],
    product_custom_fields: product?.customFields ?? {},
    pricing_group_values: valuesObject(rate.pricingGroupValues),
    starting_at: rfc3339(one.startingAt),
    ending_before: optionalTime(one.endingBefore),
    entitled: rate.entitled,
    rate: rateObject(rate.rate, units, rate.details),
    commit_rate: rate.commitRate === null ? undefined : commitRateObject(rate.commitRate),
    billing_frequency: rate.billingFrequency ?? undefined,
  };
}

function valuesObject(values: Readonly<Record<string, string>>): JsonObject | undefined {
  return Object.keys(values).length === 0 ? undefined : values;
}
