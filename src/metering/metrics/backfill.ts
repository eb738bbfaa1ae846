import type { BillableMetric } from '../../domain/contract/metric.js';
import type { Transaction } from '../../storage/db.js';
import { countEvents, lockMetrics } from './count.js';
import { typesOf, walkStoredEvents } from './stored.js';

/**
 * Counts on a metric that this transaction has made everything that was sent before. Those who send events of the
 * account wait meanwhile, so that no event is missed or counted twice.
 */
export async function backfillMetric(
  tx: Transaction,
  accountId: string,
  metric: BillableMetric,
): Promise<void> {
  await lockMetrics(tx, accountId);
  for await (const events of walkStoredEvents(tx, accountId, typesOf(metric))) {
    await countEvents(
      tx,
      events.map((event) => ({ accountId, ...event })),
      () => [metric],
    );
  }
}
