import type { Balance } from './balanceTerms.js';
import type { Applicability, GroupValues, PresentationValues, Product, Specifier } from './terms.js';

/** What is charged, as far as a specifier can see it. */
export interface ChargeTarget {
  product: Pick<Product, 'id' | 'tags'>;
  pricingGroupValues: GroupValues;
  presentationGroupValues: PresentationValues;
}

/** Whether all that the specifier names holds for the target; it may name a part of the group values. */
export function specifierMatches(specifier: Specifier, target: ChargeTarget): boolean {
  const { product } = target;
  if (specifier.productId !== null && specifier.productId !== product.id) return false;
  if (!specifier.productTags.every((tag) => product.tags.includes(tag))) return false;
  if (specifier.excludedTags.some((tags) => tags.every((tag) => product.tags.includes(tag)))) return false;
  return (
    includesValues(target.pricingGroupValues, specifier.pricingGroupValues) &&
    includesValues(target.presentationGroupValues, specifier.presentationGroupValues)
  );
}

function includesValues(values: PresentationValues, wanted: PresentationValues): boolean {
  return Object.entries(wanted).every(([key, value]) => key in values && values[key] === value);
}

/** The seat that usage names under a property; null where its product is not grouped by it. */
export function seatNamed(
  target: Pick<ChargeTarget, 'pricingGroupValues' | 'presentationGroupValues'>,
  groupKey: string,
): string | null {
  return target.pricingGroupValues[groupKey] ?? target.presentationGroupValues[groupKey] ?? null;
}

/** Whether a commit or credit may pay for the target (docs.metronome.com, "target credits and commits"). */
export function reaches(applicability: Applicability, target: ChargeTarget): boolean {
  const { productIds, productTags, specifiers } = applicability;
  if (specifiers.length > 0) return specifiers.some((specifier) => specifierMatches(specifier, target));
  if (productIds.length === 0 && productTags.length === 0) return true;
  return (
    productIds.includes(target.product.id) || productTags.some((tag) => target.product.tags.includes(tag))
  );
}

/**
 * Whether the balance serves the contract: its own, or the customer's where it is not kept to other
 * contracts.
 */
export function servesContract(balance: Balance, contractId: string): boolean {
  if (balance.archivedAt !== null) return false;
  if (balance.contractId !== null) return balance.contractId === contractId;
  return balance.applicableContractIds === null || balance.applicableContractIds.includes(contractId);
}

/**
 * How many products the applicability names: distinct ids and tags. Infinity where it names none, so that
 * "fewest products first" puts the unrestricted last.
 */
export function namedProducts({ productIds, productTags, specifiers }: Applicability): number {
  const named = new Set([...productIds.map((id) => `id ${id}`), ...productTags.map((tag) => `tag ${tag}`)]);
  for (const { productId, productTags: tags } of specifiers) {
    if (productId !== null) named.add(`id ${productId}`);
    for (const tag of tags) named.add(`tag ${tag}`);
  }
  return named.size === 0 ? Number.POSITIVE_INFINITY : named.size;
}

/** How many specifiers carry group values and name no product. */
export function valueOnlySpecifiers({ specifiers }: Applicability): number {
  return specifiers.filter(
    ({ productId, productTags, pricingGroupValues, presentationGroupValues }) =>
      productId === null &&
      productTags.length === 0 &&
      Object.keys(pricingGroupValues).length + Object.keys(presentationGroupValues).length > 0,
  ).length;
}

const keysOfKept = new WeakMap<PresentationValues, string>();

/** One text per combination of values, whatever the order of the keys. */
export function valuesKey(values: PresentationValues): string {
  return keysOfKept.get(values) ?? keyOf(values);
}

/** Values that are read again and again, and never changed: their key is made once. */
export function keepValues<V extends PresentationValues>(values: V): Readonly<V> {
  keysOfKept.set(values, keyOf(values));
  return Object.freeze(values);
}

function keyOf(values: PresentationValues): string {
  const keys = Object.keys(values);
  if (keys.length === 0) return '';
  return JSON.stringify(keys.sort().flatMap((key) => [key, values[key] ?? null]));
}
