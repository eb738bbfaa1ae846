import {
  archivedBalance,
  type EditedContract,
  type FrozenFacts,
  grantsMade,
  splitByRow,
} from '../../../billing/contracts/edit.js';
import type { ContractState } from '../../../billing/contracts/state.js';
import type {
  BalanceRecord,
  ContractDocument,
  ContractRecord,
  StoredRecurring,
  StoredScheduledCharge,
} from '../../../domain/contract/contract.js';
import { invalid, notFound } from '../../../domain/errors.js';
import { commitOf, creditOf } from './balances.js';
import { editedBalance, editedItems } from './balanceEdit.js';
import { scheduledChargeOf, subscriptionOf } from './charges.js';
import { requireProduct, type TermsContext } from './context.js';
import type { CommitEdit, EditParams } from './edit.js';
import { overrideOf } from './overrides.js';
import { checkDaily, recurringOf, roundingOf } from './recurring.js';
import { editedSubscription } from './subscriptionEdit.js';
import { spendTrackersOf } from './spendTrackers.js';
import {
  editedPrepaidThreshold,
  editedSpendThreshold,
  prepaidThresholdOf,
  spendThresholdOf,
} from './thresholds.js';

export interface EditSources {
  context: TermsContext;
  state: ContractState;
  contract: ContractRecord;
  frozen: FrozenFacts;
}

/** What the edit makes of the contract; nothing is written. */
export function editedContract(sources: EditSources, params: EditParams): Omit<EditedContract, 'words'> {
  const { contract } = sources;
  const balances = editedBalances(sources, params);
  const document = editedDocument(sources, params);
  const after: ContractRecord = {
    ...contract,
    name: params.update_contract_name === undefined ? contract.name : params.update_contract_name,
    document,
  };
  return {
    before: contract,
    after,
    end: params.update_contract_end_date,
    allowEndBeforeFinalized: params.allow_contract_ending_before_finalized_invoice ?? false,
    ...balances,
    uniquenessKey: params.uniqueness_key ?? null,
  };
}

function editedBalances(
  sources: EditSources,
  params: EditParams,
): { added: BalanceRecord[]; changed: BalanceRecord[] } {
  const { context, contract, frozen } = sources;
  const owner = {
    customerId: contract.customerId,
    contractId: contract.id,
    applicableContractIds: null,
    invoiceContractId: null,
    uniquenessKey: null,
    contractEnd: params.update_contract_end_date ?? contract.endingBefore,
  };
  const added = [
    ...(params.add_commits ?? []).map((one, i) => commitOf(context, one, owner, `add_commits[${i}]`)),
    ...(params.add_credits ?? []).map((one, i) => creditOf(context, one, owner, `add_credits[${i}]`)),
  ];
  const changed = new Map<string, BalanceRecord>();
  const edit = (id: string, change: CommitEdit, where: string, isCredit: boolean) => {
    const balance = changed.get(id) ?? balanceOf(sources, id, isCredit, where);
    changed.set(id, editedBalance(context, balance, change, frozen, where));
  };
  for (const [i, { commit_id: id, ...change }] of (params.update_commits ?? []).entries()) {
    edit(id, change, `update_commits[${i}]`, false);
  }
  for (const [i, { credit_id: id, ...change }] of (params.update_credits ?? []).entries()) {
    edit(id, change, `update_credits[${i}]`, true);
  }
  const archive = (id: string, where: string, isCredit: boolean) => {
    const balance = changed.get(id) ?? balanceOf(sources, id, isCredit, where);
    changed.set(id, archivedBalance(balance, frozen, context.now, where));
  };
  for (const { id } of params.archive_commits ?? []) archive(id, 'archive_commits', false);
  for (const { id } of params.archive_credits ?? []) archive(id, 'archive_credits', true);
  const written = withGrants(sources, params, [...changed.values()]);
  return { added: [...added, ...written.added], changed: written.changed };
}

/** With the grants of recurring ones that the edit changes, stored as they are. */
function withGrants(
  { state, contract, context }: EditSources,
  params: EditParams,
  edited: readonly BalanceRecord[],
): { added: BalanceRecord[]; changed: BalanceRecord[] } {
  const ids = [
    ...(params.update_recurring_commits ?? []).map((one) => one.recurring_commit_id),
    ...(params.update_recurring_credits ?? []).map((one) => one.recurring_credit_id),
  ];
  const { added, changed } = splitByRow(edited, state.balances);
  const stored = new Set(added.map(({ id }) => id));
  const made = ids
    .flatMap((id) => grantsMade(state, contract, id, context.now))
    .filter(({ id }) => !stored.has(id));
  return { added: [...added, ...made], changed };
}

