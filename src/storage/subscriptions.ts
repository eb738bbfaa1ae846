import type { Instant, Period } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';
import { Conditions, type InstantRange, type Page, type PageCursor, pageSql } from './pages.js';

export type SubscriptionStatus =
  | 'incomplete'
  | 'incomplete_expired'
  | 'trialing'
  | 'active'
  | 'past_due'
  | 'unpaid'
  | 'canceled'
  | 'paused';

export interface SubscriptionRecord {
  id: string;
  livemode: boolean;
  createdAt: Instant;
  customerId: string;
  testClockId: string | null;
  status: SubscriptionStatus;
  currency: string;
  startedAt: Instant;
  /** Every period boundary is this instant plus a whole number of intervals. */
  anchor: Instant;
  cancelAt: Instant | null;
  cancelAtPeriodEnd: boolean;
  canceledAt: Instant | null;
  endedAt: Instant | null;
  cancellationDetails: { comment?: string | null; feedback?: string | null; reason?: string | null };
  collectionMethod: 'charge_automatically' | 'send_invoice';
  daysUntilDue: number | null;
  latestInvoiceId: string | null;
  nextDueAt: Instant | null;
  details: { description?: string | null; billingMode?: 'classic' | 'flexible' };
  metadata: Record<string, string>;
}

export interface SubscriptionItemRecord {
  id: string;
  subscriptionId: string;
  position: number;
  priceId: string;
  /** Licensed quantity; null on a metered item. */
  quantity: bigint | null;
  createdAt: Instant;
  period: Period;
  metadata: Record<string, string>;
}

const COLUMNS = `id, livemode, created_at as "createdAt", customer_id as "customerId",
  test_clock_id as "testClockId", status, currency, started_at as "startedAt", anchor,
  cancel_at as "cancelAt", cancel_at_period_end as "cancelAtPeriodEnd", canceled_at as "canceledAt",
  ended_at as "endedAt", cancellation_details as "cancellationDetails",
  collection_method as "collectionMethod", days_until_due as "daysUntilDue",
  latest_invoice_id as "latestInvoiceId", next_due_at as "nextDueAt", details, metadata`;

const ITEM_COLUMNS = `id, subscription_id as "subscriptionId", position, price_id as "priceId", quantity,
  created_at as "createdAt", period_start as "periodStart", period_end as "periodEnd", metadata`;

interface ItemRow extends Omit<SubscriptionItemRecord, 'period'> {
  periodStart: Instant;
  periodEnd: Instant;
}

function toItem({ periodStart, periodEnd, ...row }: ItemRow): SubscriptionItemRecord {
  return { ...row, period: { start: periodStart, end: periodEnd } };
}

export async function insertSubscription(
  q: Queryable,
  accountId: string,
  subscription: SubscriptionRecord,
): Promise<void> {
  const s = subscription;
  await q.query(
    `insert into subscriptions (account_id, id, livemode, created_at, customer_id, test_clock_id, status, currency,
       started_at, anchor, cancel_at_period_end, cancellation_details, collection_method, days_until_due,
       latest_invoice_id, next_due_at, details, metadata)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
    [
      accountId,
      s.id,
      s.livemode,
      timestamp(s.createdAt),
      s.customerId,
      s.testClockId,
      s.status,
      s.currency,
      timestamp(s.startedAt),
      timestamp(s.anchor),
      s.cancelAtPeriodEnd,
      JSON.stringify(s.cancellationDetails),
      s.collectionMethod,
      s.daysUntilDue,
      s.latestInvoiceId,
      timestamp(s.nextDueAt),
      JSON.stringify(s.details),
      JSON.stringify(s.metadata),
    ],
  );
}

export async function insertSubscriptionItem(
  q: Queryable,
  accountId: string,
  item: SubscriptionItemRecord,
): Promise<void> {
  await q.query(
    `insert into subscription_items (account_id, id, subscription_id, position, price_id, quantity, created_at,
       period_start, period_end, metadata)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [
      accountId,
      item.id,
      item.subscriptionId,
      item.position,
      item.priceId,
      item.quantity,
      timestamp(item.createdAt),
      timestamp(item.period.start),
      timestamp(item.period.end),
      JSON.stringify(item.metadata),
    ],
  );
}

/** The subscription or null. With `lock` its row is held, which puts everything that bills it in one order. */
export async function findSubscription(
  q: Queryable,
  accountId: string,
  id: string,
  lock = false,
): Promise<SubscriptionRecord | null> {
  const rows = await q.query<SubscriptionRecord>(
    `select ${COLUMNS} from subscriptions where account_id = $1 and id = $2${lock ? ' for update' : ''}`,
    [accountId, id],
  );
  return rows[0] ?? null;
}

/** The items of these subscriptions, by subscription in the order of their creation. */
export async function findSubscriptionItems(
  q: Queryable,
  accountId: string,
  subscriptionIds: readonly string[],
): Promise<SubscriptionItemRecord[]> {
  const rows = await q.query<ItemRow>(
    `select ${ITEM_COLUMNS} from subscription_items where account_id = $1 and subscription_id = any($2)
     order by subscription_id, position`,
    [accountId, subscriptionIds],
  );
  return rows.map(toItem);
}

