import type { z } from 'zod';
import type { SpendTracker } from '../../../domain/contract/spendTracker.js';
import { list, object, oneOf, text, uuid } from '../params.js';
import { requireUnit, type TermsContext } from './context.js';

/** A spend tracker of a contract, as requests and packages spell it. */
export const spendTracker = object({
  alias: text({ max: 200 }),
  credit_type_id: uuid(),
  reset_frequency: oneOf(['BILLING_PERIOD']),
  applicable_spend_specifiers: list(
    object({
      spend_type: oneOf(['COMMIT_PURCHASE']),
      sources: list(oneOf(['THRESHOLD_RECHARGE', 'MANUAL']), { min: 1, max: 2 }),
      discounted: oneOf(['ANY', 'DISCOUNTED_ONLY', 'UNDISCOUNTED_ONLY']).optional(),
    }),
    { min: 1, max: 20 },
  ),
});

export const spendTrackers = list(spendTracker, { max: 20 });

export function spendTrackersOf(
  context: TermsContext,
  given: z.output<typeof spendTrackers> = [],
  where: string,
): SpendTracker[] {
  return given.map((one, i) => ({
    alias: one.alias,
    creditTypeId: requireUnit(context, one.credit_type_id, `${where}[${i}].credit_type_id`),
    specifiers: one.applicable_spend_specifiers.map(({ sources, discounted }) => ({
      sources,
      discounted: discounted ?? 'ANY',
    })),
  }));
}
