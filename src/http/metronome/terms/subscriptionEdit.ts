import type { StoredSubscription } from '../../../domain/contract/contract.js';
import { quantityAt } from '../../../domain/contract/subscriptions.js';
import {
  type SeatStep,
  seatQuantities,
  steppedSeats,
  unassignedSeats,
} from '../../../domain/contract/seatChanges.js';
import type { QuantityChange } from '../../../domain/contract/terms.js';
import { add, type Decimal, sign, ZERO } from '../../../domain/decimal.js';
import { invalid } from '../../../domain/errors.js';
import type { Instant } from '../../../domain/period.js';
import { checkSeatCount } from './charges.js';
import type { SubscriptionEdit } from './edit.js';
import { roundingOf } from './recurring.js';

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
  if (mode !== undefined) result = withSeatMode(result, mode.seat_config.seat_group_key, where);
  if (edit.quantity_updates !== undefined) {
    if (result.mode === 'SEAT_BASED') throw invalid(`Invalid '${where}.quantity_updates': use seat_updates.`);
    result = { ...result, quantities: withQuantities(result, edit.quantity_updates, where) };
  }
  if (edit.seat_updates !== undefined) result = withSeats(result, edit.seat_updates, `${where}.seat_updates`);
  return result;
}

function withSeatMode(subscription: StoredSubscription, key: string, where: string): StoredSubscription {
  const here = `${where}.quantity_management_mode_update`;
  if (subscription.mode === 'SEAT_BASED') throw invalid(`Invalid '${here}': is SEAT_BASED already.`);
  const seats = unassignedSeats(subscription.quantities);
  for (const change of seats) checkSeatCount(change, here);
  return { ...subscription, mode: 'SEAT_BASED', seatGroupKey: key, seats };
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

function withSeats(
  subscription: StoredSubscription,
  updates: SeatUpdates,
  where: string,
): StoredSubscription {
  if (subscription.mode !== 'SEAT_BASED')
    throw invalid(`Invalid '${where}': the subscription is not SEAT_BASED.`);
  const steps = stepsOf(updates);
  for (const { startingAt } of steps) checkStart(subscription, startingAt, where);
  const seats = steppedSeats(subscription.seats, steps);
  for (const change of seats) checkSeatCount(change, where);
  return { ...subscription, seats, quantities: seatQuantities(seats) };
}

function stepsOf(updates: SeatUpdates): SeatStep[] {
  return [
    ...(updates.remove_seat_ids ?? []).map(
      (one): SeatStep => ({ kind: 'remove_ids', startingAt: one.starting_at, seatIds: one.seat_ids }),
    ),
    ...(updates.remove_unassigned_seats ?? []).map(
      (one): SeatStep => ({ kind: 'remove_unassigned', startingAt: one.starting_at, quantity: one.quantity }),
    ),
    ...(updates.add_unassigned_seats ?? []).map(
      (one): SeatStep => ({ kind: 'add_unassigned', startingAt: one.starting_at, quantity: one.quantity }),
    ),
    ...(updates.add_seat_ids ?? []).map(
      (one): SeatStep => ({ kind: 'add_ids', startingAt: one.starting_at, seatIds: one.seat_ids }),
    ),
  ];
}
