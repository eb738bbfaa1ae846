import type { AlertStatus, AlertType, CustomerAlertState } from '../domain/contract/alerts.js';
import { type Decimal, parseDecimal, toText } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import { uniquenessConflict } from './contracts.js';
import { isUniqueViolation, type Queryable, timestamp } from './db.js';
import { fromDocument, toDocument } from './documents.js';

export interface CustomFieldFilter {
  entity: 'Contract' | 'Commit' | 'ContractCredit' | 'ContractCreditOrCommit';
  key: string;
  /** Null asks for the key alone. */
  value: string | null;
}

export interface AlertSpecifier {
  filters: readonly CustomFieldFilter[];
  exclude: readonly (readonly CustomFieldFilter[])[];
}

/** The seats of an alert: the property of usage that names them, and one of them or, by null, all. */
export interface SeatFilter {
  groupKey: string;
  value: string | null;
}

/** What an alert watches, as its request put it. */
export interface AlertDefinition {
  threshold: Decimal;
  creditTypeId: string | null;
  billableMetricId: string | null;
  /** Whether customers that are past the threshold already are told of. */
  evaluateOnCreate: boolean;
  customFieldFilters: readonly CustomFieldFilter[];
  groupValues: readonly { key: string; value: string | null }[];
  invoiceTypes: readonly ('USAGE' | 'SCHEDULED')[] | null;
  specifiers: readonly AlertSpecifier[];
  /** Only of alerts on the balances of seats. */
  seatFilter?: SeatFilter | null;
}

export interface ThresholdAlert extends AlertDefinition {
  id: string;
  /** Null is every customer. */
  customerId: string | null;
  type: AlertType;
  name: string;
  status: AlertStatus;
  uniquenessKey: string | null;
  createdAt: Instant;
  updatedAt: Instant;
}

const COLUMNS = `id, customer_id as "customerId", alert_type as type, name, status, uniqueness_key as "uniquenessKey",
  definition, created_at as "createdAt", updated_at as "updatedAt"`;

type Row = Omit<ThresholdAlert, keyof AlertDefinition> & { definition: unknown };

const read = ({ definition, ...row }: Row): ThresholdAlert => ({
  ...(fromDocument(definition) as AlertDefinition),
  ...row,
});

