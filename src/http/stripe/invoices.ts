import { nothingUpcoming, previewNewSubscription, previewUpcoming } from '../../billing/preview.js';
import { customerNow } from '../../billing/clock.js';
import {
  finalizeInvoice,
  lockInvoice,
  payOutOfBand,
  voidInvoice,
  type InvoiceTransition,
} from '../../billing/finalization.js';
import { currentDraft } from '../../billing/invoicing.js';
import { recordNextDue } from '../../billing/subscriptionPlan.js';
import { invalid, notFound } from '../../domain/errors.js';
import {
  countInvoiceLines,
  findInvoice,
  findInvoiceCursor,
  findInvoiceLines,
  findInvoices,
  type InvoiceRecord,
  listInvoices,
} from '../../storage/invoices.js';
import { findOpenSubscriptions } from '../../storage/subscriptions.js';
import { EMBEDDED_LINES_MAX, invoiceLineObject, invoiceObject } from '../../stripe/invoice.js';
import { type Endpoint, endpoint, type JsonObject, type RequestContext } from '../endpoint.js';
import type { Expansion } from '../expand.js';
import { listObject, listPage } from '../pagination.js';
import {
  boolean,
  instant,
  listParams,
  listParamsWithoutCreated,
  object,
  oneOf,
  rangeFilter,
  text,
  wordOr,
} from '../params.js';
import {
  anchor,
  billingModeParams,
  newItems,
  previewItemsParams,
  UNSUPPORTED_ITEM_PARAMS,
} from './subscriptionParams.js';
import type { Queryable, Transaction } from '../../storage/db.js';

const URL = '/v1/invoices';
const STATUSES = ['draft', 'open', 'paid', 'uncollectible', 'void'] as const;

const list = endpoint({
  method: 'GET',
  path: URL,
  params: listParams({
    collection_method: oneOf(['charge_automatically', 'send_invoice']).optional(),
    customer: text().optional(),
    due_date: rangeFilter().optional(),
    status: oneOf(STATUSES).optional(),
    subscription: text().optional(),
  }),
  unsupported: ['customer_account'],
  async handle({ q, accountId }, params) {
    const filter = {
      customerId: params.customer,
      subscriptionId: params.subscription,
      status: params.status,
      collectionMethod: params.collection_method,
      created: params.created,
      dueAt: params.due_date,
    };
    const rendered = new Map<string, JsonObject>();
    return listPage(params, {
      url: URL,
      noun: 'invoice',
      find: (id) => findInvoiceCursor(q, accountId, id),
      list: async (page) => {
        const invoices = await listInvoices(q, accountId, filter, page);
        for (const [id, object] of await renderInvoices(q, accountId, invoices)) rendered.set(id, object);
        return invoices;
      },
      render: (invoice) => rendered.get(invoice.id) ?? {},
    });
  },
});

const retrieve = endpoint({
  method: 'GET',
  path: `${URL}/:id`,
  params: object({}),
  handle: (ctx, _params, { id = '' }) => renderInvoice(ctx, id),
});

const lines = endpoint({
  method: 'GET',
  path: `${URL}/:id/lines`,
  params: listParamsWithoutCreated({}),
  async handle({ q, accountId }, params, { id = '' }) {
    const invoice = await findInvoice(q, accountId, id);
    if (invoice === null) throw notFound('invoice', id, 'invoice');
    const all =
      invoice.status === 'draft'
        ? (await currentDraft(q, accountId, invoice)).lines
        : await findInvoiceLines(q, accountId, [id]);
    const cursor = params.starting_after ?? params.ending_before;
    const position = cursor === undefined ? -1 : all.findIndex((line) => line.id === cursor);
    if (cursor !== undefined && position < 0) {
      throw notFound(
        'line item',
        cursor,
        params.starting_after === undefined ? 'ending_before' : 'starting_after',
      );
    }
    const rest = params.ending_before === undefined ? all.slice(position + 1) : all.slice(0, position);
    const page = params.ending_before === undefined ? rest.slice(0, params.limit) : rest.slice(-params.limit);
    const data = page.map((line) => invoiceLineObject(line, invoice));
    return listObject(`${URL}/${id}/lines`, data, rest.length > page.length);
  },
});

