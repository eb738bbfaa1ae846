import type { z } from 'zod';
import {
  type CustomerChange,
  changeCustomer,
  createCustomer,
  deleteCustomer,
} from '../../billing/customers.js';
import { renderSubscriptions } from '../../billing/subscriptionEvents.js';
import { invalid, notFound } from '../../domain/errors.js';
import {
  type Address,
  type CustomerDetails,
  findCustomer,
  findCustomerCursor,
  findCustomers,
  listCustomers,
} from '../../storage/customers.js';
import { listSubscriptions } from '../../storage/subscriptions.js';
import { findTestClock } from '../../storage/testClocks.js';
import { customerObject, customerOrStub } from '../../stripe/customer.js';
import { deletedObject } from '../../stripe/values.js';
import { defined } from '../defined.js';
import { type Endpoint, type JsonObject, endpoint } from '../endpoint.js';
import { type ExpandContext, type Expansion, idOf } from '../expand.js';
import { listObject, listPage } from '../pagination.js';
import {
  array,
  bigintParam,
  clearable,
  integer,
  listParams,
  metadata,
  object,
  oneOf,
  text,
} from '../params.js';

const SUBSCRIPTIONS_SHOWN = 10;
const SEQUENCE_MAX = 999_999_999;
/** Amounts of this size are exact in every JSON reader. */
const BALANCE_MAX = 999_999_999_999_999n;

const optionalText = (max?: number) => clearable(text(max === undefined ? {} : { max })).optional();

const addressParams = object({
  city: optionalText(),
  country: optionalText(),
  line1: optionalText(),
  line2: optionalText(),
  postal_code: optionalText(),
  state: optionalText(),
});

const shippingParams = object({
  address: addressParams,
  name: text(),
  phone: optionalText(),
});

const invoiceSettingsParams = object({
  custom_fields: clearable(
    array(object({ name: text({ max: 40 }), value: text({ max: 140 }) }), { max: 4 }),
  ).optional(),
  footer: optionalText(),
  rendering_options: clearable(
    object({
      amount_tax_display: clearable(oneOf(['exclude_tax', 'include_inclusive_tax'])).optional(),
    }),
  ).optional(),
});

const sharedParams = {
  address: clearable(addressParams).optional(),
  balance: bigintParam({ min: -BALANCE_MAX, max: BALANCE_MAX }).optional(),
  business_name: optionalText(150),
  description: optionalText(),
  email: optionalText(512),
  individual_name: optionalText(150),
  invoice_prefix: text({ max: 12 }).optional(),
  invoice_settings: invoiceSettingsParams.optional(),
  metadata: metadata().optional(),
  name: optionalText(256),
  next_invoice_sequence: integer({ min: 1, max: SEQUENCE_MAX }).optional(),
  phone: optionalText(20),
  preferred_locales: clearable(array(text())).optional(),
  shipping: clearable(shippingParams).optional(),
  tax_exempt: clearable(oneOf(['none', 'exempt', 'reverse'])).optional(),
};

const updateParams = object(sharedParams);
const createParams = object({ ...sharedParams, test_clock: text().optional() });

const UNSUPPORTED = [
  'cash_balance',
  'invoice_settings.default_payment_method',
  'invoice_settings.rendering_options.template',
  'source',
  'tax',
  'validate',
];
const UNSUPPORTED_CREATE = [...UNSUPPORTED, 'payment_method', 'tax_id_data'];
const UNSUPPORTED_UPDATE = [
  ...UNSUPPORTED,
  'bank_account',
  'card',
  'default_alipay_account',
  'default_bank_account',
  'default_card',
  'default_source',
];

