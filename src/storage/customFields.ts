import type { Queryable } from './db.js';

export interface CustomFieldKey {
  entity: string;
  key: string;
  enforceUniqueness: boolean;
}

/** Where the values of an entity are kept, and by which column a request names the row. */
export interface CustomFieldTable {
  table: 'customers' | 'billable_metrics' | 'contract_products' | 'rate_cards' | 'contracts' | 'balances';
  id: 'uuid' | 'id';
  /** A further condition on the rows of the entity. */
  where?: "type = 'CREDIT'" | "type <> 'CREDIT'";
}

/** Where the values of parts of something else are kept: within its terms, which name the part and its fields so. */
export interface CustomFieldParts {
  table: 'contracts' | 'packages';
  part:
    | '$.subscriptions[*].customFields'
    | '$.scheduledCharges[*].customFields'
    | '$.commits[*].custom_fields'
    | '$.credits[*].custom_fields'
    | '$.subscriptions[*].custom_fields'
    | '$.scheduled_charges[*].custom_fields';
}

/** The keys of the entities, all when none is named, in order. */
export function listCustomFieldKeys(
  q: Queryable,
  accountId: string,
  entities: readonly string[] | null,
): Promise<CustomFieldKey[]> {
  return q.query<CustomFieldKey>(
    `select entity, key, enforce_uniqueness as "enforceUniqueness" from custom_field_keys
     where account_id = $1 and ($2::text[] is null or entity = any($2)) order by entity, key`,
    [accountId, entities],
  );
}

/** False when the entity has the key already. */
export async function insertCustomFieldKey(
  q: Queryable,
  accountId: string,
  { entity, key, enforceUniqueness }: CustomFieldKey,
): Promise<boolean> {
  const rows = await q.query<{ key: string }>(
    `insert into custom_field_keys (account_id, entity, key, enforce_uniqueness) values ($1, $2, $3, $4)
     on conflict do nothing returning key`,
    [accountId, entity, key, enforceUniqueness],
  );
  return rows.length > 0;
}

/** False when the entity has no such key. */
export async function deleteCustomFieldKey(
  q: Queryable,
  accountId: string,
  entity: string,
  key: string,
): Promise<boolean> {
  const rows = await q.query<{ key: string }>(
    'delete from custom_field_keys where account_id = $1 and entity = $2 and key = $3 returning key',
    [accountId, entity, key],
  );
  return rows.length > 0;
}

/** Lets one transaction at a time give values of unique keys to an entity's objects. */
export async function lockUniqueCustomFields(q: Queryable, accountId: string, entity: string): Promise<void> {
  await q.query('select pg_advisory_xact_lock(hashtextextended($1, 7305))', [`${accountId}/${entity}`]);
}

/** Whether another object of the entity has the value. */
export async function isCustomFieldValueTaken(
  q: Queryable,
  accountId: string,
  { table, id, where }: CustomFieldTable,
  key: string,
  value: string,
  except: string | null,
): Promise<boolean> {
  const rows = await q.query<object>(
    `select 1 from ${table} where account_id = $1 and custom_fields->>$2 = $3 and ${where ?? 'true'}
       and ($4::uuid is null or ${id} <> $4) limit 1`,
    [accountId, key, value, except],
  );
  return rows.length > 0;
}

/** Whether a part of any of the account's contracts or packages has the value. */
export async function isPartValueTaken(
  q: Queryable,
  accountId: string,
  { table, part }: CustomFieldParts,
  key: string,
  value: string,
): Promise<boolean> {
  const rows = await q.query<object>(
    `select 1 from ${table} t, jsonb_path_query(t.terms, '${part}') fields
     where t.account_id = $1 and fields ->> $2 = $3 limit 1`,
    [accountId, key, value],
  );
  return rows.length > 0;
}

/** Sets the values and removes the keys of one object. False when there's no such object. */
export async function changeCustomFields(
  q: Queryable,
  accountId: string,
  { table, id, where }: CustomFieldTable,
  entityId: string,
  change: { set: Readonly<Record<string, string>>; remove: readonly string[] },
): Promise<boolean> {
  const rows = await q.query<object>(
    `update ${table} set custom_fields = (custom_fields - $4::text[]) || $3::jsonb
     where account_id = $1 and ${id} = $2 and ${where ?? 'true'} returning 1`,
    [accountId, entityId, JSON.stringify(change.set), change.remove],
  );
  return rows.length > 0;
}