const finalize = endpoint({
  method: 'POST',
  path: `${URL}/:id/finalize`,
  params: object({}),
  unsupported: ['auto_advance'],
  handle: (ctx, _params, { id = '' }) => transition(ctx, id, finalizeInvoice),
});

const pay = endpoint({
  method: 'POST',
  path: `${URL}/:id/pay`,
  params: object({ paid_out_of_band: boolean().optional() }),
  unsupported: ['forgive', 'mandate', 'off_session', 'payment_method', 'source'],
  async handle(ctx, params, { id = '' }) {
    if (params.paid_out_of_band !== true) {
      throw invalid(
        'This customer has no attached payment method. With the payment provider `manual`, pass ' +
          '`paid_out_of_band: true` once the money has arrived.',
        { param: 'paid_out_of_band' },
      );
    }
    return transition(ctx, id, payOutOfBand);
  },
});

const voidIt = endpoint({
  method: 'POST',
  path: `${URL}/:id/void`,
  params: object({}),
  handle: (ctx, _params, { id = '' }) => transition(ctx, id, voidInvoice),
});

const createPreview = endpoint({
  method: 'POST',
  path: `${URL}/create_preview`,
  params: object({
    currency: text({ max: 3 }).optional(),
    customer: text().optional(),
    preview_mode: oneOf(['next'], { unsupported: ['recurring'] }).optional(),
    subscription: text().optional(),
    subscription_details: object({
      billing_cycle_anchor: wordOr([], instant(), { unsupported: ['now', 'unchanged'] }).optional(),
      billing_mode: billingModeParams.optional(),
      cancel_at_period_end: boolean().optional(),
      items: previewItemsParams.optional(),
      proration_behavior: oneOf(['create_prorations', 'none'], {
        unsupported: ['always_invoice'],
      }).optional(),
    }).optional(),
  }),
  unsupported: [
    'automatic_tax',
    'customer_account',
    'customer_details',
    'discounts',
    'invoice_items',
    'issuer',
    'on_behalf_of',
    'schedule',
    'schedule_details',
    ...[
      'billing_schedules',
      'cancel_at',
      'cancel_now',
      'default_tax_rates',
      'metadata',
      'pause',
      'proration_date',
      'resume_at',
      'start_date',
      'trial_end',
    ].map((name) => `subscription_details.${name}`),
    ...[...UNSUPPORTED_ITEM_PARAMS, 'price_data', 'id', 'deleted', 'clear_usage'].map(
      (name) => `subscription_details.items[].${name}`,
    ),
  ],
  async handle(ctx, params) {
    const details = params.subscription_details ?? {};
    const preview =
      details.items === undefined
        ? await previewExisting(ctx, params, details.cancel_at_period_end ?? null)
        : await previewNew(ctx, params, { ...details, items: details.items });
    return invoiceObject(preview.invoice, preview.lines);
  },
});

export const invoicesEndpoints: readonly Endpoint[] = [
  createPreview,
  list,
  retrieve,
  lines,
  finalize,
  pay,
  voidIt,
];

export const invoicesExpansion: Expansion = {
  object: 'invoice',
  load: async ({ q, accountId }, ids) => renderInvoices(q, accountId, await findInvoices(q, accountId, ids)),
  properties: {
    account_tax_ids: 'none',
    application: 'none',
    customer: 'customer',
    default_payment_method: 'none',
    default_source: 'none',
    discounts: 'none',
    latest_revision: 'none',
    on_behalf_of: 'none',
    'parent.subscription_details.subscription': 'subscription',
    payments: (_ctx, invoices) => Promise.resolve(invoices.map(() => listObject('/v1/invoice_payments', []))),
    test_clock: 'test_helpers.test_clock',
  },
};

export const invoiceLinesExpansion: Expansion = {
  object: 'line_item',
  properties: {
    discounts: 'none',
    'pricing.price_details.price': 'price',
    'pricing.price_details.product': 'product',
    subscription: 'subscription',
  },
};

