import { BillingError, invalid, notFound } from '../../domain/errors.js';
import {
  changeCustomFields,
  type CustomFieldTable,
  isCustomFieldValueTaken,
  listCustomFieldKeys,
  lockUniqueCustomFields,
} from '../../storage/customFields.js';
import type { Queryable, Transaction } from '../../storage/db.js';

const PRODUCTS: CustomFieldTable = { table: 'contract_products', id: 'id' };

/** The entities whose objects keep custom fields of their own here. */
const TABLES: Readonly<Record<string, CustomFieldTable>> = {
  customer: { table: 'customers', id: 'uuid' },
  billable_metric: { table: 'billable_metrics', id: 'id' },
  contract_product: PRODUCTS,
  product: PRODUCTS,
  rate_card: { table: 'rate_cards', id: 'id' },
  contract: { table: 'contracts', id: 'id' },
  commit: { table: 'balances', id: 'id', where: "type <> 'CREDIT'" },
  contract_credit: { table: 'balances', id: 'id', where: "type = 'CREDIT'" },
};

/**
 * Checks the custom fields that an object is made with or given: a value of a key that enforces uniqueness belongs to
 * one object of the entity (`conflict`). Call it in the transaction of the write.
 */
export async function checkCustomFields(
  q: Queryable,
  accountId: string,
  entity: string,
  values: Readonly<Record<string, string>>,
  except: string | null = null,
): Promise<void> {
  const table = TABLES[entity];
  if (table === undefined || Object.keys(values).length === 0) return;
  const keys = await listCustomFieldKeys(q, accountId, [entity]);
  const unique = keys.filter(({ key, enforceUniqueness }) => enforceUniqueness && Object.hasOwn(values, key));
  if (unique.length === 0) return;
  await lockUniqueCustomFields(q, accountId, entity);
  for (const { key } of unique) {
    const value = values[key] ?? '';
    if (await isCustomFieldValueTaken(q, accountId, table, key, value, except)) {
      throw new BillingError(
        'conflict',
        `Another ${entity} has the value '${value}' of the unique custom field '${key}'.`,
      );
    }
  }
}

/** Sets and removes custom fields of one object; values that are not named stay. */
export async function setCustomFields(
  tx: Transaction,
  accountId: string,
  entity: string,
  entityId: string,
  change: { set: Readonly<Record<string, string>>; remove: readonly string[] },
): Promise<void> {
  const table = TABLES[entity];
  if (table === undefined) throw invalid(`Durabill keeps no custom fields of ${entity} objects yet.`);
  await checkCustomFields(tx, accountId, entity, change.set, entityId);
  if (!(await changeCustomFields(tx, accountId, table, entityId, change))) {
    throw notFound(entity.replaceAll('_', ' '), entityId);
  }
}
