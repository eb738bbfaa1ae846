import type { z } from 'zod';
import { createPrice } from '../../billing/prices.js';
import {
  type ProductChange,
  changeProduct,
  createProduct,
  deleteProduct,
  requireProduct,
} from '../../billing/products.js';
import { type Decimal, toText } from '../../domain/decimal.js';
import { invalid } from '../../domain/errors.js';
import {
  type ProductDetails,
  findProductCursor,
  findProducts,
  listProducts,
} from '../../storage/products.js';
import { productObject } from '../../stripe/product.js';
import { deletedObject } from '../../stripe/values.js';
import { defined } from '../defined.js';
import { type Endpoint, type RequestContext, endpoint } from '../endpoint.js';
import type { Expansion } from '../expand.js';
import { listPage } from '../pagination.js';
import { array, boolean, clearable, decimal, listParams, metadata, object, oneOf, text } from '../params.js';
import { amount, licensedRecurringParams, priceTerms, taxBehaviorParam } from './priceParams.js';

const IMAGES_MAX = 8;
const FEATURES_MAX = 15;
const FEATURE_LENGTH_MAX = 80;
const DESCRIPTION_LENGTH_MAX = 40_000;
const IDS_MAX = 100;

/** Inches and ounces, at most two digits after the point. */
const measure = () => decimal({ maxFractionDigits: 2 });

const sharedParams = {
  active: boolean().optional(),
  description: clearable(text({ max: DESCRIPTION_LENGTH_MAX })).optional(),
  images: clearable(array(text(), { max: IMAGES_MAX })).optional(),
  marketing_features: clearable(
    array(object({ name: text({ max: FEATURE_LENGTH_MAX }) }), { max: FEATURES_MAX }),
  ).optional(),
  metadata: metadata().optional(),
  package_dimensions: clearable(
    object({ height: measure(), length: measure(), weight: measure(), width: measure() }),
  ).optional(),
  shippable: boolean().optional(),
  statement_descriptor: clearable(text({ max: 22 })).optional(),
  tax_code: clearable(text()).optional(),
  tax_details: clearable(
    object({
      performance_location: clearable(text()).optional(),
      tax_code: clearable(text()).optional(),
    }),
  ).optional(),
  unit_label: clearable(text({ max: 12 })).optional(),
  url: clearable(text({ max: 2048 })).optional(),
};

const createParams = object({
  ...sharedParams,
  default_price_data: object({
    currency: text(),
    metadata: metadata().optional(),
    recurring: licensedRecurringParams.optional(),
    tax_behavior: taxBehaviorParam().optional(),
    unit_amount: amount().optional(),
    unit_amount_decimal: decimal().optional(),
  }).optional(),
  id: text({ max: 255 }).optional(),
  name: text(),
  type: oneOf(['good', 'service']).optional(),
});

const updateParams = object({
  ...sharedParams,
  default_price: clearable(text()).optional(),
  name: text().optional(),
});

const filters = {
  active: boolean().optional(),
  ids: array(text(), { max: IDS_MAX }).optional(),
  shippable: boolean().optional(),
  type: oneOf(['good', 'service']).optional(),
  url: text({ max: 2048 }).optional(),
};

export const productsEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'POST',
    path: '/v1/products',
    params: createParams,
    unsupported: ['default_price_data.currency_options', 'default_price_data.custom_unit_amount'],
    async handle(ctx, params) {
      if (params.id !== undefined) checkId(params.id);
      const details = { ...detailsOf(params), ...defined({ type: params.type }) };
      const change = { ...changeOf(params), name: params.name, details };
      const product = await createProduct(ctx, change, params.id);
      if (params.default_price_data === undefined) return productObject(product);
      const defaultPriceId = await createDefaultPrice(ctx, product.id, params.default_price_data);
      return productObject(await changeProduct(ctx, product.id, { defaultPriceId, details: {} }));
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v1/products',
    params: listParams(filters),
    handle({ q, accountId }, params) {
      const { active, ids, shippable, type, url, created } = params;
      return listPage(params, {
        url: '/v1/products',
        noun: 'product',
        find: (id) => findProductCursor(q, accountId, id),
        list: (page) => listProducts(q, accountId, { active, ids, shippable, type, url, created }, page),
        render: productObject,
      });
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v1/products/:id',
    params: object({}),
    async handle({ q, accountId }, _params, { id = '' }) {
      return productObject(await requireProduct(q, accountId, id));
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v1/products/:id',
    params: updateParams,
    async handle(ctx, params, { id = '' }) {
      const change = { ...changeOf(params), defaultPriceId: params.default_price };
      return productObject(await changeProduct(ctx, id, change));
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v1/products/:id',
    params: object({}),
    async handle(ctx, _params, { id = '' }) {
      await deleteProduct(ctx, id);
      return deletedObject('product', id);
    },
  }),
];

type SharedInput = Omit<z.output<typeof updateParams>, 'default_price'>;

function changeOf(params: SharedInput): ProductChange {
  return {
    active: params.active,
    name: params.name,
    unitLabel: params.unit_label,
    details: detailsOf(params),
    metadata: params.metadata,
  };
}

function detailsOf(params: SharedInput): ProductDetails {
  const { images, marketing_features: features, package_dimensions: dimensions, tax_details: tax } = params;
  return defined({
    description: params.description,
    images: images === undefined ? undefined : (images ?? []),
    marketing_features: features === undefined ? undefined : (features ?? []),
    package_dimensions:
      dimensions == null
        ? dimensions
        : {
            height: measured(dimensions.height),
            length: measured(dimensions.length),
            weight: measured(dimensions.weight),
            width: measured(dimensions.width),
          },
    shippable: params.shippable,
    statement_descriptor: params.statement_descriptor,
    tax_code: params.tax_code,
    tax_details:
      tax == null
        ? tax
        : { performance_location: tax.performance_location ?? null, tax_code: tax.tax_code ?? null },
    url: params.url,
  });
}

/** A size is a JSON number at Stripe; it's never money. */
function measured(value: Decimal): number {
  return Number(toText(value));
}

function checkId(id: string): void {
  if (/^[A-Za-z0-9_.-]+$/.test(id)) return;
  throw invalid('Invalid id: only letters, digits, underscores, dots and hyphens are allowed.', {
    param: 'id',
  });
}

type DefaultPriceData = NonNullable<z.output<typeof createParams>['default_price_data']>;

async function createDefaultPrice(
  ctx: RequestContext,
  productId: string,
  data: DefaultPriceData,
): Promise<string> {
  const named = (name: string) => `default_price_data[${name}]`;
  const price = await createPrice(
    ctx,
    {
      ...priceTerms(data, named),
      productId,
      active: true,
      nickname: null,
      lookupKey: null,
      transferLookupKey: false,
      metadata: data.metadata,
    },
    named,
  );
  return price.id;
}

export const productsExpansion: Expansion = {
  object: 'product',
  async load({ q, accountId }, ids) {
    const products = await findProducts(q, accountId, ids);
    return new Map(products.map((product) => [product.id, productObject(product)]));
  },
  properties: { default_price: 'price', tax_code: 'none' },
};
