import { quantityHistory, seatPeriods } from '../../billing/contracts/subscriptionHistory.js';
import type { BalanceRecord, ContractRecord, StoredSubscription } from '../../domain/contract/contract.js';
import { chronological, ledgerTypeName } from '../../domain/contract/balance.js';
import { isIndividual, seatBalancesAt, seatLedgers } from '../../domain/contract/seatLedger.js';
import { seatSpans } from '../../domain/contract/seats.js';
import { add, type Decimal, ZERO } from '../../domain/decimal.js';
import { invalid, notFound } from '../../domain/errors.js';
import type { Instant } from '../../domain/period.js';
import { type JsonObject, jsonNumber } from '../../json.js';
import { contractOf, loadView } from './contractView.js';
import { type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { cursorText, pageOf, readCursor } from './paging.js';
import { boolean, customerId, integer, list, object, text, timestamp, uuid } from './params.js';
import { rfc3339 } from './render.js';

/** Quantities and seats of subscriptions, and what each seat has. */

const SEAT_PERIODS_MAX = 10;
const SEATS_DEFAULT = 25;
/** Commits and credits on a page of seats, beyond which it takes no further seat. */
const SEAT_BALANCES_MAX = 100;

function subscriptionOf(contract: ContractRecord, id: string): StoredSubscription {
  const found = contract.document.subscriptions.find((one) => one.id === id);
  if (found === undefined) throw notFound('subscription', id, 'subscription_id');
  return found;
}

const whose = { customer_id: customerId(), contract_id: uuid() };

const quantities = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/getSubscriptionQuantityHistory',
  transactional: false,
  body: object({ ...whose, subscription_id: uuid() }),
  async handle(ctx, input) {
    const view = await loadView(ctx, input.customer_id);
    const contract = contractOf(view, input.contract_id);
    const subscription = subscriptionOf(contract, input.subscription_id);
    const { contracts, units } = view.open.state;
    const open = contracts.find((one) => one.contract.id === contract.id);
    const history =
      open === undefined ? [] : quantityHistory(open, subscription, view.products, units, view.now);
    return {
      data: {
        subscription_id: subscription.id,
        fiat_credit_type_id: open?.card.fiatCreditTypeId,
        history: history.map(({ startingAt, parts }) => ({
          starting_at: rfc3339(startingAt),
          data: parts.map(({ quantity, unitPrice, total }) => ({
            quantity: jsonNumber(quantity),
            unit_price: jsonNumber(unitPrice),
            total: jsonNumber(total),
          })),
        })),
      },
    };
  },
});

/** A time to look at, or a range; not both. */
const times = {
  covering_date: timestamp().nullable().optional(),
  starting_at: timestamp().nullable().optional(),
};

const seatsOverTime = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/getSubscriptionSeatsHistory',
  transactional: false,
  body: object({
    ...whose,
    ...times,
    subscription_id: uuid(),
    ending_before: timestamp().nullable().optional(),
    cursor: text({ min: 0 }).nullable().optional(),
    limit: integer({ min: 1, max: SEAT_PERIODS_MAX }).nullable().optional(),
  }),
  async handle(ctx, input) {
    const range = rangeOf(input.covering_date, input.starting_at, input.ending_before);
    const view = await loadView(ctx, input.customer_id);
    const contract = contractOf(view, input.contract_id);
    const subscription = subscriptionOf(contract, input.subscription_id);
    if (subscription.mode !== 'SEAT_BASED') {
      throw invalid("Invalid 'subscription_id': the subscription is not SEAT_BASED.");
    }
    return pageOf(
      seatPeriods(subscription, contract.endingBefore).filter((one) =>
        overlaps(one.startingAt, one.endingBefore, range),
      ),
      { cursor: input.cursor, limit: input.limit ?? undefined },
      ({ startingAt }) => String(startingAt),
      ({ startingAt, endingBefore, seatIds, quantity }) => ({
        starting_at: rfc3339(startingAt),
        ending_before: endingBefore === null ? null : rfc3339(endingBefore),
        assigned_seat_ids: seatIds,
        total_quantity: jsonNumber(quantity),
      }),
      SEAT_PERIODS_MAX,
    );
  },
});

