import type { ContractRef } from '../core.js';
import type { DraftInvoice } from '../domain/contract/draft.js';
import { toText } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';
import { fromDocument, toDocument } from './documents.js';

/** An invoice that is final, whole as it was then. */
export interface ContractInvoiceRecord {
  id: string;
  customerId: string;
  contractId: string;
  type: 'USAGE' | 'SCHEDULED';
  status: 'FINALIZED' | 'VOID';
  issuedAt: Instant;
  finalizedAt: Instant;
  voidedAt: Instant | null;
  regeneratedFrom: string | null;
  invoice: DraftInvoice;
}

const COLUMNS = `id, customer_id as "customerId", contract_id as "contractId", type, status, issued_at as "issuedAt",
  finalized_at as "finalizedAt", voided_at as "voidedAt", regenerated_from as "regeneratedFrom", document`;

type Row = Omit<ContractInvoiceRecord, 'invoice'> & { document: unknown };

const read = ({ document, ...row }: Row): ContractInvoiceRecord => ({
  ...row,
  invoice: fromDocument(document) as DraftInvoice,
});

/** Stores a final invoice. False when it is there already, and then nothing is written. */
export async function insertContractInvoice(
  q: Queryable,
  accountId: string,
  record: ContractInvoiceRecord,
): Promise<boolean> {
  const { invoice } = record;
  const rows = await q.query<{ id: string }>(
    `insert into contract_invoices (account_id, id, customer_id, contract_id, type, status, period_start, period_end,
       issued_at, credit_type_id, total, document, finalized_at, voided_at, regenerated_from)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
     on conflict (account_id, id) do nothing returning id`,
    [
      accountId,
      record.id,
      record.customerId,
      record.contractId,
      record.type,
      record.status,
      timestamp(invoice.period?.start ?? null),
      timestamp(invoice.period?.end ?? null),
      timestamp(record.issuedAt),
      invoice.creditTypeId,
      toText(invoice.total),
      toDocument(invoice),
      timestamp(record.finalizedAt),
      timestamp(record.voidedAt),
      record.regeneratedFrom,
    ],
  );
  return rows.length > 0;
}

export async function findContractInvoice(
  q: Queryable,
  accountId: string,
  id: string,
): Promise<ContractInvoiceRecord | null> {
  const rows = await q.query<Row>(
    `select ${COLUMNS} from contract_invoices where account_id = $1 and id = $2`,
    [accountId, id],
  );
  return rows[0] === undefined ? null : read(rows[0]);
}

/** The final invoices of a customer, in the order of their dates. */
export async function findContractInvoicesOf(
  q: Queryable,
  accountId: string,
  customerId: string,
): Promise<ContractInvoiceRecord[]> {
  const rows = await q.query<Row>(
    `select ${COLUMNS} from contract_invoices where account_id = $1 and customer_id = $2 order by issued_at, id`,
    [accountId, customerId],
  );
  return rows.map(read);
}

export async function markContractInvoiceVoid(
  q: Queryable,
  accountId: string,
  id: string,
  at: Instant,
): Promise<void> {
  await q.query(
    `update contract_invoices set status = 'VOID', voided_at = $3 where account_id = $1 and id = $2`,
    [accountId, id, timestamp(at)],
  );
}

/** What is final of contracts: the end of the last usage statement, and all ids of scheduled invoices. */
export interface ClosedStatements {
  contractId: string;
  through: Instant;
}

/** By contract, the end of its last usage statement that is final, voided ones too; none when nothing is. */
export async function findClosedStatements(
  q: Queryable,
  accountId: string,
  contractIds: readonly string[],
): Promise<Map<string, Instant>> {
  const rows = await q.queryNamed<ClosedStatements>(
    'closed_statements',
    `select contract_id as "contractId", max(period_end) as through from contract_invoices
     where account_id = $1 and contract_id = any($2) and type = 'USAGE' group by contract_id`,
    [accountId, contractIds],
  );
  return new Map(rows.map(({ contractId, through }) => [contractId, through]));
}

/** By contract, the keys of the scheduled lines that are billed, and the invoices that did. */
export async function findBilledLines(
  q: Queryable,
  accountId: string,
  contractIds: readonly string[],
): Promise<Map<string, Map<string, string | null>>> {
  const rows = await q.queryNamed<{ contractId: string; key: string; invoiceId: string | null }>(
    'billed_lines',
    `select contract_id as "contractId", line_key as key, invoice_id as "invoiceId" from contract_billed_lines
     where account_id = $1 and contract_id = any($2)`,
    [accountId, contractIds],
  );
  const billed = new Map<string, Map<string, string | null>>();
  for (const { contractId, key, invoiceId } of rows) {
    const known = billed.get(contractId) ?? new Map<string, string | null>();
    billed.set(contractId, known.set(key, invoiceId));
  }
  return billed;
}

/** Notes that lines are billed, by an invoice or, null, for good without one. Throws when one was before. */
export async function insertBilledLines(
  q: Queryable,
  ref: ContractRef,
  keys: readonly string[],
  invoiceId: string | null,
): Promise<void> {
  await q.query(
    `insert into contract_billed_lines (account_id, contract_id, line_key, invoice_id)
     select $1, $2, key, $4 from unnest($3::text[]) as key`,
    [ref.accountId, ref.contractId, keys, invoiceId],
  );
}

/** Makes the lines of a voided invoice billable again, for its regeneration. */
export async function deleteBilledLines(q: Queryable, accountId: string, invoiceId: string): Promise<void> {
  await q.query('delete from contract_billed_lines where account_id = $1 and invoice_id = $2', [
    accountId,
    invoiceId,
  ]);
}

/** Whether another invoice was made from this one. */
export async function findRegenerated(q: Queryable, accountId: string, id: string): Promise<boolean> {
  const rows = await q.query<{ id: string }>(
    'select id from contract_invoices where account_id = $1 and regenerated_from = $2 limit 1',
    [accountId, id],
  );
  return rows.length > 0;
}
