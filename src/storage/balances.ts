import type { BalanceRecord } from '../domain/contract/contract.js';
import type { LedgerEntry } from '../domain/contract/balanceTerms.js';
import { parseDecimal, toText } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import { uniquenessConflict } from './contracts.js';
import { isUniqueViolation, type Queryable, timestamp } from './db.js';
import { fromDocument, toDocument } from './documents.js';

const COLUMNS = `id, customer_id as "customerId", contract_id as "contractId", type, recurring_id as "recurringId",
  uniqueness_key as "uniquenessKey", invoice_contract_id as "invoiceContractId", terms,
  custom_fields as "customFields", created_at as "createdAt", archived_at as "archivedAt"`;

type Columns = Pick<
  BalanceRecord,
  | 'id'
  | 'customerId'
  | 'contractId'
  | 'type'
  | 'recurringId'
  | 'uniquenessKey'
  | 'invoiceContractId'
  | 'customFields'
  | 'createdAt'
  | 'archivedAt'
>;
/** What of a balance is kept as one document. */
export type BalanceTerms = Omit<BalanceRecord, keyof Columns | 'entries' | 'shares'>;

export function readBalanceTerms(stored: unknown): BalanceTerms {
  return fromDocument(stored) as BalanceTerms;
}

/** Stores a commit or credit; its `entries` are written by `insertBalanceEntries`. Throws `conflict` on a used key. */
export async function insertBalance(q: Queryable, accountId: string, balance: BalanceRecord): Promise<void> {
  try {
    await q.query(
      `insert into balances (account_id, id, customer_id, contract_id, type, recurring_id, uniqueness_key,
         invoice_contract_id, terms, custom_fields, created_at, archived_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
      [
        accountId,
        balance.id,
        balance.customerId,
        balance.contractId,
        balance.type,
        balance.recurringId,
        balance.uniquenessKey,
        balance.invoiceContractId,
        toDocument(termsOfBalance(balance)),
        JSON.stringify(balance.customFields),
        timestamp(balance.createdAt),
        timestamp(balance.archivedAt),
      ],
    );
  } catch (error) {
    if (isUniqueViolation(error, 'balances_uniqueness')) throw uniquenessConflict(balance.uniquenessKey);
    throw error;
  }
}

function termsOfBalance(balance: BalanceRecord): BalanceTerms {
  const { name, productId, creditTypeId, priority, rateType, access, invoiceSchedule } = balance;
  const { rolloverFraction, applicability, applicableContractIds, rolledOverFrom } = balance;
  const { trueUpDisabled, givenName, description, countsAsDiscounted, origin, seats } = balance;
  return {
    name,
    productId,
    creditTypeId,
    priority,
    rateType,
    access,
    invoiceSchedule,
    rolloverFraction,
    applicability,
    applicableContractIds,
    rolledOverFrom,
    trueUpDisabled,
    givenName,
    description,
    countsAsDiscounted,
    origin,
    ...(seats === undefined ? {} : { seats }),
  };
}

/** Writes what a change at an instant makes of a balance, without the entries; keeps what it was until then. */
export async function updateBalance(
  q: Queryable,
  accountId: string,
  balance: BalanceRecord,
  at: Instant,
): Promise<void> {
  await q.query(
    `with earlier as (
       insert into balance_versions (account_id, balance_id, until, terms, archived_at)
       select account_id, id, $7, terms, archived_at from balances where account_id = $1 and id = $2
     )
     update balances set terms = $3, custom_fields = $4, archived_at = $5, invoice_contract_id = $6
     where account_id = $1 and id = $2`,
    [
      accountId,
      balance.id,
      toDocument(termsOfBalance(balance)),
      JSON.stringify(balance.customFields),
      timestamp(balance.archivedAt),
      balance.invoiceContractId,
      timestamp(at),
    ],
  );
}

/**
 * Every stored commit and credit of a customer, archived ones too, in the order of creation, the facts about
 * each and what follows from seats left out: see `findBalanceEntries`, which also has those about computed grants that have no row.
 */
export async function findBalancesOf(
  q: Queryable,
  accountId: string,
  customerId: string,
): Promise<BalanceRecord[]> {
  const rows = await q.queryNamed<Columns & { terms: unknown }>(
    'balances_of_customer',
    `select ${COLUMNS} from balances where account_id = $1 and customer_id = $2 order by created_at, id`,
    [accountId, customerId],
  );
  return rows.map(({ terms, ...columns }) => ({
    ...readBalanceTerms(terms),
    ...columns,
    entries: [],
  }));
}

/** The facts about balances, by balance, in the order in which they were written. */
export async function findBalanceEntries(
  q: Queryable,
  accountId: string,
  balanceIds: readonly string[],
): Promise<Map<string, LedgerEntry[]>> {
  if (balanceIds.length === 0) return new Map();
  const rows = await q.queryNamed<
    Omit<LedgerEntry, 'amount' | 'timestamp'> & { balanceId: string; amount: string; at: Instant }
  >(
    'balance_entries',
    `select balance_id as "balanceId", type, segment_id as "segmentId", at, amount, invoice_id as "invoiceId",
       contract_id as "contractId", new_contract_id as "newContractId", reason, seat_id as "seatId"
     from balance_entries where account_id = $1 and balance_id = any($2) order by sequence`,
    [accountId, balanceIds],
  );
  const entries = new Map<string, LedgerEntry[]>();
  for (const { balanceId, at, amount, ...entry } of rows) {
    const known = entries.get(balanceId);
    const one: LedgerEntry = { ...entry, timestamp: at, amount: parseDecimal(amount) };
    if (known === undefined) entries.set(balanceId, [one]);
    else known.push(one);
  }
  return entries;
}

/** Adds facts. They are never changed or removed, except with the segment that they are about. */
export async function insertBalanceEntries(
  q: Queryable,
  accountId: string,
  entries: readonly (LedgerEntry & { balanceId: string })[],
): Promise<void> {
  for (const entry of entries) {
    await q.query(
      `insert into balance_entries (account_id, balance_id, type, segment_id, at, amount, invoice_id, contract_id,
         new_contract_id, reason, seat_id) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
      [
        accountId,
        entry.balanceId,
        entry.type,
        entry.segmentId,
        timestamp(entry.timestamp),
        toText(entry.amount),
        entry.invoiceId,
        entry.contractId,
        entry.newContractId,
        entry.reason,
        entry.seatId ?? null,
      ],
    );
  }
}

