import { priceKey } from '../../domain/contract/rateSchedule.js';
import type { BillingFrequency, GroupValues, Rate } from '../../domain/contract/terms.js';
import { compare, ONE, sign } from '../../domain/decimal.js';
import { invalid, notFound } from '../../domain/errors.js';
import type { Instant } from '../../domain/period.js';
import {
  type ContractProductRecord,
  findContractProducts,
  productAt,
} from '../../storage/contractProducts.js';
import type { RateCardRecord } from '../../storage/rateCards.js';
import { touchRateCard } from '../../storage/rateCards.js';
import { insertRates, loadRates, type RateDetails, type StoredRate } from '../../storage/rates.js';
import type { ChangeContext } from '../catalogue.js';
import { requireOpenRateCard } from './rateCards.js';

/** A rate as it is asked for; without a pricing unit it is in the card's currency. */
export interface NewRate {
  productId: string;
  pricingGroupValues: GroupValues;
  billingFrequency: BillingFrequency | null;
  startingAt: Instant;
  endingBefore: Instant | null;
  entitled: boolean;
  creditTypeId: string | null;
  rate: Omit<Rate, 'creditTypeId'>;
  commitRate: Omit<Rate, 'creditTypeId'> | null;
  details: RateDetails;
}

/**
 * Adds rates to a card, all or none (docs.metronome.com/api-reference, "add rates"). Of two for the same product and
 * values the one that starts later, then the one added later, is in force. Returns them as they are kept.
 */
export async function addRates(
  ctx: ChangeContext,
  rateCardId: string,
  rates: readonly NewRate[],
): Promise<Omit<StoredRate, 'sequence'>[]> {
  const { tx, accountId } = ctx;
  const card = await requireOpenRateCard(ctx, rateCardId);
  const products = await findContractProducts(tx, accountId, [
    ...new Set(rates.map((rate) => rate.productId)),
  ]);
  const known = await loadRates(tx, accountId, rateCardId);
  const unitByKey = new Map(known.map((rate) => [priceKey(rate), rate.rate.creditTypeId] as const));
  const now = ctx.core.now();
  const checked = rates.map((rate, index) => {
    const where = rates.length === 1 ? '' : `rates[${index}].`;
    const product = products.get(rate.productId);
    if (product === undefined) throw notFound('product', rate.productId, `${where}product_id`);
    checkProduct(product, rate, where, now);
    return withUnit(card, rate, unitByKey, where);
  });
  await insertRates(tx, accountId, rateCardId, checked);
  await touchRateCard(tx, accountId, rateCardId);
  return checked;
}

function withUnit(
  card: RateCardRecord,
  { creditTypeId, ...rate }: NewRate,
  unitByKey: Map<string, string>,
  where: string,
): Omit<StoredRate, 'sequence'> {
  const unit = creditTypeId ?? card.fiatCreditTypeId;
  const isKnown =
    unit === card.fiatCreditTypeId || card.conversions.some((known) => known.creditTypeId === unit);
  if (!isKnown) {
    throw invalid(`Invalid '${where}credit_type_id': the rate card has no conversion for ${unit}.`);
  }
  const key = priceKey(rate);
  if ((unitByKey.get(key) ?? unit) !== unit) {
    throw invalid(`Invalid '${where}credit_type_id': the pricing unit of a rate cannot change.`);
  }
  unitByKey.set(key, unit);
  return {
    ...rate,
    rate: { ...rate.rate, creditTypeId: unit },
    commitRate: rate.commitRate === null ? null : { ...rate.commitRate, creditTypeId: unit },
  };
}

