import { v5 as uuidv5, v7 as uuidv7 } from 'uuid';
import type { z } from 'zod';
import { requireCustomerByAnyId } from '../../billing/metronome/customers.js';
import { notFound } from '../../domain/errors.js';
import type { JsonObject } from '../../json.js';
import {
  archiveBillingConfigurations,
  type BillingConfiguration,
  findBillingConfigurations,
  insertBillingConfiguration,
} from '../../storage/billingConfigurations.js';
import { type MetronomeContext, type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { anyObject, boolean, customerId, list, object, oneOf, text, uuid } from './params.js';
import { rfc3339 } from './render.js';

const DELIVERY_NAMESPACE = 'a6a1f0c8-5c5e-4a0a-9d0e-0f6f4a2f9b11';

/** How a customer's invoices are collected, as it is said on the customer or for it. */
export const billingConfigurationFields = {
  billing_provider: oneOf([
    'stripe',
    'aws_marketplace',
    'azure_marketplace',
    'gcp_marketplace',
    'netsuite',
    'custom',
    'quickbooks_online',
    'workday',
    'metronome',
  ]),
  delivery_method: oneOf(['direct_to_billing_provider', 'aws_sqs', 'tackle', 'aws_sns']).optional(),
  delivery_method_id: text().optional(),
  configuration: anyObject().optional(),
  tax_provider: oneOf(['anrok', 'avalara', 'stripe']).optional(),
};

/** The same as one object. */
export const configurationInput = object(billingConfigurationFields);

type ConfigurationInput = z.output<typeof configurationInput>;

/** Keeps a configuration for a customer, by its Stripe id. */
export async function addBillingConfiguration(
  { tx, accountId, now }: MetronomeContext,
  customerId: string,
  input: ConfigurationInput,
): Promise<BillingConfiguration> {
  const method = input.delivery_method ?? 'direct_to_billing_provider';
  const configuration: BillingConfiguration = {
    id: uuidv7(),
    customerId,
    document: {
      billing_provider: input.billing_provider,
      delivery_method: method,
      delivery_method_id:
        input.delivery_method_id ?? uuidv5(`${input.billing_provider}/${method}`, DELIVERY_NAMESPACE),
      configuration: input.configuration ?? {},
      tax_provider: input.tax_provider ?? null,
    },
    createdAt: now,
    archivedAt: null,
  };
  await insertBillingConfiguration(tx, accountId, configuration);
  return configuration;
}

const set = metronomeEndpoint({
  method: 'POST',
  path: '/v1/setCustomerBillingProviderConfigurations',
  body: object({
    data: list(object({ customer_id: customerId(), ...billingConfigurationFields }), { min: 1, max: 100 }),
  }),
  async handle(ctx, { data }) {
    const made: JsonObject[] = [];
    for (const { customer_id: anyId, ...input } of data) {
      const customer = await requireCustomerByAnyId(ctx.q, ctx.accountId, anyId);
      made.push(configurationObject(await addBillingConfiguration(ctx, customer.id, input), customer.uuid));
    }
    return { data: made };
  },
});

const get = metronomeEndpoint({
  method: 'POST',
  path: '/v1/getCustomerBillingProviderConfigurations',
  transactional: false,
  body: object({ customer_id: customerId(), include_archived: boolean().optional() }),
  async handle({ q, accountId }, input) {
    const { id, uuid: shownId } = await requireCustomerByAnyId(q, accountId, input.customer_id);
    const found = await findBillingConfigurations(q, accountId, id, {
      includeArchived: input.include_archived ?? false,
    });
    return { data: found.map((one) => configurationObject(one, shownId)) };
  },
});

const archive = metronomeEndpoint({
  method: 'POST',
  path: '/v1/archiveCustomerBillingProviderConfigurations',
  body: object({
    customer_id: customerId(),
    customer_billing_provider_configuration_ids: list(uuid(), { min: 1, max: 100 }),
  }),
  async handle({ tx, accountId, now }, input) {
    const ids = input.customer_billing_provider_configuration_ids;
    const customer = await requireCustomerByAnyId(tx, accountId, input.customer_id);
    const archived = await archiveBillingConfigurations(tx, accountId, customer.id, ids, now);
    const missing = ids.find((id) => !archived.includes(id));
    if (missing !== undefined) throw notFound('billing provider configuration', missing);
    return {
      data: { customer_id: customer.uuid, customer_billing_provider_configuration_ids: archived },
    };
  },
});

export const billingConfigurationEndpoints: readonly MetronomeEndpoint[] = [set, get, archive];

function configurationObject(
  { id, document, archivedAt }: BillingConfiguration,
  customer: string,
): JsonObject {
  return {
    id,
    customer_id: customer,
    archived_at: archivedAt === null ? null : rfc3339(archivedAt),
    billing_provider: document.billing_provider,
    configuration: document.configuration as JsonObject,
    delivery_method: document.delivery_method,
    delivery_method_configuration: {},
    delivery_method_id: document.delivery_method_id,
    tax_provider: document.tax_provider ?? undefined,
  };
}
