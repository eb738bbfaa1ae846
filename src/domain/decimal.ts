/**
 * An exact decimal number: `coefficient / 10^scale`, normalised (scale ≥ 0, no trailing fractional zeros,
 * one representation per value). Prices, quantities and unrounded amounts are Decimals; they cross every
 * boundary as text.
 */
export interface Decimal {
  readonly coefficient: bigint;
  readonly scale: number;
}

/**
 * How a value that does not fit the wanted precision is brought to it. "Half" modes go to the nearest
 * first.
 */
export type RoundingMode =
  | 'half_away_from_zero'
  | 'half_even'
  | 'half_toward_negative'
  | 'ceiling'
  | 'floor'
  | 'toward_zero';

/** Bounds on what `parseDecimal` accepts; each is counted on the value, so trailing zeros are free. */
export interface DecimalLimits {
  maxFractionDigits?: number;
  /** Digits from the first to the last that is not zero, as in "15 significant figures". */
  maxSignificantDigits?: number;
  maxIntegerDigits?: number;
}

export type DecimalFormatReason = 'syntax' | 'too_many_fraction_digits' | 'too_many_digits';

/** The text is not a decimal number, or is one outside the limits asked for. */
export class DecimalFormatError extends Error {
  readonly reason: DecimalFormatReason;

  constructor(reason: DecimalFormatReason, text: string) {
    const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
    super(`${REASON_TEXT[reason]}: '${shown}'`);
    this.name = 'DecimalFormatError';
    this.reason = reason;
  }
}

const REASON_TEXT: Record<DecimalFormatReason, string> = {
  syntax: 'Not a decimal number',
  too_many_fraction_digits: 'Too many decimal places',
  too_many_digits: 'Too many digits',
};

const DEFAULT_LIMITS = { maxFractionDigits: 50, maxSignificantDigits: 90, maxIntegerDigits: 40 };
/** As most numbers are, and within the default limits. */
const SHORT_INTEGER = /^-?[1-9]\d{0,14}$/;
const MAX_TEXT_LENGTH = 400;
const MAX_EXPONENT_DIGITS = 6;
const DECIMAL_TEXT = /^([+-]?)(?:(\d+)(?:\.(\d+))?|\.(\d+))(?:[eE]([+-]?)(\d+))?$/;

export const ZERO: Decimal = { coefficient: 0n, scale: 0 };
export const ONE: Decimal = { coefficient: 1n, scale: 0 };

const powersOfTen: bigint[] = [1n];

function powerOfTen(exponent: number): bigint {
  while (powersOfTen.length <= exponent) powersOfTen.push((powersOfTen.at(-1) ?? 1n) * 10n);
  return powersOfTen[exponent] ?? 1n;
}

function normalised(coefficient: bigint, scale: number): Decimal {
  if (coefficient === 0n) return ZERO;
  if (scale === 0) return { coefficient, scale };
  let value = coefficient;
  let places = scale;
  while (places > 0 && value % 10n === 0n) {
    value /= 10n;
    places -= 1;
  }
  return { coefficient: value, scale: places };
}

/**
 * Reads a decimal number from text: an optional sign, digits, an optional fraction, an optional exponent.
 * Nothing is rounded: text outside the limits (default: 50 decimal places, 40 integer digits) is refused.
 * Throws DecimalFormatError.
 */
export function parseDecimal(text: string, limits: DecimalLimits = DEFAULT_LIMITS): Decimal {
  if (limits === DEFAULT_LIMITS && SHORT_INTEGER.test(text)) return { coefficient: BigInt(text), scale: 0 };
  if (text.length > MAX_TEXT_LENGTH) throw new DecimalFormatError('too_many_digits', text);
  const match = DECIMAL_TEXT.exec(text);
  if (match === null) throw new DecimalFormatError('syntax', text);
  const [, sign, whole = '', wholeFraction, bareFraction, exponentSign, exponentDigits = ''] = match;
  const fraction = wholeFraction ?? bareFraction ?? '';
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return ZERO;

  const exponentText = exponentDigits.replace(/^0+/, '');
  if (exponentText.length > MAX_EXPONENT_DIGITS) {
    throw new DecimalFormatError(exponentSign === '-' ? 'too_many_fraction_digits' : 'too_many_digits', text);
  }
  const exponent = parseInt(`${exponentSign ?? ''}${exponentText || '0'}`, 10);
  // The value is significant × 10^power; from here on only its size matters, not how it was spelt.
  const power = exponent - fraction.length + (digits.length - significant.length);
  checkLimits(text, significant.length, power, { ...DEFAULT_LIMITS, ...limits });

  const magnitude = BigInt(significant) * (power > 0 ? powerOfTen(power) : 1n);
  return { coefficient: sign === '-' ? -magnitude : magnitude, scale: power < 0 ? -power : 0 };
}

function checkLimits(
  text: string,
  significant: number,
  power: number,
  limits: Required<DecimalLimits>,
): void {
  if (-power > limits.maxFractionDigits) throw new DecimalFormatError('too_many_fraction_digits', text);
  if (significant + power > limits.maxIntegerDigits || significant > limits.maxSignificantDigits) {
    throw new DecimalFormatError('too_many_digits', text);
  }
}