function checkProduct(product: ContractProductRecord, rate: NewRate, where: string, now: Instant): void {
  const { type } = product;
  if (product.archivedAt !== null) throw invalid(`Invalid '${where}product_id': the product is archived.`);
  if (type === 'FIXED' || type === 'PRO_SERVICE') {
    throw invalid(
      `Invalid '${where}product_id': ${type} products have no rate; they are priced on the contract.`,
    );
  }
  if (rate.endingBefore !== null && rate.endingBefore <= rate.startingAt) {
    throw invalid(`Invalid '${where}ending_before': must be after starting_at.`);
  }
  if ((type === 'SUBSCRIPTION') !== (rate.billingFrequency !== null)) {
    const rule = type === 'SUBSCRIPTION' ? 'is required for' : 'applies only to';
    throw invalid(`Invalid '${where}billing_frequency': ${rule} SUBSCRIPTION products.`);
  }
  if (rate.commitRate !== null && type !== 'USAGE') {
    throw invalid(`Invalid '${where}commit_rate': applies to USAGE products only.`);
  }
  const isPercentage = rate.rate.rateType === 'PERCENTAGE' || rate.rate.rateType === 'TIERED_PERCENTAGE';
  if (isPercentage && type === 'SUBSCRIPTION') {
    throw invalid(`Invalid '${where}rate_type': SUBSCRIPTION products are priced FLAT.`);
  }
  const state = productAt(product, Math.max(now, rate.startingAt));
  checkValues(state.pricingGroupKey, rate.pricingGroupValues, where);
}

function checkValues(key: readonly string[], values: GroupValues, where: string): void {
  const missing = key.find((name) => !Object.hasOwn(values, name));
  if (missing !== undefined) {
    throw invalid(
      `Invalid '${where}pricing_group_values': '${missing}' of the product's pricing group key is missing.`,
    );
  }
  const unknown = Object.keys(values).find((name) => !key.includes(name));
  if (unknown !== undefined) {
    throw invalid(
      `Invalid '${where}pricing_group_values': '${unknown}' is not in the product's pricing group key.`,
    );
  }
}

/** Checks what a rate says against its type. `field` is how the request names it. */
export function checkRate(rate: Omit<Rate, 'creditTypeId'>, field: string): void {
  const { rateType: type, price, tiers, minimum } = rate;
  const isTiered = type === 'TIERED' || type === 'TIERED_PERCENTAGE';
  if (isTiered) checkTiers(rate, field);
  else if (tiers.length > 0) throw invalid(`Invalid '${field}tiers': does not apply to ${type} rates.`);
  if (isTiered && price !== null) throw invalid(`Invalid '${field}price': does not apply to ${type} rates.`);
  if (!isTiered && price === null) {
    throw invalid(`Invalid '${field}price': is required for ${type} rates.`);
  }
  const prices = isTiered ? tiers.map((tier) => tier.price) : price === null ? [] : [price];
  if (prices.some((one) => sign(one) < 0)) throw invalid(`Invalid '${field}price': must not be negative.`);
  const isPercentage = type === 'PERCENTAGE' || type === 'TIERED_PERCENTAGE';
  if (isPercentage && prices.some((one) => compare(one, ONE) > 0)) {
    throw invalid(`Invalid '${field}price': percentages are from 0 to 1.`);
  }
  if (minimum !== null && !isPercentage) {
    throw invalid(`Invalid '${field}minimum_config': applies to percentage rates only.`);
  }
}

/** Every tier but the last has a size; the last is open, so that every quantity has a price. */
function checkTiers({ rateType, tiers }: Omit<Rate, 'creditTypeId'>, field: string): void {
  if (tiers.length === 0) throw invalid(`Invalid '${field}tiers': is required for ${rateType} rates.`);
  for (const [index, { size }] of tiers.entries()) {
    const isLast = index === tiers.length - 1;
    if (isLast && size !== null) {
      throw invalid(`Invalid '${field}tiers[${index}].size': the last tier must be open-ended.`);
    }
    if (!isLast && (size === null || sign(size) <= 0)) {
      throw invalid(`Invalid '${field}tiers[${index}].size': must be above zero on every tier but the last.`);
    }
  }
}
