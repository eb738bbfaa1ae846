import type { ContractRecord } from '../../domain/contract/contract.js';
import { covers } from '../../domain/contract/rateCard.js';
import { type ContractView, inCreationOrder } from './contractView.js';
import { boolean, customerId, object, timestamp } from './params.js';

/** What may be shown with a contract, in both versions of the API. */
export const shown = { include_balance: boolean().optional(), include_ledgers: boolean().optional() };

/** The parameters of a list of contracts, in both versions of the API. */
export const contractListParams = object({
  customer_id: customerId(),
  ...shown,
  include_archived: boolean().optional(),
  covering_date: timestamp().optional(),
  starting_at: timestamp().optional(),
});

interface ContractFilter {
  include_archived?: boolean | undefined;
  covering_date?: number | undefined;
  starting_at?: number | undefined;
}

/** The customer's contracts that a list asks for, in the order of their creation. */
export function listedContracts(view: ContractView, filter: ContractFilter): ContractRecord[] {
  const { include_archived: archived = false, covering_date: covering, starting_at: from } = filter;
  return inCreationOrder(view)
    .filter(({ archivedAt }) => archivedAt === null || archived)
    .filter(({ startingAt }) => from === undefined || startingAt >= from)
    .filter((contract) => covering === undefined || covers(contract, covering));
}
