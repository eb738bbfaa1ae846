import { add, compare, type Decimal, max, min, sign, subtract, ZERO } from '../decimal.js';
import { billedQuantity } from './quantity.js';
import type { Product } from './terms.js';

/** A way along a group's counter, in billed units; backwards where `to` is below `from`. */
export interface CounterRange {
  from: Decimal;
  to: Decimal;
}

/** Where a counter stands before anything is added to it. */
export interface CounterStart {
  /** What others have counted of the same statement and group, in the metric's units. */
  metered: Decimal;
  /** Where the counter starts. */
  position: Decimal;
  /** Ascending and apart; what is added jumps over them, since others have billed these places. */
  taken: readonly CounterRange[];
}

export const FRESH_COUNTER: CounterStart = { metered: ZERO, position: ZERO, taken: [] };

/** A place on a counter that moves into the free places. */
class Pointer {
  readonly #taken: CounterRange[];
  #position: Decimal;

  constructor({ position, taken }: Pick<CounterStart, 'position' | 'taken'>) {
    this.#position = position;
    this.#taken = [...taken];
  }

  /** Forwards into the free places, backwards from the highest that is taken. At least one range. */
  move(quantity: Decimal): CounterRange[] {
    const ranges: CounterRange[] = [];
    let left = quantity;
    if (sign(left) < 0)
      this.#position = max(this.#position, this.#taken.splice(0).at(-1)?.to ?? this.#position);
    for (let next = this.#taken[0]; next !== undefined && sign(left) > 0; next = this.#taken[0]) {
      const step = min(left, subtract(next.from, this.#position));
      if (sign(step) > 0) {
        ranges.push(this.#step(step));
        left = subtract(left, step);
      }
      if (compare(this.#position, next.from) < 0) break;
      this.#position = max(this.#position, next.to);
      this.#taken.shift();
    }
    if (ranges.length === 0 || sign(left) !== 0) ranges.push(this.#step(left));
    return ranges;
  }

  #step(quantity: Decimal): CounterRange {
    const from = this.#position;
    this.#position = add(from, quantity);
    return { from, to: this.#position };
  }
}

/** The way of a billed quantity from there. */
export function waysOf(quantity: Decimal, start: Pick<CounterStart, 'position' | 'taken'>): CounterRange[] {
  return new Pointer(start).move(quantity);
}

/**
 * The counter of one combination of group values within a statement, on which tiers are read. A quantity is converted
 * and rounded as the running total of the statement, whoever has billed the earlier part of it.
 */
export class UsageCounter {
  readonly #product: Product;
  readonly #pointer: Pointer;
  #metered: Decimal;

  constructor(product: Product, start: CounterStart = FRESH_COUNTER) {
    this.#product = product;
    this.#metered = start.metered;
    this.#pointer = new Pointer(start);
  }

  /** Moves by a metered quantity. Returns the way in billed units; one range of no length for no movement. */
  add(metered: Decimal): CounterRange[] {
    const before = billedQuantity(this.#product, this.#metered);
    this.#metered = add(this.#metered, metered);
    return this.#pointer.move(subtract(billedQuantity(this.#product, this.#metered), before));
  }
}

/** The places that these ways have taken together: what went backwards has given places back. */
export function placesTaken(ways: readonly CounterRange[]): { position: Decimal; taken: CounterRange[] } {
  const forward = ways.filter(({ from, to }) => compare(from, to) < 0);
  const backward = ways.filter(({ from, to }) => compare(from, to) > 0);
  let taken = forward.sort((a, b) => compare(a.from, b.from));
  for (const { from: high, to: low } of backward) {
    taken = taken
      .flatMap(({ from, to }) => [
        { from, to: min(to, low) },
        { from: max(from, high), to },
      ])
      .filter(({ from, to }) => compare(from, to) < 0);
  }
  const lowest = backward.reduce<Decimal>((least, { to }) => min(least, to), ZERO);
  return { position: lowest, taken };
}
