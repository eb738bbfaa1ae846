import { minorUnitExponent } from '../domain/currency.js';
import { exact, plain, type Terms, type TierTerms } from './check.js';
import { UsageError } from '../terminal/usageError.js';

/** Stripe's limit (docs.stripe.com/api/prices/create: unit_amount_decimal). */
const FRACTION_DIGITS_MAX = 12;
const AMOUNT = /^(\d+\.?\d*|\.\d+)$/;
const COUNT = /^[1-9]\d*$/;

/**
 * Reads `--price`. Amounts are in the currency's main unit:
 *
 *     per_unit:0.002                          each unit
 *     package:1000=0.03                       every begun 1,000 units
 *     graduated:10000=0,100000=0.0012,inf=0.0008     each slice at its own price, ends inclusive
 *     volume:…                                all units at the price of the tier they end in
 *
 * A tier may carry a flat fee: `10000=0.001+5`. Throws UsageError.
 */
export function parsePrice(text: string, currency: string): Terms {
  const colon = text.indexOf(':');
  const model = colon < 0 ? text : text.slice(0, colon);
  const rest = colon < 0 ? '' : text.slice(colon + 1);
  switch (model) {
    case 'per_unit':
      return { model, unit: minorUnits(rest, currency) };
    case 'package': {
      const [size, unit] = pair(rest);
      if (!COUNT.test(size))
        throw new UsageError(`--price: a package holds a whole number of units, not '${size}'`);
      return { model, size, unit: minorUnits(unit, currency) };
    }
    case 'graduated':
    case 'volume':
      return { model, tiers: parseTiers(rest, currency) };
    default:
      throw new UsageError(`--price: '${model}' is none of per_unit, package, graduated, volume`);
  }
}

function parseTiers(text: string, currency: string): TierTerms[] {
  const tiers = text.split(',').map((tier): TierTerms => {
    const [end, amounts] = pair(tier);
    if (end !== 'inf' && !COUNT.test(end)) {
      throw new UsageError(`--price: a tier ends at a whole number or at inf, not '${end}'`);
    }
    const [unit = '', flat] = amounts.split('+');
    return {
      upTo: end === 'inf' ? null : end,
      unit: minorUnits(unit, currency),
      flat: flat === undefined ? null : minorUnits(flat, currency),
    };
  });
  tiers.forEach(({ upTo }, index) => {
    const last = index === tiers.length - 1;
    const before = tiers[index - 1]?.upTo ?? null;
    if ((upTo === null) !== last)
      throw new UsageError('--price: the last tier, and only the last, ends at inf');
    if (upTo === null || before === null || BigInt(upTo) > BigInt(before)) return;
    throw new UsageError(`--price: tiers must be in ascending order, and ${upTo} comes after ${before}`);
  });
  return tiers;
}

function pair(text: string): [string, string] {
  const [left = '', right, more] = text.split('=').map((part) => part.trim());
  if (right === undefined || more !== undefined) {
    throw new UsageError(`--price: expected UNITS=AMOUNT, got '${text}'`);
  }
  return [left, right];
}

function minorUnits(text: string, currency: string): string {
  if (!AMOUNT.test(text.trim())) throw new UsageError(`--price: '${text}' is not an amount`);
  const minor = plain(exact(text.trim()) * 10n ** BigInt(minorUnitExponent(currency)));
  const places = minor.split('.')[1]?.length ?? 0;
  if (places <= FRACTION_DIGITS_MAX) return minor;
  throw new UsageError(
    `--price: '${text}' has too many decimal places; ${FRACTION_DIGITS_MAX} of a cent are allowed`,
  );
}