/** Invoices in Stripe's shape by id, each with its first lines; drafts with the usage known now. */
async function renderInvoices(
  q: Queryable,
  accountId: string,
  invoices: readonly InvoiceRecord[],
): Promise<Map<string, JsonObject>> {
  const settled = invoices.filter((invoice) => invoice.status !== 'draft').map((invoice) => invoice.id);
  const all = await findInvoiceLines(q, accountId, settled, EMBEDDED_LINES_MAX);
  const counts = await countInvoiceLines(q, accountId, settled);
  const rendered = new Map<string, JsonObject>();
  for (const invoice of invoices) {
    if (invoice.status === 'draft') {
      const draft = await currentDraft(q, accountId, invoice);
      rendered.set(invoice.id, invoiceObject(draft.invoice, draft.lines));
    } else {
      const lines = all.filter((line) => line.invoiceId === invoice.id);
      rendered.set(invoice.id, invoiceObject(invoice, lines, counts.get(invoice.id) ?? 0));
    }
  }
  return rendered;
}

async function renderInvoice({ q, accountId }: RequestContext, id: string): Promise<JsonObject> {
  const invoice = await findInvoice(q, accountId, id);
  if (invoice === null) throw notFound('invoice', id, 'invoice');
  return (await renderInvoices(q, accountId, [invoice])).get(id) ?? {};
}

/** A change of an invoice's state by the API; its subscription may wait for something else afterwards. */
async function transition(
  ctx: RequestContext,
  id: string,
  change: (tx: Transaction, transition: InvoiceTransition) => Promise<InvoiceRecord>,
): Promise<JsonObject> {
  const { core, tx, accountId, request } = ctx;
  const invoice = await lockInvoice(tx, accountId, id);
  const at = await customerNow(tx, core, accountId, invoice);
  await change(tx, { accountId, invoiceId: id, at, request });
  if (invoice.status === 'draft' && invoice.subscriptionId !== null) {
    const ref = { accountId, subscriptionId: invoice.subscriptionId };
    await recordNextDue(tx, ref);
    tx.afterCommit(async () => {
      await core.workflows.wakeSubscription(ref).catch((error: unknown) => {
        core.log.warn(
          { ...ref, error },
          'a subscription could not be told yet that its invoice was finalized',
        );
      });
    });
  }
  return renderInvoice(ctx, id);
}

interface PreviewParams {
  customer?: string | undefined;
  subscription?: string | undefined;
  currency?: string | undefined;
}

/** The next invoice of the subscription named, or of the customer's subscription that bills next. */
async function previewExisting(
  ctx: RequestContext,
  params: PreviewParams,
  cancelAtPeriodEnd: boolean | null,
) {
  const { q, accountId } = ctx;
  let subscriptionId = params.subscription;
  if (subscriptionId === undefined) {
    if (params.customer === undefined) {
      throw invalid('You must pass either `customer` or `subscription`.', {
        code: 'parameter_missing',
        param: 'customer',
      });
    }
    const open = await findOpenSubscriptions(q, accountId, { customerId: params.customer });
    const next = open.sort((a, b) => (a.nextDueAt ?? 0) - (b.nextDueAt ?? 0))[0];
    if (next === undefined) throw nothingUpcoming(params.customer);
    subscriptionId = next.id;
  }
  return previewUpcoming(q, accountId, subscriptionId, cancelAtPeriodEnd);
}

/** The first invoice of a subscription that the caller thinks about. */
async function previewNew(
  ctx: RequestContext,
  params: PreviewParams,
  details: {
    items: Parameters<typeof newItems>[0];
    billing_cycle_anchor?: number | undefined;
    proration_behavior?: 'create_prorations' | 'none' | undefined;
  },
) {
  if (params.subscription !== undefined) {
    throw invalid('Durabill does not preview changes of items of an existing subscription yet.', {
      code: 'parameter_unsupported',
      param: 'subscription_details[items]',
    });
  }
  if (params.customer === undefined) {
    throw invalid('Missing required param: customer.', { code: 'parameter_missing', param: 'customer' });
  }
  const items = await newItems(details.items, 'subscription_details[items]');
  return previewNewSubscription(ctx.q, ctx.core, ctx.accountId, {
    livemode: ctx.livemode,
    customerId: params.customer,
    items,
    currency: params.currency?.toLowerCase() ?? null,
    ...anchor(details),
    prorationBehavior: details.proration_behavior ?? 'create_prorations',
    collectionMethod: 'charge_automatically',
    daysUntilDue: null,
    cancelAtPeriodEnd: false,
    description: null,
    metadata: {},
  });
}
