import type { Instant } from '../domain/period.js';
import type { JsonObject } from '../json.js';
import { type Queryable, timestamp } from './db.js';
import { Conditions, type InstantRange, type PageCursor } from './pages.js';

export interface ThinEventRecord {
  id: string;
  livemode: boolean;
  type: string;
  createdAt: Instant;
  /** The object that the event is about; null when it is about none. */
  related: { type: string; id: string; url: string } | null;
  data: JsonObject;
}

interface ThinEventRow {
  id: string;
  livemode: boolean;
  type: string;
  createdAt: Instant;
  relatedType: string | null;
  relatedId: string | null;
  relatedUrl: string | null;
  data: JsonObject;
}

const COLUMNS = `id, livemode, type, created_at as "createdAt", related_type as "relatedType",
  related_id as "relatedId", related_url as "relatedUrl", data`;

function eventFromRow({ relatedType, relatedId, relatedUrl, ...event }: ThinEventRow): ThinEventRecord {
  const isRelated = relatedType !== null && relatedId !== null && relatedUrl !== null;
  return { ...event, related: isRelated ? { type: relatedType, id: relatedId, url: relatedUrl } : null };
}

export async function insertThinEvent(
  q: Queryable,
  accountId: string,
  event: ThinEventRecord,
): Promise<void> {
  await q.query(
    `insert into thin_events (account_id, id, livemode, type, created_at, related_type, related_id, related_url, data)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      accountId,
      event.id,
      event.livemode,
      event.type,
      timestamp(event.createdAt),
      event.related?.type ?? null,
      event.related?.id ?? null,
      event.related?.url ?? null,
      JSON.stringify(event.data),
    ],
  );
}

export async function findThinEvent(
  q: Queryable,
  accountId: string,
  id: string,
): Promise<ThinEventRecord | null> {
  const rows = await q.query<ThinEventRow>(
    `select ${COLUMNS} from thin_events where account_id = $1 and id = $2`,
    [accountId, id],
  );
  return rows[0] === undefined ? null : eventFromRow(rows[0]);
}

export interface ThinEventFilter {
  created: InstantRange;
  objectId?: string | undefined;
  types?: readonly string[] | undefined;
}

/** At most `limit` events after the cursor, newest first. */
export async function listThinEvents(
  q: Queryable,
  accountId: string,
  filter: ThinEventFilter,
  after: PageCursor | null,
  limit: number,
): Promise<ThinEventRecord[]> {
  const conditions = new Conditions();
  conditions.equal('account_id', accountId);
  conditions.equal('related_id', filter.objectId);
  conditions.within('created_at', filter.created);
  if (filter.types !== undefined) conditions.where(`type = any(${conditions.value(filter.types)})`);
  if (after !== null) {
    const createdAt = conditions.value(timestamp(after.createdAt));
    conditions.where(`(created_at, id) < (${createdAt}, ${conditions.value(after.id)})`);
  }
  const rows = await q.query<ThinEventRow>(
    `select ${COLUMNS} from thin_events where ${conditions.text()}
     order by created_at desc, id desc limit ${conditions.value(limit)}`,
    conditions.values,
  );
  return rows.map(eventFromRow);
}
