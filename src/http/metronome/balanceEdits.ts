import { type ContractChange, lockForChange } from '../../billing/contracts/create.js';
import {
  archivedBalance,
  type FrozenFacts,
  frozenFacts,
  saveBalanceEdit,
} from '../../billing/contracts/edit.js';
import { loadContractState } from '../../billing/contracts/state.js';
import { requireCustomerByAnyId } from '../../billing/metronome/customers.js';
import type { BalanceRecord } from '../../domain/contract/contract.js';
import { invalid, notFound } from '../../domain/errors.js';
import type { JsonObject } from '../../json.js';
import { findContractsOf } from '../../storage/contracts.js';
import { type MetronomeContext, type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { customerId, object, uuid } from './params.js';
import { editInWords } from './render/edit.js';
import { editedBalance } from './terms/balanceEdit.js';
import { loadTermsContext, type TermsContext } from './terms/context.js';
import { type SingleBalanceEdit, singleCommitEdit, singleCreditEdit } from './terms/edit.js';

/** Edits of single commits and credits, of a contract or of the customer. */

interface Held {
  change: ContractChange;
  context: TermsContext;
  balance: BalanceRecord;
  frozen: FrozenFacts;
}

/** The customer's balance with all that an edit of it needs; everything is locked. */
async function hold(
  { tx, core, accountId }: MetronomeContext,
  customerName: string,
  id: string,
  isCredit: boolean,
): Promise<Held> {
  const customer = await requireCustomerByAnyId(tx, accountId, customerName);
  const change = await lockForChange(tx, core, accountId, customer.id);
  const state = await loadContractState(tx, core, accountId, change.customer, change.now);
  const balance = state.balances.find((one) => one.id === id && (one.type === 'CREDIT') === isCredit);
  if (balance === undefined) throw notFound(isCredit ? 'credit' : 'commit', id, idField(isCredit));
  return {
    change,
    context: await loadTermsContext(tx, accountId, change.now),
    balance,
    frozen: await frozenFacts(change, state),
  };
}

const idField = (isCredit: boolean) => (isCredit ? 'credit_id' : 'commit_id');

async function edit(
  ctx: MetronomeContext,
  id: string,
  isCredit: boolean,
  params: SingleBalanceEdit,
): Promise<{ data: JsonObject }> {
  const { customer_id: customerName, ...edited } = params;
  const { change, context, balance, frozen } = await hold(ctx, customerName, id, isCredit);
  const after: BalanceRecord = {
    ...editedBalance(context, balance, edited, frozen, ''),
    ...(await editedContracts(change, balance, params)),
  };
  const verb = isCredit ? 'update_credits' : 'update_commits';
  await saveBalanceEdit(change, { before: balance, after }, { [verb]: editInWords([edited], verb) });
  return { data: { id } };
}

/** The contracts that a balance of the customer serves, and the one that invoices it. */
async function editedContracts(
  { tx, accountId, customer }: ContractChange,
  balance: BalanceRecord,
  params: SingleBalanceEdit,
): Promise<Partial<Pick<BalanceRecord, 'applicableContractIds' | 'invoiceContractId'>>> {
  const { applicable_contract_ids: applicable, invoice_contract_id: invoiced } = params;
  if (applicable === undefined && invoiced === undefined) return {};
  const field = applicable === undefined ? 'invoice_contract_id' : 'applicable_contract_ids';
  if (balance.contractId !== null) throw invalid(`Invalid '${field}': is for balances of the customer.`);
  if (applicable !== undefined && balance.type === 'POSTPAID') {
    throw invalid("Invalid 'applicable_contract_ids': cannot be edited for a postpaid commit.");
  }
  const known = new Set((await findContractsOf(tx, accountId, customer.id)).map(({ id }) => id));
  const foreign = applicable?.find((id) => !known.has(id));
  if (foreign !== undefined) throw notFound('contract', foreign, 'applicable_contract_ids');
  if (invoiced !== undefined && !known.has(invoiced)) {
    throw notFound('contract', invoiced, 'invoice_contract_id');
  }
  return {
    ...(applicable === undefined ? {} : { applicableContractIds: applicable }),
    ...(invoiced === undefined ? {} : { invoiceContractId: invoiced }),
  };
}

async function archive(
  ctx: MetronomeContext,
  customerName: string,
  id: string,
  isCredit: boolean,
): Promise<{ data: JsonObject }> {
  const { change, balance, frozen } = await hold(ctx, customerName, id, isCredit);
  const after = archivedBalance(balance, frozen, change.now, idField(isCredit));
  await saveBalanceEdit(
    change,
    { before: balance, after },
    { [isCredit ? 'archive_credits' : 'archive_commits']: [{ id }] },
  );
  return { data: { id } };
}

const editCommit = metronomeEndpoint({
  method: 'POST',
  path: '/v2/contracts/commits/edit',
  body: singleCommitEdit,
  handle: (ctx, input) => edit(ctx, input.commit_id, false, input),
});

const editCredit = metronomeEndpoint({
  method: 'POST',
  path: '/v2/contracts/credits/edit',
  body: singleCreditEdit,
  handle: (ctx, input) => edit(ctx, input.credit_id, true, input),
});

const archiveCommit = metronomeEndpoint({
  method: 'POST',
  path: '/v2/contracts/commits/archive',
  body: object({ customer_id: customerId(), commit_id: uuid() }),
  handle: (ctx, input) => archive(ctx, input.customer_id, input.commit_id, false),
});

const archiveCredit = metronomeEndpoint({
  method: 'POST',
  path: '/v2/contracts/credits/archive',
  body: object({ customer_id: customerId(), credit_id: uuid() }),
  handle: (ctx, input) => archive(ctx, input.customer_id, input.credit_id, true),
});

const disableTrueUp = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/commits/disableTrueup',
  body: object({ customer_id: customerId(), contract_id: uuid(), commit_id: uuid() }),
  /** The shortfall of a postpaid commit expires instead of being invoiced (docs.metronome.com, "disable true-up"). */
  async handle(ctx, input) {
    const { commit_id: id, contract_id: contractId } = input;
    const { change, balance, frozen } = await hold(ctx, input.customer_id, id, false);
    if ((balance.invoiceContractId ?? balance.contractId) !== contractId) {
      throw notFound(`commit on contract ${contractId}`, id, 'commit_id');
    }
    if (balance.type !== 'POSTPAID')
      throw invalid("Invalid 'commit_id': only postpaid commits have a true-up.");
    if (balance.archivedAt !== null) throw invalid(`Invalid 'commit_id': ${id} is archived.`);
    if (balance.invoiceSchedule?.items.some((item) => frozen.items.get(item.id)?.voided === false)) {
      throw invalid("Invalid 'commit_id': its true-up is invoiced; void that invoice first.");
    }
    if (!balance.trueUpDisabled) {
      const after = { ...balance, trueUpDisabled: true };
      await saveBalanceEdit(change, { before: balance, after }, { update_commits: [{ id }] });
    }
    return { data: { id } };
  },
});

export const balanceEditEndpoints: readonly MetronomeEndpoint[] = [
  editCommit,
  editCredit,
  archiveCommit,
  archiveCredit,
  disableTrueUp,
];
