import type { NewSubscription, NewSubscriptionItem } from '../../billing/subscriptions.js';
import { invalid } from '../../domain/errors.js';
import type { Instant } from '../../domain/period.js';
import {
  array,
  bigintParam,
  clearable,
  decimal,
  integer,
  type MetadataUpdate,
  metadata,
  object,
  oneOf,
  text,
} from '../params.js';
import type { Decimal } from '../../domain/decimal.js';

/** Parameters that the calls on subscriptions and the preview share. */

const QUANTITY_MAX = 999_999_999_999n;
const DAYS_UNTIL_DUE_MAX = 3650;

export const anchorConfigParams = object({
  day_of_month: integer({ min: 1, max: 31 }),
  hour: integer({ min: 0, max: 23 }).optional(),
  minute: integer({ min: 0, max: 59 }).optional(),
  month: integer({ min: 1, max: 12 }).optional(),
  second: integer({ min: 0, max: 59 }).optional(),
});

const priceDataParams = object({
  currency: text({ max: 3 }),
  product: text(),
  recurring: object({
    interval: oneOf(['day', 'week', 'month', 'year']),
    interval_count: integer({ min: 1, max: 1095 }).optional(),
  }),
  tax_behavior: oneOf(['exclusive', 'inclusive', 'unspecified']).optional(),
  unit_amount: bigintParam({ min: 0n }).optional(),
  unit_amount_decimal: decimal().optional(),
});

const itemShape = {
  metadata: metadata().optional(),
  price: text().optional(),
  quantity: bigintParam({ min: 0n, max: QUANTITY_MAX }).optional(),
};

/** Item parameters of Stripe's that are refused by name. */
export const UNSUPPORTED_ITEM_PARAMS = [
  'billing_thresholds',
  'discounts',
  'tax_rates',
  'current_trial',
  'plan',
];

export const billingModeParams = object({
  flexible: object({
    proration_discounts: oneOf(['included'], { unsupported: ['itemized'] }).optional(),
  }).optional(),
  type: oneOf(['flexible'], { unsupported: ['classic'] }),
});

export const collectionParams = {
  collection_method: oneOf(['charge_automatically', 'send_invoice']).optional(),
  days_until_due: integer({ min: 0, max: DAYS_UNTIL_DUE_MAX }).optional(),
};

export const cancellationDetailsParams = object({
  comment: clearable(text()).optional(),
  feedback: clearable(
    oneOf([
      'customer_service',
      'low_quality',
      'missing_features',
      'other',
      'switched_service',
      'too_complex',
      'too_expensive',
      'unused',
    ]),
  ).optional(),
});

export const newItemsParams = array(object({ ...itemShape, price_data: priceDataParams.optional() }), {
  max: 20,
});

/** A preview stores nothing, so its items name prices that exist. */
export const previewItemsParams = array(object(itemShape), { max: 20 });

export interface PriceData {
  currency: string;
  product: string;
  recurring: { interval: 'day' | 'week' | 'month' | 'year'; interval_count?: number | undefined };
  tax_behavior?: 'exclusive' | 'inclusive' | 'unspecified' | undefined;
  unit_amount?: bigint | undefined;
  unit_amount_decimal?: Decimal | undefined;
}

export interface ItemInput {
  metadata?: MetadataUpdate | undefined;
  price?: string | undefined;
  price_data?: PriceData | undefined;
  quantity?: bigint | undefined;
}

/** The items of a new subscription. `createPrice` stores the price of a `price_data` and returns its id. */
export async function newItems(
  items: readonly ItemInput[],
  prefix: string,
  createPrice: ((data: PriceData, param: string) => Promise<string>) | null = null,
): Promise<NewSubscriptionItem[]> {
  const result: NewSubscriptionItem[] = [];
  for (const [index, item] of items.entries()) {
    const param = `${prefix}[${String(index)}]`;
    if ((item.price === undefined) === (item.price_data === undefined)) {
      if (item.price !== undefined) {
        throw invalid('You may only specify one of these parameters: price, price_data.', {
          code: 'parameters_exclusive',
          param: `${param}[price_data]`,
        });
      }
      throw invalid(`Missing required param: ${param}[price].`, {
        code: 'parameter_missing',
        param: `${param}[price]`,
      });
    }
    const priceId =
      item.price_data === undefined || createPrice === null
        ? (item.price ?? '')
        : await createPrice(item.price_data, `${param}[price_data]`);
    result.push({
      priceId,
      quantity: item.quantity ?? null,
      metadata: plainMetadata(item.metadata),
      isInline: item.price_data !== undefined,
    });
  }
  return result;
}

/** The metadata of a new object: an update of nothing. */
export function plainMetadata(update: MetadataUpdate | undefined): Record<string, string> {
  const entries = Object.entries(update ?? {}).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  );
  return Object.fromEntries(entries);
}

interface CollectionInput {
  collection_method?: 'charge_automatically' | 'send_invoice' | undefined;
  days_until_due?: number | undefined;
}

/** Collection method and terms, checked against each other as Stripe does. */
export function collection(
  params: CollectionInput,
): Pick<NewSubscription, 'collectionMethod' | 'daysUntilDue'> {
  const collectionMethod = params.collection_method ?? 'charge_automatically';
  const daysUntilDue = params.days_until_due ?? null;
  if (collectionMethod === 'send_invoice' && daysUntilDue === null) {
    throw invalid("If invoice collection method is 'send_invoice', you must specify 'days_until_due'.", {
      code: 'parameter_missing',
      param: 'days_until_due',
    });
  }
  if (collectionMethod === 'charge_automatically' && daysUntilDue !== null) {
    throw invalid("You can only specify 'days_until_due' if invoice collection method is 'send_invoice'.", {
      param: 'days_until_due',
    });
  }
  return { collectionMethod, daysUntilDue };
}

interface AnchorInput {
  billing_cycle_anchor?: Instant | undefined;
  billing_cycle_anchor_config?:
    | {
        day_of_month: number;
        hour?: number | undefined;
        minute?: number | undefined;
        month?: number | undefined;
        second?: number | undefined;
      }
    | undefined;
}

/** Where the billing cycle is anchored: an instant, a recurring day, or (neither) the start. */
export function anchor(params: AnchorInput): Pick<NewSubscription, 'anchor' | 'anchorConfig'> {
  const config = params.billing_cycle_anchor_config;
  if (config !== undefined && params.billing_cycle_anchor !== undefined) {
    throw invalid(
      'You may only specify one of these parameters: billing_cycle_anchor, billing_cycle_anchor_config.',
      { code: 'parameters_exclusive', param: 'billing_cycle_anchor_config' },
    );
  }
  if (config === undefined) return { anchor: params.billing_cycle_anchor ?? null, anchorConfig: null };
  const { day_of_month, hour = null, minute = null, month = null, second = null } = config;
  return { anchor: null, anchorConfig: { day_of_month, hour, minute, month, second } };
}
