import type { JsonObject } from '../json.js';
import type { ProductRecord } from '../storage/products.js';
import { unixSeconds } from './values.js';

/** A product in Stripe's shape (docs.stripe.com/api/products/object), every field present. */
export function productObject(product: ProductRecord): JsonObject {
  const { details } = product;
  return {
    id: product.id,
    object: 'product',
    active: product.active,
    created: unixSeconds(product.createdAt),
    default_price: product.defaultPriceId,
    description: details.description ?? null,
    images: details.images ?? [],
    livemode: product.livemode,
    marketing_features: details.marketing_features ?? [],
    metadata: product.metadata,
    name: product.name,
    package_dimensions: details.package_dimensions ?? null,
    shippable: details.shippable ?? null,
    statement_descriptor: details.statement_descriptor ?? null,
    tax_code: details.tax_code ?? null,
    tax_details: details.tax_details ?? null,
    type: details.type ?? 'service',
    unit_label: product.unitLabel,
    updated: unixSeconds(product.updatedAt),
    url: details.url ?? null,
  };
}
