import type { ContractRef } from '../core.js';
import type { CountedUsage } from '../domain/contract/late.js';
import type { Instant } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';
import { fromDocument, toDocument } from './documents.js';

/** What is known of a contract's late usage. */
export interface LateUsageMark {
  /** Of the first open statement; null when there will be none. */
  nextEnd: Instant | null;
  nextAt: Instant | null;
  /** Usage before it is late. */
  closingThrough: Instant | null;
  /** Late usage has come that no statement has billed yet: `noticed` is above `billed`. */
  noticed: bigint;
  billed: bigint;
  /** When a late statement of its own becomes final. */
  dueAt: Instant | null;
  /** How many of these there were. */
  lateStatements: number;
}

const MARK_COLUMNS = `next_end as "nextEnd", next_at as "nextAt", closing_through as "closingThrough", noticed,
  billed, due_at as "dueAt", late_statements as "lateStatements"`;

/** The marks of a customer's contracts, by contract. */
export async function findLateUsageMarks(
  q: Queryable,
  accountId: string,
  customerId: string,
): Promise<Map<string, LateUsageMark>> {
  const rows = await q.queryNamed<LateUsageMark & { contractId: string }>(
    'find_late_usage_marks',
    `select contract_id as "contractId", ${MARK_COLUMNS} from contract_late_usage
     where account_id = $1 and customer_id = $2`,
    [accountId, customerId],
  );
  return new Map(rows.map(({ contractId, ...mark }) => [contractId, mark]));
}

/** Notes which statement is the next to close, and when. */
export async function recordNextStatement(
  q: Queryable,
  { accountId, contractId }: ContractRef,
  customerId: string,
  next: { end: Instant; at: Instant } | null,
): Promise<void> {
  await q.query(
    `insert into contract_late_usage (account_id, contract_id, customer_id, next_end, next_at)
     values ($1, $2, $3, $4, $5)
     on conflict (account_id, contract_id) do update set next_end = excluded.next_end, next_at = excluded.next_at`,
    [accountId, contractId, customerId, timestamp(next?.end ?? null), timestamp(next?.at ?? null)],
  );
}

/**
 * Before a statement that is due by `now` is closed: from the commit on, usage of its time is noticed as late. Returns
 * whether there is one.
 */
export async function announceClosing(q: Queryable, ref: ContractRef, now: Instant): Promise<boolean> {
  const rows = await q.query(
    `update contract_late_usage set closing_through = greatest(closing_through, next_end)
     where account_id = $1 and contract_id = $2 and next_at <= $3 returning 1`,
    [ref.accountId, ref.contractId, timestamp(now)],
  );
  return rows.length > 0;
}

/** Late usage that was noticed before is billed, or dropped. The caller holds the customer's row. */
export async function settleLateUsage(
  q: Queryable,
  ref: ContractRef,
  noticed: bigint,
  byLateStatement: boolean,
): Promise<void> {
  await q.query(
    `update contract_late_usage set billed = greatest(billed, $3), due_at = null,
       late_statements = late_statements + $4
     where account_id = $1 and contract_id = $2`,
    [ref.accountId, ref.contractId, noticed, byLateStatement ? 1 : 0],
  );
}

/** Asks for a comparison of what is known with what is billed, when usage may have moved between customers. */
export async function noticeLateUsageOf(q: Queryable, accountId: string, customerId: string): Promise<void> {
  await q.query(
    `update contract_late_usage set noticed = noticed + 1
     where account_id = $1 and customer_id = $2 and closing_through is not null`,
    [accountId, customerId],
  );
}

/** The customer's contracts with late usage that no statement will take up and that has no date yet. */
export async function findUndatedLateUsage(
  q: Queryable,
  accountId: string,
  customerId: string,
): Promise<string[]> {
  const rows = await q.query<{ id: string }>(
    `select l.contract_id as id from contract_late_usage l
       join contracts c on c.account_id = l.account_id and c.id = l.contract_id
     where l.account_id = $1 and l.customer_id = $2 and l.noticed > l.billed and l.next_end is null
       and l.due_at is null and c.archived_at is null`,
    [accountId, customerId],
  );
  return rows.map(({ id }) => id);
}

export async function dateLateUsage(q: Queryable, ref: ContractRef, dueAt: Instant): Promise<void> {
  await q.query('update contract_late_usage set due_at = $3 where account_id = $1 and contract_id = $2', [
    ref.accountId,
    ref.contractId,
    timestamp(dueAt),
  ]);
}

/** What an invoice has counted of a statement. */
export interface StoredCount extends CountedUsage {
  invoiceId: string;
  isVoid: boolean;
}

/** Keeps what a final invoice has counted. Throws when it is there already. */
export async function insertCountedUsage(
  q: Queryable,
  ref: ContractRef,
  invoiceId: string,
  counted: CountedUsage,
): Promise<void> {
  await q.query(
    `insert into contract_counted_usage (account_id, contract_id, period_start, period_end, invoice_id, document)
     values ($1, $2, $3, $4, $5, $6)`,
    [
      ref.accountId,
      ref.contractId,
      timestamp(counted.period.start),
      timestamp(counted.period.end),
      invoiceId,
      toDocument(counted),
    ],
  );
}

/** What was counted of the statements that ended after `after` and by `by`, voided invoices included. */
export async function findCountedUsage(
  q: Queryable,
  ref: ContractRef,
  after: Instant,
  by: Instant,
): Promise<StoredCount[]> {
  const rows = await q.query<{ invoiceId: string; isVoid: boolean; document: unknown }>(
    `select c.invoice_id as "invoiceId", i.status = 'VOID' as "isVoid", c.document from contract_counted_usage c
       join contract_invoices i on i.account_id = c.account_id and i.id = c.invoice_id
     where c.account_id = $1 and c.contract_id = $2 and c.period_end > $3 and c.period_end <= $4
     order by c.period_start, c.invoice_id`,
    [ref.accountId, ref.contractId, timestamp(after), timestamp(by)],
  );
  return rows.map(({ document, ...row }) => ({ ...(fromDocument(document) as CountedUsage), ...row }));
}

/**
 * Forgets what a voided invoice has counted, before it is made anew; and what other voided ones have counted of its
 * own statement, which it takes up whole.
 */
export async function deleteCountedUsage(
  q: Queryable,
  accountId: string,
  invoice: { id: string; contractId: string; ownStart: Instant | null },
): Promise<void> {
  await q.query(
    `delete from contract_counted_usage c using contract_invoices i
     where c.account_id = $1 and c.contract_id = $2 and i.account_id = c.account_id and i.id = c.invoice_id
       and (c.invoice_id = $3 or (c.period_start = $4 and i.status = 'VOID'))`,
    [accountId, invoice.contractId, invoice.id, timestamp(invoice.ownStart)],
  );
}