function balanceOf(
  { state, contract }: EditSources,
  id: string,
  isCredit: boolean,
  where: string,
): BalanceRecord {
  const found = state.balances.find(
    (one) => one.id === id && one.contractId === contract.id && (one.type === 'CREDIT') === isCredit,
  );
  if (found === undefined) throw notFound(isCredit ? 'credit' : 'commit', id, where);
  return found;
}

function editedDocument(sources: EditSources, params: EditParams): ContractDocument {
  const { context, contract } = sources;
  const { document } = contract;
  const subscriptions = editedSubscriptions(sources, params);
  const recurring = editedRecurring(sources, params, subscriptions);
  checkDaily(recurring);
  return {
    ...document,
    subscriptions,
    recurring,
    overrides: editedOverrides(sources, params),
    scheduledCharges: editedCharges(sources, params),
    spendThreshold: spendThreshold(context, document, params),
    prepaidThreshold: prepaidThreshold(context, document, params),
    spendTrackers: editedTrackers(context, document, params),
    ...(params.update_net_payment_terms_days === undefined
      ? {}
      : { netPaymentTermsDays: params.update_net_payment_terms_days }),
    ...(params.add_billing_provider_configuration_update === undefined
      ? {}
      : { billingProvider: params.add_billing_provider_configuration_update }),
    ...(params.add_revenue_system_configuration_update === undefined
      ? {}
      : { revenueSystem: params.add_revenue_system_configuration_update }),
  };
}

function editedTrackers(
  context: TermsContext,
  { spendTrackers: before }: ContractDocument,
  params: EditParams,
): ContractDocument['spendTrackers'] {
  const archived = params.archive_spend_trackers ?? [];
  for (const alias of archived) {
    if (!before.some((one) => one.alias === alias)) {
      throw notFound('spend tracker', alias, 'archive_spend_trackers');
    }
  }
  const added = spendTrackersOf(context, params.add_spend_trackers, 'add_spend_trackers');
  return [...before.filter(({ alias }) => !archived.includes(alias)), ...added];
}

function editedOverrides(
  { context, contract }: EditSources,
  params: EditParams,
): ContractDocument['overrides'] {
  const { overrides, prioritization } = contract.document;
  const removed = new Set((params.remove_overrides ?? []).map(({ id }) => id));
  for (const id of removed) {
    if (!overrides.some((one) => one.id === id)) throw notFound('override', id, 'remove_overrides');
  }
  const added = (params.add_overrides ?? []).map((one, i) =>
    overrideOf(context, one, prioritization, `add_overrides[${i}]`),
  );
  return [...overrides.filter(({ id }) => !removed.has(id)), ...added];
}

function editedSubscriptions({ context, contract }: EditSources, params: EditParams) {
  let subscriptions = [...contract.document.subscriptions];
  for (const [i, edit] of (params.update_subscriptions ?? []).entries()) {
    const index = subscriptions.findIndex(({ id }) => id === edit.subscription_id);
    const before = subscriptions[index];
    if (before === undefined)
      throw notFound('subscription', edit.subscription_id, `update_subscriptions[${i}]`);
    subscriptions = subscriptions.with(index, editedSubscription(before, edit, `update_subscriptions[${i}]`));
  }
  const added = (params.add_subscriptions ?? []).map((one, i) =>
    subscriptionOf(context, one, contract.startingAt, `add_subscriptions[${i}]`),
  );
  return [...subscriptions, ...added];
}

function editedRecurring(
  { context, contract }: EditSources,
  params: EditParams,
  subscriptions: ContractDocument['subscriptions'],
): StoredRecurring[] {
  let recurring = [...contract.document.recurring];
  const edits = [
    ...(params.update_recurring_commits ?? []).map((one) => ({
      id: one.recurring_commit_id,
      type: 'PREPAID',
      one,
    })),
    ...(params.update_recurring_credits ?? []).map((one) => ({
      id: one.recurring_credit_id,
      type: 'CREDIT',
      one: { ...one, invoice_amount: undefined },
    })),
  ];
  for (const { id, type, one } of edits) {
    const index = recurring.findIndex((known) => known.id === id && known.type === type);
    const before = recurring[index];
    if (before === undefined) throw notFound('recurring commit or credit', id);
    recurring = recurring.with(index, editedTerms(before, one));
  }
  const added = [
    ...(params.add_recurring_commits ?? []).map((one, i) =>
      recurringOf(context, one, 'PREPAID', subscriptions, `add_recurring_commits[${i}]`),
    ),
    ...(params.add_recurring_credits ?? []).map((one, i) =>
      recurringOf(context, one, 'CREDIT', subscriptions, `add_recurring_credits[${i}]`),
    ),
  ];
  return [...recurring, ...added];
}

