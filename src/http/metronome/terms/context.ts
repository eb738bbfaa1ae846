import type { PricingUnit } from '../../../domain/contract/terms.js';
import { invalid } from '../../../domain/errors.js';
import type { Instant } from '../../../domain/period.js';
import type { ContractProduct } from '../../../billing/contracts/usage.js';
import { loadProducts } from '../../../storage/contractProducts.js';
import type { Queryable } from '../../../storage/db.js';
import { loadPricingUnits, USD_CREDIT_TYPE_ID } from '../../../storage/pricingUnits.js';

/** What terms refer to. */
export interface TermsContext {
  products: ReadonlyMap<string, ContractProduct>;
  units: ReadonlyMap<string, PricingUnit>;
  /** Of amounts that name no unit. */
  defaultUnit: string;
  /** The customer's time. */
  now: Instant;
  /** Ids that the server gave to what the request named by a `temporary_id`. */
  temporary: Map<string, string>;
}

export async function loadTermsContext(q: Queryable, accountId: string, now: Instant): Promise<TermsContext> {
  return {
    products: await loadProducts(q, accountId, now),
    units: await loadPricingUnits(q, accountId),
    defaultUnit: USD_CREDIT_TYPE_ID,
    now,
    temporary: new Map(),
  };
}

/** The product, which must exist and be of one of the types where some are asked for. */
export function requireProduct(
  context: TermsContext,
  id: string,
  where: string,
  types?: readonly ContractProduct['type'][],
): ContractProduct {
  const product = context.products.get(id);
  if (product === undefined) throw invalid(`Invalid '${where}': no such product: ${id}.`);
  if (product.archivedAt !== null) throw invalid(`Invalid '${where}': product ${id} is archived.`);
  if (types !== undefined && !types.includes(product.type)) {
    throw invalid(`Invalid '${where}': must be a ${types.join(' or ')} product.`);
  }
  return product;
}

export function requireUnit(context: TermsContext, id: string | undefined, where: string): string {
  const unit = id ?? context.defaultUnit;
  if (!context.units.has(unit)) throw invalid(`Invalid '${where}': no such pricing unit: ${unit}.`);
  return unit;
}

/** A field inside another, or of the request itself where `where` is empty. */
export function under(where: string, field: string): string {
  return where === '' ? field : `${where}.${field}`;
}
