import { createPrice } from '../../billing/prices.js';
import { renderSubscriptions } from '../../billing/subscriptionEvents.js';
import { createSubscription } from '../../billing/subscriptions.js';
import { updateSubscriptionDetails } from '../../billing/subscriptionUpdate.js';
import type { CancellationDetails, SubscriptionChange } from '../../core.js';
import { type Decimal, decimalFromBigint } from '../../domain/decimal.js';
import { invalid, notFound } from '../../domain/errors.js';
import {
  findSubscription,
  findSubscriptionCursor,
  findSubscriptions,
  listSubscriptions,
  type SubscriptionRecord,
} from '../../storage/subscriptions.js';
import { type Endpoint, endpoint, type JsonObject, type RequestContext } from '../endpoint.js';
import type { Expansion } from '../expand.js';
import { listPage } from '../pagination.js';
import { boolean, clearable, instant, listParams, metadata, object, oneOf, text } from '../params.js';
import {
  anchor,
  anchorConfigParams,
  billingModeParams,
  cancellationDetailsParams,
  collection,
  collectionParams,
  newItems,
  newItemsParams,
  type PriceData,
  plainMetadata,
  UNSUPPORTED_ITEM_PARAMS,
} from './subscriptionParams.js';

const URL = '/v1/subscriptions';
const STATUSES = [
  'active',
  'canceled',
  'incomplete',
  'incomplete_expired',
  'past_due',
  'paused',
  'trialing',
  'unpaid',
] as const;
const ENDED: readonly string[] = ['canceled', 'incomplete_expired'];

const create = endpoint({
  method: 'POST',
  path: URL,
  params: object({
    billing_cycle_anchor: instant().optional(),
    billing_cycle_anchor_config: anchorConfigParams.optional(),
    billing_mode: billingModeParams.optional(),
    cancel_at_period_end: boolean().optional(),
    ...collectionParams,
    currency: text({ max: 3 }).optional(),
    customer: text(),
    description: clearable(text({ max: 500 })).optional(),
    items: newItemsParams,
    metadata: metadata().optional(),
    off_session: boolean().optional(),
    payment_behavior: oneOf(['allow_incomplete'], {
      unsupported: ['default_incomplete', 'error_if_incomplete', 'pending_if_incomplete'],
    }).optional(),
    proration_behavior: oneOf(['create_prorations', 'none'], { unsupported: ['always_invoice'] }).optional(),
  }),
  unsupported: [
    'add_invoice_items',
    'application_fee_percent',
    'automatic_tax',
    'backdate_start_date',
    'billing_schedules',
    'billing_thresholds',
    'cancel_at',
    'customer_account',
    'default_payment_method',
    'default_source',
    'default_tax_rates',
    'discounts',
    'invoice_settings',
    'on_behalf_of',
    'payment_settings',
    'pending_invoice_item_interval',
    'transfer_data',
    'trial_end',
    'trial_from_plan',
    'trial_period_days',
    'trial_settings',
    ...UNSUPPORTED_ITEM_PARAMS.map((name) => `items[].${name}`),
  ],
  async handle(ctx, params) {
    const { core, tx, accountId, livemode, request } = ctx;
    const items = await newItems(params.items, 'items', (data, param) => inlinePrice(ctx, data, param));
    const subscription = await createSubscription(
      tx,
      core,
      accountId,
      {
        livemode,
        customerId: params.customer,
        items,
        currency: params.currency?.toLowerCase() ?? null,
        ...anchor(params),
        prorationBehavior: params.proration_behavior ?? 'create_prorations',
        ...collection(params),
        cancelAtPeriodEnd: params.cancel_at_period_end ?? false,
        description: params.description ?? null,
        metadata: plainMetadata(params.metadata),
      },
      request,
    );
    return render(ctx, subscription);
  },
});

