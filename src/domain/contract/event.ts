import type { MeteredEvent } from './metric.js';

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
