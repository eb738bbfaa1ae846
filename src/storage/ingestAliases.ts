import type { Instant } from '../domain/period.js';
import { requestCheck } from './customerChecks.js';
import { CUSTOMER_COLUMNS, type CustomerRecord } from './customers.js';
import { type Queryable, timestamp } from './db.js';
import { noticeLateUsageOf } from './lateUsage.js';
import { Conditions, type Page, pageSql } from './pages.js';

/** A customer with what Metronome's dialect keeps of it. */
export interface MetronomeCustomer extends CustomerRecord {
  /** Its id in Metronome's dialect. */
  uuid: string;
  updatedAt: Instant | null;
  archivedAt: Instant | null;
  customFields: Record<string, string>;
  salesforceAccountId: string | null;
  madeBy: 'stripe' | 'metronome';
  /** Set through Metronome's dialect, in order; the ids of either dialect work besides them. */
  aliases: string[];
}

const COLUMNS = `${CUSTOMER_COLUMNS}, uuid, updated_at as "updatedAt", archived_at as "archivedAt",
  custom_fields as "customFields", salesforce_account_id as "salesforceAccountId", made_by as "madeBy",
  array(select a.alias from ingest_aliases a where a.account_id = customers.account_id
        and a.customer_id = customers.id order by a.position) as aliases`;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The customer under any of its names: its id in either dialect, or an alias. Null also when it was deleted. */
export async function findCustomerByAnyId(
  q: Queryable,
  accountId: string,
  idOrAlias: string,
): Promise<MetronomeCustomer | null> {
  const rows = await q.queryNamed<MetronomeCustomer>(
    'find_customer_by_any_id',
    `select ${COLUMNS} from customers where account_id = $1 and deleted_at is null and id = coalesce(
       (select id from customers where account_id = $1 and id = $2),
       (select id from customers where account_id = $1 and uuid = $3::uuid),
       (select customer_id from ingest_aliases where account_id = $1 and alias = $2))`,
    [accountId, idOrAlias, UUID.test(idOrAlias) ? idOrAlias : null],
  );
  return rows[0] ?? null;
}

/** Every text under which events may have been sent for the customer, by its Stripe id: the ids, then the aliases. */
export async function customerKeys(q: Queryable, accountId: string, customerId: string): Promise<string[]> {
  const rows = await q.queryNamed<{ uuid: string; aliases: string[] }>(
    'customer_keys',
    `select uuid, array(select alias from ingest_aliases where account_id = $1 and customer_id = $2
       order by position) as aliases
     from customers where account_id = $1 and id = $2`,
    [accountId, customerId],
  );
  return rows.flatMap(({ uuid, aliases }) => [customerId, uuid, ...aliases]);
}

export interface MetronomeCustomerFilter {
  /** Any name. */
  alias?: string | undefined;
  /** UUIDs or Stripe ids. */
  ids?: readonly string[] | undefined;
  salesforceAccountIds?: readonly string[] | undefined;
  archived: boolean;
}

/** Customers that were not deleted, newest first, those on test clocks among them. */
export function listMetronomeCustomers(
  q: Queryable,
  accountId: string,
  filter: MetronomeCustomerFilter,
  page: Page,
): Promise<MetronomeCustomer[]> {
  const conditions = new Conditions();
  conditions.equal('account_id', accountId);
  conditions.where('deleted_at is null');
  conditions.where(filter.archived ? 'archived_at is not null' : 'archived_at is null');
  if (filter.alias !== undefined) {
    const alias = conditions.value(filter.alias);
    conditions.where(
      `(id = ${alias} or uuid::text = lower(${alias}) or id = (select customer_id from ingest_aliases a
        where a.account_id = customers.account_id and a.alias = ${alias}))`,
    );
  }
  if (filter.ids !== undefined) {
    const uuids = conditions.value(filter.ids.filter((id) => UUID.test(id)));
    conditions.where(`(uuid = any(${uuids}::uuid[]) or id = any(${conditions.value(filter.ids)}))`);
  }
  if (filter.salesforceAccountIds !== undefined) {
    conditions.where(`salesforce_account_id = any(${conditions.value(filter.salesforceAccountIds)})`);
  }
  const end = pageSql(conditions, page, 'customers');
  return q.query<MetronomeCustomer>(`select ${COLUMNS} from customers ${end}`, conditions.values);
}

/** Writes what the dialect can change. The caller holds the row's lock or has just made it. */
export async function updateMetronomeCustomer(
  q: Queryable,
  accountId: string,
  customer: MetronomeCustomer,
): Promise<void> {
  const c = customer;
  await q.query(
    `update customers set custom_fields = $3, updated_at = $4, archived_at = $5, salesforce_account_id = $6,
       made_by = $7 where account_id = $1 and id = $2`,
    [
      accountId,
      c.id,
      JSON.stringify(c.customFields),
      timestamp(c.updatedAt),
      timestamp(c.archivedAt),
      c.salesforceAccountId,
      c.madeBy,
    ],
  );
}

/** Which of the names belong to other customers, as an alias or as an id. */
export async function findTakenAliases(
  q: Queryable,
  accountId: string,
  customerId: string,
  aliases: readonly string[],
): Promise<string[]> {
  const rows = await q.query<{ alias: string }>(
    `select alias from ingest_aliases where account_id = $1 and alias = any($3) and customer_id <> $2
     union
     select sent.alias from unnest($3::text[]) sent (alias) join customers c on c.account_id = $1 and c.id <> $2
       and (c.id = sent.alias or c.uuid = any($4::uuid[]) and c.uuid::text = lower(sent.alias))`,
    [accountId, customerId, aliases, aliases.filter((alias) => UUID.test(alias))],
  );
  return rows.map(({ alias }) => alias);
}

/**
 * Gives the customer exactly these aliases. Past events are matched anew by themselves: usage is kept under the name
 * it was sent with. Returns the aliases that another customer took meanwhile; then nothing should be kept.
 */
export async function replaceAliases(
  q: Queryable,
  accountId: string,
  customerId: string,
  aliases: readonly string[],
): Promise<string[]> {
  await q.query(
    'delete from ingest_aliases where account_id = $1 and customer_id = $2 and not alias = any($3)',
    [accountId, customerId, aliases],
  );
  const rows = await q.query<{ alias: string }>(
    `insert into ingest_aliases (account_id, customer_id, alias, position)
     select $1, $2, alias, position from unnest($3::text[]) with ordinality as given (alias, position)
     on conflict (account_id, alias) do update set position = excluded.position
       where ingest_aliases.customer_id = excluded.customer_id
     returning alias`,
    [accountId, customerId, aliases],
  );
  // Usage that was sent under these names counts from now on.
  await requestCheck(q, { accountId, customerId });
  // An alias brings its past usage along and takes it away, that of final statements too.
  await noticeLateUsageOf(q, accountId, customerId);
  const kept = new Set(rows.map(({ alias }) => alias));
  return aliases.filter((alias) => !kept.has(alias));
}
