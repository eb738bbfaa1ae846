import type { ContractRef } from '../core.js';
import { BillingError } from '../domain/errors.js';
import type { ContractDocument, ContractRecord } from '../domain/contract/contract.js';
import type { Instant } from '../domain/period.js';
import { isUniqueViolation, type Queryable, timestamp } from './db.js';
import { fromDocument, toDocument } from './documents.js';

const COLUMNS = `id, customer_id as "customerId", test_clock_id as "testClockId", rate_card_id as "rateCardId",
  package_id as "packageId", name,
  starting_at as "startingAt", ending_before as "endingBefore", uniqueness_key as "uniquenessKey", terms,
  custom_fields as "customFields", created_at as "createdAt", archived_at as "archivedAt",
  next_due_at as "nextDueAt"`;

type Row = Omit<ContractRecord, 'document'> & { terms: unknown };

const read = ({ terms, ...row }: Row): ContractRecord => ({
  ...row,
  document: fromDocument(terms) as ContractDocument,
});

/** Stores a new contract. Throws BillingError `conflict` on a uniqueness key that was used before. */
export async function insertContract(q: Queryable, accountId: string, c: ContractRecord): Promise<void> {
  try {
    await q.query(
      `insert into contracts (account_id, id, customer_id, test_clock_id, rate_card_id, name, starting_at,
         ending_before, uniqueness_key, terms, custom_fields, created_at, archived_at, next_due_at, package_id)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
      [
        accountId,
        c.id,
        c.customerId,
        c.testClockId,
        c.rateCardId,
        c.name,
        timestamp(c.startingAt),
        timestamp(c.endingBefore),
        c.uniquenessKey,
        toDocument(c.document),
        JSON.stringify(c.customFields),
        timestamp(c.createdAt),
        timestamp(c.archivedAt),
        timestamp(c.nextDueAt),
        c.packageId,
      ],
    );
  } catch (error) {
    if (isUniqueViolation(error, 'contracts_uniqueness')) throw uniquenessConflict(c.uniquenessKey);
    throw error;
  }
}

/** 409 in Metronome's dialect, which its client must not send again. */
export function uniquenessConflict(key: string | null): BillingError {
  return new BillingError('conflict', `The uniqueness_key ${key ?? ''} has already been used.`, {
    retry: false,
  });
}

/** The contract, archived or not. With `lock` its row is held until the transaction ends. */
export async function findContract(
  q: Queryable,
  accountId: string,
  id: string,
  lock = false,
): Promise<ContractRecord | null> {
  const rows = await q.query<Row>(
    `select ${COLUMNS} from contracts where account_id = $1 and id = $2${lock ? ' for update' : ''}`,
    [accountId, id],
  );
  return rows[0] === undefined ? null : read(rows[0]);
}

/** The contracts of a customer, archived ones too, the earliest start first. */
export async function findContractsOf(
  q: Queryable,
  accountId: string,
  customerId: string,
): Promise<ContractRecord[]> {
  const rows = await q.queryNamed<Row>(
    'contracts_of_customer',
    `select ${COLUMNS} from contracts where account_id = $1 and customer_id = $2 order by starting_at, created_at, id`,
    [accountId, customerId],
  );
  return rows.map(read);
}

/** Writes what a change at an instant makes of a contract; keeps what it was until then. The caller holds the row. */
export async function updateContract(
  q: Queryable,
  accountId: string,
  c: ContractRecord,
  at: Instant,
): Promise<void> {
  await q.query(
    `with earlier as (
       insert into contract_versions (account_id, contract_id, until, name, ending_before, terms, archived_at)
       select account_id, id, $9, name, ending_before, terms, archived_at from contracts
       where account_id = $1 and id = $2
     )
     update contracts set name = $3, ending_before = $4, terms = $5, custom_fields = $6, archived_at = $7,
       rate_card_id = $8 where account_id = $1 and id = $2`,
    [
      accountId,
      c.id,
      c.name,
      timestamp(c.endingBefore),
      toDocument(c.document),
      JSON.stringify(c.customFields),
      timestamp(c.archivedAt),
      c.rateCardId,
      timestamp(at),
    ],
  );
}

export interface ContractEdit {
  id: string;
  at: Instant;
  uniquenessKey: string | null;
  /** The edit in the words of the API, with the ids that the server gave. */
  edit: unknown;
}

export async function insertContractEdit(q: Queryable, ref: ContractRef, edit: ContractEdit): Promise<void> {
  try {
    await q.query(
      `insert into contract_edits (account_id, contract_id, id, at, uniqueness_key, edit)
       values ($1, $2, $3, $4, $5, $6)`,
      [ref.accountId, ref.contractId, edit.id, timestamp(edit.at), edit.uniquenessKey, toDocument(edit.edit)],
    );
  } catch (error) {
    if (isUniqueViolation(error, 'contract_edits_uniqueness')) throw uniquenessConflict(edit.uniquenessKey);
    throw error;
  }
}

/** The edits of a contract, the first one first. */
export async function findContractEdits(q: Queryable, ref: ContractRef): Promise<ContractEdit[]> {
  const rows = await q.query<ContractEdit>(
    `select id, at, uniqueness_key as "uniquenessKey", edit from contract_edits
     where account_id = $1 and contract_id = $2 order by sequence`,
    [ref.accountId, ref.contractId],
  );
  return rows.map((row) => ({ ...row, edit: fromDocument(row.edit) }));
}

/** When the contract has work next, null for never again. The caller holds its row or the customer's. */
export async function setContractDue(q: Queryable, ref: ContractRef, at: Instant | null): Promise<void> {
  await q.query('update contracts set next_due_at = $3 where account_id = $1 and id = $2', [
    ref.accountId,
    ref.contractId,
    timestamp(at),
  ]);
}

export async function markContractStarted(q: Queryable, ref: ContractRef, at: Instant): Promise<void> {
  await q.query(
    `update contracts set workflow_started_at = $3
     where account_id = $1 and id = $2 and workflow_started_at is null`,
    [ref.accountId, ref.contractId, timestamp(at)],
  );
}

/** Contracts of a test clock whose next step is due by `until`, the earliest instant first. */
export function findContractsDueOnClock(
  q: Queryable,
  accountId: string,
  testClockId: string,
  until: Instant,
): Promise<(ContractRef & { dueAt: Instant })[]> {
  return q.query(
    `select account_id as "accountId", id as "contractId", next_due_at as "dueAt" from contracts
     where account_id = $1 and test_clock_id = $2 and next_due_at <= $3 order by next_due_at, id`,
    [accountId, testClockId, timestamp(until)],
  );
}

/** Contracts on wall time whose step was due before `before` and has not been done. */
export function findOverdueContracts(q: Queryable, before: Instant, limit: number): Promise<ContractRef[]> {
  return q.query<ContractRef>(
    `select account_id as "accountId", id as "contractId" from contracts
     where next_due_at < $1 and test_clock_id is null order by next_due_at limit $2`,
    [timestamp(before), limit],
  );
}

/** Contracts made before `before` whose workflow was never seen to start. */
export function findUnstartedContracts(q: Queryable, before: Instant, limit: number): Promise<ContractRef[]> {
  return q.query<ContractRef>(
    `select account_id as "accountId", id as "contractId" from contracts
     where workflow_started_at is null and inserted_at < $1 order by inserted_at limit $2`,
    [timestamp(before), limit],
  );
}