/** The facts that an invoice wrote, with the balance of each. */
export async function findEntriesOfInvoice(
  q: Queryable,
  accountId: string,
  invoiceId: string,
): Promise<(LedgerEntry & { balanceId: string })[]> {
  const rows = await q.query<
    Omit<LedgerEntry, 'amount' | 'timestamp'> & { balanceId: string; amount: string; at: Instant }
  >(
    `select balance_id as "balanceId", type, segment_id as "segmentId", at, amount, invoice_id as "invoiceId",
       contract_id as "contractId", new_contract_id as "newContractId", reason, seat_id as "seatId"
     from balance_entries where account_id = $1 and invoice_id = $2 order by sequence`,
    [accountId, invoiceId],
  );
  return rows.map(({ at, amount, ...entry }) => ({ ...entry, timestamp: at, amount: parseDecimal(amount) }));
}

/** Segments of a customer's balances from which an invoice that is not void has taken something. */
export async function findUsedSegments(
  q: Queryable,
  accountId: string,
  customerId: string,
): Promise<Set<string>> {
  const rows = await q.query<{ segmentId: string }>(
    `select distinct e.segment_id as "segmentId" from contract_invoices i
       join balance_entries e on e.account_id = i.account_id and e.invoice_id = i.id
     where i.account_id = $1 and i.customer_id = $2 and i.status = 'FINALIZED'`,
    [accountId, customerId],
  );
  return new Set(rows.map(({ segmentId }) => segmentId));
}
