import Stripe from 'stripe';
import type { Terms } from './check.js';

export interface MeterSpec {
  readonly eventName: string;
  readonly displayName: string;
  readonly formula: 'sum' | 'last';
}

export interface PriceSpec {
  /** Finds the price again on the next run. */
  readonly lookupKey: string;
  readonly product: string;
  readonly unitLabel: string | null;
  readonly currency: string;
  readonly terms: Terms;
  /** Null for a flat monthly fee. */
  readonly meterId: string | null;
}

/** The active meter of this event name, made when there is none: a name belongs to one meter. */
export async function ensureMeter(stripe: Stripe, spec: MeterSpec): Promise<string> {
  for await (const meter of stripe.billing.meters.list({ status: 'active', limit: 100 })) {
    if (meter.event_name !== spec.eventName) continue;
    if (meter.default_aggregation.formula === spec.formula) return meter.id;
    throw new Error(`the meter of '${spec.eventName}' aggregates by ${meter.default_aggregation.formula}`);
  }
  const created = await stripe.billing.meters.create({
    display_name: spec.displayName,
    event_name: spec.eventName,
    default_aggregation: { formula: spec.formula },
  });
  return created.id;
}

/** The monthly price of this lookup key, made when there is none. */
export async function ensurePrice(stripe: Stripe, spec: PriceSpec): Promise<string> {
  const { data } = await stripe.prices.list({ lookup_keys: [spec.lookupKey], limit: 1 });
  const [known] = data;
  if (known !== undefined) return known.id;
  return (await createPrice(stripe, spec, { lookup_key: spec.lookupKey })).id;
}

/** A new monthly price. */
export function createPrice(
  stripe: Stripe,
  spec: Omit<PriceSpec, 'lookupKey'>,
  extra: Partial<Stripe.PriceCreateParams> = {},
): Promise<Stripe.Price> {
  const { product, unitLabel, currency, terms, meterId } = spec;
  return stripe.prices.create({
    currency,
    product_data: { name: product, ...(unitLabel === null ? {} : { unit_label: unitLabel }) },
    recurring: {
      interval: 'month',
      ...(meterId === null ? {} : { usage_type: 'metered', meter: meterId }),
    },
    ...amounts(terms),
    ...extra,
  });
}

type Amounts = Pick<
  Stripe.PriceCreateParams,
  'billing_scheme' | 'unit_amount_decimal' | 'tiers_mode' | 'tiers' | 'transform_quantity'
>;

function amounts(terms: Terms): Amounts {
  switch (terms.model) {
    case 'flat':
      return { unit_amount_decimal: Stripe.Decimal.from(terms.fee) };
    case 'per_unit':
      return { unit_amount_decimal: Stripe.Decimal.from(terms.unit) };
    case 'package':
      return {
        unit_amount_decimal: Stripe.Decimal.from(terms.unit),
        transform_quantity: { divide_by: Number.parseInt(terms.size, 10), round: 'up' },
      };
    case 'graduated':
    case 'volume':
      return {
        billing_scheme: 'tiered',
        tiers_mode: terms.model,
        tiers: terms.tiers.map(({ upTo, unit, flat }) => ({
          up_to: upTo === null ? 'inf' : Number.parseInt(upTo, 10),
          unit_amount_decimal: Stripe.Decimal.from(unit),
          ...(flat === null ? {} : { flat_amount_decimal: Stripe.Decimal.from(flat) }),
        })),
      };
  }
}
