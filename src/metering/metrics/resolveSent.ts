import { ZERO } from '../../domain/decimal.js';
import type { Instant } from '../../domain/period.js';
import type { Database, Queryable } from '../../storage/db.js';
import type { RefusedEvent } from '../event.js';
import { refused } from '../event.js';
import type { PreparedEvent } from '../prepare.js';
import { Known } from '../known.js';
import { type Found, lookUp, type Meter, type Series } from '../lookUp.js';
import { type ResolvedEvent, resolveEvents } from '../resolve.js';
import { HOUR_MS } from '../rollup.js';
import { parseEventValue } from '../value.js';
import { findSeries, makeSeries, type SeriesName } from './series.js';

const PAST_MAX_MS = 34 * 24 * HOUR_MS;
const FUTURE_MAX_MS = 24 * HOUR_MS;

type Answer = ResolvedEvent | RefusedEvent;

/** `resolveEvents` for the events of both dialects; answers in order. Only those of Stripe's dialect are ever recalled. */
export async function resolveAllEvents(
  q: Database,
  events: readonly PreparedEvent[],
  now: Instant,
  known: Known,
  recalled?: Found,
): Promise<Answer[]> {
  const sent = events.filter(({ event }) => event.sent !== undefined);
  if (sent.length === 0) return resolveEvents(q, events, now, known, recalled);
  const others = events.filter(({ event }) => event.sent === undefined);
  const answers = new Map<PreparedEvent, Answer>();
  const note = (of: readonly PreparedEvent[], given: readonly Answer[]) => {
    of.forEach((prepared, index) => answers.set(prepared, given[index] as Answer));
  };
  if (others.length > 0) note(others, await resolveEvents(q, others, now, known));
  note(sent, await resolveSent(q, sent, now));
  return events.map((prepared) => answers.get(prepared) as Answer);
}

interface Holder {
  /** The customer's Stripe id; null while nobody has the name. */
  customerId: string | null;
  frozenTime: Instant | null;
}

/**
 * Looks up who the events are for and the meters they count on. Unknown customers and event types are accepted: such an
 * event is kept under the name it was sent with (docs.metronome.com, "send usage events").
 */
async function resolveSent(q: Queryable, events: readonly PreparedEvent[], now: Instant): Promise<Answer[]> {
  const holders = await findHolders(q, events);
  const { meters } = await lookUp(q, events, new Known());
  const seriesOf = new SeriesPool();
  const answers = events.map((prepared) => {
    const holder = holders.get(holderKey(prepared)) ?? { customerId: null, frozenTime: null };
    const meter = meters.get(prepared.accountId)?.get(prepared.event.eventName);
    return resolveOne(prepared, holder, meter, now, seriesOf);
  });
  const refusals = new Map<symbol | undefined, RefusedEvent>();
  answers.forEach((answer, index) => {
    const call = events[index]?.event.sent?.call;
    if ('status' in answer && !refusals.has(call)) refusals.set(call, answer);
  });
  const final = answers.map((answer, index) => refusals.get(events[index]?.event.sent?.call) ?? answer);
  await seriesOf.fill(q, final);
  return final;
}

function resolveOne(
  prepared: PreparedEvent,
  holder: Holder,
  meter: Meter | undefined,
  now: Instant,
  seriesOf: SeriesPool,
): Answer {
  const { accountId, event } = prepared;
  const createdAt = holder.frozenTime ?? now;
  const timestamp = event.timestamp ?? createdAt;
  const problem = timestampProblem(timestamp, createdAt, event.sent?.index ?? 0);
  if (problem !== null) return problem;
  const base = baseMeter(accountId, event.eventName);
  const series = seriesOf.get(base, event.sent?.customerKey ?? '', event.eventName);
  const answer: ResolvedEvent = {
    prepared,
    place: 0,
    series,
    timestamp,
    createdAt,
    valueText: null,
    value: ZERO,
    dimensions: null,
    part: null,
  };
  const counted = holder.customerId === null || meter?.active !== true ? null : valueOn(meter, prepared);
  if (counted === null || meter === undefined || holder.customerId === null) return answer;
  return { ...answer, onMeter: { ...counted, series: seriesOf.get(meter, holder.customerId, '') } };
}

/** What the event counts on a Stripe meter; null when it has no valid value for it. */
function valueOn(meter: Meter, { event }: PreparedEvent): Pick<ResolvedEvent, 'valueText' | 'value'> | null {
  const property = event.sent?.properties[meter.valueKey];
  const text = typeof property === 'number' ? String(property) : property;
  const value = typeof text === 'string' ? parseEventValue(text) : null;
  if (value !== null && typeof value === 'object') return { valueText: text as string, value };
  return meter.formula === 'count' ? { valueText: null, value: ZERO } : null;
}

