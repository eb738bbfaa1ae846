import { invalid, notFound } from '../domain/errors.js';
import { newId } from '../ids.js';
import type { Queryable } from '../storage/db.js';
import { findPriceRecord } from '../storage/prices.js';
import {
  type ProductDetails,
  type ProductRecord,
  findProduct,
  hasPrices,
  insertProduct,
  markProductDeleted,
  updateProduct,
} from '../storage/products.js';
import { productObject } from '../stripe/product.js';
import { type ChangeContext, emitChange, emitUpdate } from './catalogue.js';
import { wallSecond } from './clock.js';
import { type MetadataUpdate, applyMetadata } from './metadata.js';

export interface ProductChange {
  active?: boolean | undefined;
  name?: string | undefined;
  unitLabel?: string | null | undefined;
  defaultPriceId?: string | null | undefined;
  details: ProductDetails;
  metadata?: MetadataUpdate | undefined;
}

/** The product, not deleted. `param` is the request parameter that names it; `id` where the URL does. */
export async function requireProduct(
  q: Queryable,
  accountId: string,
  id: string,
  param = 'id',
  lock: 'share' | 'update' | 'none' = 'none',
): Promise<ProductRecord> {
  const product = await findProduct(q, accountId, id, lock);
  if (product === null) throw notFound('product', id, param);
  return product;
}

/** Creates a product under its own id if one is given. `idParam` names that id in a refusal. */
export async function createProduct(
  ctx: ChangeContext,
  change: ProductChange & { name: string },
  id: string | undefined,
  idParam = 'id',
): Promise<ProductRecord> {
  const now = wallSecond(ctx.core);
  const product: ProductRecord = {
    id: id ?? newId('product'),
    livemode: ctx.livemode,
    createdAt: now,
    updatedAt: now,
    active: change.active ?? true,
    name: change.name,
    unitLabel: change.unitLabel ?? null,
    defaultPriceId: null,
    details: change.details,
    metadata: applyMetadata({}, change.metadata),
  };
  if (!(await insertProduct(ctx.tx, ctx.accountId, product))) {
    throw invalid(`Product already exists: '${product.id}'.`, {
      code: 'resource_already_exists',
      param: idParam,
    });
  }
  await emitChange(ctx, 'product.created', productObject(product), now);
  return product;
}

/** Changes the properties given and leaves the others. */
export async function changeProduct(
  ctx: ChangeContext,
  id: string,
  change: ProductChange,
): Promise<ProductRecord> {
  const before = await requireProduct(ctx.tx, ctx.accountId, id, 'id', 'update');
  if (typeof change.defaultPriceId === 'string') await checkDefaultPrice(ctx, id, change.defaultPriceId);
  const after: ProductRecord = {
    ...before,
    active: change.active ?? before.active,
    name: change.name ?? before.name,
    unitLabel: change.unitLabel === undefined ? before.unitLabel : change.unitLabel,
    defaultPriceId: change.defaultPriceId === undefined ? before.defaultPriceId : change.defaultPriceId,
    details: { ...before.details, ...change.details },
    metadata: applyMetadata(before.metadata, change.metadata),
  };
  const now = wallSecond(ctx.core);
  const stamped = { ...after, updatedAt: now };
  await updateProduct(ctx.tx, ctx.accountId, stamped);
  await emitUpdate(ctx, 'product.updated', productObject(before), productObject(stamped), now);
  return stamped;
}

async function checkDefaultPrice(ctx: ChangeContext, productId: string, priceId: string): Promise<void> {
  const price = await findPriceRecord(ctx.tx, ctx.accountId, priceId, 'share');
  if (price === null) throw notFound('price', priceId, 'default_price');
  if (price.productId !== productId) {
    throw invalid(`The price ${priceId} belongs to another product.`, { param: 'default_price' });
  }
  if (!price.active) {
    throw invalid(`The price ${priceId} is inactive and cannot be a default price.`, {
      param: 'default_price',
    });
  }
}

/** Deletes a product that has no prices (docs.stripe.com/api/products/delete). */
export async function deleteProduct(ctx: ChangeContext, id: string): Promise<void> {
  const product = await requireProduct(ctx.tx, ctx.accountId, id, 'id', 'update');
  if (await hasPrices(ctx.tx, ctx.accountId, id)) {
    throw invalid(
      'This product cannot be deleted because it has one or more user-created prices. ' +
        'Archive it instead: set `active` to false.',
      { param: 'id' },
    );
  }
  const now = wallSecond(ctx.core);
  await markProductDeleted(ctx.tx, ctx.accountId, id, now);
  await emitChange(ctx, 'product.deleted', productObject(product), now);
}
