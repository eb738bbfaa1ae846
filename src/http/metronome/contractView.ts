import { requireCustomerByAnyId } from '../../billing/metronome/customers.js';
import { customerNow } from '../../billing/clock.js';
import type { EarlierState } from '../../billing/contracts/asOf.js';
import { type OpenInvoices, openInvoices, type OpenOptions } from '../../billing/contracts/open.js';
import type { ContractRecord } from '../../domain/contract/contract.js';
import { notFound } from '../../domain/errors.js';
import type { Instant } from '../../domain/period.js';
import type { JsonObject } from '../../json.js';
import { loadProducts } from '../../storage/contractProducts.js';
import type { MetronomeCustomer } from '../../storage/ingestAliases.js';
import { USD_CREDIT_TYPE_ID } from '../../storage/pricingUnits.js';
import type { MetronomeContext } from './endpoint.js';
import { type ContractContext, contractObject } from './render/contract.js';
import type { InvoiceContext } from './render/invoice.js';

/** A customer's contracts, balances and drafts as they are now, and what is needed to show them. */
export interface ContractView {
  customer: MetronomeCustomer;
  now: Instant;
  open: OpenInvoices;
  products: Awaited<ReturnType<typeof loadProducts>>;
}

export async function loadView(
  ctx: MetronomeContext,
  customerId: string,
  options: Omit<OpenOptions, 'at'> = {},
): Promise<ContractView> {
  const { q, core, accountId } = ctx;
  const customer = await requireCustomerByAnyId(q, accountId, customerId);
  const now = await customerNow(q, core, accountId, customer);
  const open = await openInvoices(q, core, accountId, customer, { ...options, at: now });
  return { customer, now, open, products: await loadProducts(q, accountId, now) };
}

export interface BalanceOptions {
  include_balance?: boolean | undefined;
  include_ledgers?: boolean | undefined;
}

export function contractContext(view: ContractView, options: BalanceOptions): ContractContext {
  const { open, customer, now, products } = view;
  const invoiceOf = new Map<string, string | null>();
  for (const draft of open.drafts) for (const { key } of draft.lines) invoiceOf.set(key, draft.invoiceId);
  for (const { billed } of open.state.contracts) for (const [key, id] of billed) invoiceOf.set(key, id);
  return {
    units: open.state.units,
    products,
    at: now,
    invoiceOf,
    includeBalance: options.include_balance ?? false,
    includeLedger: options.include_ledgers ?? false,
    customerUuid: customer.uuid,
    fiatCreditTypeId: USD_CREDIT_TYPE_ID,
  };
}

/** The contract as it was, in v2's shape. */
export function earlierObject(
  view: ContractView,
  earlier: EarlierState,
  options: BalanceOptions,
): JsonObject {
  const context = { ...contractContext(view, options), at: earlier.at };
  return contractObject(context, earlier.contract, earlier.balances);
}

export function invoiceContext(view: ContractView, skipZeroLines: boolean): InvoiceContext {
  const { open, customer, products } = view;
  return {
    customerUuid: customer.uuid,
    customerCustomFields: customer.customFields,
    contracts: new Map(open.state.allContracts.map((contract) => [contract.id, contract])),
    units: open.state.units,
    products,
    skipZeroLines,
  };
}

/** The customer's contracts, archived ones too, the first made first. */
export function inCreationOrder(view: ContractView): ContractRecord[] {
  return view.open.state.allContracts.toSorted((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
}

/** The customer's contract, archived or not. */
export function contractOf(view: ContractView, contractId: string): ContractRecord {
  const contract = view.open.state.allContracts.find(({ id }) => id === contractId);
  if (contract === undefined) throw notFound('contract', contractId, 'contract_id');
  return contract;
}
