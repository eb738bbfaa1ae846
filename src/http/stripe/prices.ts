import type { z } from 'zod';
import { changePrice, createPrice } from '../../billing/prices.js';
import { createProduct } from '../../billing/products.js';
import { invalid, notFound } from '../../domain/errors.js';
import { findPriceCursor, findPriceRecord, findPriceRecords, listPrices } from '../../storage/prices.js';
import { priceCurrencyOptions, priceObject, priceTiers } from '../../stripe/price.js';
import { defined } from '../defined.js';
import { type Endpoint, type JsonObject, type RequestContext, endpoint } from '../endpoint.js';
import { type ExpandContext, type Expansion, idOf } from '../expand.js';
import { listPage } from '../pagination.js';
import { array, boolean, clearable, decimal, listParams, metadata, object, oneOf, text } from '../params.js';
import {
  amount,
  priceTerms,
  recurringParams,
  taxBehaviorParam,
  tiersParams,
  transformParams,
} from './priceParams.js';

const LOOKUP_KEY_LENGTH_MAX = 200;
const LOOKUP_KEYS_MAX = 10;

const createParams = object({
  active: boolean().optional(),
  billing_scheme: oneOf(['per_unit', 'tiered']).optional(),
  currency: text(),
  lookup_key: text({ max: LOOKUP_KEY_LENGTH_MAX }).optional(),
  metadata: metadata().optional(),
  nickname: text().optional(),
  product: text().optional(),
  product_data: object({
    active: boolean().optional(),
    id: text().optional(),
    metadata: metadata().optional(),
    name: text(),
    statement_descriptor: text({ max: 22 }).optional(),
    tax_code: text().optional(),
    unit_label: text({ max: 12 }).optional(),
  }).optional(),
  recurring: recurringParams.optional(),
  tax_behavior: taxBehaviorParam().optional(),
  tiers: tiersParams.optional(),
  tiers_mode: oneOf(['graduated', 'volume']).optional(),
  transfer_lookup_key: boolean().optional(),
  transform_quantity: transformParams.optional(),
  unit_amount: amount().optional(),
  unit_amount_decimal: decimal().optional(),
});

const updateParams = object({
  active: boolean().optional(),
  lookup_key: clearable(text({ max: LOOKUP_KEY_LENGTH_MAX })).optional(),
  metadata: metadata().optional(),
  nickname: clearable(text()).optional(),
  tax_behavior: taxBehaviorParam().optional(),
  transfer_lookup_key: boolean().optional(),
});

const filters = {
  active: boolean().optional(),
  currency: text().optional(),
  lookup_keys: array(text(), { max: LOOKUP_KEYS_MAX }).optional(),
  product: text().optional(),
  recurring: object({
    interval: oneOf(['day', 'week', 'month', 'year']).optional(),
    meter: text().optional(),
    usage_type: oneOf(['licensed', 'metered']).optional(),
  }).optional(),
  type: oneOf(['one_time', 'recurring']).optional(),
};

export const pricesEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'POST',
    path: '/v1/prices',
    params: createParams,
    unsupported: [
      'currency_options',
      'custom_unit_amount',
      'product_data.tax_details',
      'recurring.trial_period_days',
    ],
    async handle(ctx, params) {
      const terms = priceTerms(params);
      const price = await createPrice(ctx, {
        ...terms,
        productId: await productOf(ctx, params),
        active: params.active ?? true,
        nickname: params.nickname ?? null,
        lookupKey: params.lookup_key ?? null,
        transferLookupKey: params.transfer_lookup_key ?? false,
        metadata: params.metadata,
      });
      return priceObject(price);
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v1/prices',
    params: listParams(filters),
    handle({ q, accountId }, params) {
      const filter = {
        active: params.active ?? true,
        currency: params.currency?.toLowerCase(),
        productId: params.product,
        type: params.type,
        lookupKeys: params.lookup_keys,
        interval: params.recurring?.interval,
        meterId: params.recurring?.meter,
        usageType: params.recurring?.usage_type,
        created: params.created,
      };
      return listPage(params, {
        url: '/v1/prices',
        noun: 'price',
        find: (id) => findPriceCursor(q, accountId, id),
        list: (page) => listPrices(q, accountId, filter, page),
        render: priceObject,
      });
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v1/prices/:id',
    params: object({}),
    async handle({ q, accountId }, _params, { id = '' }) {
      const price = await findPriceRecord(q, accountId, id);
      if (price === null) throw notFound('price', id, 'price');
      return priceObject(price);
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v1/prices/:id',
    params: updateParams,
    unsupported: ['currency_options'],
    async handle(ctx, params, { id = '' }) {
      const price = await changePrice(ctx, id, {
        active: params.active,
        nickname: params.nickname,
        lookupKey: params.lookup_key,
        transferLookupKey: params.transfer_lookup_key ?? false,
        taxBehavior: params.tax_behavior,
        metadata: params.metadata,
      });
      return priceObject(price);
    },
  }),
];

/** The id of the product that was named, or of the one made from `product_data`. */
async function productOf(ctx: RequestContext, params: z.output<typeof createParams>): Promise<string> {
  const { product, product_data: data } = params;
  if (product !== undefined && data !== undefined) {
    throw invalid('You may only specify one of these parameters: product, product_data.', {
      code: 'parameters_exclusive',
      param: 'product',
    });
  }
  if (product !== undefined) return product;
  if (data === undefined) {
    throw invalid('You must specify either `product` or `product_data` when creating a price.', {
      code: 'parameter_missing',
      param: 'product',
    });
  }
  const change = {
    active: data.active,
    name: data.name,
    unitLabel: data.unit_label,
    details: defined({ statement_descriptor: data.statement_descriptor, tax_code: data.tax_code }),
    metadata: data.metadata,
  };
  return (await createProduct(ctx, change, data.id, 'product_data[id]')).id;
}

export const pricesExpansion: Expansion = {
  object: 'price',
  async load({ q, accountId }, ids) {
    const prices = await findPriceRecords(q, accountId, ids);
    return new Map(prices.map((price) => [price.id, priceObject(price)]));
  },
  properties: {
    product: 'product',
    tiers: revealTiers,
    currency_options: revealCurrencyOptions,
  },
};

async function revealTiers(
  ctx: ExpandContext,
  objects: readonly JsonObject[],
): Promise<(JsonObject[] | undefined)[]> {
  const prices = await pricesOf(ctx, objects);
  return prices.map((price) => (price === undefined ? undefined : priceTiers(price)));
}

async function revealCurrencyOptions(
  ctx: ExpandContext,
  objects: readonly JsonObject[],
): Promise<(JsonObject | undefined)[]> {
  const prices = await pricesOf(ctx, objects);
  return prices.map((price) => (price === undefined ? undefined : priceCurrencyOptions(price)));
}

async function pricesOf({ q, accountId }: ExpandContext, objects: readonly JsonObject[]) {
  const ids = objects.map(idOf);
  const prices = await findPriceRecords(q, accountId, [...new Set(ids)]);
  const byId = new Map(prices.map((price) => [price.id, price]));
  return ids.map((id) => byId.get(id));
}