/** Stores a new alert. Throws BillingError `conflict` on a uniqueness key that is in use. */
export async function insertThresholdAlert(
  q: Queryable,
  accountId: string,
  alert: ThresholdAlert,
): Promise<void> {
  const { id, customerId, type, name, status, uniquenessKey, createdAt, updatedAt, ...definition } = alert;
  try {
    await q.query(
      `insert into threshold_alerts (account_id, id, customer_id, alert_type, name, status, uniqueness_key,
         definition, created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
      [
        accountId,
        id,
        customerId,
        type,
        name,
        status,
        uniquenessKey,
        toDocument(definition),
        timestamp(createdAt),
        timestamp(updatedAt),
      ],
    );
  } catch (error) {
    if (isUniqueViolation(error, 'threshold_alerts_uniqueness')) throw uniquenessConflict(uniquenessKey);
    throw error;
  }
}

/** The alert; `lock` holds its row until the transaction ends. */
export async function findThresholdAlert(
  q: Queryable,
  accountId: string,
  id: string,
  lock = false,
): Promise<ThresholdAlert | null> {
  const rows = await q.query<Row>(
    `select ${COLUMNS} from threshold_alerts where account_id = $1 and id = $2${lock ? ' for update' : ''}`,
    [accountId, id],
  );
  return rows[0] === undefined ? null : read(rows[0]);
}

/** The alerts that watch a customer, its own and those of everybody, oldest first. */
export async function findAlertsOfCustomer(
  q: Queryable,
  accountId: string,
  customerId: string,
  statuses: readonly AlertStatus[] = ['enabled'],
): Promise<ThresholdAlert[]> {
  const rows = await q.queryNamed<Row>(
    'threshold_alerts_of_customer',
    `select ${COLUMNS} from threshold_alerts
     where account_id = $1 and status = any($3) and (customer_id is null or customer_id = $2)
     order by sequence`,
    [accountId, customerId, statuses],
  );
  return rows.map(read);
}

/** The group keys of all enabled alerts, each with the customer it watches; null is every customer. */
export async function findAlertGroupKeys(
  q: Queryable,
  accountId: string,
): Promise<{ customerId: string | null; key: string }[]> {
  return q.query(
    `select distinct customer_id as "customerId", g.value ->> 'key' as key
     from threshold_alerts, jsonb_array_elements(definition -> 'groupValues') as g
     where account_id = $1 and status = 'enabled'`,
    [accountId],
  );
}

/** Ends an alert; with `releaseKey` its uniqueness key may be used again. */
export async function archiveThresholdAlert(
  q: Queryable,
  accountId: string,
  id: string,
  at: Instant,
  releaseKey: boolean,
): Promise<void> {
  await q.query(
    `update threshold_alerts set status = 'archived', updated_at = $3,
       uniqueness_key = case when $4 then null else uniqueness_key end
     where account_id = $1 and id = $2`,
    [accountId, id, timestamp(at), releaseKey],
  );
}

/** What an alert said about a customer last. */
export interface StoredAlertState {
  alertId: string;
  state: Exclude<CustomerAlertState, null>;
  reading: Decimal | null;
}

export async function findAlertStates(
  q: Queryable,
  accountId: string,
  customerId: string,
  alertIds: readonly string[],
): Promise<Map<string, StoredAlertState>> {
  if (alertIds.length === 0) return new Map();
  const rows = await q.queryNamed<Omit<StoredAlertState, 'reading'> & { reading: string | null }>(
    'threshold_alert_states',
    `select alert_id as "alertId", state, reading from threshold_alert_states
     where account_id = $1 and customer_id = $2 and alert_id = any($3::uuid[])`,
    [accountId, customerId, alertIds],
  );
  return new Map(
    rows.map((row) => [
      row.alertId,
      { ...row, reading: row.reading === null ? null : parseDecimal(row.reading) },
    ]),
  );
}

export async function writeAlertState(
  q: Queryable,
  accountId: string,
  customerId: string,
  { alertId, state, reading }: StoredAlertState,
  at: Instant,
): Promise<void> {
  await q.query(
    `insert into threshold_alert_states (account_id, alert_id, customer_id, state, reading, updated_at)
     values ($1, $2, $3, $4, $5, $6)
     on conflict (account_id, alert_id, customer_id) do update
       set state = excluded.state, reading = excluded.reading, updated_at = excluded.updated_at`,
    [accountId, alertId, customerId, state, reading === null ? null : toText(reading), timestamp(at)],
  );
}

/** What an alert said about one seat last. */
export interface SeatState {
  alertId: string;
  seatId: string;
  state: 'ok' | 'in_alarm';
  reading: Decimal;
}

/** The states of an alert by seat. */
export async function findSeatStates(
  q: Queryable,
  accountId: string,
  customerId: string,
  alertId: string,
): Promise<Map<string, SeatState['state']>> {
  const rows = await q.query<Pick<SeatState, 'seatId' | 'state'>>(
    `select seat_id as "seatId", state from seat_alert_states
     where account_id = $1 and customer_id = $2 and alert_id = $3`,
    [accountId, customerId, alertId],
  );
  return new Map(rows.map(({ seatId, state }) => [seatId, state]));
}

export async function writeSeatState(
  q: Queryable,
  accountId: string,
  customerId: string,
  { alertId, seatId, state, reading }: SeatState,
  at: Instant,
): Promise<void> {
  await q.query(
    `insert into seat_alert_states (account_id, alert_id, customer_id, seat_id, state, reading, updated_at)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (account_id, alert_id, customer_id, seat_id) do update
       set state = excluded.state, reading = excluded.reading, updated_at = excluded.updated_at`,
    [accountId, alertId, customerId, seatId, state, toText(reading), timestamp(at)],
  );
}

/** Forgets what an alert said about these seats, or about all of them. */
export async function deleteSeatStates(
  q: Queryable,
  accountId: string,
  customerId: string,
  alertId: string,
  seatIds: readonly string[] | 'all',
): Promise<void> {
  if (seatIds.length === 0) return;
  await q.query(
    `delete from seat_alert_states where account_id = $1 and customer_id = $2 and alert_id = $3
       and ($4::text[] is null or seat_id = any($4))`,
    [accountId, customerId, alertId, seatIds === 'all' ? null : seatIds],
  );
}
