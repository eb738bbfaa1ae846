import {
  add,
  coefficientAt,
  compare,
  type Decimal,
  divide,
  isZero,
  multiply,
  sign,
  subtract,
  ZERO,
} from '../decimal.js';
import { reaches, seatNamed } from './applicability.js';
import { type Draw, drawKey, isAccessible } from './burnOrder.js';
import { type Charge, type ChargeKind, listAmount } from './charge.js';
import { DIVISION_PLACES } from './quantity.js';
import { isAssigned } from './seatLedger.js';
import { type PriceSchedule, type ShownTier, slicesBetween } from './tiers.js';

/** A part of a charge that one balance pays for, at the price that the balance gives. */
export interface CoveredPart {
  draw: Draw;
  quantity: Decimal;
  unitPrice: Decimal;
  tier: ShownTier | null;
  amount: Decimal;
}

/** A charge and who pays for it: covered + remainder is the charge's quantity, always. */
export interface PaidCharge {
  charge: Charge;
  covered: readonly CoveredPart[];
  remainder: { quantity: Decimal; amount: Decimal };
}

/** A charge on its way through the balances: what lies beyond `position` is not paid yet. */
interface Progress {
  charge: Charge;
  covered: CoveredPart[];
  position: Decimal;
  /** Paid beyond `position`, where a quantity had no end in decimals: always below 10⁻²⁰ units' worth. */
  ahead: Decimal;
}

const KIND_RANK: Record<ChargeKind, number> = { usage: 0, subscription: 1, composite: 2 };

/**
 * Which line a balance pays for first: usage, subscription, composite; earlier start; higher unit price
 * (the one without balances); name A to Z (docs.metronome.com, "prioritization rules").
 */
export function compareCharges(a: Charge, b: Charge): number {
  if (a.kind !== b.kind) return KIND_RANK[a.kind] - KIND_RANK[b.kind];
  if (a.window.start !== b.window.start) return a.window.start - b.window.start;
  const price = compare(b.slice.unitPrice, a.slice.unitPrice);
  if (price !== 0) return price;
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}

/**
 * Lets the balances pay: each draw in its turn, for each charge in its order, as far as it goes. A unit is
 * paid by one balance only, and only by one in the unit of its price. Covered quantity = amount ÷ price.
 * Nothing pays for what is free or negative: a later negative line gives nothing back to a balance
 * (docs.metronome.com, "non-monotonic metrics"). A balance that makes a unit free by a price of its own
 * covers it at no cost while it has something left. `available` holds what each segment, or each seat's share
 * of one, has left by `drawKey`, and is reduced.
 */
export function payCharges(
  charges: readonly Charge[],
  draws: readonly Draw[],
  available: Map<string, Decimal>,
): PaidCharge[] {
  const sorted = inOrder(charges);
  if (draws.length === 0) return sorted.map(unpaid);
  const queue: Progress[] = sorted.map((charge) => ({
    charge,
    covered: [],
    position: charge.slice.from,
    ahead: ZERO,
  }));
  const seats = new SeatQueues(queue);
  for (const draw of draws) {
    const key = drawKey(draw.segment.id, draw.seat?.share.seatId);
    for (const progress of draw.seat === null ? queue : seats.of(draw.seat)) {
      const left = available.get(key) ?? ZERO;
      if (sign(left) <= 0) break;
      const schedule = priceUnder(draw, progress);
      if (schedule === null) continue;
      const spent = cover(progress, draw, schedule, left);
      if (!isZero(spent)) available.set(key, subtract(left, spent));
    }
  }
  return queue.map(settle);
}

/** The charges of single seats, in their order: only those whose group values name the seat. */
class SeatQueues {
  readonly #queue: readonly Progress[];
  readonly #byKey = new Map<string, Map<string, Progress[]>>();

  constructor(queue: readonly Progress[]) {
    this.#queue = queue;
  }

  of({ groupKey, share }: NonNullable<Draw['seat']>): readonly Progress[] {
    const bySeat = this.#byKey.get(groupKey) ?? this.#index(groupKey);
    return bySeat.get(share.seatId) ?? [];
  }

