import { exact, expectedAmount } from './check.js';
import type { UsageEvent } from './client.js';
import type { Plan } from './plans.js';

interface Entry {
  readonly event: UsageEvent;
  /** The clock's time when the engine took the event. */
  readonly takenAt: number;
  readonly order: number;
}

/**
 * The demo's own books: every event that the engine has acknowledged, and what each invoice must come to. Nothing of it
 * is asked of the engine.
 */
export class Ledger {
  readonly #entries: Entry[] = [];
  readonly #boundaries: readonly number[];
  readonly #graceMs: number;

  /** `boundaries[n]` is where month n ends and month n + 1 begins; `boundaries[0]` is the start. */
  constructor(boundaries: readonly number[], graceMs: number) {
    this.#boundaries = boundaries;
    this.#graceMs = graceMs;
  }

  get size(): number {
    return this.#entries.length;
  }

  record(event: UsageEvent, takenAt: number): void {
    this.#entries.push({ event, takenAt, order: this.#entries.length });
  }

  /** The total of the invoice at boundary `month` (0 is the invoice of the start), in minor units. */
  expectedTotal(plan: Plan, customerId: string, month: number): bigint {
    const fee = plan.monthlyFee === null ? 0n : expectedAmount(plan.monthlyFee.terms, 0n);
    if (month === 0) return fee;
    let total = fee;
    for (const { meter, terms } of plan.metered) {
      const amount = (of: number, asOf: number): bigint =>
        expectedAmount(terms, this.#quantity(customerId, meter.eventName, meter.formula, of, asOf));
      total += amount(month, month);
      // Usage of the month before that its own invoice could not know. Earlier ones have been caught up with since.
      if (month > 1) total += amount(month - 1, month) - amount(month - 1, month - 1);
    }
    return total;
  }

  /** The aggregate over month `month` as known when the invoice of month `asOf` is finalized. */
  #quantity(
    customerId: string,
    eventName: string,
    formula: 'sum' | 'last',
    month: number,
    asOf: number,
  ): bigint {
    const start = this.#boundary(month - 1);
    const end = this.#boundary(month);
    const known = this.#boundary(asOf) + this.#graceMs;
    const entries = this.#entries.filter(
      ({ event, takenAt }) =>
        event.customerId === customerId &&
        event.eventName === eventName &&
        event.time >= start &&
        event.time < end &&
        takenAt < known,
    );
    if (formula === 'sum') return entries.reduce((sum, { event }) => sum + exact(event.value), 0n);
    const last = entries.toSorted((a, b) => a.event.time - b.event.time || a.order - b.order).at(-1);
    return last === undefined ? 0n : exact(last.event.value);
  }

  #boundary(index: number): number {
    const instant = this.#boundaries[index];
    if (instant === undefined) throw new RangeError(`there is no boundary ${index}`);
    return instant;
  }
}
