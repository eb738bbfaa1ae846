import type {
  BalanceRecord,
  ContractRecord,
  StoredScheduledCharge,
  StoredSubscription,
} from '../../domain/contract/contract.js';
import type { Transaction } from '../../storage/db.js';
import { checkAllCustomFields } from '../metronome/customFields.js';

/** What an agreement brings that has custom fields of its own. */
export interface NewParts {
  contracts?: readonly Pick<ContractRecord, 'customFields'>[];
  balances?: readonly BalanceRecord[];
  subscriptions?: readonly StoredSubscription[];
  scheduledCharges?: readonly StoredScheduledCharge[];
}

/**
 * Refuses new parts that take a value of a unique custom field which another one has (`conflict`). Grants of recurring
 * ones share the fields of what makes them.
 */
export async function checkNewParts(tx: Transaction, accountId: string, parts: NewParts): Promise<void> {
  const { contracts = [], balances = [], subscriptions = [], scheduledCharges = [] } = parts;
  const single = balances.filter(({ recurringId }) => recurringId === null);
  // Always in this order, since each entity has a lock.
  const entities: [string, readonly Pick<ContractRecord, 'customFields'>[]][] = [
    ['contract', contracts],
    ['commit', single.filter(({ type }) => type !== 'CREDIT')],
    ['contract_credit', single.filter(({ type }) => type === 'CREDIT')],
    ['subscription', subscriptions],
    ['scheduled_charge', scheduledCharges],
  ];
  for (const [entity, objects] of entities) {
    await checkAllCustomFields(
      tx,
      accountId,
      entity,
      objects.map(({ customFields }) => customFields),
    );
  }
}
