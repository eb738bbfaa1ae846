import type { Instant } from '../domain/period.js';
import { type Queryable, type Transaction, timestamp } from '../storage/db.js';
import { floorTo } from './rollup.js';

/** An event that was refused after its sender had gone. */
export interface EventError {
  eventName: string;
  identifier: string | null;
  code: string;
  message: string;
}

/** Errors of one meter in one window, or of event names without a meter. */
export interface ErrorReport {
  accountId: string;
  livemode: boolean;
  meterId: string | null;
  windowStart: Instant;
  windowEnd: Instant;
  types: { code: string; count: number; samples: ErrorSample[] }[];
}

export interface ErrorSample {
  message: string;
  identifier: string | null;
}

const WINDOW_MS = 5_000;
const SAMPLES_MAX = 5;
/** A report is made this long after its window, when the last calls of it have surely been written. */
const SETTLE_MS = 500;

/** Counts refused events until they are reported, few rows whatever their number. */
export async function recordEventErrors(
  q: Queryable,
  sender: { accountId: string; livemode: boolean },
  errors: readonly EventError[],
  now: Instant,
): Promise<void> {
  const counted = new Map<
    string,
    { eventName: string; code: string; count: number; samples: ErrorSample[] }
  >();
  for (const { eventName, code, message, identifier } of errors) {
    const key = `${code}\n${eventName}`;
    const entry = counted.get(key) ?? { eventName, code, count: 0, samples: [] };
    counted.set(key, entry);
    entry.count += 1;
    if (entry.samples.length < SAMPLES_MAX) entry.samples.push({ message, identifier });
  }
  const entries = [...counted.values()];
  // Grouped by the meter that is found, since several unknown names are all of no meter.
  await q.query(
    `insert into meter_event_errors as r
       (account_id, window_start, meter_id, code, livemode, error_count, samples)
     select $1, $2, coalesce(m.id, '') as meter_id, w.code, $3, sum(w.count),
       jsonb_path_query_array(jsonb_agg(w.samples), '$[*][*]')
     from unnest($4::text[], $5::text[], $6::bigint[], $7::jsonb[]) as w (event_name, code, count, samples)
     left join lateral (
       select id from meters where account_id = $1 and event_name = w.event_name
       order by status = 'active' desc, deactivated_at desc nulls last limit 1
     ) as m on true
     group by 3, 4
     order by 3, 4
     on conflict (account_id, window_start, meter_id, code) do update set
       error_count = r.error_count + excluded.error_count,
       samples = case when jsonb_array_length(r.samples) >= ${SAMPLES_MAX} then r.samples
         else r.samples || excluded.samples end`,
    [
      sender.accountId,
      timestamp(floorTo(now, WINDOW_MS)),
      sender.livemode,
      entries.map((entry) => entry.eventName),
      entries.map((entry) => entry.code),
      entries.map((entry) => entry.count),
      entries.map((entry) => JSON.stringify(entry.samples)),
    ],
  );
}

/** Takes the errors of one account's finished window out of the table, as reports; none when nothing is due. */
export async function takeErrorReports(tx: Transaction, now: Instant): Promise<ErrorReport[]> {
  const rows = await tx.query<{
    accountId: string;
    windowStart: Instant;
    meterId: string;
    code: string;
    livemode: boolean;
    count: bigint;
    samples: ErrorSample[];
  }>(
    `with due as (
       select account_id, window_start from meter_event_errors where window_start <= $1
       order by window_start, account_id limit 1
     )
     delete from meter_event_errors r using due
     where r.account_id = due.account_id and r.window_start = due.window_start
     returning r.account_id as "accountId", r.window_start as "windowStart", r.meter_id as "meterId", r.code,
       r.livemode, r.error_count as count, r.samples`,
    [timestamp(now - WINDOW_MS - SETTLE_MS)],
  );
  const reports = new Map<string, ErrorReport>();
  for (const { accountId, windowStart, meterId, code, livemode, count, samples } of rows) {
    const report = reports.get(meterId) ?? {
      accountId,
      livemode,
      meterId: meterId === '' ? null : meterId,
      windowStart,
      windowEnd: windowStart + WINDOW_MS,
      types: [],
    };
    reports.set(meterId, report);
    report.types.push({ code, count: Number(count), samples: samples.slice(0, SAMPLES_MAX) });
  }
  return [...reports.values()];
}