  #index(groupKey: string): Map<string, Progress[]> {
    const bySeat = new Map<string, Progress[]>();
    for (const progress of this.#queue) {
      const seatId = seatNamed(progress.charge, groupKey);
      if (seatId === null) continue;
      const known = bySeat.get(seatId);
      if (known === undefined) bySeat.set(seatId, [progress]);
      else known.push(progress);
    }
    this.#byKey.set(groupKey, bySeat);
    return bySeat;
  }
}

/** Sorted by `compareCharges`; nearly all of its comparisons are of prices, which are brought to one scale before. */
function inOrder(charges: readonly Charge[]): Charge[] {
  const scale = charges.reduce((most, { slice }) => Math.max(most, slice.unitPrice.scale), 0);
  const prices = charges.map(({ slice }) => coefficientAt(slice.unitPrice, scale));
  const order = Uint32Array.from(charges.keys());
  order.sort((left, right) => {
    const a = charges[left] as Charge;
    const b = charges[right] as Charge;
    if (a.kind === b.kind && a.window.start === b.window.start) {
      const one = prices[left] ?? 0n;
      const other = prices[right] ?? 0n;
      if (one !== other) return one > other ? -1 : 1;
    }
    return compareCharges(a, b);
  });
  return Array.from(order, (place) => charges[place] as Charge);
}

/** The price at which the draw may pay for what is left of the charge; null when it may not. */
function priceUnder({ balance, segment, seat }: Draw, { charge, position }: Progress): PriceSchedule | null {
  if (sign(charge.slice.quantity) <= 0 || compare(position, charge.slice.to) >= 0) return null;
  if (!isAccessible(segment, charge.window.start)) return null;
  if (seat !== null && !isAssigned(seat.share, charge.window.start)) return null;
  if (!reaches(balance.applicability, charge)) return null;
  const schedule = charge.pricing.forBalance(balance);
  if (schedule.creditTypeId !== balance.creditTypeId) return null;
  if (schedule === charge.pricing.list && sign(charge.slice.unitPrice) <= 0) return null;
  return schedule;
}

function cover(progress: Progress, draw: Draw, schedule: PriceSchedule, available: Decimal): Decimal {
  let left = available;
  for (const slice of slicesBetween(schedule, progress.position, progress.charge.slice.to)) {
    if (sign(slice.unitPrice) < 0) break;
    const cost = subtract(multiply(slice.quantity, slice.unitPrice), progress.ahead);
    const whole = compare(cost, left) <= 0;
    const amount = whole ? atLeastZero(cost) : left;
    const quantity = whole ? slice.quantity : affordable(add(left, progress.ahead), slice.unitPrice);
    progress.ahead = whole ? ZERO : subtract(add(left, progress.ahead), multiply(quantity, slice.unitPrice));
    progress.position = add(progress.position, quantity);
    progress.covered.push({ draw, quantity, unitPrice: slice.unitPrice, tier: slice.tier, amount });
    left = subtract(left, amount);
    if (!whole || isZero(left)) break;
  }
  return subtract(available, left);
}

function affordable(amount: Decimal, unitPrice: Decimal): Decimal {
  return divide(amount, unitPrice, DIVISION_PLACES, 'floor');
}

function atLeastZero(amount: Decimal): Decimal {
  return sign(amount) < 0 ? ZERO : amount;
}

const NOBODY: readonly CoveredPart[] = [];

function unpaid(charge: Charge): PaidCharge {
  const remainder = { quantity: charge.slice.quantity, amount: listAmount(charge) };
  return { charge, covered: NOBODY, remainder };
}

function settle({ charge, covered, position, ahead }: Progress): PaidCharge {
  if (covered.length === 0) return unpaid(charge);
  const quantity = subtract(charge.slice.to, position);
  const amount = atLeastZero(subtract(multiply(quantity, charge.slice.unitPrice), ahead));
  return { charge, covered, remainder: { quantity, amount } };
}
