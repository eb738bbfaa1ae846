import { setCustomFields } from '../../billing/metronome/customFields.js';
import { BillingError, notFound } from '../../domain/errors.js';
import {
  deleteCustomFieldKey,
  insertCustomFieldKey,
  listCustomFieldKeys,
} from '../../storage/customFields.js';
import { EMPTY, type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { cursorPageWithoutLimit, pageOf } from './paging.js';
import { boolean, customFields, list, object, oneOf, text, uuid } from './params.js';

const URL = '/v1/customFields';
const KEY_LENGTH_MAX = 100;

const ENTITIES = [
  'alert',
  'billable_metric',
  'charge',
  'commit',
  'contract_credit',
  'contract_product',
  'contract',
  'credit_grant',
  'customer_plan',
  'customer',
  'discount',
  'invoice',
  'plan',
  'professional_service',
  'product',
  'rate_card',
  'scheduled_charge',
  'subscription',
  'package_commit',
  'package_credit',
  'package_subscription',
  'package_scheduled_charge',
] as const;

const entity = () => oneOf(ENTITIES);
const fieldKey = () => text({ max: KEY_LENGTH_MAX });

const addKey = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/addKey`,
  body: object({ entity: entity(), key: fieldKey(), enforce_uniqueness: boolean() }),
  async handle({ tx, accountId }, input) {
    const key = { entity: input.entity, key: input.key, enforceUniqueness: input.enforce_uniqueness };
    if (!(await insertCustomFieldKey(tx, accountId, key))) {
      throw new BillingError(
        'conflict',
        `The custom field key '${key.key}' of ${key.entity} exists already.`,
      );
    }
    return EMPTY;
  },
});

const removeKey = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/removeKey`,
  body: object({ entity: entity(), key: fieldKey() }),
  async handle({ tx, accountId }, input) {
    if (!(await deleteCustomFieldKey(tx, accountId, input.entity, input.key))) {
      throw notFound(`custom field key of ${input.entity}`, input.key);
    }
    return EMPTY;
  },
});

const listKeys = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/listKeys`,
  transactional: false,
  body: object({ entities: list(entity()).optional() }),
  query: object(cursorPageWithoutLimit),
  async handle({ q, accountId }, input, _path, query) {
    const keys = await listCustomFieldKeys(q, accountId, input.entities ?? null);
    return pageOf(
      keys,
      query,
      (row) => `${row.entity}/${row.key}`,
      (row) => ({ entity: row.entity, key: row.key, enforce_uniqueness: row.enforceUniqueness }),
    );
  },
});

const setValues = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/setValues`,
  body: object({ entity: entity(), entity_id: uuid(), custom_fields: customFields() }),
  async handle({ tx, accountId }, input) {
    await setCustomFields(tx, accountId, input.entity, input.entity_id, {
      set: input.custom_fields,
      remove: [],
    });
    return EMPTY;
  },
});

const deleteValues = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/deleteValues`,
  body: object({ entity: entity(), entity_id: uuid(), keys: list(fieldKey()) }),
  async handle({ tx, accountId }, input) {
    await setCustomFields(tx, accountId, input.entity, input.entity_id, { set: {}, remove: input.keys });
    return EMPTY;
  },
});

export const customFieldEndpoints: readonly MetronomeEndpoint[] = [
  addKey,
  removeKey,
  listKeys,
  setValues,
  deleteValues,
];
