import { invalid } from '../../../domain/errors.js';
import { findBillingConfigurations } from '../../../storage/billingConfigurations.js';
import type { Queryable } from '../../../storage/db.js';
import { resolvePackage } from '../../../storage/packages.js';
import type { ContractParams } from './contract.js';
import { contractParamsFrom, type PackageTerms } from './package.js';

/** What a request for a contract from a package may name (docs.metronome.com/api-reference, "create a contract"). */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  'customer_id',
  'starting_at',
  'package_id',
  'package_alias',
  'uniqueness_key',
  'transition',
  'custom_fields',
]);

/** The request as it stands, or with the terms of the package that it names, as of the contract's start. */
export async function agreedParams(
  q: Queryable,
  accountId: string,
  customerId: string,
  input: ContractParams,
): Promise<{ params: ContractParams; packageId: string | null }> {
  const { package_id: id, package_alias: alias, starting_at: startingAt } = input;
  if (id === undefined && alias === undefined) return { params: input, packageId: null };
  if (id !== undefined && alias !== undefined) {
    throw invalid("Invalid 'package_alias': cannot be combined with package_id.");
  }
  const extra = Object.entries(input).find(([name, value]) => value !== undefined && !OWN_FIELDS.has(name));
  if (extra !== undefined) {
    throw invalid(`Invalid '${extra[0]}': a contract that is made from a package has the package's terms.`);
  }
  const found = await resolvePackage(
    q,
    accountId,
    id === undefined ? { alias: alias ?? '' } : { id },
    startingAt,
  );
  const terms = found.terms as PackageTerms;
  const params = contractParamsFrom(terms, {
    customer_id: input.customer_id,
    starting_at: startingAt,
    uniqueness_key: input.uniqueness_key,
    transition: input.transition,
    custom_fields: input.custom_fields,
  });
  const billing = await billingConfigurationOf(q, accountId, customerId, terms);
  return { params: { ...params, ...billing }, packageId: found.id };
}

/** The customer must have exactly one configuration for the package's provider and delivery method. */
async function billingConfigurationOf(
  q: Queryable,
  accountId: string,
  customerId: string,
  { billing_provider: provider, delivery_method: method }: PackageTerms,
): Promise<Pick<ContractParams, 'billing_provider_configuration'>> {
  if (provider === undefined) return {};
  const all = await findBillingConfigurations(q, accountId, customerId, { includeArchived: false });
  const matching = all.filter(
    ({ document }) =>
      document.billing_provider === provider && (method === undefined || document.delivery_method === method),
  );
  const [only] = matching;
  if (only === undefined || matching.length > 1) {
    const count = matching.length === 0 ? 'no' : 'more than one';
    const where = `${provider}${method === undefined ? '' : ` (${method})`}`;
    throw invalid(
      `Invalid 'customer_id': the customer has ${count} billing provider configuration for ${where}, which the package asks for.`,
    );
  }
  return {
    billing_provider_configuration: {
      billing_provider_configuration_id: only.id,
      billing_provider: only.document.billing_provider,
      delivery_method: only.document.delivery_method,
    },
  };
}
