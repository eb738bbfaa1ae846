import type { BillingFrequency, GroupValues, Rate, RateSegment, RateType } from '../domain/contract/terms.js';
import { parseDecimal, toText } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import type { Queryable } from './db.js';

/** What a rate says besides how it prices, as it was sent. */
export interface RateDetails {
  quantity: string | null;
  isProrated: boolean | null;
}

/** A rate of a card, with its place in the order in which they were added. */
export interface StoredRate extends RateSegment {
  sequence: bigint;
  details: RateDetails;
}

interface StoredPrice {
  rate_type: RateType;
  price: string | null;
  tiers: { size: string | null; price: string }[];
  minimum: string | null;
  credit_type_id: string;
}

interface Row {
  sequence: bigint;
  productId: string;
  pricingGroupValues: GroupValues;
  billingFrequency: BillingFrequency | null;
  startingAt: Instant;
  endingBefore: Instant | null;
  entitled: boolean;
  rate: StoredPrice & { details?: Partial<RateDetails> };
  commitRate: StoredPrice | null;
}

/** All rates of a card in the order in which they were added. */
export async function loadRates(q: Queryable, accountId: string, rateCardId: string): Promise<StoredRate[]> {
  const rows = await q.queryNamed<Row>(
    'load_rates',
    `select sequence, product_id as "productId", pricing_group_values as "pricingGroupValues",
       billing_frequency as "billingFrequency", starting_at as "startingAt", ending_before as "endingBefore",
       entitled, rate, commit_rate as "commitRate"
     from rates where account_id = $1 and rate_card_id = $2 order by sequence`,
    [accountId, rateCardId],
  );
  return rows.map(({ rate, commitRate, ...row }) => ({
    ...row,
    rate: toRate(rate),
    commitRate: commitRate === null ? null : toRate(commitRate),
    details: { quantity: null, isProrated: null, ...rate.details },
  }));
}

/** Adds rates to a card in one statement, in the order given. */
export async function insertRates(
  q: Queryable,
  accountId: string,
  rateCardId: string,
  rates: readonly Omit<StoredRate, 'sequence'>[],
): Promise<void> {
  const documents = rates.map((rate, index) => ({
    position: index,
    product_id: rate.productId,
    pricing_group_values: rate.pricingGroupValues,
    billing_frequency: rate.billingFrequency,
    starting_at: new Date(rate.startingAt).toISOString(),
    ending_before: rate.endingBefore === null ? null : new Date(rate.endingBefore).toISOString(),
    entitled: rate.entitled,
    rate: { ...fromRate(rate.rate), details: rate.details },
    commit_rate: rate.commitRate === null ? null : fromRate(rate.commitRate),
  }));
  await q.query(
    `insert into rates (account_id, rate_card_id, product_id, pricing_group_values, billing_frequency, starting_at,
       ending_before, entitled, rate, commit_rate)
     select $1, $2, product_id, pricing_group_values, billing_frequency, starting_at, ending_before, entitled, rate,
       commit_rate
     from jsonb_to_recordset($3::jsonb) as given (position integer, product_id uuid, pricing_group_values jsonb,
       billing_frequency text, starting_at timestamptz, ending_before timestamptz, entitled boolean, rate jsonb,
       commit_rate jsonb)
     order by position`,
    [accountId, rateCardId, JSON.stringify(documents)],
  );
}

function toRate(stored: StoredPrice): Rate {
  return {
    rateType: stored.rate_type,
    price: stored.price === null ? null : parseDecimal(stored.price),
    tiers: stored.tiers.map(({ size, price }) => ({
      size: size === null ? null : parseDecimal(size),
      price: parseDecimal(price),
    })),
    minimum: stored.minimum === null ? null : parseDecimal(stored.minimum),
    creditTypeId: stored.credit_type_id,
  };
}

function fromRate(rate: Rate): StoredPrice {
  return {
    rate_type: rate.rateType,
    price: rate.price === null ? null : toText(rate.price),
    tiers: rate.tiers.map(({ size, price }) => ({
      size: size === null ? null : toText(size),
      price: toText(price),
    })),
    minimum: rate.minimum === null ? null : toText(rate.minimum),
    credit_type_id: rate.creditTypeId,
  };
}
