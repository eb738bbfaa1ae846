import { invalid, notFound } from '../domain/errors.js';
import type { Queryable } from '../storage/db.js';

/** What usage of a meter is kept apart by. */
export interface MeterDimensions {
  meterId: string;
  eventName: string;
  formula: 'sum' | 'count' | 'last';
  eventTimeWindow: 'hour' | 'day' | null;
  /** Keys of the payload. Events must have them all. */
  keys: readonly string[];
  /** Combinations of their values that one customer may have. */
  valuesMax: number;
}

const COLUMNS = `id as "meterId", event_name as "eventName", formula, event_time_window as "eventTimeWindow",
  dimension_keys as keys, dimension_values_max as "valuesMax"`;

/** Throws `not_found` for a meter that doesn't exist; `param` is the parameter that names it. */
export async function readDimensions(
  q: Queryable,
  accountId: string,
  meterId: string,
  param = 'id',
): Promise<MeterDimensions> {
  const rows = await q.query<MeterDimensions>(
    `select ${COLUMNS} from meters where account_id = $1 and id = $2`,
    [accountId, meterId],
  );
  if (rows[0] === undefined) throw notFound('meter', meterId, param);
  return rows[0];
}

/**
 * Changes what usage is kept apart by, from the next event on; usage from before stays in the total. Throws `invalid`
 * for a meter with an event time window, where an event may replace one with other values.
 */
export async function changeDimensions(
  q: Queryable,
  accountId: string,
  meterId: string,
  change: { keys?: readonly string[]; valuesMax?: number },
): Promise<MeterDimensions> {
  const { eventTimeWindow } = await readDimensions(q, accountId, meterId);
  if (eventTimeWindow !== null && (change.keys ?? []).length > 0) {
    throw invalid('A meter with an event time window cannot have dimensions.', { param: 'dimensions' });
  }
  const rows = await q.query<MeterDimensions>(
    `update meters set dimension_keys = coalesce($3, dimension_keys),
       dimension_values_max = coalesce($4, dimension_values_max)
     where account_id = $1 and id = $2 returning ${COLUMNS}`,
    [accountId, meterId, change.keys ?? null, change.valuesMax ?? null],
  );
  return rows[0] as MeterDimensions;
}
