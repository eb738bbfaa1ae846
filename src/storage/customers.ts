import type { Instant } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';
import { Conditions, type InstantRange, type Page, type PageCursor, pageSql } from './pages.js';

export type Address = {
  city: string | null;
  country: string | null;
  line1: string | null;
  line2: string | null;
  postal_code: string | null;
  state: string | null;
};

/** What a customer has that no query looks at, in Stripe's names; absent or null is unset. */
export interface CustomerDetails {
  address?: Address | null;
  business_name?: string | null;
  description?: string | null;
  individual_name?: string | null;
  invoice_settings?: {
    custom_fields?: { name: string; value: string }[] | null;
    footer?: string | null;
    rendering_options?: { amount_tax_display: string | null; template: string | null } | null;
  };
  phone?: string | null;
  preferred_locales?: string[];
  shipping?: { address: Address; name: string; phone: string | null } | null;
  tax_exempt?: 'none' | 'exempt' | 'reverse';
}

export interface CustomerRecord {
  id: string;
  livemode: boolean;
  createdAt: Instant;
  testClockId: string | null;
  name: string | null;
  email: string | null;
  /** Set by the first thing that is billed. */
  currency: string | null;
  /** Minor units; negative is credit of the customer's, positive is owed and goes on the next invoice. */
  balance: bigint;
  invoicePrefix: string;
  nextInvoiceSequence: number;
  details: CustomerDetails;
  metadata: Record<string, string>;
  deletedAt: Instant | null;
}

export const CUSTOMER_COLUMNS = `id, livemode, created_at as "createdAt", test_clock_id as "testClockId", name, email, currency,
  balance, invoice_prefix as "invoicePrefix", next_invoice_sequence as "nextInvoiceSequence", details, metadata,
  deleted_at as "deletedAt"`;

/** Stores a new customer. False when another one has its invoice prefix, and then nothing is stored. */
export async function insertCustomer(
  q: Queryable,
  accountId: string,
  customer: CustomerRecord,
): Promise<boolean> {
  const c = customer;
  const rows = await q.query<{ id: string }>(
    `insert into customers (account_id, id, livemode, created_at, test_clock_id, name, email, currency, balance,
       invoice_prefix, next_invoice_sequence, details, metadata)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
     on conflict (account_id, invoice_prefix) do nothing returning id`,
    [
      accountId,
      c.id,
      c.livemode,
      timestamp(c.createdAt),
      c.testClockId,
      c.name,
      c.email,
      c.currency,
      c.balance,
      c.invoicePrefix,
      c.nextInvoiceSequence,
      JSON.stringify(c.details),
      JSON.stringify(c.metadata),
    ],
  );
  return rows.length > 0;
}

/**
 * The customer, deleted or not (`deletedAt`): what was sold to a deleted one is still billed to its end. With `lock`
 * its row is held until the transaction ends.
 */
export async function findCustomer(
  q: Queryable,
  accountId: string,
  id: string,
  lock: 'share' | 'update' | 'none' = 'none',
): Promise<CustomerRecord | null> {
  const suffix = lock === 'none' ? '' : ` for ${lock}`;
  const rows = await q.query<CustomerRecord>(
    `select ${CUSTOMER_COLUMNS} from customers where account_id = $1 and id = $2${suffix}`,
    [accountId, id],
  );
  return rows[0] ?? null;
}

/** The customers with these ids that exist, deleted ones too, in no particular order. */
export function findCustomers(
  q: Queryable,
  accountId: string,
  ids: readonly string[],
): Promise<CustomerRecord[]> {
  return q.query<CustomerRecord>(
    `select ${CUSTOMER_COLUMNS} from customers where account_id = $1 and id = any($2)`,
    [accountId, ids],
  );
}

export interface CustomerFilter {
  email?: string | undefined;
  testClockId?: string | undefined;
  created?: InstantRange | undefined;
}

/** Customers that were not deleted. Those on a test clock show only when their clock is asked for. */
export function listCustomers(
  q: Queryable,
  accountId: string,
  filter: CustomerFilter,
  page: Page,
): Promise<CustomerRecord[]> {
  const conditions = new Conditions();
  conditions.equal('account_id', accountId);
  conditions.where('deleted_at is null');
  conditions.equal('email', filter.email);
  conditions.within('created_at', filter.created);
  if (filter.testClockId === undefined) conditions.where('test_clock_id is null');
  else conditions.equal('test_clock_id', filter.testClockId);
  const end = pageSql(conditions, page, 'customers');
  return q.query<CustomerRecord>(`select ${CUSTOMER_COLUMNS} from customers ${end}`, conditions.values);
}

/** Where the customer stands in a list, whatever its state. */
export async function findCustomerCursor(
  q: Queryable,
  accountId: string,
  id: string,
): Promise<PageCursor | null> {
  const rows = await q.query<PageCursor>(
    'select created_at as "createdAt", id from customers where account_id = $1 and id = $2',
    [accountId, id],
  );
  return rows[0] ?? null;
}

export async function countCustomersOnClock(
  q: Queryable,
  accountId: string,
  testClockId: string,
): Promise<number> {
  const rows = await q.query<{ count: number }>(
    `select count(*)::int as count from customers
     where account_id = $1 and test_clock_id = $2 and deleted_at is null`,
    [accountId, testClockId],
  );
  return rows[0]?.count ?? 0;
}

/** Whether another customer of the account has the prefix. */
export async function isInvoicePrefixTaken(
  q: Queryable,
  accountId: string,
  prefix: string,
  except: string,
): Promise<boolean> {
  const rows = await q.query<{ id: string }>(
    'select id from customers where account_id = $1 and invoice_prefix = $2 and id <> $3',
    [accountId, prefix, except],
  );
  return rows.length > 0;
}

/** Writes what the API can change. The caller holds the row's lock. Currency and clock have writers of their own. */
export async function updateCustomer(
  q: Queryable,
  accountId: string,
  customer: CustomerRecord,
): Promise<void> {
  const c = customer;
  await q.query(
    `update customers set name = $3, email = $4, balance = $5, invoice_prefix = $6, next_invoice_sequence = $7,
       details = $8, metadata = $9
     where account_id = $1 and id = $2`,
    [
      accountId,
      c.id,
      c.name,
      c.email,
      c.balance,
      c.invoicePrefix,
      c.nextInvoiceSequence,
      JSON.stringify(c.details),
      JSON.stringify(c.metadata),
    ],
  );
}

export async function markCustomerDeleted(
  q: Queryable,
  accountId: string,
  id: string,
  at: Instant,
): Promise<void> {
  await q.query('update customers set deleted_at = $3 where account_id = $1 and id = $2', [
    accountId,
    id,
    timestamp(at),
  ]);
}

/** The currency a customer is billed in from now on. */
export async function setCustomerCurrency(
  q: Queryable,
  accountId: string,
  id: string,
  currency: string,
): Promise<void> {
  await q.query('update customers set currency = $3 where account_id = $1 and id = $2', [
    accountId,
    id,
    currency,
  ]);
}

/** Deletes the customers of a test clock, as deleting the clock does. */
export async function markClockCustomersDeleted(
  q: Queryable,
  accountId: string,
  testClockId: string,
  at: Instant,
): Promise<void> {
  await q.query(
    `update customers set deleted_at = $3
     where account_id = $1 and test_clock_id = $2 and deleted_at is null`,
    [accountId, testClockId, timestamp(at)],
  );
}
