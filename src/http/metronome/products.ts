import {
  archiveContractProduct,
  createContractProduct,
  requireContractProduct,
  updateProductFrom,
} from '../../billing/metronome/products.js';
import { ZERO } from '../../domain/decimal.js';
import type { Instant } from '../../domain/period.js';
import { type JsonObject, jsonNumber } from '../../json.js';
import {
  type ContractProductRecord,
  listContractProducts,
  productAt,
  type ProductState,
} from '../../storage/contractProducts.js';
import { defined } from '../defined.js';
import { type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { cursorPage, storagePage, storagePageAnswer } from './paging.js';
import {
  boolean,
  customFields,
  decimal,
  hourTimestamp,
  integer,
  list,
  nullable,
  object,
  oneOf,
  text,
  uuid,
} from './params.js';
import { CREATED_BY, rfc3339 } from './render.js';
import type { z } from 'zod';

const URL = '/v1/contract-pricing/products';
const PLACES_MAX = 20;

const groupKey = () => list(text({ max: 200 }), { max: 20 }).optional();

const stateFields = {
  billable_metric_id: uuid().optional(),
  tags: list(text({ max: 200 }), { max: 1000 }).optional(),
  pricing_group_key: groupKey(),
  presentation_group_key: groupKey(),
  quantity_conversion: nullable(
    object({
      conversion_factor: decimal({ above: ZERO }),
      operation: oneOf(['MULTIPLY', 'DIVIDE']),
      name: text().optional(),
    }),
  ).optional(),
  quantity_rounding: nullable(
    object({
      rounding_method: oneOf(['ROUND_UP', 'ROUND_DOWN', 'ROUND_HALF_UP']),
      decimal_places: integer({ max: PLACES_MAX }),
    }),
  ).optional(),
  composite_product_ids: list(uuid(), { max: 1000 }).optional(),
  composite_tags: list(text({ max: 200 }), { max: 1000 }).optional(),
  composite_scope: oneOf(['CONTRACT', 'CUSTOMER']).optional(),
  exclude_free_usage: boolean().optional(),
  include_composite_spend: boolean().optional(),
  sql_breakdown_granularity: oneOf(['HOUR', 'SERVICE_PERIOD']).optional(),
  is_refundable: boolean().optional(),
  netsuite_internal_item_id: text().optional(),
  netsuite_overage_item_id: text().optional(),
};

const createBody = object({
  name: text({ max: 500 }),
  type: oneOf(['USAGE', 'SUBSCRIPTION', 'COMPOSITE', 'FIXED', 'PRO_SERVICE'], {
    PROFESSIONAL_SERVICE: 'PRO_SERVICE',
  }),
  custom_fields: customFields().optional(),
  ...stateFields,
});

const updateBody = object({
  product_id: uuid(),
  starting_at: hourTimestamp(),
  name: text({ max: 500 }).optional(),
  ...stateFields,
});

const create = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/create`,
  body: createBody,
  async handle(ctx, { type, custom_fields, ...input }) {
    const state = { ...changeOf(input), name: input.name };
    const product = await createContractProduct(ctx, type, state, custom_fields ?? {});
    return { data: { id: product.id } };
  },
});

const get = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/get`,
  transactional: false,
  body: object({ id: uuid() }),
  async handle({ q, accountId, now }, { id }) {
    return { data: productObject(await requireContractProduct(q, accountId, id), now) };
  },
});

const listAll = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/list`,
  transactional: false,
  body: object({ archive_filter: oneOf(['ARCHIVED', 'NOT_ARCHIVED', 'ALL']).optional() }),
  query: object(cursorPage),
  async handle({ q, accountId, now }, { archive_filter = 'NOT_ARCHIVED' }, _path, query) {
    const archived = archive_filter === 'ALL' ? null : archive_filter === 'ARCHIVED';
    const rows = await listContractProducts(q, accountId, { archived }, storagePage(query));
    return storagePageAnswer(rows, query, (product) => productObject(product, now));
  },
});

const update = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/update`,
  body: updateBody,
  async handle(ctx, { product_id: id, starting_at: startingAt, ...input }) {
    await updateProductFrom(ctx, id, startingAt, changeOf(input));
    return { data: { id } };
  },
});