export const customersEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'POST',
    path: '/v1/customers',
    params: createParams,
    unsupported: UNSUPPORTED_CREATE,
    async handle(ctx, params) {
      return customerObject(await createCustomer(ctx, changeOf(params), params.test_clock ?? null));
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v1/customers',
    params: listParams({ email: text({ max: 512 }).optional(), test_clock: text().optional() }),
    async handle({ q, accountId }, params) {
      const testClockId = params.test_clock;
      if (testClockId !== undefined && (await findTestClock(q, accountId, testClockId)) === null) {
        throw notFound('test clock', testClockId, 'test_clock');
      }
      const filter = { email: params.email, testClockId, created: params.created };
      return listPage(params, {
        url: '/v1/customers',
        noun: 'customer',
        find: (id) => findCustomerCursor(q, accountId, id),
        list: (page) => listCustomers(q, accountId, filter, page),
        render: customerObject,
      });
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v1/customers/:id',
    params: object({}),
    async handle({ q, accountId }, _params, { id = '' }) {
      const customer = await findCustomer(q, accountId, id);
      if (customer === null) throw notFound('customer', id, 'id');
      return customerOrStub(customer);
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v1/customers/:id',
    params: updateParams,
    unsupported: UNSUPPORTED_UPDATE,
    async handle(ctx, params, { id = '' }) {
      return customerObject(await changeCustomer(ctx, id, changeOf(params)));
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v1/customers/:id',
    params: object({}),
    async handle(ctx, _params, { id = '' }) {
      await deleteCustomer(ctx, id);
      return deletedObject('customer', id);
    },
  }),
];

function changeOf(params: z.output<typeof updateParams>): CustomerChange {
  checkEmail(params.email);
  checkPrefix(params.invoice_prefix);
  return {
    name: params.name,
    email: params.email,
    balance: params.balance,
    invoicePrefix: params.invoice_prefix,
    nextInvoiceSequence: params.next_invoice_sequence,
    details: detailsOf(params),
    metadata: params.metadata,
  };
}

function detailsOf(params: z.output<typeof updateParams>): CustomerDetails {
  const { address, shipping, invoice_settings: settings, preferred_locales: locales } = params;
  return defined({
    address: address == null ? address : addressOf(address),
    business_name: params.business_name,
    description: params.description,
    individual_name: params.individual_name,
    invoice_settings: settings === undefined ? undefined : invoiceSettingsOf(settings),
    phone: params.phone,
    preferred_locales: locales === undefined ? undefined : (locales ?? []),
    shipping:
      shipping == null
        ? shipping
        : { address: addressOf(shipping.address), name: shipping.name, phone: shipping.phone ?? null },
    tax_exempt: params.tax_exempt === undefined ? undefined : (params.tax_exempt ?? 'none'),
  });
}

/** An address is replaced as a whole: what isn't sent becomes null. */
function addressOf(address: z.output<typeof addressParams>): Address {
  return {
    city: address.city ?? null,
    country: address.country ?? null,
    line1: address.line1 ?? null,
    line2: address.line2 ?? null,
    postal_code: address.postal_code ?? null,
    state: address.state ?? null,
  };
}

function invoiceSettingsOf(
  settings: z.output<typeof invoiceSettingsParams>,
): CustomerDetails['invoice_settings'] {
  const { custom_fields, footer, rendering_options: rendering } = settings;
  return defined({
    custom_fields,
    footer,
    rendering_options:
      rendering == null
        ? rendering
        : { amount_tax_display: rendering.amount_tax_display ?? null, template: null },
  });
}

function checkEmail(email: string | null | undefined): void {
  if (email == null || /^[^\s@]+@[^\s@]+$/.test(email)) return;
  throw invalid(`Invalid email address: ${email}`, { code: 'email_invalid', param: 'email' });
}

/** docs.stripe.com/api/customers/create: 3 to 12 upper-case letters or digits. */
function checkPrefix(prefix: string | undefined): void {
  if (prefix === undefined || /^[A-Z0-9]{3,12}$/.test(prefix)) return;
  throw invalid('Invalid invoice_prefix: must be 3 to 12 upper-case letters or digits', {
    param: 'invoice_prefix',
  });
}

export const customersExpansion: Expansion = {
  object: 'customer',
  async load({ q, accountId }, ids) {
    const customers = await findCustomers(q, accountId, ids);
    return new Map(customers.map((customer) => [customer.id, customerOrStub(customer)]));
  },
  properties: {
    default_source: 'none',
    'invoice_settings.default_payment_method': 'none',
    sources: emptyList('sources'),
    subscriptions: revealSubscriptions,
    tax_ids: emptyList('tax_ids'),
    test_clock: 'test_helpers.test_clock',
  },
};

function emptyList(
  name: string,
): (ctx: ExpandContext, customers: readonly JsonObject[]) => Promise<JsonObject[]> {
  return (_ctx, customers) =>
    Promise.resolve(customers.map((customer) => listObject(`${urlOf(customer)}/${name}`, [])));
}

async function revealSubscriptions(
  ctx: ExpandContext,
  customers: readonly JsonObject[],
): Promise<JsonObject[]> {
  const page = { limit: SUBSCRIPTIONS_SHOWN + 1, cursor: null, direction: 'forward' } as const;
  const lists: JsonObject[] = [];
  for (const customer of customers) {
    const filter = { customerId: idOf(customer) };
    const found = await listSubscriptions(ctx.q, ctx.accountId, filter, page);
    const shown = await renderSubscriptions(ctx.q, ctx.accountId, found.slice(0, SUBSCRIPTIONS_SHOWN));
    lists.push(listObject(`${urlOf(customer)}/subscriptions`, shown, found.length > SUBSCRIPTIONS_SHOWN));
  }
  return lists;
}

function urlOf(customer: JsonObject): string {
  return `/v1/customers/${idOf(customer)}`;
}