const list = endpoint({
  method: 'GET',
  path: URL,
  params: listParams({
    collection_method: oneOf(['charge_automatically', 'send_invoice']).optional(),
    customer: text().optional(),
    price: text().optional(),
    status: oneOf([...STATUSES, 'all', 'ended']).optional(),
    test_clock: text().optional(),
  }),
  unsupported: ['automatic_tax', 'current_period_end', 'current_period_start', 'customer_account', 'plan'],
  async handle(ctx, params) {
    const { q, accountId } = ctx;
    const filter = {
      customerId: params.customer,
      priceId: params.price,
      collectionMethod: params.collection_method,
      testClockId: params.test_clock,
      created: params.created,
      statuses: statusFilter(params.status),
    };
    const rendered = new Map<string, JsonObject>();
    return listPage(params, {
      url: URL,
      noun: 'subscription',
      find: (id) => findSubscriptionCursor(q, accountId, id),
      list: async (page) => {
        const rows = await listSubscriptions(q, accountId, filter, page);
        const objects = await renderSubscriptions(q, accountId, rows);
        rows.forEach((row, index) => rendered.set(row.id, objects[index] ?? {}));
        return rows;
      },
      render: (row) => rendered.get(row.id) ?? {},
    });
  },
});

const retrieve = endpoint({
  method: 'GET',
  path: `${URL}/:id`,
  params: object({}),
  async handle(ctx, _params, { id = '' }) {
    return render(ctx, await requireSubscription(ctx, id));
  },
});

const update = endpoint({
  method: 'POST',
  path: `${URL}/:id`,
  transactional: false,
  params: object({
    cancel_at_period_end: boolean().optional(),
    cancellation_details: cancellationDetailsParams.optional(),
    description: clearable(text({ max: 500 })).optional(),
    metadata: metadata().optional(),
  }),
  unsupported: [
    'add_invoice_items',
    'application_fee_percent',
    'automatic_tax',
    'billing_cycle_anchor',
    'billing_schedules',
    'billing_thresholds',
    'cancel_at',
    'cancellation_details.feedback_option',
    'collection_method',
    'days_until_due',
    'default_payment_method',
    'default_source',
    'default_tax_rates',
    'discounts',
    'invoice_settings',
    'items',
    'off_session',
    'on_behalf_of',
    'pause_collection',
    'payment_behavior',
    'payment_settings',
    'pending_invoice_item_interval',
    'proration_behavior',
    'proration_date',
    'transfer_data',
    'trial_end',
    'trial_from_plan',
    'trial_settings',
  ],
  async handle(ctx, params, { id = '' }) {
    const { core, accountId, request } = ctx;
    const subscription = await requireSubscription(ctx, id);
    const ended = subscription.endedAt !== null;
    if (ended && (params.cancel_at_period_end !== undefined || params.description !== undefined)) {
      throw invalid('A canceled subscription can only update its cancellation_details and metadata.');
    }
    const details = params.cancellation_details ?? {};
    if (params.cancel_at_period_end !== undefined) {
      const change = {
        type: 'cancel_at_period_end' as const,
        cancelAtPeriodEnd: params.cancel_at_period_end,
      };
      await changeSubscription(ctx, subscription, { ...change, details: compact(details) });
    }
    await core.db.transaction((tx) =>
      updateSubscriptionDetails(
        tx,
        core,
        { accountId, subscriptionId: id },
        {
          description: params.description,
          metadata: params.metadata,
          cancellationDetails: compact(details),
        },
        request,
      ),
    );
    return render(ctx, await requireSubscription(ctx, id));
  },
});

const cancel = endpoint({
  method: 'DELETE',
  path: `${URL}/:id`,
  transactional: false,
  params: object({
    cancellation_details: cancellationDetailsParams.optional(),
    invoice_now: boolean().optional(),
    prorate: boolean().optional(),
  }),
  unsupported: ['cancellation_details.feedback_option'],
  async handle(ctx, params, { id = '' }) {
    if (params.prorate === true) {
      throw invalid(
        'Durabill does not support `prorate: true` yet: the unused time of a canceled subscription is not credited.',
        {
          code: 'parameter_unsupported',
          param: 'prorate',
        },
      );
    }
    const subscription = await requireSubscription(ctx, id);
    if (subscription.endedAt !== null) throw notFound('subscription', id, 'id');
    await changeSubscription(ctx, subscription, {
      type: 'cancel',
      invoiceNow: params.invoice_now ?? false,
      details: compact(params.cancellation_details ?? {}),
    });
    return render(ctx, await requireSubscription(ctx, id));
  },
});

