import { type Decimal, parseDecimal } from '../../src/domain/decimal.js';
import type { BillableItem } from '../../src/domain/invoice.js';
import type { Price, Tier } from '../../src/domain/price.js';

/** One seed for every property test, shown in the test names; `PROPERTY_SEED=n` tries another. */
export const SEED = Number(process.env['PROPERTY_SEED'] ?? '20261124');
export const RUNS = { seed: SEED, numRuns: 300 };

export const dec = (text: string): Decimal => parseDecimal(text);
export const utc = (iso: string): number => Date.parse(iso.includes('T') ? iso : `${iso}T00:00:00Z`);

/** A tier from texts: `tier('5', '700')`, `tier(null, null, '900')`. */
export function tier(upTo: string | null, unitAmount: string | null, flatAmount: string | null = null): Tier {
  return {
    upTo: upTo === null ? null : BigInt(upTo),
    unitAmount: unitAmount === null ? null : dec(unitAmount),
    flatAmount: flatAmount === null ? null : dec(flatAmount),
  };
}

export function perUnitPrice(unitAmount: string, overrides: Partial<Price> = {}): Price {
  return {
    id: 'price_unit',
    productId: 'prod_api',
    productName: 'API',
    unitLabel: null,
    currency: 'usd',
    recurring: { interval: { unit: 'month', count: 1 }, usageType: 'metered', meterId: 'mtr_calls' },
    scheme: 'per_unit',
    unitAmount: dec(unitAmount),
    tiersMode: null,
    tiers: null,
    transformQuantity: null,
    ...overrides,
  };
}

export function tieredPrice(
  mode: 'graduated' | 'volume',
  tiers: Tier[],
  overrides: Partial<Price> = {},
): Price {
  const base = perUnitPrice('0', { id: 'price_tiers', scheme: 'tiered', unitAmount: null });
  return { ...base, tiersMode: mode, tiers, ...overrides };
}

export function packagePrice(unitAmount: string, divideBy: bigint, round: 'up' | 'down'): Price {
  return perUnitPrice(unitAmount, { id: 'price_package', transformQuantity: { divideBy, round } });
}

export function licensedPrice(unitAmount: string, overrides: Partial<Price> = {}): Price {
  return perUnitPrice(unitAmount, {
    id: 'price_seat',
    productId: 'prod_seat',
    productName: 'Seat',
    recurring: { interval: { unit: 'month', count: 1 }, usageType: 'licensed', meterId: null },
    ...overrides,
  });
}

export function billable(
  price: Price,
  quantity: string,
  overrides: Partial<BillableItem> = {},
): BillableItem {
  return {
    subscriptionItemId: 'si_1',
    price,
    quantity: dec(quantity),
    period: { start: utc('2026-10-14'), end: utc('2026-11-14') },
    proration: null,
    alreadyBilled: null,
    ...overrides,
  };
}
