import type { Instant } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';
import { Conditions, type Page, type PageCursor, pageSql } from './pages.js';

export interface MeterRecord {
  id: string;
  livemode: boolean;
  createdAt: Instant;
  updatedAt: Instant;
  displayName: string;
  eventName: string;
  status: 'active' | 'inactive';
  formula: 'sum' | 'count' | 'last';
  /** null: every event counts by itself; else only the last received of each customer in each UTC hour or day. */
  eventTimeWindow: 'hour' | 'day' | null;
  /** Key of the payload that holds the customer's id. */
  customerKey: string;
  /** Key of the payload that holds the value. */
  valueKey: string;
  deactivatedAt: Instant | null;
}

const COLUMNS = `id, livemode, created_at as "createdAt", updated_at as "updatedAt", display_name as "displayName",
  event_name as "eventName", status, formula, event_time_window as "eventTimeWindow", customer_key as "customerKey",
  value_key as "valueKey", deactivated_at as "deactivatedAt"`;

/** Stores a new active meter. False when another active meter has the event name, and then nothing is stored. */
export async function insertMeter(q: Queryable, accountId: string, meter: MeterRecord): Promise<boolean> {
  const rows = await q.query<{ id: string }>(
    `insert into meters (account_id, id, livemode, created_at, updated_at, display_name, event_name, status, formula,
       event_time_window, customer_key, value_key, deactivated_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
     on conflict (account_id, event_name) where status = 'active' do nothing returning id`,
    [
      accountId,
      meter.id,
      meter.livemode,
      timestamp(meter.createdAt),
      timestamp(meter.updatedAt),
      meter.displayName,
      meter.eventName,
      meter.status,
      meter.formula,
      meter.eventTimeWindow,
      meter.customerKey,
      meter.valueKey,
      timestamp(meter.deactivatedAt),
    ],
  );
  return rows.length > 0;
}

/** `lock` holds the meter's row until the transaction ends. */
export async function findMeter(
  q: Queryable,
  accountId: string,
  id: string,
  lock: 'share' | 'update' | 'none' = 'none',
): Promise<MeterRecord | null> {
  const suffix = lock === 'none' ? '' : ` for ${lock}`;
  const rows = await q.query<MeterRecord>(
    `select ${COLUMNS} from meters where account_id = $1 and id = $2${suffix}`,
    [accountId, id],
  );
  return rows[0] ?? null;
}

/** The meters with these ids that exist, in no particular order. */
export function findMeters(q: Queryable, accountId: string, ids: readonly string[]): Promise<MeterRecord[]> {
  return q.query<MeterRecord>(`select ${COLUMNS} from meters where account_id = $1 and id = any($2)`, [
    accountId,
    ids,
  ]);
}

/** The active meter with the event name, other than `except`. */
export async function findActiveMeterByEventName(
  q: Queryable,
  accountId: string,
  eventName: string,
  except = '',
): Promise<MeterRecord | null> {
  const rows = await q.query<MeterRecord>(
    `select ${COLUMNS} from meters where account_id = $1 and event_name = $2 and status = 'active' and id <> $3`,
    [accountId, eventName, except],
  );
  return rows[0] ?? null;
}

export function listMeters(
  q: Queryable,
  accountId: string,
  filter: { status?: string | undefined },
  page: Page,
): Promise<MeterRecord[]> {
  const conditions = new Conditions();
  conditions.equal('account_id', accountId);
  conditions.equal('status', filter.status);
  const end = pageSql(conditions, page, 'meters');
  return q.query<MeterRecord>(`select ${COLUMNS} from meters ${end}`, conditions.values);
}

/** Where the meter stands in a list. */
export async function findMeterCursor(
  q: Queryable,
  accountId: string,
  id: string,
): Promise<PageCursor | null> {
  const rows = await q.query<PageCursor>(
    'select created_at as "createdAt", id from meters where account_id = $1 and id = $2',
    [accountId, id],
  );
  return rows[0] ?? null;
}

/** Writes every column that can change. The caller holds the row's lock. */
export async function updateMeter(q: Queryable, accountId: string, meter: MeterRecord): Promise<void> {
  await q.query(
    `update meters set updated_at = $3, display_name = $4, status = $5, deactivated_at = $6
     where account_id = $1 and id = $2`,
    [
      accountId,
      meter.id,
      timestamp(meter.updatedAt),
      meter.displayName,
      meter.status,
      timestamp(meter.deactivatedAt),
    ],
  );
}
