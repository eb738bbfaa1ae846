import { type EditedContract, newOnes } from '../../../billing/contracts/edit.js';
import type { JsonObject, JsonValue } from '../../../json.js';
import type { EditParams } from '../terms/edit.js';
import { balanceObject } from './balance.js';
import { rawJson } from './common.js';
import {
  chargeObject,
  type ContractContext,
  overrideObject,
  recurringObject,
  subscriptionObject,
} from './contract.js';
import { rfc3339 } from '../render.js';

/** The edit as answers and the history show it: what was asked for, added things with the ids that they got. */
export function editWords(
  params: EditParams,
  edited: Omit<EditedContract, 'words'>,
  context: ContractContext,
): JsonObject {
  const { before, after, added } = edited;
  const overrides = newOnes(before.document.overrides, after.document.overrides);
  const charges = newOnes(before.document.scheduledCharges, after.document.scheduledCharges);
  const subscriptions = newOnes(before.document.subscriptions, after.document.subscriptions);
  const recurring = newOnes(before.document.recurring, after.document.recurring);
  const requested = added.filter(({ recurringId }) => recurringId === null);
  const words: Record<string, JsonValue> = {
    add_commits: shown(
      requested.filter(({ type }) => type !== 'CREDIT').map((one) => balanceObject(context, one)),
    ),
    add_credits: shown(
      requested.filter(({ type }) => type === 'CREDIT').map((one) => balanceObject(context, one)),
    ),
    add_overrides: shown(
      overrides.map((one) => ({ ...overrideObject(context, one), created_at: rfc3339(context.at) })),
    ),
    add_scheduled_charges: shown(charges.map((one) => chargeObject(context, one))),
    add_subscriptions: shown(subscriptions.map((one) => subscriptionObject(context, after, one))),
    add_recurring_commits: shown(
      recurring.filter(({ type }) => type === 'PREPAID').map((one) => recurringObject(context, after, one)),
    ),
    add_recurring_credits: shown(
      recurring.filter(({ type }) => type === 'CREDIT').map((one) => recurringObject(context, after, one)),
    ),
  };
  for (const [verb, value] of Object.entries(params)) {
    if (value === undefined || verb in words || !/^(add|update|archive|remove)_/.test(verb)) continue;
    words[verb] = editInWords(value, verb);
  }
  return Object.fromEntries(Object.entries(words).filter(([, value]) => value !== undefined));
}

function shown(list: JsonObject[]): JsonValue {
  return list.length === 0 ? undefined : list;
}

/**
 * A verb of a parsed edit as JSON: instants are timestamps again, decimals numbers. What a request names by
 * `commit_id` and the like is `id` in answers (docs.metronome.com/api-reference, "get the edit history of a contract").
 */
export function editInWords(value: unknown, verb: string): JsonValue {
  const words = rawJson(withTimes(value, verb));
  const named = REQUEST_IDS[verb];
  if (named === undefined || !Array.isArray(words)) return words;
  return (words as readonly JsonValue[]).map((one) => withId(one, named));
}

const REQUEST_IDS: Readonly<Record<string, string>> = {
  update_commits: 'commit_id',
  update_credits: 'credit_id',
  update_recurring_commits: 'recurring_commit_id',
  update_recurring_credits: 'recurring_credit_id',
  update_scheduled_charges: 'scheduled_charge_id',
  update_subscriptions: 'subscription_id',
};

function withId(one: JsonValue, named: string): JsonValue {
  const { [named]: id, ...rest } = one as JsonObject;
  return { id, ...rest };
}

function withTimes(value: unknown, key = ''): unknown {
  if (typeof value === 'number' && TIMES.includes(key)) return rfc3339(value);
  if (Array.isArray(value)) return value.map((one) => withTimes(one));
  if (typeof value !== 'object' || value === null) return value;
  if (typeof (value as { coefficient?: unknown }).coefficient === 'bigint') return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, withTimes(part, name)]));
}

const TIMES = ['starting_at', 'ending_before', 'timestamp', 'update_contract_end_date'];
