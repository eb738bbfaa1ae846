import { allHandlersFinished, condition, workflowInfo } from '@temporalio/workflow';
import { DueTimer } from './dueTimer.js';
import type { ClockAdvancedResult } from './messages.js';

/** What every picture of the database says about time. */
export interface DuePlan {
  /** The frozen time of the customer's test clock; null on wall time. */
  clockNow: number | null;
  /** How far wake-ups are shifted after a due instant, to spread coinciding ones. */
  spreadMs: number;
}

/**
 * A workflow that lives by due instants: it reads from the database what is due next, does it when its time has come on
 * the wall clock or the customer's test clock, and waits for the next. It ends when nothing will ever be due again.
 */
export abstract class DueLoop<Plan extends DuePlan> {
  readonly #timer = new DueTimer();
  #stale = true;
  #plan: Plan | null = null;
  #clockNow: number | null;

  /** `clockNow` is what the run before this one handed on. */
  constructor(clockNow: number | null) {
    this.#clockNow = clockNow;
  }

  /** Reads the picture from the database; null when its subject is gone. */
  protected abstract load(): Promise<Plan | null>;
  /** When something is due next (epoch ms); null for never again. */
  protected abstract dueAt(plan: Plan): number | null;
  /** What the pending timer waits for, for people to read. */
  protected abstract waitsFor(plan: Plan): string;
  /** Does what is due and hands its new picture to `setPlan`. */
  protected abstract runStep(plan: Plan): Promise<void>;
  /** Whether this run has done enough for one history. */
  protected abstract isLong(): boolean;
  /** Hands what must be kept to a new run. */
  protected abstract continue(clockNow: number | null): Promise<never>;

  /** Whether there is something to do that time does not bring. */
  protected hasCommands(): boolean {
    return false;
  }

  /** Does some of it; called while nothing is due. */
  protected runCommand(): Promise<void> {
    return Promise.resolve();
  }

  protected get plan(): Plan | null {
    return this.#plan;
  }

  /** The customer's now, as far as it is known here. */
  protected get now(): number {
    return this.#clockNow ?? Date.now();
  }

  /** The picture is out of date: it is read again before anything else. */
  markStale(): void {
    this.#stale = true;
  }

  /** The test clock has moved to `now`. Returns once everything due is done. */
  async moveClock(now: number): Promise<ClockAdvancedResult> {
    this.#clockNow = Math.max(now, this.#clockNow ?? now);
    // The clock asks because the database says something is due: if this picture disagrees, it is out of date.
    if (!this.#isDue()) this.#stale = true;
    await condition(() => !this.#hasWork());
    return { nextDueAt: this.#nextDueAt() };
  }

  async live(): Promise<void> {
    for (;;) {
      await this.#work();
      if (this.#nextDueAt() === null) break;
      if (this.#shouldContinueAsNew()) {
        await condition(allHandlersFinished);
        if (!this.#hasWork()) await this.#continue();
        continue;
      }
      await condition(() => this.#hasWork() || this.#shouldContinueAsNew());
    }
    this.#timer.arm(null, '');
    await this.#answerLateCommands();
  }

  protected setPlan(plan: Plan | null): void {
    this.#plan = plan;
    if (plan?.clockNow !== null && plan?.clockNow !== undefined) {
      this.#clockNow = Math.max(plan.clockNow, this.#clockNow ?? 0);
    }
    this.#timer.arm(this.#wakeAt(), plan === null ? '' : this.waitsFor(plan));
  }

  /** A command that arrives while the workflow is ending is still carried out and answered. */
  async #answerLateCommands(): Promise<void> {
    for (;;) {
      await condition(() => this.#hasWork() || allHandlersFinished());
      if (!this.#hasWork()) return;
      await this.#work();
    }
  }

  /** Does everything there is to do at this instant: what fell due first, in order of time, then commands. */
  async #work(): Promise<void> {
    while (this.#hasWork()) {
      if (this.#stale) {
        this.#stale = false;
        this.setPlan(await this.load());
      } else if (this.#plan !== null && this.#isDue()) await this.runStep(this.#plan);
      else await this.runCommand();
    }
  }

  #hasWork(): boolean {
    return this.#stale || this.#isDue() || this.hasCommands();
  }

  #nextDueAt(): number | null {
    return this.#plan === null ? null : this.dueAt(this.#plan);
  }

  #isDue(): boolean {
    const at = this.#nextDueAt();
    if (this.#plan === null || at === null) return false;
    if (this.#plan.clockNow === null) return at + this.#plan.spreadMs <= Date.now() || this.#timer.fired;
    return at <= this.now;
  }

  /** Wall time to wake at. A test clock wakes by its update, never by a timer. */
  #wakeAt(): number | null {
    const at = this.#nextDueAt();
    if (this.#plan === null || at === null || this.#plan.clockNow !== null) return null;
    return at + this.#plan.spreadMs;
  }

  #shouldContinueAsNew(): boolean {
    return this.isLong() || workflowInfo().continueAsNewSuggested;
  }

  async #continue(): Promise<never> {
    this.#timer.arm(null, '');
    return this.continue(this.#clockNow);
  }
}
