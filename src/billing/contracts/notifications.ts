import { v5 as uuidv5 } from 'uuid';
import type { BalanceRecord, ContractRecord } from '../../domain/contract/contract.js';
import type { DraftInvoice } from '../../domain/contract/draft.js';
import { type LifecycleEvent, lifecycleEvents, nextLifecycleEvent } from '../../domain/contract/lifecycle.js';
import { recurringGrants } from '../../domain/contract/recurring.js';
import type { Instant } from '../../domain/period.js';
import { type JsonObject, jsonNumber } from '../../json.js';
import type { CustomerRecord } from '../../storage/customers.js';
import type { Transaction } from '../../storage/db.js';
import { findCustomerByAnyId } from '../../storage/ingestAliases.js';
import { emitEvent } from '../events.js';
import { type ContractState, grantContext } from './state.js';

const NAMESPACE = 'b3b1f5a4-54a5-5a0a-9a57-6b1f0c1a7d52';
/** Grants of recurring commits are looked for this far ahead: the longest of their periods and a day. */
const HORIZON_MS = 367 * 86_400_000;

/** Who is told of, and from where the contracts of custom fields come. */
export interface Told {
  accountId: string;
  customer: CustomerRecord;
}

/**
 * Tells of everything that has happened to the customer's contracts, commits and credits in `[from, to]` by the
 * customer's time (docs.metronome.com, "system notifications"). Each thing once, whatever was told before: the event's
 * id follows from what happened.
 */
export async function tellOfLifecycle(
  tx: Transaction,
  told: Told,
  state: ContractState,
  from: Instant,
  to: Instant,
): Promise<void> {
  const events = lifecycleEvents(state.allContracts, state.balances, from, to);
  if (events.length === 0) return;
  const common = await commonOf(tx, told);
  const contracts = new Map(state.allContracts.map((contract) => [contract.id, contract]));
  for (const event of events) {
    const contract = event.contractId === null ? undefined : contracts.get(event.contractId);
    await emitEvent(tx, {
      accountId: told.accountId,
      livemode: told.customer.livemode,
      type: event.type,
      at: to,
      id: idOf(told.accountId, event),
      object: { ...common, ...objectOf(event), ...contractFields(contract), timestamp: iso(event.at) },
    });
  }
}

/** When the customer's contracts, commits and credits have something to tell of next; null for never. */
export function nextToTell(state: ContractState, at: Instant): Instant | null {
  const coming = state.contracts.flatMap(({ contract }) => {
    const context = grantContext(state.accountId, contract, state.units);
    return contract.document.recurring.flatMap((recurring) =>
      recurringGrants(
        recurring,
        context,
        Math.max(at, recurring.startingAt, contract.startingAt) + HORIZON_MS,
      )
        .flatMap(({ access }) => access.map(({ startingAt }) => startingAt))
        .filter((instant) => instant > at)
        .slice(0, 1),
    );
  });
  const next = nextLifecycleEvent(state.allContracts, state.balances, at);
  const all = next === null ? coming : [...coming, next];
  return all.length === 0 ? null : Math.min(...all);
}

/** Tells of an edit of a contract, in its transaction. */
export async function tellOfContractEdit(
  tx: Transaction,
  told: Told,
  contract: ContractRecord,
  at: Instant,
): Promise<void> {
  const object = { id: contract.id, object: 'contract', ...contractFields(contract) };
  await emitNow(tx, told, 'contract.edit', object, at);
}

/** Tells of an edit of a commit or credit; its being archived is told of by itself. */
export async function tellOfBalanceEdit(
  tx: Transaction,
  told: Told,
  balance: BalanceRecord,
  at: Instant,
): Promise<void> {
  if (balance.archivedAt !== null) return;
  const noun = balance.type === 'CREDIT' ? 'credit' : 'commit';
  await emitNow(tx, told, `${noun}.edit`, balanceFields(balance), at);
}

/** Tells that an invoice of a contract has become final, in the transaction that makes it so. */
export async function tellOfFinal(
  tx: Transaction,
  told: Told,
  invoice: DraftInvoice,
  at: Instant,
): Promise<void> {
  const object = {
    id: invoice.invoiceId,
    object: 'invoice',
    invoice_id: invoice.invoiceId,
    contract_id: invoice.contractId,
    invoice_type: invoice.type,
    invoice_total: jsonNumber(invoice.total),
    credit_type_id: invoice.creditTypeId,
    ...(invoice.period === null
      ? {}
      : { start_timestamp: iso(invoice.period.start), end_timestamp: iso(invoice.period.end) }),
  };
  await emitNow(tx, told, 'invoice.finalized', object, at);
}

async function emitNow(
  tx: Transaction,
  told: Told,
  type: string,
  object: JsonObject,
  at: Instant,
): Promise<void> {
  const { accountId, customer } = told;
  await emitEvent(tx, {
    accountId,
    livemode: customer.livemode,
    type,
    at,
    object: { ...(await commonOf(tx, told)), ...object, timestamp: iso(at) },
  });
}

async function commonOf(tx: Transaction, { accountId, customer }: Told): Promise<JsonObject> {
  const found = await findCustomerByAnyId(tx, accountId, customer.id);
  return {
    environment_type: customer.livemode ? 'PRODUCTION' : 'SANDBOX',
    customer_id: found?.uuid ?? customer.id,
    customer_custom_fields: found?.customFields ?? {},
  };
}

function objectOf({ balance, contractId, segmentIndex }: LifecycleEvent): JsonObject {
  if (balance === null) return { id: contractId, object: 'contract' };
  const segment = segmentIndex === null ? undefined : balance.access[segmentIndex];
  return {
    ...balanceFields(balance),
    ...(segment === undefined
      ? {}
      : { segment_id: segment.id, segment_index: segmentIndex, segment_count: balance.access.length }),
  };
}

function balanceFields({ id, type, customFields, contractId, recurringId }: BalanceRecord): JsonObject {
  const noun = type === 'CREDIT' ? 'credit' : 'commit';
  return {
    id,
    object: noun,
    [`${noun}_id`]: id,
    [`${noun}_custom_fields`]: customFields,
    ...(contractId === null ? {} : { contract_id: contractId }),
    ...(recurringId === null ? {} : { [`parent_recurring_${noun}_id`]: recurringId }),
  };
}

function contractFields(contract: ContractRecord | undefined): JsonObject {
  return contract === undefined
    ? {}
    : { contract_id: contract.id, contract_custom_fields: contract.customFields };
}

/** A thing that happens again at another instant, like an end that was moved, is another event. */
function idOf(accountId: string, { type, at, contractId, balance, segmentIndex }: LifecycleEvent): string {
  const subject =
    balance === null ? contractId : `${balance.id}/${balance.access[segmentIndex ?? -1]?.id ?? ''}`;
  return `evt_${uuidv5(`${accountId}/${type}/${subject ?? ''}/${at}`, NAMESPACE).replaceAll('-', '')}`;
}

function iso(at: Instant): string {
  return new Date(at).toISOString();
}