/** The window of docs.metronome.com, "send usage events". */
function timestampProblem(timestamp: Instant, customerNow: Instant, index: number): RefusedEvent | null {
  const name = `Invalid '[${index}].timestamp'`;
  if (timestamp < customerNow - PAST_MAX_MS) {
    return refused('timestamp_too_far_in_past', `${name}: must be within the past 34 days.`, 'timestamp');
  }
  if (timestamp > customerNow + FUTURE_MAX_MS) {
    const message = `${name}: must not be more than 24 hours in the future.`;
    return refused('timestamp_in_future', message, 'timestamp');
  }
  return null;
}

/** Stands where a meter would: the series of events as they were sent. */
function baseMeter(accountId: string, eventName: string): Meter {
  return {
    accountId,
    id: '',
    eventName,
    active: true,
    livemode: true,
    formula: 'count',
    eventTimeWindow: null,
    customerKey: '',
    valueKey: '',
    dimensionKeys: [],
    dimensionValuesMax: 0,
    hasAlerts: false,
  };
}

function holderKey({ accountId, event }: PreparedEvent): string {
  return `${accountId}\n${event.sent?.customerKey ?? ''}`;
}

const FIND_HOLDERS = `
  select w.ordinal::integer as ordinal, c.id as "customerId", t.frozen_time as "frozenTime"
  from unnest($1::text[], $2::text[], $3::uuid[]) with ordinality as w (account_id, key, uuid, ordinal)
  join customers c on c.account_id = w.account_id and c.deleted_at is null and c.id = coalesce(
    (select o.id from customers o where o.account_id = w.account_id and o.id = w.key),
    (select o.id from customers o where o.account_id = w.account_id and o.uuid = w.uuid),
    (select a.customer_id from ingest_aliases a where a.account_id = w.account_id and a.alias = w.key))
  left join test_clocks t on t.account_id = c.account_id and t.id = c.test_clock_id and t.deleted_at is null`;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

async function findHolders(q: Queryable, events: readonly PreparedEvent[]): Promise<Map<string, Holder>> {
  const names = new Map(events.map((prepared) => [holderKey(prepared), prepared]));
  const wanted = [...names.values()];
  const keys = wanted.map(({ event }) => event.sent?.customerKey ?? '');
  const rows = await q.queryNamed<Holder & { ordinal: number }>('metering_holders', FIND_HOLDERS, [
    wanted.map(({ accountId }) => accountId),
    keys,
    keys.map((key) => (UUID.test(key) ? key : null)),
  ]);
  const found = new Map<string, Holder>();
  for (const { ordinal, ...holder } of rows)
    found.set(holderKey(wanted[ordinal - 1] as PreparedEvent), holder);
  return found;
}

/** The series of a batch, one object for each; `fill` finds or makes them. */
class SeriesPool {
  readonly #series = new Map<string, { series: Series; name: SeriesName }>();

  get(meter: Meter, customerId: string, key: string): Series {
    const dimensions = meter.id === '' ? { event_type: key } : {};
    const name = { accountId: meter.accountId, meterId: meter.id, customerId, key, dimensions };
    const text = JSON.stringify([name.accountId, name.meterId, customerId, key]);
    const known = this.#series.get(text);
    if (known !== undefined) return known.series;
    const series = { seriesId: '', meter, customerId };
    this.#series.set(text, { series, name });
    return series;
  }

  /** Only those that accepted events need. */
  async fill(q: Queryable, answers: readonly Answer[]): Promise<void> {
    const needed = new Set<Series>();
    for (const answer of answers) {
      if ('status' in answer) continue;
      needed.add(answer.series);
      if (answer.onMeter !== undefined) needed.add(answer.onMeter.series);
    }
    const all = [...this.#series.values()].filter(({ series }) => needed.has(series));
    if (all.length === 0) return;
    const ids = await findSeries(
      q,
      all.map(({ name }) => name),
    );
    const missing = all.filter((_one, index) => ids[index] === null);
    const made = await makeSeries(
      q,
      missing.map(({ name }) => name),
    );
    all.forEach(({ series }, index) => (series.seriesId = ids[index] ?? ''));
    missing.forEach(({ series }, index) => (series.seriesId = made[index] as string));
  }
}
