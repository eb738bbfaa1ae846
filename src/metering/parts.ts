import type { Database, Queryable, Transaction } from '../storage/db.js';
import { textArray } from './arrays.js';
import { type RefusedEvent, refused } from './event.js';
import type { Meter, Series } from './lookUp.js';
import type { ResolvedEvent } from './resolve.js';

/** The part of a series that has the same dimension values. One object a part in a batch. */
export interface Part {
  whole: Series;
  dimensions: Payload;
  dimensionKey: string;
  seriesId: string;
}

type Payload = Readonly<Record<string, string>>;

/** The refusal of a payload that lacks a dimension of the meter. */
export function dimensionProblem(meter: Meter, payload: Payload): RefusedEvent | null {
  const missing = meter.dimensionKeys.filter((key) => payload[key] === undefined);
  if (missing.length === 0) return null;
  const message = `Dimension keys not found in payload: ${missing.join(', ')}.`;
  return refused('missing_dimension_payload_keys', message, `payload[${missing[0]}]`);
}

/** The dimension values of a payload that has them all; null on a meter without dimensions. */
export function dimensionsOf(meter: Meter, payload: Payload): Payload | null {
  if (meter.dimensionKeys.length === 0) return null;
  return Object.fromEntries(meter.dimensionKeys.map((key) => [key, payload[key] as string]));
}

/** Equal for equal values, whatever the order in which the meter names its dimensions. */
function dimensionKeyOf(dimensions: Payload): string {
  return JSON.stringify(Object.entries(dimensions).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const NOT_MADE = '';

/**
 * Finds the part that each event belongs to, makes those that are missing, and refuses events that would give a
 * customer more parts than the meter allows. The series of the events must have been made.
 */
export async function resolveParts(
  db: Database,
  answers: readonly (ResolvedEvent | RefusedEvent)[],
): Promise<(ResolvedEvent | RefusedEvent)[]> {
  const parts = new Map<Series, Map<string, Part>>();
  const partOf = new Map<ResolvedEvent, Part>();
  for (const answer of answers) {
    if ('status' in answer || answer.dimensions === null) continue;
    partOf.set(answer, want(parts, answer.series, answer.dimensions));
  }
  if (partOf.size === 0) return [...answers];
  const wanted = [...parts.values()].flatMap((ofSeries) => [...ofSeries.values()]);
  await findParts(db, wanted);
  const missing = wanted.filter((part) => part.seriesId === NOT_MADE);
  if (missing.length > 0) await makeParts(db, missing);
  return answers.map((answer) => {
    const part = 'status' in answer ? undefined : partOf.get(answer);
    if (part === undefined) return answer;
    if (part.seriesId === NOT_MADE) return tooManyParts(part.whole.meter);
    return { ...(answer as ResolvedEvent), part };
  });
}

function want(parts: Map<Series, Map<string, Part>>, whole: Series, dimensions: Payload): Part {
  const ofSeries = parts.get(whole) ?? new Map<string, Part>();
  parts.set(whole, ofSeries);
  const dimensionKey = dimensionKeyOf(dimensions);
  const known = ofSeries.get(dimensionKey);
  if (known !== undefined) return known;
  const part = { whole, dimensions, dimensionKey, seriesId: NOT_MADE };
  ofSeries.set(dimensionKey, part);
  return part;
}

function tooManyParts(meter: Meter): RefusedEvent {
  const message =
    `The customer has ${meter.dimensionValuesMax} combinations of the dimensions ${meter.dimensionKeys.join(', ')} ` +
    'already, and this event would add one.';
  return refused('meter_event_dimension_count_too_high', message, 'payload');
}

async function findParts(q: Queryable, parts: readonly Part[]): Promise<void> {
  const rows = await q.queryNamed<{ ordinal: number; seriesId: string }>(
    'metering_parts',
    `select w.ordinal::integer as ordinal, s.series_id::text as "seriesId"
     from unnest($1::text[], $2::text[], $3::text[], $4::text[])
       with ordinality as w (account_id, meter_id, customer_id, dimension_key, ordinal)
     join usage_series s on s.account_id = w.account_id and s.meter_id = w.meter_id
       and s.customer_id = w.customer_id and s.dimension_key = w.dimension_key`,
    [
      textArray(parts, (part) => part.whole.meter.accountId),
      textArray(parts, (part) => part.whole.meter.id),
      textArray(parts, (part) => part.whole.customerId),
      textArray(parts, (part) => part.dimensionKey),
    ],
  );
  for (const { ordinal, seriesId } of rows) (parts[ordinal - 1] as Part).seriesId = seriesId;
}

/** Makes parts, one whole after the other under its lock, as many as its meter allows. */
async function makeParts(db: Database, missing: readonly Part[]): Promise<void> {
  const byWhole = new Map<Series, Part[]>();
  for (const part of missing) byWhole.set(part.whole, [...(byWhole.get(part.whole) ?? []), part]);
  for (const [whole, parts] of byWhole) await db.transaction((tx) => makePartsOf(tx, whole, parts));
}

async function makePartsOf(tx: Transaction, whole: Series, parts: readonly Part[]): Promise<void> {
  const { meter, customerId } = whole;
  await tx.query('select from usage_series where series_id = $1 for update', [whole.seriesId]);
  const [row] = await tx.query<{ count: number }>(
    `select count(*)::integer as count from usage_series
     where account_id = $1 and meter_id = $2 and customer_id = $3 and dimension_key <> ''`,
    [meter.accountId, meter.id, customerId],
  );
  await findParts(tx, parts);
  const room = Math.max(0, meter.dimensionValuesMax - (row?.count ?? 0));
  const allowed = parts.filter((part) => part.seriesId === NOT_MADE).slice(0, room);
  if (allowed.length === 0) return;
  await tx.query(
    `insert into usage_series (account_id, meter_id, customer_id, dimension_key, dimensions)
     select $1, $2, $3, w.dimension_key, w.dimensions
     from unnest($4::text[], $5::jsonb[]) as w (dimension_key, dimensions)`,
    [
      meter.accountId,
      meter.id,
      customerId,
      allowed.map((part) => part.dimensionKey),
      allowed.map((part) => JSON.stringify(part.dimensions)),
    ],
  );
  await findParts(tx, allowed);
}