/** The whole number as a Decimal. */
export function decimalFromBigint(value: bigint): Decimal {
  return { coefficient: value, scale: 0 };
}

function combine(a: Decimal, b: Decimal, operation: (x: bigint, y: bigint) => bigint): Decimal {
  const scale = Math.max(a.scale, b.scale);
  return normalised(operation(coefficientAt(a, scale), coefficientAt(b, scale)), scale);
}

/** The value as a whole number of 10^−scale, exactly; the scale must not be smaller than its own. */
export function coefficientAt(d: Decimal, scale: number): bigint {
  return d.scale === scale ? d.coefficient : d.coefficient * powerOfTen(scale - d.scale);
}

/** a + b, exactly. */
export function add(a: Decimal, b: Decimal): Decimal {
  return combine(a, b, (x, y) => x + y);
}

/** a − b, exactly. */
export function subtract(a: Decimal, b: Decimal): Decimal {
  return combine(a, b, (x, y) => x - y);
}

/** a × b, exactly. */
export function multiply(a: Decimal, b: Decimal): Decimal {
  return normalised(a.coefficient * b.coefficient, a.scale + b.scale);
}

/** −d. */
export function negate(d: Decimal): Decimal {
  return { coefficient: -d.coefficient, scale: d.scale };
}

/** −1, 0 or 1 as a is less than, equal to or greater than b. */
export function compare(a: Decimal, b: Decimal): -1 | 0 | 1 {
  if (a.scale === b.scale) {
    return a.coefficient === b.coefficient ? 0 : a.coefficient < b.coefficient ? -1 : 1;
  }
  const scale = Math.max(a.scale, b.scale);
  const left = coefficientAt(a, scale);
  const right = coefficientAt(b, scale);
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

export function isZero(d: Decimal): boolean {
  return d.coefficient === 0n;
}

/** −1, 0 or 1. */
export function sign(d: Decimal): -1 | 0 | 1 {
  if (d.coefficient === 0n) return 0;
  return d.coefficient < 0n ? -1 : 1;
}

export function max(a: Decimal, b: Decimal): Decimal {
  return compare(a, b) >= 0 ? a : b;
}

export function min(a: Decimal, b: Decimal): Decimal {
  return compare(a, b) <= 0 ? a : b;
}

/**
 * Canonical text: never an exponent, never trailing zeros, never "-0". `parseDecimal` reads it back
 * unchanged.
 */
export function toText(d: Decimal): string {
  if (d.scale === 0) return d.coefficient.toString();
  const negative = d.coefficient < 0n;
  const digits = (negative ? -d.coefficient : d.coefficient).toString().padStart(d.scale + 1, '0');
  const point = digits.length - d.scale;
  const text = `${digits.slice(0, point)}.${digits.slice(point)}`;
  return negative ? `-${text}` : text;
}

/**
 * numerator ÷ denominator as a whole number under the named rounding (BigInt's own `/` truncates toward
 * zero). Throws RangeError on a zero denominator.
 */
export function divideToInteger(numerator: bigint, denominator: bigint, mode: RoundingMode): bigint {
  if (denominator === 0n) throw new RangeError('Division by zero');
  const n = denominator < 0n ? -numerator : numerator;
  const d = denominator < 0n ? -denominator : denominator;
  const truncated = n % d;
  const remainder = truncated < 0n ? truncated + d : truncated;
  const below = (n - remainder) / d;
  if (remainder === 0n) return below;
  return roundsUp(below, remainder * 2n - d, n < 0n, mode) ? below + 1n : below;
}

/**
 * Whether a value strictly between `below` and `below + 1` goes up; `pastHalf` has the sign of its distance
 * to the middle.
 */
function roundsUp(below: bigint, pastHalf: bigint, negative: boolean, mode: RoundingMode): boolean {
  switch (mode) {
    case 'floor':
      return false;
    case 'ceiling':
      return true;
    case 'toward_zero':
      return negative;
    case 'half_away_from_zero':
      return pastHalf > 0n || (pastHalf === 0n && !negative);
    case 'half_even':
      return pastHalf > 0n || (pastHalf === 0n && below % 2n !== 0n);
    case 'half_toward_negative':
      return pastHalf > 0n;
  }
}

/** The value as a whole number under the named rounding. */
export function roundToInteger(d: Decimal, mode: RoundingMode): bigint {
  return d.scale === 0 ? d.coefficient : divideToInteger(d.coefficient, powerOfTen(d.scale), mode);
}

/** The value with at most `scale` decimal places under the named rounding. */
export function roundToScale(d: Decimal, scale: number, mode: RoundingMode): Decimal {
  if (d.scale <= scale) return d;
  return normalised(divideToInteger(d.coefficient, powerOfTen(d.scale - scale), mode), scale);
}

/** a ÷ b with at most `scale` decimal places, rounded once. Throws RangeError when b is zero. */
export function divide(a: Decimal, b: Decimal, scale: number, mode: RoundingMode): Decimal {
  const numerator = a.coefficient * powerOfTen(b.scale + scale);
  const denominator = b.coefficient * powerOfTen(a.scale);
  return normalised(divideToInteger(numerator, denominator, mode), scale);
}
