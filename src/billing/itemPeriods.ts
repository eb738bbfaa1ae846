import { type BillingInterval, type Instant, type Period, periodAt } from '../domain/period.js';
import { type Fraction, prorationFactor } from '../domain/proration.js';

/** A period of an item, and the share of the price's interval that it is. */
export interface ItemPeriod extends Period {
  /** Null when the period is a whole interval. */
  proration: Fraction | null;
}

/**
 * The period of an item that starts at `start`: to the next boundary counted from the anchor, or to `endsBy` when the
 * subscription ends before. A period shorter than the interval around it carries its share of that interval.
 */
export function itemPeriod(
  start: Instant,
  anchor: Instant,
  interval: BillingInterval,
  endsBy: Instant | null,
): ItemPeriod {
  const full = periodAt(anchor, interval, start);
  const end = endsBy !== null && endsBy > start && endsBy < full.end ? endsBy : full.end;
  const whole = start === full.start && end === full.end;
  return { start, end, proration: whole ? null : prorationFactor({ start, end }, full) };
}
