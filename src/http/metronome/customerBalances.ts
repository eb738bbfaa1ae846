import { firstLifecycleEvent } from '../../domain/contract/lifecycle.js';
import type { BalanceRecord } from '../../domain/contract/contract.js';
import { type ContractChange, lockForChange } from '../../billing/contracts/create.js';
import { checkNewParts } from '../../billing/contracts/customFields.js';
import { tellOfBalanceEdit } from '../../billing/contracts/notifications.js';
import { contractsChanged } from '../../billing/contracts/plan.js';
import { requireCustomerByAnyId } from '../../billing/metronome/customers.js';
import { invalid, notFound } from '../../domain/errors.js';
import { findBalancesOf, insertBalance, updateBalance } from '../../storage/balances.js';
import { findContractsOf } from '../../storage/contracts.js';
import { balanceListFields, balancePage } from './balances.js';
import { loadView } from './contractView.js';
import { type MetronomeContext, type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { customerId, hourTimestamp, object, uuid } from './params.js';
import { commitOf, creditOf, customerCommit, customerCredit } from './terms/balances.js';
import { loadTermsContext } from './terms/context.js';

/** Commits and credits of a customer, shared by its contracts. */

async function lockCustomer({ tx, core, accountId }: MetronomeContext, id: string): Promise<ContractChange> {
  const customer = await requireCustomerByAnyId(tx, accountId, id);
  return lockForChange(tx, core, accountId, customer.id);
}

async function store(change: ContractChange, balance: BalanceRecord): Promise<{ data: { id: string } }> {
  const { tx, core, accountId, customer, now } = change;
  const known = new Set((await findContractsOf(tx, accountId, customer.id)).map(({ id }) => id));
  const invoiced = balance.invoiceContractId === null ? [] : [balance.invoiceContractId];
  const foreign = [...(balance.applicableContractIds ?? []), ...invoiced].find((id) => !known.has(id));
  if (foreign !== undefined) throw notFound('contract', foreign, 'applicable_contract_ids');
  await checkNewParts(tx, accountId, { balances: [balance] });
  await insertBalance(tx, accountId, balance);
  await contractsChanged(tx, core, accountId, customer, now, firstLifecycleEvent([], [balance], now));
  return { data: { id: balance.id } };
}

const createCommit = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/customerCommits/create',
  body: customerCommit,
  async handle(ctx, input) {
    const change = await lockCustomer(ctx, input.customer_id);
    const context = await loadTermsContext(ctx.tx, ctx.accountId, change.now);
    const invoiced = input.invoice_schedule !== undefined && input.invoice_schedule.do_not_invoice !== true;
    if (input.invoice_contract_id === undefined && (input.type === 'POSTPAID' || invoiced)) {
      throw invalid("Invalid 'invoice_contract_id': is required for a commit that is invoiced.");
    }
    const balance = commitOf(
      context,
      input,
      {
        customerId: change.customer.id,
        contractId: null,
        applicableContractIds: input.applicable_contract_ids ?? null,
        invoiceContractId: input.invoice_contract_id ?? null,
        uniquenessKey: input.uniqueness_key ?? null,
        contractEnd: null,
      },
      '',
    );
    return store(change, balance);
  },
});

const createCredit = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/customerCredits/create',
  body: customerCredit,
  async handle(ctx, input) {
    const change = await lockCustomer(ctx, input.customer_id);
    const context = await loadTermsContext(ctx.tx, ctx.accountId, change.now);
    const balance = creditOf(
      context,
      input,
      {
        customerId: change.customer.id,
        contractId: null,
        applicableContractIds: input.applicable_contract_ids ?? null,
        invoiceContractId: null,
        uniquenessKey: input.uniqueness_key ?? null,
        contractEnd: null,
      },
      '',
    );
    return store(change, balance);
  },
});

const listCommits = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/customerCommits/list',
  transactional: false,
  body: object({ commit_id: uuid().optional(), ...balanceListFields }),
  async handle(ctx, input) {
    const view = await loadView(ctx, input.customer_id);
    const shown = {
      ...input,
      include_contract_balances: input.include_contract_balances ?? input.commit_id !== undefined,
    };
    return balancePage(
      view,
      shown,
      ({ id, type }) => type !== 'CREDIT' && (input.commit_id === undefined || id === input.commit_id),
    );
  },
});

const listCredits = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/customerCredits/list',
  transactional: false,
  body: object({ credit_id: uuid().optional(), ...balanceListFields }),
  async handle(ctx, input) {
    const view = await loadView(ctx, input.customer_id);
    const shown = {
      ...input,
      include_contract_balances: input.include_contract_balances ?? input.credit_id !== undefined,
    };
    return balancePage(
      view,
      shown,
      ({ id, type }) => type === 'CREDIT' && (input.credit_id === undefined || id === input.credit_id),
    );
  },
});

/** Access ends earlier or at another time than agreed; what is final stays. */
async function moveEnd(
  change: ContractChange,
  id: string,
  isCredit: boolean,
  accessEnd: number | undefined,
  invoiceEnd: number | undefined,
): Promise<{ data: { id: string } }> {
  const { tx, core, accountId, customer, now } = change;
  const balances = await findBalancesOf(tx, accountId, customer.id);
  const balance = balances.find((one) => one.id === id && (one.type === 'CREDIT') === isCredit);
  if (balance === undefined)
    throw notFound(isCredit ? 'credit' : 'commit', id, isCredit ? 'credit_id' : 'commit_id');
  const changed = { ...balance };
  if (accessEnd !== undefined) {
    const kept = balance.access.filter(({ startingAt }) => startingAt < accessEnd);
    if (kept.length === 0) throw invalid("Invalid 'access_ending_before': is before the access starts.");
    changed.access = kept.map((segment, index) =>
      index === kept.length - 1 ? { ...segment, endingBefore: accessEnd } : segment,
    );
  }
  if (invoiceEnd !== undefined && balance.invoiceSchedule !== null) {
    const items = balance.invoiceSchedule.items.filter(({ timestamp }) => timestamp < invoiceEnd);
    changed.invoiceSchedule = { ...balance.invoiceSchedule, items };
  }
  await updateBalance(tx, accountId, changed, now);
  await tellOfBalanceEdit(tx, change, changed, now);
  await contractsChanged(tx, core, accountId, customer, now, firstLifecycleEvent([], [changed], now));
  return { data: { id } };
}

const endCommit = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/customerCommits/updateEndDate',
  body: object({
    customer_id: customerId(),
    commit_id: uuid(),
    access_ending_before: hourTimestamp().optional(),
    invoices_ending_before: hourTimestamp().optional(),
  }),
  async handle(ctx, input) {
    const change = await lockCustomer(ctx, input.customer_id);
    return moveEnd(change, input.commit_id, false, input.access_ending_before, input.invoices_ending_before);
  },
});

const endCredit = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/customerCredits/updateEndDate',
  body: object({ customer_id: customerId(), credit_id: uuid(), access_ending_before: hourTimestamp() }),
  async handle(ctx, input) {
    const change = await lockCustomer(ctx, input.customer_id);
    return moveEnd(change, input.credit_id, true, input.access_ending_before, undefined);
  },
});

export const customerBalanceEndpoints: readonly MetronomeEndpoint[] = [
  createCommit,
  createCredit,
  listCommits,
  listCredits,
  endCommit,
  endCredit,
];