/** Both ends belong to it; null is open. */
interface Range {
  from: Instant | null;
  to: Instant | null;
}

function rangeOf(
  covering: Instant | null | undefined,
  from: Instant | null | undefined,
  to: Instant | null | undefined,
): Range {
  if (covering == null) return { from: from ?? null, to: to ?? null };
  if (from != null || to != null) {
    throw invalid("Invalid 'covering_date': cannot be combined with a range of time.");
  }
  return { from: covering, to: covering };
}

function overlaps(start: Instant, end: Instant | null, { from, to }: Range): boolean {
  return (to === null || start <= to) && (from === null || end === null || end > from);
}

const seatBalances = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/seatBalances/list',
  transactional: false,
  body: object({
    ...whose,
    ...times,
    effective_before: timestamp().nullable().optional(),
    cursor: text({ min: 0 }).nullable().optional(),
    limit: integer({ min: 1, max: 100 }).optional(),
    include_credits_and_commits: boolean().optional(),
    include_ledgers: boolean().optional(),
    seat_ids: list(text(), { max: 1000 }).optional(),
    skip_missing_seat_ids: boolean().optional(),
    subscription_ids: list(uuid(), { max: 100 }).optional(),
  }),
  async handle(ctx, input) {
    const range = rangeOf(input.covering_date, input.starting_at, input.effective_before);
    const view = await loadView(ctx, input.customer_id);
    const contract = contractOf(view, input.contract_id);
    const subscriptions = seatSubscriptions(contract, input.subscription_ids);
    const dated = range.from !== null || range.to !== null;
    const listed = dated ? range : { from: view.now, to: view.now };
    const seatIds = wantedSeats(contract, subscriptions, listed, input);
    const ids = new Set(subscriptions.map(({ id }) => id));
    const grants = view.open.balances
      .filter((one) => one.archivedAt === null && isIndividual(one) && one.contractId === contract.id)
      .filter(({ seats }) => ids.has(seats?.subscriptionId ?? ''))
      .filter(({ access }) =>
        access.some(({ startingAt, endingBefore }) => overlaps(startingAt, endingBefore, range)),
      )
      .map((balance) => readGrant(balance, view.now));
    return seatPage(seatIds, grants, input);
  },
});

function seatSubscriptions(
  { document }: ContractRecord,
  wanted: readonly string[] | undefined,
): StoredSubscription[] {
  const all = document.subscriptions.filter(({ mode }) => mode === 'SEAT_BASED');
  if (wanted === undefined) return all;
  const missing = wanted.find((id) => !all.some((one) => one.id === id));
  if (missing !== undefined) {
    throw invalid(`Invalid 'subscription_ids': ${missing} is no SEAT_BASED subscription of the contract.`);
  }
  return all.filter(({ id }) => wanted.includes(id));
}

/** The seats that are asked for by their ids, or those assigned in the range. */
function wantedSeats(
  contract: ContractRecord,
  subscriptions: readonly StoredSubscription[],
  range: Range,
  input: { seat_ids?: string[] | undefined; skip_missing_seat_ids?: boolean | undefined },
): string[] {
  const known = new Map<string, boolean>();
  for (const subscription of subscriptions) {
    for (const [seatId, spans] of seatSpans(subscription, contract)) {
      const inRange = spans.some(({ start, end }) => overlaps(start, end, range));
      known.set(seatId, (known.get(seatId) ?? false) || inRange);
    }
  }
  const { seat_ids: wanted } = input;
  if (wanted === undefined) return [...known].flatMap(([seatId, inRange]) => (inRange ? [seatId] : []));
  const missing = wanted.find((seatId) => !known.has(seatId));
  if (missing !== undefined && input.skip_missing_seat_ids !== true) {
    throw invalid(`Invalid 'seat_ids': ${missing} is no seat of the contract's subscriptions.`);
  }
  return [...new Set(wanted)].filter((seatId) => known.has(seatId));
}

