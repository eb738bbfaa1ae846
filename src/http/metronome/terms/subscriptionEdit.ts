import type { SeatChange, StoredSubscription } from '../../../domain/contract/contract.js';
import { quantityAt } from '../../../domain/contract/subscriptions.js';
import type { QuantityChange } from '../../../domain/contract/terms.js';
import {
  add,
  compare,
  type Decimal,
  decimalFromBigint,
  max,
  sign,
  subtract,
  ZERO,
} from '../../../domain/decimal.js';
import { invalid } from '../../../domain/errors.js';
import type { Instant } from '../../../domain/period.js';
import type { SubscriptionEdit } from './edit.js';
import { roundingOf } from './recurring.js';

const SEATS_MAX = 1000;

/** The subscription after an edit (docs.metronome.com, "manage seats"). */
export function editedSubscription(
  subscription: StoredSubscription,
  edit: SubscriptionEdit,
  where: string,
): StoredSubscription {
  let result = subscription;
  if (edit.ending_before !== undefined) result = { ...result, endingBefore: edit.ending_before };
  if (edit.proration_rounding !== undefined) {
    const rounding = roundingOf(edit.proration_rounding);
    result = { ...result, proration: { ...result.proration, rounding } };
  }
  const mode = edit.quantity_management_mode_update;
  if (mode !== undefined) {
    result = { ...result, mode: 'SEAT_BASED', seatGroupKey: mode.seat_config.seat_group_key };
  }
  if (edit.quantity_updates !== undefined) {
    if (result.mode === 'SEAT_BASED') throw invalid(`Invalid '${where}.quantity_updates': use seat_updates.`);
    result = { ...result, quantities: withQuantities(result, edit.quantity_updates, where) };
  }
  if (edit.seat_updates !== undefined) result = withSeats(result, edit.seat_updates, where);
  return result;
}

/** Each update in its order; two of the same start go one after the other: 12, then −1, is 11. */
function withQuantities(
  subscription: StoredSubscription,
  updates: NonNullable<SubscriptionEdit['quantity_updates']>,
  where: string,
): QuantityChange[] {
  let changes = [...subscription.quantities];
  for (const [index, update] of updates.entries()) {
    const here = `${where}.quantity_updates[${index}]`;
    if ((update.quantity === undefined) === (update.quantity_delta === undefined)) {
      throw invalid(`Invalid '${here}': give either quantity or quantity_delta.`);
    }
    checkStart(subscription, update.starting_at, here);
    const quantity =
      update.quantity ?? add(quantityAt(changes, update.starting_at), update.quantity_delta ?? ZERO);
    if (sign(quantity) < 0) throw invalid(`Invalid '${here}': the quantity would be below zero.`);
    changes = setFrom(changes, update.starting_at, quantity);
  }
  return changes;
}

function checkStart(subscription: StoredSubscription, at: Instant, where: string): void {
  const { startingAt, endingBefore } = subscription;
  if (at < startingAt || (endingBefore !== null && at >= endingBefore)) {
    throw invalid(`Invalid '${where}.starting_at': must be within the subscription.`);
  }
}

/** The quantity from an instant on; what was planned for later is replaced. */
function setFrom(
  changes: readonly QuantityChange[],
  startingAt: Instant,
  quantity: Decimal,
): QuantityChange[] {
  return [...changes.filter((one) => one.startingAt < startingAt), { startingAt, quantity }];
}

type SeatUpdates = NonNullable<SubscriptionEdit['seat_updates']>;

/** One change of seats at an instant. */
interface SeatStep {
  startingAt: Instant;
  apply: (seats: SeatChange) => SeatChange;
}

function withSeats(
  subscription: StoredSubscription,
  updates: SeatUpdates,
  where: string,
): StoredSubscription {
  if (subscription.mode !== 'SEAT_BASED')
    throw invalid(`Invalid '${where}.seat_updates': is not seat-based.`);
  let seats = [...subscription.seats];
  let quantities = [...subscription.quantities];
  for (const step of stepsOf(updates)) {
    checkStart(subscription, step.startingAt, `${where}.seat_updates`);
    const before = seats.findLast((one) => one.startingAt <= step.startingAt) ?? NO_SEATS;
    const after = { ...step.apply(before), startingAt: step.startingAt };
    if (after.seatIds.length > SEATS_MAX) throw invalid(`Invalid '${where}': at most ${SEATS_MAX} seats.`);
    seats = [...seats.filter((one) => one.startingAt < step.startingAt), after];
    quantities = setFrom(quantities, step.startingAt, quantityOf(after));
  }
  return { ...subscription, seats, quantities };
}

const NO_SEATS: SeatChange = { startingAt: 0, seatIds: [], unassigned: ZERO };

function quantityOf({ seatIds, unassigned }: SeatChange): Decimal {
  return add(decimalFromBigint(BigInt(seatIds.length)), unassigned);
}

/** At one instant removals come first: one id out and one unassigned seat in keep the total. */
function stepsOf(updates: SeatUpdates): SeatStep[] {
  const steps: SeatStep[] = [
    ...(updates.remove_seat_ids ?? []).map(({ seat_ids: ids, starting_at: startingAt }) => ({
      startingAt,
      apply: (seats: SeatChange) => ({ ...seats, seatIds: seats.seatIds.filter((id) => !ids.includes(id)) }),
    })),
    ...(updates.remove_unassigned_seats ?? []).map(({ quantity, starting_at: startingAt }) => ({
      startingAt,
      apply: (seats: SeatChange) => ({
        ...seats,
        unassigned: max(subtract(seats.unassigned, quantity), ZERO),
      }),
    })),
    ...(updates.add_unassigned_seats ?? []).map(({ quantity, starting_at: startingAt }) => ({
      startingAt,
      apply: (seats: SeatChange) => ({ ...seats, unassigned: add(seats.unassigned, quantity) }),
    })),
    ...(updates.add_seat_ids ?? []).map(({ seat_ids: ids, starting_at: startingAt }) => ({
      startingAt,
      apply: (seats: SeatChange) => assigned(seats, ids),
    })),
  ];
  return steps.sort((a, b) => a.startingAt - b.startingAt);
}

/** Ids fill free unassigned seats first, so the quantity rises only when these are used up. */
function assigned(seats: SeatChange, ids: readonly string[]): SeatChange {
  const added = [...new Set(ids)].filter((id) => !seats.seatIds.includes(id));
  const count = decimalFromBigint(BigInt(added.length));
  const taken = compare(count, seats.unassigned) < 0 ? count : seats.unassigned;
  return { ...seats, seatIds: [...seats.seatIds, ...added], unassigned: subtract(seats.unassigned, taken) };
}
