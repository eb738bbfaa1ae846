import type { Instant } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';

export interface BillingConfiguration {
  id: string;
  /** Stripe id. */
  customerId: string;
  document: {
    billing_provider: string;
    delivery_method: string;
    delivery_method_id: string;
    configuration: Record<string, unknown>;
    tax_provider: string | null;
  };
  createdAt: Instant;
  archivedAt: Instant | null;
}

export async function insertBillingConfiguration(
  q: Queryable,
  accountId: string,
  { id, customerId, document, createdAt }: BillingConfiguration,
): Promise<void> {
  await q.query(
    `insert into billing_provider_configurations (account_id, id, customer_id, document, created_at)
     values ($1, $2, $3, $4, $5)`,
    [accountId, id, customerId, JSON.stringify(document), timestamp(createdAt)],
  );
}

/** Those of a customer, oldest first. */
export function findBillingConfigurations(
  q: Queryable,
  accountId: string,
  customerId: string,
  { includeArchived }: { includeArchived: boolean },
): Promise<BillingConfiguration[]> {
  return q.query<BillingConfiguration>(
    `select id, customer_id as "customerId", document, created_at as "createdAt", archived_at as "archivedAt"
     from billing_provider_configurations
     where account_id = $1 and customer_id = $2 and ($3 or archived_at is null) order by created_at, id`,
    [accountId, customerId, includeArchived],
  );
}

/** The ids of those that the customer has, now archived. */
export async function archiveBillingConfigurations(
  q: Queryable,
  accountId: string,
  customerId: string,
  ids: readonly string[],
  at: Instant,
): Promise<string[]> {
  const rows = await q.query<{ id: string }>(
    `update billing_provider_configurations set archived_at = coalesce(archived_at, $4)
     where account_id = $1 and customer_id = $2 and id = any($3::uuid[]) returning id`,
    [accountId, customerId, ids, timestamp(at)],
  );
  return rows.map(({ id }) => id);
}
