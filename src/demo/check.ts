/**
 * The demo's own arithmetic. It shares no code with the engine on purpose: an invoice that agrees with it was computed
 * twice, by two programs.
 */

/** What something costs, in minor units as decimal text. */
export type Terms =
  | { readonly model: 'flat'; readonly fee: string }
  | { readonly model: 'per_unit'; readonly unit: string }
  | { readonly model: 'package'; readonly size: string; readonly unit: string }
  | { readonly model: 'graduated' | 'volume'; readonly tiers: readonly TierTerms[] };

export interface TierTerms {
  /** Inclusive; null is "and everything above". */
  readonly upTo: string | null;
  readonly unit: string;
  readonly flat: string | null;
}

/** Exact values are whole numbers of 10^-30. */
const PLACES = 30;
const SCALE = 10n ** BigInt(PLACES);
const DECIMAL = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d{1,2}))?$/;

/** Decimal text as a whole number of 10^-30. Throws RangeError on anything else, or on more places than that. */
export function exact(text: string): bigint {
  const match = DECIMAL.exec(text);
  const [, sign, whole = '', fraction = '', exponent = '0'] = match ?? [];
  if (match === null || whole + fraction === '') throw new RangeError(`not a decimal number: ${text}`);
  const places = PLACES - fraction.length + Number.parseInt(exponent, 10);
  if (places < 0) throw new RangeError(`too many decimal places: ${text}`);
  const size = BigInt(whole + fraction) * 10n ** BigInt(places);
  return sign === '-' ? -size : size;
}

/** The text of an exact value, without trailing zeros. */
export function plain(value: bigint): string {
  const digits = (value < 0n ? -value : value).toString().padStart(PLACES + 1, '0');
  const fraction = digits.slice(-PLACES).replace(/0+$/, '');
  return `${value < 0n ? '-' : ''}${digits.slice(0, -PLACES)}${fraction === '' ? '' : `.${fraction}`}`;
}

/**
 * What a quantity (exact) costs, in whole minor units: every invoice line is rounded once, half away from zero, and the
 * sum is the sum of the rounded lines. More corrections than usage cost nothing.
 */
export function expectedAmount(terms: Terms, quantity: bigint): bigint {
  const billed = quantity > 0n ? quantity : 0n;
  switch (terms.model) {
    case 'flat':
      return rounded(exact(terms.fee) * SCALE);
    case 'per_unit':
      return rounded(billed * exact(terms.unit));
    case 'package': {
      const size = exact(terms.size);
      const packages = (billed + size - 1n) / size;
      return rounded(packages * SCALE * exact(terms.unit));
    }
    case 'graduated':
      return graduated(terms.tiers, billed);
    case 'volume':
      return volume(terms.tiers, billed);
  }
}

function graduated(tiers: readonly TierTerms[], quantity: bigint): bigint {
  let total = 0n;
  let from = 0n;
  for (const tier of tiers) {
    const end = tier.upTo === null ? null : exact(tier.upTo);
    const to = end === null || end > quantity ? quantity : end;
    total += rounded((to - from) * exact(tier.unit));
    if (tier.flat !== null) total += rounded(exact(tier.flat) * SCALE);
    if (end === null || quantity <= end) break;
    from = end;
  }
  return total;
}

function volume(tiers: readonly TierTerms[], quantity: bigint): bigint {
  const tier = tiers.find(({ upTo }) => upTo === null || quantity <= exact(upTo));
  if (tier === undefined) throw new RangeError('the last tier must be open');
  const flat = tier.flat === null ? 0n : rounded(exact(tier.flat) * SCALE);
  return rounded(quantity * exact(tier.unit)) + flat;
}

/** A product of two exact values as whole minor units. All of them are zero or more. */
function rounded(product: bigint): bigint {
  const one = SCALE * SCALE;
  return (product + one / 2n) / one;
}
