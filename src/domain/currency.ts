import { type Decimal, decimalFromBigint, multiply, toText } from './decimal.js';

/**
 * Currencies whose amounts Stripe takes without a minor unit. ISK and UGX have no minor unit either, but
 * the API keeps taking them in hundredths (docs.stripe.com/currencies, special cases), so they count as
 * two-decimal here.
 */
const ZERO_DECIMAL = new Set('bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf'.split(' '));
const THREE_DECIMAL = new Set('bhd jod kwd omr tnd'.split(' '));

/** Above this many fraction digits the oldest supported Node refuses to format. */
const MAX_INTL_FRACTION_DIGITS = 20;

const SUPPORTED = new Set(Intl.supportedValuesOf('currency').map((iso) => iso.toLowerCase()));
const formatters = new Map<string, Intl.NumberFormat>();

/**
 * How many decimal digits the minor unit is below the major one in Stripe's API: 0, 2 or 3
 * (docs.stripe.com/currencies).
 */
export function minorUnitExponent(currency: string): 0 | 2 | 3 {
  const code = currency.toLowerCase();
  if (ZERO_DECIMAL.has(code)) return 0;
  return THREE_DECIMAL.has(code) ? 3 : 2;
}

/** Whether the code is an ISO 4217 currency in the lower case that Stripe uses. */
export function isSupportedCurrency(code: string): boolean {
  return SUPPORTED.has(code);
}

/**
 * An amount of minor units as text in its currency, exact for any size: `formatMoney(1250n, 'usd')` is
 * "$12.50".
 */
export function formatMoney(amountMinor: bigint, currency: string, locale = 'en-US'): string {
  return formatUnitAmount(decimalFromBigint(amountMinor), currency, locale);
}

/**
 * A price in minor units with fractions, exact: never rounded, at least the currency's own digits. 0.05 in
 * usd is "$0.0005", 900 is "$9.00".
 */
export function formatUnitAmount(amountMinor: Decimal, currency: string, locale = 'en-US'): string {
  const exponent = minorUnitExponent(currency);
  const major = multiply(amountMinor, { coefficient: 1n, scale: exponent });
  const text = toText(major);
  const digits = Math.max(exponent, Math.min(major.scale, MAX_INTL_FRACTION_DIGITS));
  if (major.scale <= MAX_INTL_FRACTION_DIGITS)
    return formatter(locale, currency, digits, exponent).format(numeric(text));
  return longFraction(formatter(`${locale}-u-nu-latn`, currency, digits, digits), text);
}

function longFraction(format: Intl.NumberFormat, text: string): string {
  const point = text.indexOf('.') + 1;
  const shown = format.formatToParts(numeric(text.slice(0, point + MAX_INTL_FRACTION_DIGITS)));
  return shown.map((part) => (part.type === 'fraction' ? text.slice(point) : part.value)).join('');
}

/** Intl formats numeric text exactly; only its type wants to be told that it is numeric. */
function numeric(text: string): Intl.StringNumericLiteral {
  return text as Intl.StringNumericLiteral;
}

function formatter(locale: string, currency: string, maximum: number, minimum: number): Intl.NumberFormat {
  const key = `${locale} ${currency} ${maximum} ${minimum}`;
  const known = formatters.get(key);
  if (known !== undefined) return known;
  const created = new Intl.NumberFormat(locale, {
    style: 'currency',
    currency,
    minimumFractionDigits: minimum,
    maximumFractionDigits: maximum,
  });
  formatters.set(key, created);
  return created;
}
