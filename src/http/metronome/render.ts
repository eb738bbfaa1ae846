import type { PricingUnit, Rate } from '../../domain/contract/terms.js';
import { parseDecimal } from '../../domain/decimal.js';
import type { Instant } from '../../domain/period.js';
import { type JsonObject, type JsonValue, jsonNumber } from '../../json.js';
import type { RateDetails } from '../../storage/rates.js';

/** RFC 3339 in UTC. */
export function rfc3339(instant: Instant): string {
  const known = written.get(instant);
  if (known !== undefined) return known;
  const text = new Date(instant).toISOString().replace('.000Z', 'Z');
  if (written.size >= WRITTEN_MAX) written.clear();
  written.set(instant, text);
  return text;
}

/** The lines of an invoice have few instants between them. */
const written = new Map<Instant, string>();
const WRITTEN_MAX = 1_000;

/** The same where there may be none: then the property is left out. */
export function optionalTime(instant: Instant | null): string | undefined {
  return instant === null ? undefined : rfc3339(instant);
}

/** `created_by`: requests are known by the account's key, which has no person's name. */
export const CREATED_BY = 'API';

/** A pricing unit beside an amount. Units are never deleted, so an unknown one is a defect. */
export function creditType(units: ReadonlyMap<string, PricingUnit>, id: string): JsonObject {
  const unit = units.get(id);
  if (unit === undefined) throw new Error(`unknown pricing unit ${id}`);
  return { id: unit.id, name: unit.name };
}

/** A rate as lists, schedules and invoices show it (docs.metronome.com/api-reference, "Rate"). */
export function rateObject(
  rate: Rate,
  units: ReadonlyMap<string, PricingUnit>,
  details: RateDetails = { quantity: null, isProrated: null },
): JsonObject {
  return {
    rate_type: rate.rateType,
    price: rate.price === null ? undefined : jsonNumber(rate.price),
    tiers: tiersOf(rate),
    minimum_config: rate.minimum === null ? undefined : { minimum: jsonNumber(rate.minimum) },
    quantity: details.quantity === null ? undefined : jsonNumber(parseDecimal(details.quantity)),
    is_prorated: details.isProrated ?? undefined,
    credit_type: creditType(units, rate.creditTypeId),
  };
}

/** A rate for usage that a commit pays, in the unit of the list rate. */
export function commitRateObject(rate: Rate): JsonObject {
  return {
    rate_type: rate.rateType,
    price: rate.price === null ? undefined : jsonNumber(rate.price),
    tiers: tiersOf(rate),
  };
}

function tiersOf(rate: Rate): JsonValue {
  if (rate.tiers.length === 0) return undefined;
  return rate.tiers.map(({ size, price }) => ({
    size: size === null ? undefined : jsonNumber(size),
    price: jsonNumber(price),
  }));
}
