import { isEntitled, overridesFor, type PricedThing, priceInForce } from '../../domain/contract/overrides.js';
import { covers } from '../../domain/contract/rateCard.js';
import { effectiveRates, type EffectiveRate, isSelected } from '../../domain/contract/rateSchedule.js';
import type { ContractTerms, RateSegment } from '../../domain/contract/terms.js';
import type { PriceSchedule } from '../../domain/contract/tiers.js';
import { termsOf } from '../../domain/contract/contract.js';
import { subtract, ZERO } from '../../domain/decimal.js';
import { type JsonObject, jsonNumber } from '../../json.js';
import { type ContractView, contractOf, loadView } from './contractView.js';
import { type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { cursorPage, pageOf } from './paging.js';
import { customerId, object, timestamp, uuid } from './params.js';
import { selectors, selectorsOf } from './rateParams.js';
import { commitRateObject, creditType, optionalTime, rateObject, rfc3339 } from './render.js';

const schedule = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/getContractRateSchedule',
  transactional: false,
  body: object({
    customer_id: customerId(),
    contract_id: uuid(),
    at: timestamp().optional(),
    selectors: selectors.optional(),
  }),
  query: object(cursorPage),
  /** What the contract's customer pays at an instant: the entitled rates and the overrides that change them. */
  async handle(ctx, input, _path, query) {
    const view = await loadView(ctx, input.customer_id);
    const contract = contractOf(view, input.contract_id);
    const at = input.at ?? Math.max(view.now, contract.startingAt);
    const open = view.open.state.contracts.find((one) => one.contract.id === contract.id);
    const terms = termsOf(contract);
    const choice = selectorsOf(input.selectors);
    const rates = effectiveRates(open?.card.rates ?? []).filter(
      (one) =>
        covers(one, at) &&
        isSelected(one.rate, view.products.get(one.rate.productId), choice) &&
        isEntitled(one.rate, overridesFor(terms.overrides, thingOf(view, one.rate)), at),
    );
    return pageOf(rates, query, keyOf, (one) => scheduleObject(view, terms, open?.card.id ?? '', one, at));
  },
});

function thingOf(view: ContractView, rate: RateSegment): PricedThing {
  const product = view.products.get(rate.productId) ?? { id: rate.productId, tags: [] };
  return {
    product,
    pricingGroupValues: rate.pricingGroupValues,
    presentationGroupValues: {},
    billingFrequency: rate.billingFrequency,
  };
}

function keyOf({ rate, startingAt }: EffectiveRate): string {
  return JSON.stringify([rate.productId, rate.billingFrequency, rate.pricingGroupValues, startingAt]);
}

function scheduleObject(
  view: ContractView,
  terms: ContractTerms,
  cardId: string,
  one: EffectiveRate,
  at: number,
): JsonObject {
  const { rate } = one;
  const { units } = view.open.state;
  const product = view.products.get(rate.productId);
  const thing = thingOf(view, rate);
  const overrides = overridesFor(terms.overrides, thing);
  const price = priceInForce(rate, overrides, terms.prioritization, thing, at, null);
  return {
    rate_card_id: cardId,
    product_id: rate.productId,
    product_name: product?.name ?? '',
    product_tags: product?.tags ?? [],
    product_custom_fields: product?.customFields ?? {},
    pricing_group_values:
      Object.keys(rate.pricingGroupValues).length === 0 ? undefined : rate.pricingGroupValues,
    starting_at: rfc3339(one.startingAt),
    ending_before: optionalTime(one.endingBefore),
    entitled: true,
    list_rate: rateObject(rate.rate, units),
    override_rate:
      price.overrideId === null
        ? undefined
        : { ...priceObject(price), credit_type: creditType(units, price.creditTypeId) },
    commit_rate: rate.commitRate === null ? undefined : commitRateObject(rate.commitRate),
    billing_frequency: rate.billingFrequency ?? undefined,
  };
}

/** A price after overrides, as a rate. */
function priceObject({ tiers, isTiered }: PriceSchedule): JsonObject {
  const [only] = tiers;
  if (!isTiered && only !== undefined) return { rate_type: 'FLAT', price: jsonNumber(only.price) };
  let from = ZERO;
  return {
    rate_type: 'TIERED',
    tiers: tiers.map(({ upTo, price }) => {
      const size = upTo === null ? undefined : jsonNumber(subtract(upTo, from));
      from = upTo ?? from;
      return { size, price: jsonNumber(price) };
    }),
  };
}

export const rateScheduleEndpoints: readonly MetronomeEndpoint[] = [schedule];