/** A commit or credit of single seats, and what it says about each of them now. */
interface SeatGrant {
  balance: BalanceRecord;
  left: ReadonlyMap<string, Decimal>;
  ledger: ReadonlyMap<string, JsonObject[]>;
}

function readGrant(balance: BalanceRecord, now: Instant): SeatGrant {
  const ledger = new Map<string, JsonObject[]>();
  for (const segment of balance.access.filter(({ startingAt }) => startingAt <= now)) {
    for (const [seatId, entries] of seatLedgers(balance, segment, now)) {
      const shown = chronological(entries).map(({ type, timestamp: when, amount }) => ({
        type: ledgerTypeName(balance.type, type),
        timestamp: rfc3339(when),
        amount: jsonNumber(amount),
      }));
      ledger.set(seatId, [...(ledger.get(seatId) ?? []), ...shown]);
    }
  }
  const groupKey = balance.shares?.groupKey ?? '';
  const left = seatBalancesAt([balance], groupKey, balance.creditTypeId, now);
  return { balance, left, ledger };
}

interface SeatPageParams {
  cursor?: string | null | undefined;
  limit?: number | undefined;
  include_credits_and_commits?: boolean | undefined;
  include_ledgers?: boolean | undefined;
}

/** Whole seats, as many as the limits allow. */
function seatPage(
  seatIds: readonly string[],
  grants: readonly SeatGrant[],
  params: SeatPageParams,
): JsonObject {
  const [after] = readCursor({ cursor: params.cursor }, 1) ?? [];
  const rest = after === undefined ? seatIds : seatIds.slice(seatIds.indexOf(after) + 1);
  const data: JsonObject[] = [];
  let balances = 0;
  for (const seatId of rest.slice(0, params.limit ?? SEATS_DEFAULT)) {
    if (params.include_credits_and_commits === true && balances >= SEAT_BALANCES_MAX) break;
    const own = grants.filter(({ balance }) => balance.shares?.bySeat.has(seatId) === true);
    balances += own.length;
    data.push(seatObject(seatId, own, params));
  }
  const available = rest.length - data.length;
  const last = rest[data.length - 1];
  return {
    data,
    pagination: {
      seats_included: data.length,
      seats_available_for_next_page: available,
      next_page: available === 0 || last === undefined ? null : cursorText([last]),
    },
  };
}

function seatObject(seatId: string, grants: readonly SeatGrant[], params: SeatPageParams): JsonObject {
  const units = new Map<string, { balance: Decimal; starting: Decimal }>();
  for (const { balance, left } of grants) {
    const sum = units.get(balance.creditTypeId) ?? { balance: ZERO, starting: ZERO };
    units.set(balance.creditTypeId, {
      balance: add(sum.balance, left.get(seatId) ?? ZERO),
      starting: add(sum.starting, balance.shares?.bySeat.get(seatId)?.amount ?? ZERO),
    });
  }
  const shown = (isCredit: boolean) =>
    grants
      .filter(({ balance }) => (balance.type === 'CREDIT') === isCredit)
      .map((grant) => seatGrantObject(seatId, grant, params.include_ledgers === true));
  return {
    seat_id: seatId,
    balances: [...units].map(([unit, { balance, starting }]) => ({
      credit_type_id: unit,
      balance: jsonNumber(balance),
      starting_balance: jsonNumber(starting),
    })),
    ...(params.include_credits_and_commits === true ? { commits: shown(false), credits: shown(true) } : {}),
  };
}

function seatGrantObject(
  seatId: string,
  { balance, left, ledger }: SeatGrant,
  includeLedger: boolean,
): JsonObject {
  return {
    id: balance.id,
    balance: jsonNumber(left.get(seatId) ?? ZERO),
    start_date: rfc3339(Math.min(...balance.access.map(({ startingAt }) => startingAt))),
    end_date: rfc3339(Math.max(...balance.access.map(({ endingBefore }) => endingBefore))),
    ...(includeLedger ? { ledger_entries: ledger.get(seatId) ?? [] } : {}),
  };
}

export const seatEndpoints: readonly MetronomeEndpoint[] = [quantities, seatsOverTime, seatBalances];