export const subscriptionsEndpoints: readonly Endpoint[] = [create, list, retrieve, update, cancel];

export const subscriptionsExpansion: Expansion = {
  object: 'subscription',
  async load({ q, accountId }, ids) {
    const rows = await findSubscriptions(q, accountId, ids);
    const objects = await renderSubscriptions(q, accountId, rows);
    return new Map(rows.map((row, index) => [row.id, objects[index] ?? {}]));
  },
  properties: {
    application: 'none',
    customer: 'customer',
    default_payment_method: 'none',
    default_source: 'none',
    discounts: 'none',
    latest_invoice: 'invoice',
    on_behalf_of: 'none',
    pending_setup_intent: 'none',
    schedule: 'none',
    test_clock: 'test_helpers.test_clock',
  },
};

async function requireSubscription(ctx: RequestContext, id: string): Promise<SubscriptionRecord> {
  const subscription = await findSubscription(ctx.q, ctx.accountId, id);
  if (subscription === null) throw notFound('subscription', id, 'id');
  return subscription;
}

async function render(ctx: RequestContext, subscription: SubscriptionRecord): Promise<JsonObject> {
  const [object] = await renderSubscriptions(ctx.q, ctx.accountId, [subscription]);
  return object ?? {};
}

/**
 * The licensed price that an item describes instead of naming one. It is not for sale to others, so it is inactive; its
 * refusals name the nested parameter.
 */
async function inlinePrice(ctx: RequestContext, data: PriceData, param: string): Promise<string> {
  const price = await createPrice(
    ctx,
    {
      productId: data.product,
      active: false,
      currency: data.currency.toLowerCase(),
      scheme: 'per_unit',
      unitAmount: unitAmountOf(data, param),
      tiersMode: null,
      tiers: null,
      transformQuantity: null,
      recurring: {
        interval: { unit: data.recurring.interval, count: data.recurring.interval_count ?? 1 },
        usageType: 'licensed',
        meterId: null,
      },
      nickname: null,
      lookupKey: null,
      taxBehavior: data.tax_behavior ?? 'unspecified',
      transferLookupKey: false,
    },
    (name) => `${param}[${name}]`,
  );
  return price.id;
}

function unitAmountOf(data: PriceData, param: string): Decimal | null {
  if (data.unit_amount !== undefined && data.unit_amount_decimal !== undefined) {
    throw invalid('You may only specify one of these parameters: unit_amount, unit_amount_decimal.', {
      code: 'parameters_exclusive',
      param: `${param}[unit_amount_decimal]`,
    });
  }
  if (data.unit_amount !== undefined) return decimalFromBigint(data.unit_amount);
  return data.unit_amount_decimal ?? null;
}

/** Through the workflow, which puts it in order with the period ends; the same request twice is one change. */
async function changeSubscription(
  ctx: RequestContext,
  subscription: SubscriptionRecord,
  change: SubscriptionChange,
): Promise<void> {
  const ref = { accountId: ctx.accountId, subscriptionId: subscription.id };
  await ctx.core.workflows.changeSubscription(ref, change, ctx.idempotencyKey ?? ctx.requestId);
}

function statusFilter(status: string | undefined): readonly string[] | undefined {
  if (status === undefined) return undefined;
  if (status === 'all') return STATUSES;
  return status === 'ended' ? ENDED : [status];
}

function compact(details: {
  comment?: string | null | undefined;
  feedback?: string | null | undefined;
}): CancellationDetails {
  return {
    ...(details.comment === undefined ? {} : { comment: details.comment }),
    ...(details.feedback === undefined ? {} : { feedback: details.feedback }),
  };
}
