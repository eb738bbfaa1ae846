import type { CancellationDetails, Core, SubscriptionRef } from '../core.js';
import type { Transaction } from '../storage/db.js';
import { updateSubscription } from '../storage/subscriptions.js';
import { customerNow } from './clock.js';
import type { EventRequest } from './events.js';
import { applyMetadata, type MetadataUpdate } from './metadata.js';
import { emitSubscriptionEvent } from './subscriptionEvents.js';
import { lockSubscription } from './subscriptionPlan.js';

/** What can change without any effect on billing; an absent field stays. */
export interface SubscriptionDetailsChange {
  description?: string | null | undefined;
  metadata?: MetadataUpdate | undefined;
  cancellationDetails: CancellationDetails;
}

/** Changes description, metadata and the words on cancellation, and says so in an event if anything was given. */
export async function updateSubscriptionDetails(
  tx: Transaction,
  core: Pick<Core, 'now'>,
  ref: SubscriptionRef,
  change: SubscriptionDetailsChange,
  request: EventRequest | null,
): Promise<void> {
  const { subscription } = await lockSubscription(tx, ref);
  const saysNothing =
    change.description === undefined &&
    change.metadata === undefined &&
    Object.keys(change.cancellationDetails).length === 0;
  if (saysNothing) return;
  await updateSubscription(tx, ref.accountId, {
    ...subscription,
    details: {
      ...subscription.details,
      ...(change.description === undefined ? {} : { description: change.description }),
    },
    metadata:
      change.metadata === undefined
        ? subscription.metadata
        : applyMetadata(subscription.metadata, change.metadata),
    cancellationDetails: { ...subscription.cancellationDetails, ...change.cancellationDetails },
  });
  const at = await customerNow(tx, core, ref.accountId, subscription);
  await emitSubscriptionEvent(tx, ref, 'customer.subscription.updated', at, request);
}
