import { type Decimal, DecimalFormatError, ONE, parseDecimal } from '../decimal.js';
import type { Instant } from '../period.js';
import { type Aggregation, type FormulaPart, sharedArgument } from './aggregation.js';
import { propertyText } from './event.js';
import { eventNumber, eventText, type Formula, holds } from './formula.js';

/** One event, as far as metrics look at it. */
export interface MeteredEvent {
  eventType: string;
  timestamp: Instant;
  properties: Readonly<Record<string, unknown>>;
}

export interface EventTypeFilter {
  inValues: readonly string[] | null;
  notInValues: readonly string[] | null;
}

/** All that is given must hold. `exists` false asks for absence; null asks for nothing. */
export interface PropertyFilter {
  name: string;
  exists: boolean | null;
  inValues: readonly string[] | null;
  notInValues: readonly string[] | null;
}

export interface BillableMetric {
  id: string;
  name: string;
  eventTypeFilter: EventTypeFilter | null;
  propertyFilters: readonly PropertyFilter[];
  /** What a SQL metric asks of an event beside the filters. */
  condition?: Formula | null;
  aggregation: Aggregation;
  /** The property that is aggregated; null for COUNT. */
  aggregationKey: string | null;
  /** Compound keys, each a list of properties. */
  groupKeys: readonly (readonly string[])[];
  /**
   * The GROUP BY of a SQL metric whose groups don't add up to the whole, as maxima don't: what is read by fewer
   * properties is the sum of these groups.
   */
  rowKey?: readonly string[];
}

/** Whether the event passes the type filter, every property filter and the condition. */
export function matchesFilters(
  metric: Pick<BillableMetric, 'eventTypeFilter' | 'propertyFilters' | 'condition'>,
  event: MeteredEvent,
): boolean {
  const { eventTypeFilter, propertyFilters, condition = null } = metric;
  if (eventTypeFilter !== null && !isAllowed(event.eventType, eventTypeFilter)) return false;
  if (!propertyFilters.every((filter) => passes(filter, propertyText(event, filter.name)))) return false;
  return condition === null || holds(condition, event);
}

function passes(filter: PropertyFilter, text: string | null): boolean {
  if (filter.exists === true && text === null) return false;
  if (filter.exists === false && text !== null) return false;
  if (text === null) return filter.inValues === null;
  return isAllowed(text, filter);
}

function isAllowed(text: string, { inValues, notInValues }: EventTypeFilter): boolean {
  if (inValues !== null && !inValues.includes(text)) return false;
  return notInValues === null || !notInValues.includes(text);
}

/**
 * What an event that passes adds to the metric: one for COUNT, the text for UNIQUE, else the number; for a formula what
 * all its aggregates take. Null where the property is missing or no number: such an event counts for nothing. Null too
 * for a formula whose aggregates take different things: see `partValues`.
 */
export function aggregatedValue(metric: BillableMetric, event: MeteredEvent): Decimal | string | null {
  const { aggregation } = metric;
  if (aggregation.type === 'COUNT') return ONE;
  if (aggregation.type === 'FORMULA') {
    const shared = sharedArgument(aggregation);
    return shared === undefined ? null : argumentValue(shared, event);
  }
  const text = metric.aggregationKey === null ? null : propertyText(event, metric.aggregationKey);
  if (text === null || aggregation.type === 'UNIQUE') return text;
  try {
    return parseDecimal(text);
  } catch (error) {
    if (error instanceof DecimalFormatError) return null;
    throw error;
  }
}

/** What an event that passes adds to each aggregate of the metric: one value, or one for each part of a formula. */
export function partValues(metric: BillableMetric, event: MeteredEvent): (Decimal | string | null)[] {
  const { aggregation } = metric;
  if (aggregation.type !== 'FORMULA') return [aggregatedValue(metric, event)];
  return aggregation.parts.map(({ type, argument }: FormulaPart) =>
    type === 'UNIQUE' && argument !== null ? eventText(argument, event) : argumentValue(argument, event),
  );
}

function argumentValue(argument: Formula | null, event: MeteredEvent): Decimal | null {
  return argument === null ? ONE : eventNumber(argument, event);
}

/** The event's values of one compound group key; null for a property that it does not carry. */
export function groupValues(event: MeteredEvent, groupKey: readonly string[]): Record<string, string | null> {
  return Object.fromEntries(groupKey.map((name) => [name, propertyText(event, name)]));
}
