import { contractAsOf } from '../../billing/contracts/asOf.js';
import { createContract, endContract, lockForChange } from '../../billing/contracts/create.js';
import { archiveContract, setUsageFilter } from '../../billing/contracts/changes.js';
import { newUuid } from '../../billing/contracts/ids.js';
import { tellOfContractEdit } from '../../billing/contracts/notifications.js';
import { contractsChanged } from '../../billing/contracts/plan.js';
import { requireCustomerByAnyId } from '../../billing/metronome/customers.js';
import { firstLifecycleEvent } from '../../domain/contract/lifecycle.js';
import { notFound } from '../../domain/errors.js';
import { findContract } from '../../storage/contracts.js';
import { resolveRateCard } from '../../storage/rateCards.js';
import { contractListParams, listedContracts, shown } from './contractList.js';
import { contractContext, contractOf, earlierObject, loadView } from './contractView.js';
import { EMPTY, type MetronomeContext, type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { boolean, customerId, hourTimestamp, list, object, text, uuid } from './params.js';
import { contractObject } from './render/contract.js';
import { rfc3339 } from './render.js';
import { contractParams, newContractOf } from './terms/contract.js';
import { loadTermsContext } from './terms/context.js';
import { agreedParams } from './terms/packaged.js';

const named = { customer_id: customerId(), contract_id: uuid() };

const create = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/create',
  body: contractParams,
  async handle(ctx, input) {
    const { tx, core, accountId } = ctx;
    const found = await requireCustomerByAnyId(tx, accountId, input.customer_id);
    const change = await lockForChange(tx, core, accountId, found.id);
    const { params, packageId } = await agreedParams(tx, accountId, found.id, input);
    const context = await loadTermsContext(tx, accountId, change.now);
    const contract = newContractOf(context, params, {
      customerId: found.id,
      contractId: newUuid(),
      rateCardId: await rateCardOf(ctx, params),
      packageId,
    });
    const record = await createContract(change, contract);
    const view = await loadView(ctx, found.id);
    const object = contractObject(contractContext(view, {}), record, view.open.balances);
    return { data: { id: record.id, contract: object } };
  },
});

async function rateCardOf(
  { q, accountId }: MetronomeContext,
  input: { rate_card_id?: string | undefined; rate_card_alias?: string | undefined; starting_at: number },
): Promise<string | null> {
  if (input.rate_card_id !== undefined) {
    return (await resolveRateCard(q, accountId, { id: input.rate_card_id }, input.starting_at)).id;
  }
  if (input.rate_card_alias === undefined) return null;
  return (await resolveRateCard(q, accountId, { alias: input.rate_card_alias }, input.starting_at)).id;
}

const retrieve = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/get',
  transactional: false,
  body: object({ ...named, ...shown }),
  async handle(ctx, input) {
    const view = await loadView(ctx, input.customer_id);
    const contract = contractOf(view, input.contract_id);
    return { data: await contractV1(ctx, view, contract.id, input) };
  },
});

const listAll = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/list',
  transactional: false,
  body: contractListParams,
  async handle(ctx, input) {
    const view = await loadView(ctx, input.customer_id);
    const data = [];
    for (const { id } of listedContracts(view, input)) data.push(await contractV1(ctx, view, id, input));
    return { data };
  },
});

/** v1 shows a contract as it was made, as it is, and no amendments: edits have taken their place. */
async function contractV1(
  ctx: MetronomeContext,
  view: Awaited<ReturnType<typeof loadView>>,
  contractId: string,
  options: { include_balance?: boolean | undefined; include_ledgers?: boolean | undefined },
) {
  const contract = contractOf(view, contractId);
  const context = contractContext(view, options);
  // Whatever is dated at the instant of its creation came after it.
  const initial = await contractAsOf(ctx.q, view.open, contract, contract.createdAt - 1);
  return {
    id: contract.id,
    customer_id: view.customer.uuid,
    initial: earlierObject(view, initial, options),
    current: contractObject(context, contract, view.open.balances),
    amendments: [],
    custom_fields: contract.customFields,
    ...(contract.archivedAt === null ? {} : { archived_at: rfc3339(contract.archivedAt) }),
  };
}

const updateEndDate = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/updateEndDate',
  body: object({
    ...named,
    ending_before: hourTimestamp().nullable().optional(),
    allow_ending_before_finalized_invoice: boolean().optional(),
  }),
  async handle({ tx, core, accountId }, input) {
    const customer = await requireCustomerByAnyId(tx, accountId, input.customer_id);
    const change = await lockForChange(tx, core, accountId, customer.id);
    const contract = await findContract(tx, accountId, input.contract_id, true);
    if (contract === null || contract.customerId !== customer.id) {
      throw notFound('contract', input.contract_id, 'contract_id');
    }
    const allow = input.allow_ending_before_finalized_invoice ?? false;
    const after = await endContract(change, contract, input.ending_before ?? null, allow);
    await tellOfContractEdit(tx, change, after, change.now);
    const since = firstLifecycleEvent([after], [], change.now);
    await contractsChanged(tx, core, accountId, change.customer, change.now, since);
    return { data: { id: contract.id } };
  },
});

const archive = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/archive',
  body: object({ ...named, void_invoices: boolean() }),
  async handle({ tx, core, accountId }, input) {
    const customer = await requireCustomerByAnyId(tx, accountId, input.customer_id);
    const change = await lockForChange(tx, core, accountId, customer.id);
    await archiveContract(change, input.contract_id, input.void_invoices);
    return { data: { id: input.contract_id } };
  },
});

const usageFilter = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/setUsageFilter',
  body: object({
    ...named,
    group_key: text(),
    group_values: list(text(), { min: 1, max: 1000 }),
    starting_at: hourTimestamp(),
  }),
  async handle({ tx, core, accountId }, input) {
    const customer = await requireCustomerByAnyId(tx, accountId, input.customer_id);
    const change = await lockForChange(tx, core, accountId, customer.id);
    await setUsageFilter(change, input.contract_id, {
      groupKey: input.group_key,
      groupValues: input.group_values,
      startingAt: input.starting_at,
      endingBefore: null,
    });
    return EMPTY;
  },
});

export const contractEndpoints: readonly MetronomeEndpoint[] = [
  create,
  retrieve,
  listAll,
  updateEndDate,
  archive,
  usageFilter,
];
