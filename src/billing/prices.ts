import { isSupportedCurrency } from '../domain/currency.js';
import { type Decimal, decimalFromBigint } from '../domain/decimal.js';
import { type BillingError, invalid, notFound } from '../domain/errors.js';
import { validatePrice } from '../domain/price.js';
import { newId } from '../ids.js';
import { type Queryable, isUniqueViolation } from '../storage/db.js';
import { findMeter } from '../storage/meters.js';
import {
  type PriceRecord,
  findPriceByLookupKey,
  findPriceRecord,
  insertPrice,
  updatePrice,
} from '../storage/prices.js';
import { findProduct } from '../storage/products.js';
import { priceObject } from '../stripe/price.js';
import { type ChangeContext, emitChange, emitUpdate } from './catalogue.js';
import { wallSecond } from './clock.js';
import { type Metadata, type MetadataUpdate, applyMetadata } from './metadata.js';
import { requireProduct } from './products.js';

/** What a price is made of; see `PriceRecord` for the meaning of each. */
export type NewPrice = Omit<PriceRecord, 'id' | 'livemode' | 'createdAt' | 'metadata'> & {
  metadata?: MetadataUpdate | undefined;
  /** Takes the lookup key from the price that has it. */
  transferLookupKey: boolean;
};

export interface PriceChange {
  active?: boolean | undefined;
  nickname?: string | null | undefined;
  lookupKey?: string | null | undefined;
  transferLookupKey: boolean;
  taxBehavior?: PriceRecord['taxBehavior'] | undefined;
  metadata?: MetadataUpdate | undefined;
}

/** `name => param`: where the price's parameters stand in the request, `items[0][price_data][unit_amount]` for one. */
export type ParamNaming = (name: string) => string;

const topLevel: ParamNaming = (name) => name;

/** The price. `param` is the request parameter that names it; `id` where the URL does. */
export async function requirePrice(
  q: Queryable,
  accountId: string,
  id: string,
  param = 'id',
  lock: 'share' | 'update' | 'none' = 'none',
): Promise<PriceRecord> {
  const price = await findPriceRecord(q, accountId, id, lock);
  if (price === null) throw notFound('price', id, param);
  return price;
}

/**
 * Creates a price. Refuses what can't be billed (see `validatePrice`), an unknown product or currency, an unknown or
 * inactive meter, and a lookup key that belongs to another price. `named` puts the parameter's name in a refusal.
 */
export async function createPrice(
  ctx: ChangeContext,
  input: NewPrice,
  named: ParamNaming = topLevel,
): Promise<PriceRecord> {
  const { metadata, transferLookupKey, ...terms } = input;
  const [problem] = validatePrice(terms);
  if (problem !== undefined) {
    throw invalid(problem.message, { code: problem.code, param: nestedParam(problem.param, named) });
  }
  checkCurrency(terms.currency, named('currency'));
  await requireProduct(ctx.tx, ctx.accountId, terms.productId, named('product'), 'share');
  if (terms.recurring?.meterId != null) {
    await checkMeter(ctx, terms.recurring.meterId, nestedParam('recurring[meter]', named));
  }
  const price: PriceRecord = {
    ...terms,
    id: newId('price'),
    livemode: ctx.livemode,
    createdAt: wallSecond(ctx.core),
    metadata: applyMetadata({}, metadata) satisfies Metadata,
  };
  if (price.lookupKey !== null && transferLookupKey) await freeLookupKey(ctx, price.lookupKey, price.id);
  if (!(await insertPrice(ctx.tx, ctx.accountId, price))) throw lookupKeyTaken(named('lookup_key'));
  await emitChange(ctx, 'price.created', priceObject(price), price.createdAt);
  return price;
}

/** The amount that was given as an integer or as a decimal, refused when both were; null when neither was. */
export function oneAmount(
  whole: bigint | undefined,
  exact: Decimal | undefined,
  name: string,
  named: ParamNaming = topLevel,
): Decimal | null {
  if (whole !== undefined && exact !== undefined) {
    const [one, other] = [named(name), named(`${name}_decimal`)];
    throw invalid(`You may only specify one of these parameters: ${one}, ${other}.`, {
      code: 'parameters_exclusive',
      param: one,
    });
  }
  return exact ?? (whole === undefined ? null : decimalFromBigint(whole));
}

