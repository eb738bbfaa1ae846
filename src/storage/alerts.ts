import { type Decimal, parseDecimal, toText } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';
import { Conditions, type Page, type PageCursor, pageSql } from './pages.js';

export type AlertStatus = 'active' | 'inactive' | 'archived';

export interface AlertRecord {
  id: string;
  livemode: boolean;
  createdAt: Instant;
  title: string;
  status: AlertStatus;
  meterId: string;
  /** null: every customer, each by itself. */
  customerId: string | null;
  /** Usage since the customer's first event that makes it fire; above zero. */
  threshold: Decimal;
  recurrence: 'one_time';
}

const COLUMNS = `id, livemode, created_at as "createdAt", title, status, meter_id as "meterId",
  customer_id as "customerId", threshold, recurrence`;

type AlertRow = Omit<AlertRecord, 'threshold'> & { threshold: string };

function alertFromRow(row: AlertRow): AlertRecord {
  return { ...row, threshold: parseDecimal(row.threshold) };
}

export async function insertAlert(q: Queryable, accountId: string, alert: AlertRecord): Promise<void> {
  await q.query(
    `insert into billing_alerts (account_id, id, livemode, created_at, title, status, meter_id, customer_id, threshold,
       recurrence)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [
      accountId,
      alert.id,
      alert.livemode,
      timestamp(alert.createdAt),
      alert.title,
      alert.status,
      alert.meterId,
      alert.customerId,
      toText(alert.threshold),
      alert.recurrence,
    ],
  );
}

/** `lock` holds the alert's row until the transaction ends. */
export async function findAlert(
  q: Queryable,
  accountId: string,
  id: string,
  lock: 'update' | 'none' = 'none',
): Promise<AlertRecord | null> {
  const suffix = lock === 'none' ? '' : ` for ${lock}`;
  const rows = await q.query<AlertRow>(
    `select ${COLUMNS} from billing_alerts where account_id = $1 and id = $2${suffix}`,
    [accountId, id],
  );
  return rows[0] === undefined ? null : alertFromRow(rows[0]);
}

/** Alerts that are not archived, in the order of the page. */
export async function listAlerts(
  q: Queryable,
  accountId: string,
  filter: { meterId?: string | undefined },
  page: Page,
): Promise<AlertRecord[]> {
  const conditions = new Conditions();
  conditions.equal('account_id', accountId);
  conditions.equal('meter_id', filter.meterId);
  conditions.where(`status <> 'archived'`);
  const end = pageSql(conditions, page, 'billing_alerts');
  const rows = await q.query<AlertRow>(`select ${COLUMNS} from billing_alerts ${end}`, conditions.values);
  return rows.map(alertFromRow);
}

export async function findAlertCursor(
  q: Queryable,
  accountId: string,
  id: string,
): Promise<PageCursor | null> {
  const rows = await q.query<PageCursor>(
    'select created_at as "createdAt", id from billing_alerts where account_id = $1 and id = $2',
    [accountId, id],
  );
  return rows[0] ?? null;
}

/** How many alerts that are not archived watch exactly this meter and customer (null: all customers). */
export async function countAlerts(
  q: Queryable,
  accountId: string,
  meterId: string,
  customerId: string | null,
): Promise<number> {
  const rows = await q.query<{ count: number }>(
    `select count(*)::integer as count from billing_alerts
     where account_id = $1 and meter_id = $2 and customer_id is not distinct from $3 and status <> 'archived'`,
    [accountId, meterId, customerId],
  );
  return rows[0]?.count ?? 0;
}

export async function setAlertStatus(
  q: Queryable,
  accountId: string,
  id: string,
  status: AlertStatus,
): Promise<void> {
  await q.query('update billing_alerts set status = $3 where account_id = $1 and id = $2', [
    accountId,
    id,
    status,
  ]);
}

export async function hasFired(
  q: Queryable,
  accountId: string,
  alertId: string,
  customerId: string,
): Promise<boolean> {
  const rows = await q.query(
    'select 1 from billing_alert_firings where account_id = $1 and alert_id = $2 and customer_id = $3',
    [accountId, alertId, customerId],
  );
  return rows.length > 0;
}

export interface AlertFiring {
  alertId: string;
  customerId: string;
  value: Decimal;
  firedAt: Instant;
  eventId: string;
}

/** Records that the alert has fired for the customer. Violates `billing_alert_firings_pkey` the second time. */
export async function insertAlertFiring(q: Queryable, accountId: string, firing: AlertFiring): Promise<void> {
  await q.query(
    `insert into billing_alert_firings (account_id, alert_id, customer_id, value, fired_at, event_id)
     values ($1, $2, $3, $4, $5, $6)`,
    [
      accountId,
      firing.alertId,
      firing.customerId,
      toText(firing.value),
      timestamp(firing.firedAt),
      firing.eventId,
    ],
  );
}
