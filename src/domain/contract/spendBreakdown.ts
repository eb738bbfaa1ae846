import { add, type Decimal, ZERO } from '../decimal.js';
import type { DraftLine } from './lines.js';
import type { PresentationValues, ProductType, Rate } from './terms.js';

/** What one product has cost for one combination of group values, before commits and credits. */
export interface SpendLine {
  productId: string;
  productType: ProductType;
  name: string;
  creditTypeId: string;
  /** Of the keys that were asked for; null where the usage or the fee has none. */
  groupValues: PresentationValues;
  quantity: Decimal;
  total: Decimal;
  /** Each once. */
  listRates: Rate[];
}

/**
 * The spend in lines of usage, composites and subscriptions, added up by product and the values of the keys: what a
 * balance has paid for counts like the rest, what it took off and what is bought or converted does not. `filters` keep
 * the lines that have one of the values of each of their keys.
 */
export function spendLines(
  lines: readonly DraftLine[],
  keys: readonly string[],
  filters: ReadonlyMap<string, readonly string[]>,
): SpendLine[] {
  const found = new Map<string, SpendLine>();
  for (const line of lines) {
    const { productId, productType, type } = line;
    if (type !== 'usage' && type !== 'composite' && type !== 'subscription') continue;
    if (productId === null || productType === null) continue;
    const values: PresentationValues = { ...line.pricingGroupValues, ...line.presentationGroupValues };
    if (![...filters].every(([key, wanted]) => wanted.includes(values[key] ?? ''))) continue;
    const groupValues = Object.fromEntries(keys.map((key) => [key, values[key] ?? null]));
    const id = JSON.stringify([productId, line.creditTypeId, ...Object.values(groupValues)]);
    const known = found.get(id) ?? {
      productId,
      productType,
      name: line.name,
      creditTypeId: line.creditTypeId,
      groupValues,
      quantity: ZERO,
      total: ZERO,
      listRates: [],
    };
    found.set(id, {
      ...known,
      quantity: add(known.quantity, line.quantity ?? ZERO),
      total: add(known.total, line.total),
      listRates: withRate(known.listRates, line.listRate),
    });
  }
  return [...found.values()];
}

function withRate(known: Rate[], rate: Rate | null): Rate[] {
  return rate === null || known.includes(rate) ? known : [...known, rate];
}
