import { v7 as uuidv7 } from 'uuid';
import type { ProductType } from '../../domain/contract/terms.js';
import { invalid, notFound } from '../../domain/errors.js';
import type { Instant } from '../../domain/period.js';
import {
  type ContractProductRecord,
  findContractProduct,
  findContractProducts,
  insertContractProduct,
  productAt,
  type ProductState,
  updateContractProduct,
} from '../../storage/contractProducts.js';
import type { Queryable, Transaction } from '../../storage/db.js';
import type { ChangeContext } from '../catalogue.js';
import { checkCustomFields } from './customFields.js';
import { requireMetric } from './metrics.js';

/** What a product says when nothing is said. */
const EMPTY_STATE: Omit<ProductState, 'name'> = {
  tags: [],
  billableMetricId: null,
  pricingGroupKey: [],
  presentationGroupKey: [],
  quantityConversion: null,
  quantityRounding: null,
  compositeProductIds: [],
  compositeTags: [],
  compositeScope: 'contract',
  excludeFreeUsage: false,
  includeCompositeSpend: false,
  sqlGranularity: 'SERVICE_PERIOD',
  isRefundable: null,
  netsuiteItemId: null,
  netsuiteOverageItemId: null,
};

/** Throws `not_found`. */
export async function requireContractProduct(
  q: Queryable,
  accountId: string,
  id: string,
  lock: 'none' | 'update' = 'none',
): Promise<ContractProductRecord> {
  const product = await findContractProduct(q, accountId, id, lock);
  if (product === null) throw notFound('product', id, 'product_id');
  return product;
}

/** Makes a product (docs.metronome.com/api-reference, "create a product"). */
export async function createContractProduct(
  ctx: ChangeContext,
  type: ProductType,
  state: Partial<ProductState> & { name: string },
  customFields: Record<string, string>,
): Promise<ContractProductRecord> {
  const { tx, accountId } = ctx;
  const product: ContractProductRecord = {
    id: uuidv7(),
    type,
    initial: { ...EMPTY_STATE, ...state },
    updates: [],
    customFields,
    createdAt: ctx.core.now(),
    archivedAt: null,
  };
  await checkState(tx, accountId, type, product.initial);
  await checkCustomFields(tx, accountId, 'contract_product', customFields);
  await insertContractProduct(tx, accountId, product);
  return product;
}

/** Changes a product from an instant on, past or future. Its type never changes. */
export async function updateProductFrom(
  ctx: ChangeContext,
  id: string,
  startingAt: Instant,
  change: Partial<ProductState>,
): Promise<void> {
  const { tx, accountId } = ctx;
  const product = await requireContractProduct(tx, accountId, id, 'update');
  if (product.archivedAt !== null) throw invalid(`Product ${id} is archived.`);
  const updates = [...product.updates, { startingAt, createdAt: ctx.core.now(), change }];
  // Array sort is stable: of two that start together the later one made has the last word.
  updates.sort((a, b) => a.startingAt - b.startingAt);
  const changed = { ...product, updates };
  for (const instant of new Set(updates.map((update) => update.startingAt))) {
    if (instant >= startingAt) await checkState(tx, accountId, product.type, productAt(changed, instant));
  }
  await updateContractProduct(tx, accountId, changed);
}

/** Archiving keeps it out of new contracts and rates. Archiving it again changes nothing. */
export async function archiveContractProduct(ctx: ChangeContext, id: string): Promise<void> {
  const product = await requireContractProduct(ctx.tx, ctx.accountId, id, 'update');
  if (product.archivedAt !== null) return;
  await updateContractProduct(ctx.tx, ctx.accountId, { ...product, archivedAt: ctx.core.now() });
}

async function checkState(
  tx: Transaction,
  accountId: string,
  type: ProductType,
  state: ProductState,
): Promise<void> {
  if (type === 'USAGE') {
    await checkUsage(tx, accountId, state);
  } else {
    if (state.billableMetricId !== null) throw onlyFor('billable_metric_id', 'USAGE');
    if (state.pricingGroupKey.length > 0) throw onlyFor('pricing_group_key', 'USAGE');
    if (state.presentationGroupKey.length > 0) throw onlyFor('presentation_group_key', 'USAGE');
  }
  if (type === 'COMPOSITE') {
    if (state.compositeProductIds.length === 0 && state.compositeTags.length === 0) {
      throw invalid("A COMPOSITE product needs 'composite_product_ids' or 'composite_tags'.");
    }
    const found = await findContractProducts(tx, accountId, state.compositeProductIds);
    const missing = state.compositeProductIds.find((id) => !found.has(id));
    if (missing !== undefined) throw notFound('product', missing, 'composite_product_ids');
  } else if (state.compositeProductIds.length > 0 || state.compositeTags.length > 0) {
    throw onlyFor('composite_product_ids and composite_tags', 'COMPOSITE');
  }
}

async function checkUsage(tx: Transaction, accountId: string, state: ProductState): Promise<void> {
  const { billableMetricId, pricingGroupKey, presentationGroupKey } = state;
  if (billableMetricId === null)
    throw invalid("Invalid 'billable_metric_id': is required for USAGE products.");
  const metric = await requireMetric(tx, accountId, billableMetricId);
  if (metric.archivedAt !== null) throw invalid(`Billable metric ${billableMetricId} is archived.`);
  const wanted = [...pricingGroupKey, ...presentationGroupKey];
  if (wanted.length === 0) return;
  if (new Set(wanted).size !== wanted.length) {
    throw invalid("Invalid 'presentation_group_key': a property is named twice in the two group keys.");
  }
  const isKey = metric.groupKeys.some(
    (key) => key.length === wanted.length && wanted.every((property) => key.includes(property)),
  );
  if (!isKey) {
    throw invalid(
      `Invalid 'pricing_group_key': together with 'presentation_group_key' it must be one of the metric's group keys; ` +
        `[${wanted.join(', ')}] is none.`,
    );
  }
}

function onlyFor(field: string, type: ProductType): Error {
  return invalid(`Invalid '${field}': applies to ${type} products only.`);
}
