import { accumulatedSpend, type SpendTracker } from '../../../domain/contract/spendTracker.js';
import { type BalanceRecord, type ContractRecord, termsOf } from '../../../domain/contract/contract.js';
import { statementAt } from '../../../domain/contract/statement.js';
import type { Instant } from '../../../domain/period.js';
import { type JsonObject, type JsonValue, jsonNumber } from '../../../json.js';
import { rfc3339 } from '../render.js';

/** The trackers of a contract with what they have counted in the billing period around `at`; none are left out. */
export function spendTrackerObjects(
  contract: ContractRecord,
  balances: readonly BalanceRecord[],
  at: Instant,
): JsonValue {
  const { spendTrackers: trackers } = contract.document;
  if (trackers.length === 0) return undefined;
  const period = statementAt(termsOf(contract), at);
  return trackers.map((tracker) => ({
    ...trackerObject(tracker),
    ...(period === null
      ? {}
      : {
          accumulated_spend: {
            amount: jsonNumber(accumulatedSpend(tracker, balances, contract.id, period)),
            period_starting_at: rfc3339(period.start),
            period_ending_before: rfc3339(period.end),
          },
        }),
  }));
}

function trackerObject({ alias, creditTypeId, specifiers }: SpendTracker): JsonObject {
  return {
    alias,
    credit_type_id: creditTypeId,
    reset_frequency: 'BILLING_PERIOD',
    applicable_spend_specifiers: specifiers.map(({ sources, discounted }) => ({
      spend_type: 'COMMIT_PURCHASE',
      sources,
      discounted,
    })),
  };
}
