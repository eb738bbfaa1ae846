import type { ContractRef } from '../core.js';
import type { ContractDocument } from '../domain/contract/contract.js';
import type { Instant } from '../domain/period.js';
import { type BalanceTerms, readBalanceTerms } from './balances.js';
import { type Queryable, timestamp } from './db.js';
import { fromDocument } from './documents.js';

/** What changes of a contract take the place of. */
export interface EarlierContract {
  name: string | null;
  endingBefore: Instant | null;
  document: ContractDocument;
  archivedAt: Instant | null;
}

/** What the contract was until its first change after the instant. Null where it hasn't changed since. */
export async function findContractAt(
  q: Queryable,
  ref: ContractRef,
  at: Instant,
): Promise<EarlierContract | null> {
  const rows = await q.query<Omit<EarlierContract, 'document'> & { terms: unknown }>(
    `select name, ending_before as "endingBefore", terms, archived_at as "archivedAt" from contract_versions
     where account_id = $1 and contract_id = $2 and until > $3 order by sequence limit 1`,
    [ref.accountId, ref.contractId, timestamp(at)],
  );
  const [first] = rows;
  if (first === undefined) return null;
  const { terms, ...columns } = first;
  return { ...columns, document: fromDocument(terms) as ContractDocument };
}

/** What changes of a commit or credit take the place of. */
export type EarlierBalance = BalanceTerms & { archivedAt: Instant | null };

/** What those of a contract's stored balances were that have changed since the instant, by id. */
export async function findBalancesAt(
  q: Queryable,
  ref: ContractRef,
  at: Instant,
): Promise<Map<string, EarlierBalance>> {
  const rows = await q.query<{ id: string; terms: unknown; archivedAt: Instant | null }>(
    `select distinct on (v.balance_id) v.balance_id as id, v.terms, v.archived_at as "archivedAt"
     from balances b join balance_versions v on v.account_id = b.account_id and v.balance_id = b.id
     where b.account_id = $1 and b.contract_id = $2 and v.until > $3 order by v.balance_id, v.sequence`,
    [ref.accountId, ref.contractId, timestamp(at)],
  );
  return new Map(rows.map(({ id, terms, archivedAt }) => [id, { ...readBalanceTerms(terms), archivedAt }]));
}
