import { type Decimal, ZERO } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import type { Queryable } from '../storage/db.js';
import type { RefusedEvent } from './event.js';
import { refused } from './event.js';
import type { PreparedEvent } from './prepare.js';
import { parseEventValue } from './value.js';

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
  hasAlerts: boolean;
}

/** One customer's usage on one meter. One object a series in a batch, so that it can be a key. */
export interface Series {
  seriesId: string;
  meter: Meter;
  customerId: string;
}

/** An event that may be stored: it names an active meter and an existing customer, and has a value and a time. */
export interface ResolvedEvent {
  prepared: PreparedEvent;
  series: Series;
  timestamp: Instant;
  /** The customer's now. */
  createdAt: Instant;
  /** The text that goes to the database, and the value that is added up; null and zero without one (count meters). */
  valueText: string | null;
  value: Decimal;
}

const PAST_MAX_MS = 35 * 24 * 3600 * 1000;
const FUTURE_MAX_MS = 5 * 60 * 1000;
const SECOND_MS = 1000;

/**
 * Looks up what a batch of events refers to, in a few statements whatever its size, and answers for each event, in
 * order. The look-ups are part of the batch, so a meter or customer changed a moment ago counts as it is now.
 */
export async function resolveEvents(
  q: Queryable,
  events: readonly PreparedEvent[],
  now: Instant,
): Promise<(ResolvedEvent | RefusedEvent)[]> {
  const meters = await findMeters(q, events);
  const problems: (RefusedEvent | null)[] = [];
  const wanted: Wanted = new Map();
  for (const prepared of events) {
    const meter = meters.get(prepared.accountId)?.get(prepared.event.eventName);
    const problem = meterProblem(prepared, meter);
    problems.push(problem);
    if (problem === null && meter !== undefined) want(wanted, meter, customerIdOf(prepared, meter));
  }
  await findCustomers(q, wanted);
  const answers = events.map((prepared, index) => {
    const problem = problems[index];
    if (problem !== null && problem !== undefined) return problem;
    const meter = meters.get(prepared.accountId)?.get(prepared.event.eventName) as Meter;
    const customer = wanted.get(meter)?.get(customerIdOf(prepared, meter)) ?? null;
    return resolveOne(prepared, meter, customer, now);
  });
  await makeMissingSeries(q, answers);
  return answers;
}

/** The id of a series that has had no usage: it is made with its first accepted event, never for a refused one. */
const NOT_MADE = '';

interface Target {
  series: Series;
  /** The customer's frozen time; null on wall time. */
  frozenTime: Instant | null;
}

type Wanted = Map<Meter, Map<string, Target | null>>;

function want(wanted: Wanted, meter: Meter, customerId: string): void {
  let customers = wanted.get(meter);
  if (customers === undefined) {
    customers = new Map<string, Target | null>();
    wanted.set(meter, customers);
  }
  if (!customers.has(customerId)) customers.set(customerId, null);
}

function customerIdOf(prepared: PreparedEvent, meter: Meter): string {
  return prepared.event.payload[meter.customerKey] ?? '';
}

function meterProblem(prepared: PreparedEvent, meter: Meter | undefined): RefusedEvent | null {
  const { event } = prepared;
  if (meter?.active !== true) {
    const message = `No active meter found for event name "${event.eventName}"`;
    return refused(meter === undefined ? 'no_meter' : 'archived_meter', message, 'event_name');
  }
  if (customerIdOf(prepared, meter) !== '') return null;
  const message = `Customer mapping key ${meter.customerKey} not found in payload.`;
  return refused('meter_event_no_customer_defined', message, `payload[${meter.customerKey}]`);
}

function resolveOne(
  prepared: PreparedEvent,
  meter: Meter,
  target: Target | null,
  now: Instant,
): ResolvedEvent | RefusedEvent {
  if (target === null) {
    const customerId = customerIdOf(prepared, meter);
    const param = `payload[${meter.customerKey}]`;
    return refused('meter_event_customer_not_found', `No such customer: '${customerId}'`, param);
  }
  const createdAt = target.frozenTime ?? now;
  const timestamp = prepared.event.timestamp ?? createdAt - (createdAt % SECOND_MS);
  const late = timestampProblem(timestamp, createdAt);
  if (late !== null) return late;
  const valueText = prepared.event.payload[meter.valueKey];
  const value = valueText === undefined ? null : parseEventValue(valueText);
  const resolved = { prepared, series: target.series, timestamp, createdAt };
  if (value !== null && typeof value === 'object') {
    return { ...resolved, valueText: valueText as string, value };
  }
  // A count meter counts events; whatever stands at its value key is only payload.
  if (meter.formula === 'count') return { ...resolved, valueText: null, value: ZERO };
  return valueProblem(value, meter, valueText);
}

function valueProblem(code: string | null, meter: Meter, text: string | undefined): RefusedEvent {
  const param = `payload[${meter.valueKey}]`;
  if (code === null) {
    return refused('meter_event_value_not_found', `Value key ${meter.valueKey} not found in payload.`, param);
  }
  const shown = (text ?? '').slice(0, 60);
  const reason =
    code === 'meter_event_invalid_value' ? 'is not a number' : 'has more than 15 significant digits';
  return refused(code, `The value '${shown}' at payload key ${meter.valueKey} ${reason}.`, param);
}

