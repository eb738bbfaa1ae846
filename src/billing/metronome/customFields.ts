import { BillingError, invalid, notFound } from '../../domain/errors.js';
import {
  changeCustomFields,
  type CustomFieldParts,
  type CustomFieldTable,
  isCustomFieldValueTaken,
  isPartValueTaken,
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

/** The entities that are parts of contracts and packages. */
const PARTS: Readonly<Record<string, CustomFieldParts>> = {
  subscription: { table: 'contracts', part: '$.subscriptions[*].customFields' },
  scheduled_charge: { table: 'contracts', part: '$.scheduledCharges[*].customFields' },
  package_commit: { table: 'packages', part: '$.commits[*].custom_fields' },
  package_credit: { table: 'packages', part: '$.credits[*].custom_fields' },
  package_subscription: { table: 'packages', part: '$.subscriptions[*].custom_fields' },
  package_scheduled_charge: { table: 'packages', part: '$.scheduled_charges[*].custom_fields' },
};

type Values = Readonly<Record<string, string>>;

/**
 * Checks the custom fields that an object is made with or given: a value of a key that enforces uniqueness belongs to
 * one object of the entity (`conflict`). Call it in the transaction of the write.
 */
export function checkCustomFields(
  q: Queryable,
  accountId: string,
  entity: string,
  values: Values,
  except: string | null = null,
): Promise<void> {
  return checkAllCustomFields(q, accountId, entity, [values], except);
}

/** The same for several objects that are made at once, which must differ from each other too. */
export async function checkAllCustomFields(
  q: Queryable,
  accountId: string,
  entity: string,
  objects: readonly Values[],
  except: string | null = null,
): Promise<void> {
  if (objects.every((values) => Object.keys(values).length === 0)) return;
  const keys = await listCustomFieldKeys(q, accountId, [entity]);
  const unique = keys.filter(
    ({ key, enforceUniqueness }) => enforceUniqueness && objects.some((values) => Object.hasOwn(values, key)),
  );
  if (unique.length === 0) return;
  await lockUniqueCustomFields(q, accountId, entity);
  for (const { key } of unique) {
    const given = objects.filter((values) => Object.hasOwn(values, key)).map((values) => values[key] ?? '');
    for (const [index, value] of given.entries()) {
      if (given.indexOf(value) === index && !(await isTaken(q, accountId, entity, key, value, except)))
        continue;
      throw new BillingError(
        'conflict',
        `Another ${entity} has the value '${value}' of the unique custom field '${key}'.`,
      );
    }
  }
}

async function isTaken(
  q: Queryable,
  accountId: string,
  entity: string,
  key: string,
  value: string,
  except: string | null,
): Promise<boolean> {
  const table = TABLES[entity];
  if (table !== undefined) return isCustomFieldValueTaken(q, accountId, table, key, value, except);
  const parts = PARTS[entity];
  return parts !== undefined && isPartValueTaken(q, accountId, parts, key, value);
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
