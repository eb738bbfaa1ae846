import type { Instant } from '../domain/period.js';
import { type JsonObject, toJsonText } from '../json.js';
import { type Queryable, timestamp } from './db.js';
import { Conditions, type InstantRange, type Page, type PageCursor, pageSql } from './pages.js';

export interface EventRecord {
  id: string;
  livemode: boolean;
  type: string;
  createdAt: Instant;
  /** The id of the object that the event is about; null when it has none. */
  objectId: string | null;
  /** `{object, previous_attributes?}` as they were when it happened. */
  data: JsonObject;
  /** The request that caused it; null when it happened by itself. */
  requestId: string | null;
  idempotencyKey: string | null;
}

const COLUMNS = `id, livemode, type, created_at as "createdAt", object_id as "objectId", data,
  request_id as "requestId", idempotency_key as "idempotencyKey"`;

/** Stores an event; one with the same id stays as it is. */
export async function insertEvent(q: Queryable, accountId: string, event: EventRecord): Promise<void> {
  await q.queryNamed(
    'insert_event',
    `insert into events (account_id, id, livemode, type, created_at, object_id, data, request_id, idempotency_key)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (account_id, id) do nothing`,
    [
      accountId,
      event.id,
      event.livemode,
      event.type,
      timestamp(event.createdAt),
      event.objectId,
      toJsonText(event.data),
      event.requestId,
      event.idempotencyKey,
    ],
  );
}

export async function findEvent(q: Queryable, accountId: string, id: string): Promise<EventRecord | null> {
  const rows = await q.query<EventRecord>(`select ${COLUMNS} from events where account_id = $1 and id = $2`, [
    accountId,
    id,
  ]);
  return rows[0] ?? null;
}

export interface EventFilter {
  /** Types to show; `invoice.*` stands for all that begin so, `*` for all. */
  types?: readonly string[] | undefined;
  created?: InstantRange | undefined;
}

export function listEvents(
  q: Queryable,
  accountId: string,
  filter: EventFilter,
  page: Page,
): Promise<EventRecord[]> {
  const conditions = new Conditions();
  conditions.equal('account_id', accountId);
  conditions.within('created_at', filter.created);
  if (filter.types !== undefined) addTypes(conditions, filter.types);
  const end = pageSql(conditions, page, 'events');
  return q.query<EventRecord>(`select ${COLUMNS} from events ${end}`, conditions.values);
}

function addTypes(conditions: Conditions, types: readonly string[]): void {
  const exact = types.filter((type) => !type.endsWith('*'));
  const prefixes = types.filter((type) => type.endsWith('*')).map((type) => type.slice(0, -1));
  const texts = [`type = any(${conditions.value(exact)})`];
  for (const prefix of prefixes) texts.push(`starts_with(type, ${conditions.value(prefix)})`);
  conditions.where(`(${texts.join(' or ')})`);
}

/** Where the event stands in a list. */
export async function findEventCursor(
  q: Queryable,
  accountId: string,
  id: string,
): Promise<PageCursor | null> {
  const rows = await q.query<PageCursor>(
    'select created_at as "createdAt", id from events where account_id = $1 and id = $2',
    [accountId, id],
  );
  return rows[0] ?? null;
}
