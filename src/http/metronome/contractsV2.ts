import { contractAsOf } from '../../billing/contracts/asOf.js';
import { lockContract } from '../../billing/contracts/changes.js';
import { lockForChange } from '../../billing/contracts/create.js';
import { frozenFacts, saveEdit } from '../../billing/contracts/edit.js';
import { loadContractState } from '../../billing/contracts/state.js';
import { requireCustomerByAnyId } from '../../billing/metronome/customers.js';
import type { ContractRecord } from '../../domain/contract/contract.js';
import { invalid } from '../../domain/errors.js';
import type { JsonObject, JsonValue } from '../../json.js';
import { type ContractEdit, findContractEdits } from '../../storage/contracts.js';
import { contractListParams, listedContracts, shown } from './contractList.js';
import {
  type BalanceOptions,
  contractContext,
  contractOf,
  type ContractView,
  earlierObject,
  loadView,
} from './contractView.js';
import { type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { customerId, object, timestamp, uuid } from './params.js';
import { rawJson } from './render/common.js';
import { contractObject } from './render/contract.js';
import { editWords } from './render/edit.js';
import { rfc3339 } from './render.js';
import { loadTermsContext } from './terms/context.js';
import { editedContract } from './terms/contractEdit.js';
import { editParams } from './terms/edit.js';

const retrieve = metronomeEndpoint({
  method: 'POST',
  path: '/v2/contracts/get',
  transactional: false,
  body: object({
    customer_id: customerId(),
    contract_id: uuid(),
    as_of_date: timestamp().optional(),
    ...shown,
  }),
  async handle(ctx, input) {
    if (input.as_of_date !== undefined && input.include_ledgers === true) {
      throw invalid("Invalid 'as_of_date': cannot be combined with include_ledgers.");
    }
    const view = await loadView(ctx, input.customer_id);
    const contract = contractOf(view, input.contract_id);
    const { as_of_date: at } = input;
    // What is planned after now is agreed now.
    if (at === undefined || at >= view.now) return { data: objectOf(view, contract, input) };
    return { data: earlierObject(view, await contractAsOf(ctx.q, view.open, contract, at), input) };
  },
});

function objectOf(view: ContractView, contract: ContractRecord, options: BalanceOptions): JsonObject {
  return contractObject(contractContext(view, options), contract, view.open.balances);
}

const listAll = metronomeEndpoint({
  method: 'POST',
  path: '/v2/contracts/list',
  transactional: false,
  body: contractListParams,
  async handle(ctx, input) {
    if (input.covering_date !== undefined && input.starting_at !== undefined) {
      throw invalid("Invalid 'covering_date': cannot be combined with starting_at.");
    }
    const view = await loadView(ctx, input.customer_id);
    return {
      data: listedContracts(view, input).map((one) => objectOf(view, one, input)),
    };
  },
});

const edit = metronomeEndpoint({
  method: 'POST',
  path: '/v2/contracts/edit',
  body: editParams,
  async handle(ctx, input) {
    const { tx, core, accountId } = ctx;
    const customer = await requireCustomerByAnyId(tx, accountId, input.customer_id);
    const change = await lockForChange(tx, core, accountId, customer.id);
    const contract = await lockContract(change, input.contract_id);
    if (contract.archivedAt !== null) throw invalid(`Contract ${contract.id} is archived.`);
    const context = await loadTermsContext(tx, accountId, change.now);
    const state = await loadContractState(tx, core, accountId, change.customer, change.now);
    const frozen = await frozenFacts(change, state);
    const edited = editedContract({ context, state, contract, frozen }, input);
    const words = editWords(input, edited, {
      units: context.units,
      products: context.products,
      at: change.now,
      invoiceOf: new Map(),
      includeBalance: false,
      includeLedger: false,
      customerUuid: customer.uuid,
      fiatCreditTypeId: context.defaultUnit,
    });
    const id = await saveEdit(change, { ...edited, words });
    return { data: { id, edit: { id, timestamp: rfc3339(change.now), ...words } } };
  },
});

const history = metronomeEndpoint({
  method: 'POST',
  path: '/v2/contracts/getEditHistory',
  transactional: false,
  body: object({ customer_id: customerId(), contract_id: uuid() }),
  async handle(ctx, input) {
    const view = await loadView(ctx, input.customer_id);
    const contract = contractOf(view, input.contract_id);
    const edits = await findContractEdits(ctx.q, { accountId: ctx.accountId, contractId: contract.id });
    return { data: edits.map(editObject) };
  },
});

function editObject(edit: ContractEdit): JsonValue {
  return {
    id: edit.id,
    timestamp: rfc3339(edit.at),
    ...(edit.uniquenessKey === null ? {} : { uniqueness_key: edit.uniquenessKey }),
    ...(rawJson(edit.edit) as JsonObject),
  };
}

export const contractV2Endpoints: readonly MetronomeEndpoint[] = [retrieve, listAll, edit, history];
