import {
  archiveCustomer,
  createMetronomeCustomer,
  requireCustomerByAnyId,
  setCustomerName,
  setIngestAliases,
  updateCustomerConfig,
} from '../../billing/metronome/customers.js';
import type { JsonObject } from '../../json.js';
import { listMetronomeCustomers, type MetronomeCustomer } from '../../storage/ingestAliases.js';
import { addBillingConfiguration, configurationInput } from './billingConfigurations.js';
import { EMPTY, type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { cursorPage, storagePage, storagePageAnswer } from './paging.js';
import {
  boolean,
  customerId,
  customFields,
  list,
  nullable,
  object,
  queryBoolean,
  queryList,
  text,
} from './params.js';
import { rfc3339 } from './render.js';

const URL = '/v1/customers';
const ALIASES_MAX = 2000;

const alias = () => text({ max: 128 });
const aliases = () => list(alias(), { max: ALIASES_MAX });

const create = metronomeEndpoint({
  method: 'POST',
  path: URL,
  body: object({
    name: text(),
    ingest_aliases: aliases().optional(),
    external_id: alias().optional(),
    custom_fields: customFields().optional(),
    customer_billing_provider_configurations: list(configurationInput, {
      max: 100,
    }).optional(),
  }),
  async handle(ctx, input) {
    const external = input.external_id === undefined ? [] : [input.external_id];
    const customer = await createMetronomeCustomer(ctx, {
      name: input.name,
      aliases: [...external, ...(input.ingest_aliases ?? [])],
      customFields: input.custom_fields ?? {},
    });
    for (const configuration of input.customer_billing_provider_configurations ?? []) {
      await addBillingConfiguration(ctx, customer.id, configuration);
    }
    const made = await requireCustomerByAnyId(ctx.q, ctx.accountId, customer.id);
    return { data: briefObject(made) };
  },
});

const listAll = metronomeEndpoint({
  method: 'GET',
  path: URL,
  query: object({
    ...cursorPage,
    ingest_alias: text().optional(),
    customer_ids: queryList(customerId()).optional(),
    only_archived: queryBoolean().optional(),
    salesforce_account_ids: queryList(text()).optional(),
  }),
  async handle({ q, accountId }, input) {
    const filter = {
      alias: input.ingest_alias,
      ids: input.customer_ids,
      salesforceAccountIds: input.salesforce_account_ids,
      archived: input.only_archived ?? false,
    };
    const rows = await listMetronomeCustomers(q, accountId, filter, storagePage(input));
    return storagePageAnswer(rows, input, detailObject);
  },
});

const retrieve = metronomeEndpoint({
  method: 'GET',
  path: `${URL}/:customer_id`,
  async handle({ q, accountId }, _input, path) {
    return { data: detailObject(await requireCustomerByAnyId(q, accountId, path.customer_id ?? '')) };
  },
});

const archive = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/archive`,
  body: object({ id: customerId() }),
  async handle(ctx, { id }) {
    return { data: { id: (await archiveCustomer(ctx, id)).uuid } };
  },
});

const setAliases = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/:customer_id/setIngestAliases`,
  body: object({ ingest_aliases: aliases() }),
  async handle(ctx, input, path) {
    await setIngestAliases(ctx, path.customer_id ?? '', input.ingest_aliases);
    return EMPTY;
  },
});

const setName = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/:customer_id/setName`,
  body: object({ name: text() }),
  async handle(ctx, { name }, path) {
    return { data: briefObject(await setCustomerName(ctx, path.customer_id ?? '', name)) };
  },
});

const updateConfig = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/:customer_id/updateConfig`,
  body: object({
    salesforce_account_id: nullable(text({ max: 200 })).optional(),
    leave_stripe_invoices_in_draft: nullable(boolean()).optional(),
  }),
  async handle(ctx, input, path) {
    await updateCustomerConfig(ctx, path.customer_id ?? '', input.salesforce_account_id);
    return EMPTY;
  },
});

export const customerEndpoints: readonly MetronomeEndpoint[] = [
  create,
  listAll,
  archive,
  retrieve,
  setAliases,
  setName,
  updateConfig,
];

function briefObject(customer: MetronomeCustomer): JsonObject {
  const ingestAliases = shownAliases(customer);
  return {
    id: customer.uuid,
    external_id: ingestAliases[0] ?? customer.uuid,
    ingest_aliases: ingestAliases,
    name: customer.name ?? customer.email ?? customer.id,
    custom_fields: customer.customFields,
  };
}

function detailObject(customer: MetronomeCustomer): JsonObject {
  return {
    ...briefObject(customer),
    customer_config: { salesforce_account_id: customer.salesforceAccountId },
    created_at: rfc3339(customer.createdAt),
    updated_at: rfc3339(customer.updatedAt ?? customer.createdAt),
    archived_at: customer.archivedAt === null ? null : rfc3339(customer.archivedAt),
    current_billable_status: { value: 'billable', effective_at: null },
  };
}

/** A customer made through Stripe's dialect is known there by its id, and shows it; for others it works unshown. */
function shownAliases(customer: MetronomeCustomer): string[] {
  return customer.madeBy === 'stripe' ? [...customer.aliases, customer.id] : customer.aliases;
}