const archive = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/archive`,
  body: object({ product_id: uuid() }),
  async handle(ctx, { product_id: id }) {
    await archiveContractProduct(ctx, id);
    return { data: { id } };
  },
});

export const productEndpoints: readonly MetronomeEndpoint[] = [create, get, listAll, update, archive];

type ChangeInput = Omit<z.output<typeof updateBody>, 'product_id' | 'starting_at'>;

/** What is named; the rest stays unsaid. */
function changeOf(input: ChangeInput): Partial<ProductState> {
  const { quantity_conversion: conversion, quantity_rounding: rounding, composite_scope: scope } = input;
  return defined({
    name: input.name,
    tags: input.tags,
    billableMetricId: input.billable_metric_id,
    pricingGroupKey: input.pricing_group_key,
    presentationGroupKey: input.presentation_group_key,
    quantityConversion:
      conversion === undefined || conversion === null ? conversion : conversionOf(conversion),
    quantityRounding: rounding === undefined || rounding === null ? rounding : roundingOf(rounding),
    compositeProductIds: input.composite_product_ids,
    compositeTags: input.composite_tags,
    compositeScope: scope === undefined ? undefined : scope === 'CONTRACT' ? 'contract' : 'customer',
    excludeFreeUsage: input.exclude_free_usage,
    includeCompositeSpend: input.include_composite_spend,
    sqlGranularity: input.sql_breakdown_granularity,
    isRefundable: input.is_refundable,
    netsuiteItemId: input.netsuite_internal_item_id,
    netsuiteOverageItemId: input.netsuite_overage_item_id,
  }) as Partial<ProductState>;
}

function conversionOf(
  input: NonNullable<ChangeInput['quantity_conversion']>,
): NonNullable<ProductState['quantityConversion']> {
  const operation = input.operation === 'MULTIPLY' ? 'multiply' : 'divide';
  const { conversion_factor: factor, name } = input;
  return name === undefined ? { factor, operation } : { factor, operation, name };
}

function roundingOf(
  input: NonNullable<ChangeInput['quantity_rounding']>,
): NonNullable<ProductState['quantityRounding']> {
  const methods = { ROUND_UP: 'round_up', ROUND_DOWN: 'round_down', ROUND_HALF_UP: 'round_half_up' } as const;
  return { method: methods[input.rounding_method], places: input.decimal_places };
}

function productObject(product: ContractProductRecord, now: Instant): JsonObject {
  const created = { created_at: rfc3339(product.createdAt), created_by: CREATED_BY };
  return {
    id: product.id,
    type: product.type,
    initial: { ...created, ...stateObject(product.initial) },
    current: { ...created, ...stateObject(productAt(product, now)) },
    updates: product.updates.map(({ startingAt, createdAt, change }) => ({
      created_at: rfc3339(createdAt),
      created_by: CREATED_BY,
      starting_at: rfc3339(startingAt),
      ...stateObject(change),
    })),
    archived_at: product.archivedAt === null ? null : rfc3339(product.archivedAt),
    custom_fields: product.customFields,
  };
}

function stateObject(state: Partial<ProductState>): JsonObject {
  const { quantityConversion: conversion, quantityRounding: rounding } = state;
  const some = (texts: string[] | undefined) =>
    texts === undefined || texts.length === 0 ? undefined : texts;
  return {
    name: state.name,
    billable_metric_id: state.billableMetricId ?? undefined,
    tags: state.tags,
    pricing_group_key: some(state.pricingGroupKey),
    presentation_group_key: some(state.presentationGroupKey),
    quantity_conversion: conversion
      ? {
          conversion_factor: jsonNumber(conversion.factor),
          operation: conversion.operation.toUpperCase(),
          name: conversion.name,
        }
      : conversion,
    quantity_rounding: rounding
      ? { rounding_method: rounding.method.toUpperCase(), decimal_places: rounding.places }
      : rounding,
    composite_product_ids: some(state.compositeProductIds),
    composite_tags: some(state.compositeTags),
    composite_scope:
      (some(state.compositeProductIds) ?? some(state.compositeTags)) ? state.compositeScope : undefined,
    exclude_free_usage: state.excludeFreeUsage === true ? true : undefined,
    include_composite_spend: state.includeCompositeSpend === true ? true : undefined,
    is_refundable: state.isRefundable ?? undefined,
    netsuite_internal_item_id: state.netsuiteItemId ?? undefined,
    netsuite_overage_item_id: state.netsuiteOverageItemId ?? undefined,
  };
}
