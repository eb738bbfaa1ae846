import type { Instant } from '../domain/period.js';
import type { Queryable } from '../storage/db.js';
import { textArray } from './arrays.js';
import type { Known } from './known.js';
import type { PreparedEvent } from './prepare.js';

export interface Meter {
  accountId: string;
  id: string;
  eventName: string;
  active: boolean;
  livemode: boolean;
  formula: 'sum' | 'count' | 'last';
  eventTimeWindow: 'hour' | 'day' | null;
  customerKey: string;
  valueKey: string;
  /** Properties of events that usage is kept apart by, and how many combinations of them a customer may have. */
  dimensionKeys: readonly string[];
  dimensionValuesMax: number;
  hasAlerts: boolean;
}

/** One customer's usage on one meter. One object a series in a batch, so that it can be a key. */
export interface Series {
  seriesId: string;
  meter: Meter;
  customerId: string;
}

/** The id of a series that has had no usage: it is made with its first accepted event, never for a refused one. */
export const NOT_MADE = '';

export interface Target {
  series: Series;
  /** The customer's frozen time; null on wall time. */
  frozenTime: Instant | null;
}

/** By account and event name. */
export type Meters = Map<string, Map<string, Meter>>;

export interface Found {
  meters: Meters;
  /** The customers that exist, by meter and id. */
  targets: Map<Meter, Map<string, Target>>;
}

export function customerIdOf(prepared: PreparedEvent, meter: Meter): string {
  return prepared.event.payload[meter.customerKey] ?? '';
}

/** The meters and customers that the events name, as they are now. */
export async function lookUp(q: Queryable, events: readonly PreparedEvent[], known: Known): Promise<Found> {
  const names = namesOf(events);
  const guess = wantedPairs(events, (accountId, eventName) => known.meter(accountId, eventName));
  const first = await ask(q, names, guess.pairs);
  known.learnMeters(first.meters);
  const meterNow = (accountId: string, eventName: string): Meter | undefined =>
    first.meters.get(accountId)?.get(eventName);
  if (guess.complete && isStillRight(guess.pairs, meterNow)) {
    const targets = targetsOf(guess.pairs, first.customers, meterNow);
    known.remember(targets, first.xmin);
    return { meters: first.meters, targets };
  }
  const { pairs } = wantedPairs(events, meterNow);
  if (pairs.length === 0) return { meters: first.meters, targets: new Map() };
  const second = await ask(q, names, pairs);
  // The meters are those that were asked for by: what changed since counts for the next batch.
  const targets = targetsOf(pairs, second.customers, meterNow);
  known.remember(targets, first.xmin);
  return { meters: first.meters, targets };
}

interface Names {
  accountIds: string[];
  eventNames: string[];
}

function namesOf(events: readonly PreparedEvent[]): Names {
  const seen = new Map<string, Set<string>>();
  const names: Names = { accountIds: [], eventNames: [] };
  for (const { accountId, event } of events) {
    const ofAccount = seen.get(accountId) ?? new Set<string>();
    seen.set(accountId, ofAccount);
    if (ofAccount.has(event.eventName)) continue;
    ofAccount.add(event.eventName);
    names.accountIds.push(accountId);
    names.eventNames.push(event.eventName);
  }
  return names;
}

interface Pair {
  meter: Meter;
  customerId: string;
}

/** The meters and customers to ask for; complete when every name has a meter. */
function wantedPairs(
  events: readonly PreparedEvent[],
  meterOf: (accountId: string, eventName: string) => Meter | undefined,
): { pairs: Pair[]; complete: boolean } {
  const customers = new Map<Meter, Set<string>>();
  const pairs: Pair[] = [];
  let complete = true;
  for (const prepared of events) {
    const meter = meterOf(prepared.accountId, prepared.event.eventName);
    if (meter === undefined) complete = false;
    // Also of an inactive one: by the time of the answer it may be active again.
    const customerId = meter === undefined ? '' : customerIdOf(prepared, meter);
    if (meter === undefined || customerId === '') continue;
    let ofMeter = customers.get(meter);
    if (ofMeter === undefined) {
      ofMeter = new Set();
      customers.set(meter, ofMeter);
    }
    if (ofMeter.has(customerId)) continue;
    ofMeter.add(customerId);
    pairs.push({ meter, customerId });
  }
  return { pairs, complete };
}

