import { add, compare, type Decimal, decimalFromBigint, max, subtract, ZERO } from '../decimal.js';
import type { Instant } from '../period.js';
import type { QuantityChange, SeatChange } from './terms.js';

/** What is done to the seats from an instant on. */
export type SeatStep = { startingAt: Instant } & (
  | { kind: 'add_ids' | 'remove_ids'; seatIds: readonly string[] }
  | { kind: 'add_unassigned' | 'remove_unassigned'; quantity: Decimal }
);

/** At one instant removals come first: one id out and one unassigned seat in keep the total. */
const ORDER: Record<SeatStep['kind'], number> = {
  remove_ids: 0,
  remove_unassigned: 1,
  add_unassigned: 2,
  add_ids: 3,
};

const NO_SEATS: SeatChange = { startingAt: 0, seatIds: [], unassigned: ZERO };

/**
 * The seats after some steps, each from its date on and over whatever is planned for later. Ids that are
 * added fill unassigned seats first, so the quantity rises only when these are used up; an id that goes
 * lowers it, one that isn't there changes nothing (docs.metronome.com, "manage seats").
 */
export function steppedSeats(seats: readonly SeatChange[], steps: readonly SeatStep[]): SeatChange[] {
  const ordered = steps.toSorted((a, b) => a.startingAt - b.startingAt || ORDER[a.kind] - ORDER[b.kind]);
  return ordered.reduce<SeatChange[]>(
    (before, step) => {
      const { startingAt } = step;
      const last = before.findLast((one) => one.startingAt <= startingAt) ?? NO_SEATS;
      const from = last.startingAt === startingAt ? [] : [{ ...last, startingAt }];
      return [...before, ...from]
        .sort((a, b) => a.startingAt - b.startingAt)
        .map((one) => (one.startingAt < startingAt ? one : stepped(one, step)));
    },
    [...seats],
  );
}

function stepped(seats: SeatChange, step: SeatStep): SeatChange {
  switch (step.kind) {
    case 'add_ids':
      return assigned(seats, step.seatIds);
    case 'remove_ids': {
      const gone = new Set(step.seatIds);
      return { ...seats, seatIds: seats.seatIds.filter((id) => !gone.has(id)) };
    }
    case 'add_unassigned':
      return { ...seats, unassigned: add(seats.unassigned, step.quantity) };
    case 'remove_unassigned':
      return { ...seats, unassigned: max(subtract(seats.unassigned, step.quantity), ZERO) };
  }
}

function assigned(seats: SeatChange, ids: readonly string[]): SeatChange {
  const known = new Set(seats.seatIds);
  const added = [...new Set(ids)].filter((id) => !known.has(id));
  const count = decimalFromBigint(BigInt(added.length));
  const taken = compare(count, seats.unassigned) < 0 ? count : seats.unassigned;
  return { ...seats, seatIds: [...seats.seatIds, ...added], unassigned: subtract(seats.unassigned, taken) };
}

/** Assigned and unassigned seats together, which is what is paid for. */
export function seatCount({ seatIds, unassigned }: SeatChange): Decimal {
  return add(decimalFromBigint(BigInt(seatIds.length)), unassigned);
}

/** The quantity that follows from the seats. */
export function seatQuantities(seats: readonly SeatChange[]): QuantityChange[] {
  return seats.map((change) => ({ startingAt: change.startingAt, quantity: seatCount(change) }));
}

/** The seats of a subscription that had a quantity alone: nobody's, all of them. */
export function unassignedSeats(quantities: readonly QuantityChange[]): SeatChange[] {
  return quantities.map(({ startingAt, quantity }) => ({ startingAt, seatIds: [], unassigned: quantity }));
}
