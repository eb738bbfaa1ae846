import { subscriptionWorkflowId } from '../src/temporal/names.js';
import type { World } from './world.js';

/** The id of the workflow that runs a subscription; the account is not in any answer of the API. */
export async function workflowIdOf(world: World, subscriptionId: string): Promise<string> {
  const { rows } = await world.database.query<{ account_id: string }>(
    'select account_id from subscriptions where id = $1',
    [subscriptionId],
  );
  const accountId = rows[0]?.account_id;
  if (accountId === undefined) throw new Error(`there is no subscription ${subscriptionId}`);
  return subscriptionWorkflowId({ accountId, subscriptionId });
}