/** Whether what was asked for is what the meters of now would ask for. */
function isStillRight(
  pairs: readonly Pair[],
  meterNow: (accountId: string, eventName: string) => Meter | undefined,
): boolean {
  const checked = new Set<Meter>();
  for (const { meter } of pairs) {
    if (checked.has(meter)) continue;
    checked.add(meter);
    const now = meterNow(meter.accountId, meter.eventName);
    if (now?.id !== meter.id || now.customerKey !== meter.customerKey) return false;
  }
  return true;
}

interface CustomerRow {
  ordinal: number;
  frozenTime: Instant | null;
  seriesId: string | null;
}

function targetsOf(
  pairs: readonly Pair[],
  customers: readonly CustomerRow[],
  meterNow: (accountId: string, eventName: string) => Meter | undefined,
): Map<Meter, Map<string, Target>> {
  const targets = new Map<Meter, Map<string, Target>>();
  for (const { ordinal, frozenTime, seriesId } of customers) {
    const { meter: asked, customerId } = pairs[ordinal - 1] as Pair;
    const meter = meterNow(asked.accountId, asked.eventName) as Meter;
    const ofMeter = targets.get(meter) ?? new Map<string, Target>();
    targets.set(meter, ofMeter);
    ofMeter.set(customerId, { series: { meter, customerId, seriesId: seriesId ?? NOT_MADE }, frozenTime });
  }
  return targets;
}

// Meters: the active one of that name if there is one, else the one that was deactivated last.
const LOOK_UP = `
  select
    (
      select coalesce(json_agg(m), '[]')
      from unnest($1::text[], $2::text[]) as w (account_id, event_name)
      cross join lateral (
        select account_id as "accountId", id, event_name as "eventName", status = 'active' as active, livemode,
          formula, event_time_window as "eventTimeWindow", customer_key as "customerKey", value_key as "valueKey",
          dimension_keys as "dimensionKeys", dimension_values_max as "dimensionValuesMax",
          exists (
            select from billing_alerts a
            where a.account_id = meters.account_id and a.meter_id = meters.id and a.status = 'active'
          ) as "hasAlerts"
        from meters
        where meters.account_id = w.account_id and meters.event_name = w.event_name
        order by status = 'active' desc, deactivated_at desc nulls last
        limit 1
      ) as m
    ) as meters,
    (
      select coalesce(json_agg(json_build_object(
        'ordinal', w.ordinal,
        'frozenTime', (extract(epoch from t.frozen_time) * 1000)::bigint,
        'seriesId', s.series_id::text)), '[]')
      from unnest($3::text[], $4::text[], $5::text[]) with ordinality
        as w (account_id, meter_id, customer_id, ordinal)
      join customers c on c.account_id = w.account_id and c.id = w.customer_id and c.deleted_at is null
      left join test_clocks t on t.account_id = c.account_id and t.id = c.test_clock_id and t.deleted_at is null
      left join usage_series s on s.account_id = w.account_id and s.meter_id = w.meter_id
        and s.customer_id = w.customer_id and s.dimension_key = ''
    ) as customers,
    pg_snapshot_xmin(pg_current_snapshot())::text as xmin`;

async function ask(
  q: Queryable,
  names: Names,
  pairs: readonly Pair[],
): Promise<{ meters: Meters; customers: CustomerRow[]; xmin: string }> {
  const [row] = await q.queryNamed<{ meters: Meter[]; customers: CustomerRow[]; xmin: string }>(
    'metering_look_up',
    LOOK_UP,
    [names.accountIds, names.eventNames, ...pairColumns(pairs)],
  );
  const meters: Meters = new Map();
  for (const meter of row?.meters ?? []) {
    const ofAccount = meters.get(meter.accountId) ?? new Map<string, Meter>();
    meters.set(meter.accountId, ofAccount.set(meter.eventName, meter));
  }
  return { meters, customers: row?.customers ?? [], xmin: row?.xmin ?? '0' };
}

/** Account, meter and customer of each pair, as columns. */
export function pairColumns(pairs: readonly Pair[]): string[] {
  return [
    textArray(pairs, ({ meter }) => meter.accountId),
    textArray(pairs, ({ meter }) => meter.id),
    textArray(pairs, ({ customerId }) => customerId),
  ];
}
