import type { Instant } from '../../src/domain/period.js';
import { newId } from '../../src/ids.js';
import { timestamp } from '../../src/storage/db.js';
import { DAY, type Fixture, NOW } from './fixture.js';

/** Rows of subscriptions that bill a meter, for the notifier; their workflows are the test's `signal`. */
export interface SubscriptionOptions {
  periodStart?: Instant;
  periodEnd?: Instant;
}

export async function addMeteredPrice({ db, accountId }: Fixture, meterId: string): Promise<string> {
  const productId = newId('product');
  const priceId = newId('price');
  await db.query(
    `insert into products (account_id, id, livemode, created_at, updated_at, active, name)
     values ($1, $2, false, $3, $3, true, 'Usage')`,
    [accountId, productId, timestamp(NOW)],
  );
  await db.query(
    `insert into prices (account_id, id, livemode, created_at, product_id, active, currency, billing_scheme,
       unit_amount, recurring_interval, recurring_interval_count, usage_type, meter_id)
     values ($1, $2, false, $3, $4, true, 'usd', 'per_unit', 1, 'month', 1, 'metered', $5)`,
    [accountId, priceId, timestamp(NOW), productId, meterId],
  );
  return priceId;
}

export async function addSubscription(
  { db, accountId }: Fixture,
  customerId: string,
  priceIds: readonly string[],
  options: SubscriptionOptions = {},
): Promise<string> {
  const id = newId('subscription');
  const start = options.periodStart ?? NOW - 10 * DAY;
  const end = options.periodEnd ?? NOW + 20 * DAY;
  await db.query(
    `insert into subscriptions (account_id, id, livemode, created_at, customer_id, status, currency, started_at,
       anchor, collection_method)
     values ($1, $2, false, $3, $4, 'active', 'usd', $3, $3, 'charge_automatically')`,
    [accountId, id, timestamp(start), customerId],
  );
  for (const [position, priceId] of priceIds.entries()) {
    await db.query(
      `insert into subscription_items (account_id, id, subscription_id, position, price_id, created_at,
         period_start, period_end)
       values ($1, $2, $3, $4, $5, $6, $6, $7)`,
      [accountId, newId('subscriptionItem'), id, position, priceId, timestamp(start), timestamp(end)],
    );
  }
  return id;
}

export async function addAlert(
  { db, accountId }: Fixture,
  meterId: string,
  threshold: string,
  customerId: string | null = null,
): Promise<string> {
  const id = newId('alert');
  await db.query(
    `insert into billing_alerts (account_id, id, livemode, created_at, title, status, meter_id, customer_id, threshold,
       recurrence)
     values ($1, $2, false, $3, 'Alert', 'active', $4, $5, $6, 'one_time')`,
    [accountId, id, timestamp(NOW), meterId, customerId, threshold],
  );
  return id;
}
