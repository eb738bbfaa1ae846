import type { Instant } from '../domain/period.js';
import { timestamp } from './db.js';

/** Where a listed object stands in its list: newest first by (createdAt, id). */
export interface PageCursor {
  createdAt: Instant;
  id: string;
}

/**
 * One page of a list. `forward` goes from the cursor (exclusive) to older objects, `backward` to newer ones.
 * A storage function returns at most `limit` rows in the order they are met: newest first going forward, oldest
 * first going backward. `pageSql` writes exactly that.
 */
export interface Page {
  limit: number;
  cursor: PageCursor | null;
  direction: 'forward' | 'backward';
}

/** Instants from `from` (inclusive) to `before` (exclusive); null is open. */
export interface InstantRange {
  from: Instant | null;
  before: Instant | null;
}

/**
 * Collects the conditions of one list statement. `values` are the parameters of the whole statement, in order.
 * Only `where` texts of our own code go in; what a caller sent is always a parameter.
 */
export class Conditions {
  readonly values: unknown[] = [];
  readonly #texts: string[] = [];

  /** Adds a parameter and returns its placeholder. */
  value(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }

  /** Adds a condition as it is. */
  where(text: string): void {
    this.#texts.push(text);
  }

  /** `column = value`, unless the value is null or undefined. */
  equal(column: string, value: string | boolean | null | undefined): void {
    if (value !== null && value !== undefined) this.where(`${column} = ${this.value(value)}`);
  }

  /** `column` inside the range; nothing when there's none. */
  within(column: string, range: InstantRange | null | undefined): void {
    if (range === null || range === undefined) return;
    if (range.from !== null) this.where(`${column} >= ${this.value(timestamp(range.from))}`);
    if (range.before !== null) this.where(`${column} < ${this.value(timestamp(range.before))}`);
  }

  /** The conditions joined by `and`, `true` when there are none. */
  text(): string {
    return this.#texts.length === 0 ? 'true' : this.#texts.join(' and ');
  }
}

/**
 * The end of a list statement: `where … order by … limit …` for columns `created_at` and `id` of `table`.
 * Adds the cursor's condition to `conditions`, so call it last.
 */
export function pageSql(conditions: Conditions, page: Page, table: string): string {
  const forward = page.direction === 'forward';
  if (page.cursor !== null) {
    const createdAt = conditions.value(timestamp(page.cursor.createdAt));
    const id = conditions.value(page.cursor.id);
    const sign = forward ? '<' : '>';
    conditions.where(`(${table}.created_at, ${table}.id) ${sign} (${createdAt}, ${id})`);
  }
  const order = forward ? 'desc' : 'asc';
  const limit = conditions.value(page.limit);
  return (
    `where ${conditions.text()} ` +
    `order by ${table}.created_at ${order}, ${table}.id ${order} limit ${limit}`
  );
}