type RecurringEdit = Omit<NonNullable<EditParams['update_recurring_commits']>[number], 'recurring_commit_id'>;

function editedTerms(before: StoredRecurring, edit: RecurringEdit): StoredRecurring {
  const { access_amount: access, invoice_amount: invoice, proration_rounding: rounding } = edit;
  return {
    ...before,
    ...(edit.ending_before === undefined ? {} : { endingBefore: edit.ending_before }),
    ...(edit.rate_type === undefined ? {} : { rateType: edit.rate_type }),
    ...(access === undefined
      ? {}
      : {
          access: {
            ...before.access,
            unitPrice: access.unit_price ?? before.access.unitPrice,
            quantity: access.quantity ?? before.access.quantity,
          },
        }),
    ...(invoice === undefined || before.invoice === null
      ? {}
      : {
          invoice: {
            ...before.invoice,
            unitPrice: invoice.unit_price ?? before.invoice.unitPrice,
            quantity: invoice.quantity ?? before.invoice.quantity,
          },
        }),
    ...(rounding === undefined
      ? {}
      : { accessRounding: roundingOf(rounding?.access), invoiceRounding: roundingOf(rounding?.invoice) }),
  };
}

function editedCharges(
  { context, contract, frozen }: EditSources,
  params: EditParams,
): StoredScheduledCharge[] {
  let charges = [...contract.document.scheduledCharges];
  const at = (id: string, where: string) => {
    const index = charges.findIndex((one) => one.id === id && one.archivedAt === null);
    const charge = charges[index];
    if (charge === undefined) throw notFound('scheduled charge', id, where);
    return { index, charge };
  };
  for (const [i, edit] of (params.update_scheduled_charges ?? []).entries()) {
    const where = `update_scheduled_charges[${i}]`;
    const { index, charge } = at(edit.scheduled_charge_id, where);
    if (edit.invoice_schedule === undefined) continue;
    const items = editedItems(charge.items, edit.invoice_schedule, frozen, `${where}.invoice_schedule`);
    charges = charges.with(index, { ...charge, items });
  }
  for (const { id } of params.archive_scheduled_charges ?? []) {
    const { index, charge } = at(id, 'archive_scheduled_charges');
    if (charge.items.some((item) => frozen.items.get(item.id)?.voided === false)) {
      throw invalid(`Invalid 'archive_scheduled_charges': ${id} is on finalized invoices; void them first.`);
    }
    charges = charges.with(index, { ...charge, archivedAt: context.now });
  }
  const added = (params.add_scheduled_charges ?? []).map((one, i) =>
    scheduledChargeOf(context, one, `add_scheduled_charges[${i}]`),
  );
  return [...charges, ...added];
}

function spendThreshold(
  context: TermsContext,
  { spendThreshold: before }: ContractDocument,
  params: EditParams,
): ContractDocument['spendThreshold'] {
  const { add_spend_threshold_configuration: added, update_spend_threshold_configuration: change } = params;
  if (added !== undefined) {
    if (before !== null) throw invalid("Invalid 'add_spend_threshold_configuration': there is one already.");
    return spendThresholdOf(context, added, 'add_spend_threshold_configuration');
  }
  if (change === undefined) return before;
  if (before === null) throw invalid("Invalid 'update_spend_threshold_configuration': there is none.");
  checkCommitProduct(context, change.commit?.product_id, 'update_spend_threshold_configuration');
  return editedSpendThreshold(before, change);
}

function prepaidThreshold(
  context: TermsContext,
  { prepaidThreshold: before }: ContractDocument,
  params: EditParams,
): ContractDocument['prepaidThreshold'] {
  const added = params.add_prepaid_balance_threshold_configuration;
  const change = params.update_prepaid_balance_threshold_configuration;
  if (added !== undefined) {
    if (before !== null)
      throw invalid("Invalid 'add_prepaid_balance_threshold_configuration': there is one already.");
    return prepaidThresholdOf(context, added, 'add_prepaid_balance_threshold_configuration');
  }
  if (change === undefined) return before;
  if (before === null)
    throw invalid("Invalid 'update_prepaid_balance_threshold_configuration': there is none.");
  checkCommitProduct(context, change.commit?.product_id, 'update_prepaid_balance_threshold_configuration');
  return editedPrepaidThreshold(context, before, change);
}

function checkCommitProduct(context: TermsContext, id: string | undefined, where: string): void {
  if (id !== undefined) requireProduct(context, id, `${where}.commit.product_id`, ['FIXED']);
}