/** Stripe's window (docs.stripe.com/api/billing/meter-event/create): the past 35 days to 5 minutes ahead. */
function timestampProblem(timestamp: Instant, customerNow: Instant): RefusedEvent | null {
  if (timestamp < customerNow - PAST_MAX_MS) {
    const message = 'The timestamp must be within the past 35 calendar days.';
    return refused('timestamp_too_far_in_past', message, 'timestamp');
  }
  if (timestamp > customerNow + FUTURE_MAX_MS) {
    const message = 'The timestamp must not be more than 5 minutes in the future.';
    return refused('timestamp_in_future', message, 'timestamp');
  }
  return null;
}

// The active meter of that name if there is one, else the one that was deactivated last.
const FIND_METERS = `
  select m.*
  from unnest($1::text[], $2::text[]) as w (account_id, event_name)
  cross join lateral (
    select account_id as "accountId", id, event_name as "eventName", status = 'active' as active, livemode, formula,
      event_time_window as "eventTimeWindow", customer_key as "customerKey", value_key as "valueKey",
      exists (
        select from billing_alerts a
        where a.account_id = meters.account_id and a.meter_id = meters.id and a.status = 'active'
      ) as "hasAlerts"
    from meters
    where meters.account_id = w.account_id and meters.event_name = w.event_name
    order by status = 'active' desc, deactivated_at desc nulls last
    limit 1
  ) as m`;

async function findMeters(
  q: Queryable,
  events: readonly PreparedEvent[],
): Promise<Map<string, Map<string, Meter>>> {
  const names = new Map<string, Set<string>>();
  for (const { accountId, event } of events) {
    const known = names.get(accountId);
    if (known === undefined) names.set(accountId, new Set([event.eventName]));
    else known.add(event.eventName);
  }
  const accountIds: string[] = [];
  const eventNames: string[] = [];
  for (const [accountId, wanted] of names) {
    for (const eventName of wanted) {
      accountIds.push(accountId);
      eventNames.push(eventName);
    }
  }
  const rows = await q.queryNamed<Meter>('metering_meters', FIND_METERS, [accountIds, eventNames]);
  const found = new Map<string, Map<string, Meter>>();
  for (const meter of rows) {
    const ofAccount = found.get(meter.accountId) ?? new Map<string, Meter>();
    found.set(meter.accountId, ofAccount.set(meter.eventName, meter));
  }
  return found;
}

const FIND_CUSTOMERS = `
  select w.ordinal::integer as ordinal, t.frozen_time as "frozenTime", s.series_id::text as "seriesId"
  from unnest($1::text[], $2::text[], $3::text[]) with ordinality as w (account_id, meter_id, customer_id, ordinal)
  join customers c on c.account_id = w.account_id and c.id = w.customer_id and c.deleted_at is null
  left join test_clocks t on t.account_id = c.account_id and t.id = c.test_clock_id and t.deleted_at is null
  left join usage_series s on s.account_id = w.account_id and s.meter_id = w.meter_id
    and s.customer_id = w.customer_id and s.dimension_key = ''`;

/** Fills in the wanted customers that exist. */
async function findCustomers(q: Queryable, wanted: Wanted): Promise<void> {
  const pairs = [...wanted].flatMap(([meter, customers]) => {
    return [...customers.keys()].map((customerId) => ({ meter, customerId }));
  });
  if (pairs.length === 0) return;
  const rows = await q.queryNamed<{ ordinal: number; frozenTime: Instant | null; seriesId: string | null }>(
    'metering_customers',
    FIND_CUSTOMERS,
    columns(pairs),
  );
  for (const { ordinal, frozenTime, seriesId } of rows) {
    const pair = pairs[ordinal - 1] as Pair;
    const series = { ...pair, seriesId: seriesId ?? NOT_MADE };
    wanted.get(pair.meter)?.set(pair.customerId, { series, frozenTime });
  }
}

const MAKE_SERIES = `
  insert into usage_series (account_id, meter_id, customer_id)
  select * from unnest($1::text[], $2::text[], $3::text[])
  on conflict do nothing`;

const FIND_SERIES = `
  select w.ordinal::integer as ordinal, s.series_id::text as "seriesId"
  from unnest($1::text[], $2::text[], $3::text[]) with ordinality as w (account_id, meter_id, customer_id, ordinal)
  join usage_series s on s.account_id = w.account_id and s.meter_id = w.meter_id
    and s.customer_id = w.customer_id and s.dimension_key = ''`;

/** Makes the series that accepted events need and that don't exist yet. */
async function makeMissingSeries(
  q: Queryable,
  answers: readonly (ResolvedEvent | RefusedEvent)[],
): Promise<void> {
  const wanted = new Set<Series>();
  for (const answer of answers) {
    if (!('status' in answer) && answer.series.seriesId === NOT_MADE) wanted.add(answer.series);
  }
  if (wanted.size === 0) return;
  // Sorted, so that two writers that make the same series wait for each other in one order.
  const missing = [...wanted].sort((a, b) =>
    a.meter.id === b.meter.id ? compareText(a.customerId, b.customerId) : compareText(a.meter.id, b.meter.id),
  );
  await q.queryNamed('metering_make_series', MAKE_SERIES, columns(missing));
  const rows = await q.queryNamed<{ ordinal: number; seriesId: string }>(
    'metering_series',
    FIND_SERIES,
    columns(missing),
  );
  for (const { ordinal, seriesId } of rows) (missing[ordinal - 1] as Series).seriesId = seriesId;
  if (rows.length < missing.length)
    throw new Error(`${missing.length - rows.length} series could not be made`);
}

interface Pair {
  meter: Meter;
  customerId: string;
}

function columns(pairs: readonly Pair[]): string[][] {
  return [
    pairs.map((pair) => pair.meter.accountId),
    pairs.map((pair) => pair.meter.id),
    pairs.map((pair) => pair.customerId),
  ];
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
