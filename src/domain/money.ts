import { divideToInteger } from './decimal.js';

/** The sum of amounts in minor units of one currency. */
export function sumMinor(amounts: Iterable<bigint>): bigint {
  let total = 0n;
  for (const amount of amounts) total += amount;
  return total;
}

/**
 * Splits a total of minor units in proportion to the weights by largest remainder: the shares add up to the
 * total, each is within one unit of its exact part, a zero weight gets nothing, ties go to the earlier
 * weight. A negative total is split as the mirror image of the positive one. Throws RangeError on a
 * negative weight, or when there is something to split and no weight above zero.
 */
export function allocateByWeights(total: bigint, weights: readonly bigint[]): bigint[] {
  if (weights.some((weight) => weight < 0n)) throw new RangeError('Weights must not be negative');
  const whole = sumMinor(weights);
  if (whole === 0n) {
    if (total !== 0n) throw new RangeError('Nothing to allocate to: every weight is zero');
    return weights.map(() => 0n);
  }
  const size = total < 0n ? -total : total;
  const shares = weights.map((weight, index) => ({
    index,
    amount: divideToInteger(size * weight, whole, 'floor'),
    remainder: (size * weight) % whole,
  }));
  let left = size - sumMinor(shares.map((share) => share.amount));
  const byRemainder = shares.toSorted((a, b) => {
    if (a.remainder === b.remainder) return a.index - b.index;
    return a.remainder > b.remainder ? -1 : 1;
  });
  for (const share of byRemainder) {
    if (left === 0n) break;
    share.amount += 1n;
    left -= 1n;
  }
  return shares.map((share) => (total < 0n ? -share.amount : share.amount));
}