/** `tiers[0][up_to]` under a naming: the first segment is named, the rest follows. */
function nestedParam(param: string, named: ParamNaming): string {
  const bracket = param.indexOf('[');
  return bracket < 0 ? named(param) : named(param.slice(0, bracket)) + param.slice(bracket);
}

/** Refuses a currency that isn't an ISO code in lower case. */
export function checkCurrency(currency: string, param: string): void {
  if (isSupportedCurrency(currency)) return;
  throw invalid(`Invalid currency: ${currency}. It must be a three-letter ISO code, for example usd.`, {
    param,
  });
}

/** Holds the meter, so that it can't be deactivated before the price is there. */
async function checkMeter(ctx: ChangeContext, meterId: string, param: string): Promise<void> {
  const meter = await findMeter(ctx.tx, ctx.accountId, meterId, 'share');
  if (meter === null) {
    throw invalid(`No such meter: '${meterId}'`, { code: 'resource_missing', param });
  }
  if (meter.status !== 'active') {
    throw invalid(`The meter ${meterId} is inactive and cannot be attached to a price.`, {
      code: 'archived_meter',
      param,
    });
  }
}

async function freeLookupKey(ctx: ChangeContext, lookupKey: string, exceptId: string): Promise<void> {
  const holder = await findPriceByLookupKey(ctx.tx, ctx.accountId, lookupKey);
  if (holder === null || holder.id === exceptId) return;
  const freed = { ...holder, lookupKey: null };
  await updatePrice(ctx.tx, ctx.accountId, freed);
  await emitUpdate(ctx, 'price.updated', priceObject(holder), priceObject(freed), wallSecond(ctx.core));
}

function lookupKeyTaken(param: string): BillingError {
  const message =
    'Another price already uses that lookup key. Send `transfer_lookup_key=true` to move it here.';
  return invalid(message, { code: 'resource_already_exists', param });
}

/** Changes what may change of a price; its money never does (docs.stripe.com/api/prices/update). */
export async function changePrice(ctx: ChangeContext, id: string, change: PriceChange): Promise<PriceRecord> {
  const before = await requirePrice(ctx.tx, ctx.accountId, id, 'id', 'update');
  await checkPriceChange(ctx, before, change);
  const after: PriceRecord = {
    ...before,
    active: change.active ?? before.active,
    nickname: change.nickname === undefined ? before.nickname : change.nickname,
    lookupKey: change.lookupKey === undefined ? before.lookupKey : change.lookupKey,
    taxBehavior: change.taxBehavior ?? before.taxBehavior,
    metadata: applyMetadata(before.metadata, change.metadata),
  };
  await updatePrice(ctx.tx, ctx.accountId, after).catch((error: unknown) => {
    throw isUniqueViolation(error, 'prices_lookup_key') ? lookupKeyTaken('lookup_key') : error;
  });
  await emitUpdate(ctx, 'price.updated', priceObject(before), priceObject(after), wallSecond(ctx.core));
  return after;
}

async function checkPriceChange(ctx: ChangeContext, before: PriceRecord, change: PriceChange): Promise<void> {
  const { taxBehavior, lookupKey } = change;
  if (
    taxBehavior !== undefined &&
    before.taxBehavior !== 'unspecified' &&
    taxBehavior !== before.taxBehavior
  ) {
    const message = `The tax behaviour of a price cannot change once it is ${before.taxBehavior}.`;
    throw invalid(message, { param: 'tax_behavior' });
  }
  if (change.active === false) {
    const product = await findProduct(ctx.tx, ctx.accountId, before.productId);
    if (product?.defaultPriceId === before.id) {
      throw invalid('This price cannot be archived because it is the default price of its product.', {
        param: 'active',
      });
    }
  }
  if (typeof lookupKey !== 'string' || lookupKey === before.lookupKey) return;
  if (change.transferLookupKey) await freeLookupKey(ctx, lookupKey, before.id);
  else if ((await findPriceByLookupKey(ctx.tx, ctx.accountId, lookupKey)) !== null) {
    throw lookupKeyTaken('lookup_key');
  }
}