export async function findSubscriptionItem(
  q: Queryable,
  accountId: string,
  id: string,
): Promise<SubscriptionItemRecord | null> {
  const rows = await q.query<ItemRow>(
    `select ${ITEM_COLUMNS} from subscription_items where account_id = $1 and id = $2`,
    [accountId, id],
  );
  return rows[0] === undefined ? null : toItem(rows[0]);
}

export async function listSubscriptionItems(
  q: Queryable,
  accountId: string,
  subscriptionId: string,
  page: Page,
): Promise<SubscriptionItemRecord[]> {
  const conditions = new Conditions();
  conditions.equal('account_id', accountId);
  conditions.equal('subscription_id', subscriptionId);
  const end = pageSql(conditions, page, 'subscription_items');
  const rows = await q.query<ItemRow>(
    `select ${ITEM_COLUMNS} from subscription_items ${end}`,
    conditions.values,
  );
  return rows.map(toItem);
}

export interface SubscriptionFilter {
  customerId?: string | undefined;
  priceId?: string | undefined;
  collectionMethod?: string | undefined;
  testClockId?: string | undefined;
  created?: InstantRange | undefined;
  /** Statuses to show; absent: all but the ended ones, as Stripe lists. */
  statuses?: readonly string[] | undefined;
}

/** Subscriptions in the order of the page. Those on a test clock show only when clock or customer is asked for. */
export function listSubscriptions(
  q: Queryable,
  accountId: string,
  filter: SubscriptionFilter,
  page: Page,
): Promise<SubscriptionRecord[]> {
  const conditions = new Conditions();
  conditions.equal('account_id', accountId);
  conditions.equal('customer_id', filter.customerId);
  conditions.equal('collection_method', filter.collectionMethod);
  conditions.equal('test_clock_id', filter.testClockId);
  conditions.within('created_at', filter.created);
  if (filter.testClockId === undefined && filter.customerId === undefined) {
    conditions.where('test_clock_id is null');
  }
  if (filter.statuses === undefined) conditions.where(`status not in ('canceled', 'incomplete_expired')`);
  else conditions.where(`status = any(${conditions.value(filter.statuses)})`);
  if (filter.priceId !== undefined) {
    conditions.where(`exists (select 1 from subscription_items i where i.account_id = subscriptions.account_id
      and i.subscription_id = subscriptions.id and i.price_id = ${conditions.value(filter.priceId)})`);
  }
  const end = pageSql(conditions, page, 'subscriptions');
  return q.query<SubscriptionRecord>(`select ${COLUMNS} from subscriptions ${end}`, conditions.values);
}

/** Writes what changes in a subscription's life, but for when it is due next. The caller holds the row's lock. */
export async function updateSubscription(
  q: Queryable,
  accountId: string,
  subscription: SubscriptionRecord,
): Promise<void> {
  const s = subscription;
  await q.query(
    `update subscriptions set status = $3, cancel_at = $4, cancel_at_period_end = $5, canceled_at = $6,
       ended_at = $7, cancellation_details = $8, latest_invoice_id = $9, details = $10, metadata = $11
     where account_id = $1 and id = $2`,
    [
      accountId,
      s.id,
      s.status,
      timestamp(s.cancelAt),
      s.cancelAtPeriodEnd,
      timestamp(s.canceledAt),
      timestamp(s.endedAt),
      JSON.stringify(s.cancellationDetails),
      s.latestInvoiceId,
      JSON.stringify(s.details),
      JSON.stringify(s.metadata),
    ],
  );
}

export async function setItemPeriod(
  q: Queryable,
  accountId: string,
  itemId: string,
  period: Period,
): Promise<void> {
  await q.query(
    'update subscription_items set period_start = $3, period_end = $4 where account_id = $1 and id = $2',
    [accountId, itemId, timestamp(period.start), timestamp(period.end)],
  );
}

export async function countOpenSubscriptions(
  q: Queryable,
  accountId: string,
  customerId: string,
): Promise<number> {
  const rows = await q.query<{ count: number }>(
    `select count(*)::int as count from subscriptions
     where account_id = $1 and customer_id = $2 and ended_at is null`,
    [accountId, customerId],
  );
  return rows[0]?.count ?? 0;
}

/** Subscriptions that have not ended, of one customer or of all customers on one test clock. */
export function findOpenSubscriptions(
  q: Queryable,
  accountId: string,
  of: { customerId: string } | { testClockId: string },
): Promise<SubscriptionRecord[]> {
  const [column, id] =
    'customerId' in of ? ['customer_id', of.customerId] : ['test_clock_id', of.testClockId];
  return q.query<SubscriptionRecord>(
    `select ${COLUMNS} from subscriptions where account_id = $1 and ${column} = $2 and ended_at is null
     order by id`,
    [accountId, id],
  );
}

export async function findSubscriptionCursor(
  q: Queryable,
  accountId: string,
  id: string,
): Promise<PageCursor | null> {
  const rows = await q.query<PageCursor>(
    'select created_at as "createdAt", id from subscriptions where account_id = $1 and id = $2',
    [accountId, id],
  );
  return rows[0] ?? null;
}

/** Subscriptions with these ids, in no particular order. */
export function findSubscriptions(
  q: Queryable,
  accountId: string,
  ids: readonly string[],
): Promise<SubscriptionRecord[]> {
  return q.query<SubscriptionRecord>(
    `select ${COLUMNS} from subscriptions where account_id = $1 and id = any($2)`,
    [accountId, ids],
  );
}
