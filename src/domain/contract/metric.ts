import { type Decimal, DecimalFormatError, ONE, parseDecimal } from '../decimal.js';
import type { Instant } from '../period.js';
import type { Aggregation } from './aggregation.js';

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
  aggregation: Aggregation;
  /** The property that is aggregated; null for COUNT. */
  aggregationKey: string | null;
  /** Compound keys, each a list of properties. */
  groupKeys: readonly (readonly string[])[];
}

/**
 * The text of a property: strings as they are, numbers and booleans as JSON writes them; null when absent,
 * null or not a plain value. Filters and groups compare texts (docs.metronome.com, "send usage events").
 */
export function propertyText(event: MeteredEvent, name: string): string | null {
  if (!Object.hasOwn(event.properties, name)) return null;
  const value = event.properties[name];
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;
}

/** Whether the event passes the type filter and every property filter. */
export function matchesFilters(
  metric: Pick<BillableMetric, 'eventTypeFilter' | 'propertyFilters'>,
  event: MeteredEvent,
): boolean {
  const { eventTypeFilter, propertyFilters } = metric;
  if (eventTypeFilter !== null && !isAllowed(event.eventType, eventTypeFilter)) return false;
  return propertyFilters.every((filter) => passes(filter, propertyText(event, filter.name)));
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
 * What an event that passes adds to the metric: one for COUNT, the text for UNIQUE, else the number. Null
 * where the property is missing or no number: such an event counts for nothing.
 */
export function aggregatedValue(metric: BillableMetric, event: MeteredEvent): Decimal | string | null {
  if (metric.aggregation.type === 'COUNT') return ONE;
  const text = metric.aggregationKey === null ? null : propertyText(event, metric.aggregationKey);
  if (text === null || metric.aggregation.type === 'UNIQUE') return text;
  try {
    return parseDecimal(text);
  } catch (error) {
    if (error instanceof DecimalFormatError) return null;
    throw error;
  }
}

/** The event's values of one compound group key; null for a property that it does not carry. */
export function groupValues(event: MeteredEvent, groupKey: readonly string[]): Record<string, string | null> {
  return Object.fromEntries(groupKey.map((name) => [name, propertyText(event, name)]));
}
