import type Stripe from 'stripe';
import { ensureMeter, ensurePrice, type MeterSpec } from './catalogue.js';
import type { Terms } from './check.js';

export const CURRENCY = 'usd';

/** A metered part of a plan. */
export interface MeteredPart {
  readonly meter: MeterSpec;
  readonly product: string;
  readonly unitLabel: string | null;
  readonly lookupKey: string;
  readonly terms: Terms;
}

export interface Plan {
  readonly customer: string;
  /** What the customer pays, for people to read. */
  readonly summary: string;
  /** Minor units a month, in advance; null for none. */
  readonly monthlyFee: { readonly terms: Terms & { model: 'flat' }; readonly lookupKey: string } | null;
  readonly metered: readonly MeteredPart[];
}

const API_CALLS: MeteredPart = {
  meter: { eventName: 'demo_api_calls', displayName: 'API calls', formula: 'sum' },
  product: 'API calls',
  unitLabel: 'call',
  lookupKey: 'demo_api_calls_graduated',
  terms: {
    model: 'graduated',
    tiers: [
      { upTo: '10000', unit: '0', flat: null },
      { upTo: '100000', unit: '0.12', flat: null },
      { upTo: null, unit: '0.075', flat: null },
    ],
  },
};

const TOKENS: MeteredPart = {
  meter: { eventName: 'demo_tokens', displayName: 'Tokens', formula: 'sum' },
  product: 'Tokens',
  unitLabel: null,
  lookupKey: 'demo_tokens_package',
  terms: { model: 'package', size: '1000', unit: '3' },
};

const STORAGE: MeteredPart = {
  meter: { eventName: 'demo_storage_gb', displayName: 'Storage, GB', formula: 'last' },
  product: 'Storage',
  unitLabel: 'GB',
  lookupKey: 'demo_storage_per_gb',
  terms: { model: 'per_unit', unit: '2.3' },
};

/** A flat fee with graduated usage on top: the usual plan of an API business. */
export const HYBRID: Plan = {
  customer: 'Acme Robotics',
  summary: '$49.00 a month, and API calls: 10,000 free, then $0.0012, above 100,000 $0.00075 each',
  monthlyFee: { terms: { model: 'flat', fee: '4900' }, lookupKey: 'demo_platform_fee' },
  metered: [API_CALLS],
};

/** Usage only: packages of a summed meter, and the last reading of a gauge. */
export const PAY_AS_YOU_GO: Plan = {
  customer: 'Nimbus Labs',
  summary: 'tokens at $0.03 for every begun 1,000, and storage at $0.023 a GB (the last reading counts)',
  monthlyFee: null,
  metered: [TOKENS, STORAGE],
};

export interface EnsuredPlan {
  readonly priceIds: readonly string[];
  /** Event name → meter id. */
  readonly meterIds: ReadonlyMap<string, string>;
}

/** Meters and prices of a plan, made on the first run and found again on later ones. */
export async function ensurePlan(stripe: Stripe, plan: Plan): Promise<EnsuredPlan> {
  const priceIds: string[] = [];
  const meterIds = new Map<string, string>();
  if (plan.monthlyFee !== null) {
    const { terms, lookupKey } = plan.monthlyFee;
    const fee = { lookupKey, product: 'Platform', unitLabel: null, currency: CURRENCY, terms, meterId: null };
    priceIds.push(await ensurePrice(stripe, fee));
  }
  for (const { meter, product, unitLabel, lookupKey, terms } of plan.metered) {
    const meterId = await ensureMeter(stripe, meter);
    meterIds.set(meter.eventName, meterId);
    priceIds.push(
      await ensurePrice(stripe, { lookupKey, product, unitLabel, currency: CURRENCY, terms, meterId }),
    );
  }
  return { priceIds, meterIds };
}
