import {
  allHandlersFinished,
  ApplicationFailure,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { SubscriptionActivities } from '../activities/subscription.js';
import type { SubscriptionChange } from '../src/core.js';
import { DueTimer } from './dueTimer.js';
import {
  BILLING_ERROR_TYPE,
  CHANGE_UPDATE,
  type ChangeResult,
  CLOCK_ADVANCED_UPDATE,
  type ClockAdvancedResult,
  METER_EVENTS_SIGNAL,
  type MeterEventsBatch,
  type MeterReading,
  STATE_QUERY,
  type SubscriptionInput,
  type SubscriptionPlan,
  type SubscriptionState,
  WAKE_SIGNAL,
} from './messages.js';
import { currentDetails, newerWatermark, searchAttributes, timerSummary } from './subscriptionView.js';

export const meterEvents = defineSignal<[MeterEventsBatch]>(METER_EVENTS_SIGNAL);
export const wake = defineSignal(WAKE_SIGNAL);
export const change = defineUpdate<ChangeResult, [SubscriptionChange]>(CHANGE_UPDATE);
export const clockAdvanced = defineUpdate<ClockAdvancedResult, [{ now: number }]>(CLOCK_ADVANCED_UPDATE);
export const state = defineQuery<SubscriptionState>(STATE_QUERY);

/**
 * Each step is one transaction on our own database, so it runs inside the workflow task as a local activity. What is
 * due must happen, so it is tried until it does.
 */
const steps = proxyLocalActivities<SubscriptionActivities>({
  startToCloseTimeout: '30 seconds',
  localRetryThreshold: '10 seconds',
  retry: { initialInterval: '250 ms', maximumInterval: '30 seconds' },
});

/** A command may be refused, and its caller is told. */
const commands = proxyLocalActivities<SubscriptionActivities>({
  startToCloseTimeout: '30 seconds',
  localRetryThreshold: '10 seconds',
  retry: {
    initialInterval: '250 ms',
    maximumInterval: '30 seconds',
    nonRetryableErrorTypes: [BILLING_ERROR_TYPE],
  },
});

/** A run's history stays far from the server's limits (10,000 signals a run, 51,200 events). */
const SIGNALS_PER_RUN_MAX = 2000;

interface QueuedChange {
  change: SubscriptionChange;
  outcome: { done: boolean; failure?: Error };
}

/** The whole life of one subscription: usage comes in as signals, period ends and finalizations as they fall due. */
export async function subscription(input: SubscriptionInput): Promise<void> {
  const run = new SubscriptionRun(input);
  setHandler(
    meterEvents,
    (batch) => {
      run.receiveUsage(batch);
    },
    {
      description: 'Meter events since the last signal, as cumulative readings',
    },
  );
  setHandler(
    wake,
    () => {
      run.stale = true;
    },
    { description: 'Read the subscription again from the database' },
  );
  setHandler(change, (requested) => run.requestChange(requested), {
    description: 'Cancel now or at period end, in order with the period ends',
  });
  setHandler(clockAdvanced, ({ now }) => run.moveClock(now), {
    description: 'The test clock has moved; returns once everything due is done',
  });
  setHandler(state, () => run.state(), {
    description: 'What the subscription waits for and its last readings',
  });
  await run.live();
}

class SubscriptionRun {
  stale = true;
  readonly #input: SubscriptionInput;
  readonly #ref: { accountId: string; subscriptionId: string };
  readonly #timer = new DueTimer();
  #plan: SubscriptionPlan | null = null;
  #clockNow: number | null;
  #watermark: string;
  #events: bigint;
  #readings: Map<string, MeterReading>;
  #alerts = new Set<string>();
  #changes: QueuedChange[] = [];
  #signals = 0;
  #shownPeriodEnd: number | null | undefined;
  #shownStatus: string | undefined;

  constructor(input: SubscriptionInput) {
    this.#input = input;
    this.#ref = { accountId: input.accountId, subscriptionId: input.subscriptionId };
    this.#clockNow = input.carried?.clockNow ?? null;
    this.#watermark = input.carried?.watermark ?? '0';
    this.#events = BigInt(input.carried?.events ?? '0');
    this.#readings = new Map((input.carried?.readings ?? []).map((reading) => [reading.meterId, reading]));
  }

  receiveUsage(batch: MeterEventsBatch): void {
    this.#signals += 1;
    this.#events += BigInt(batch.events);
    for (const id of batch.alertIds) this.#alerts.add(id);
    if (newerWatermark(batch.watermark, this.#watermark)) {
      this.#watermark = batch.watermark;
      for (const reading of batch.readings) this.#readings.set(reading.meterId, reading);
    }
    this.#show();
  }

  async requestChange(requested: SubscriptionChange): Promise<ChangeResult> {
    const queued: QueuedChange = { change: requested, outcome: { done: false } };
    this.#changes.push(queued);
    await condition(() => queued.outcome.done);
    if (queued.outcome.failure !== undefined) throw queued.outcome.failure;
    return { status: this.#plan?.status ?? 'canceled' };
  }

  async moveClock(now: number): Promise<ClockAdvancedResult> {
    this.#clockNow = Math.max(now, this.#clockNow ?? now);
    // The clock asks because the database says something is due: if this picture disagrees, it is out of date.
    if (!this.#isDue()) this.stale = true;
    await condition(() => !this.#hasWork());
    return { nextDueAt: this.#plan?.next?.at ?? null };
  }

  state(): SubscriptionState {
    return {
      plan: this.#plan,
      watermark: this.#watermark,
      readings: [...this.#readings.values()],
      now: this.#now(),
    };
  }

  async live(): Promise<void> {
    for (;;) {
      await this.#work();
      if (this.#plan === null || this.#plan.next === null) break;
      if (this.#shouldContinueAsNew()) {
        await condition(allHandlersFinished);
        if (!this.#hasWork()) await this.#continue();
        continue;
      }
      this.#timer.arm(this.#wakeAt(), timerSummary(this.#plan));
      await condition(() => this.#hasWork() || this.#shouldContinueAsNew());
    }
    this.#timer.arm(null, '');
    await this.#answerLateCommands();
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
      if (this.stale) await this.#reload();
      else if (this.#isDue()) await this.#runDueStep();
      else if (this.#alerts.size > 0) await this.#fireAlerts();
      else await this.#applyNextChange();
    }
  }

  #hasWork(): boolean {
    return this.stale || this.#isDue() || this.#alerts.size > 0 || this.#changes.length > 0;
  }

  async #reload(): Promise<void> {
    this.stale = false;
    this.#setPlan(await steps.loadPlan(this.#ref));
  }

  async #runDueStep(): Promise<void> {
    const step = this.#plan?.next;
    if (step === null || step === undefined) return;
    if (step.kind === 'finalize') {
      this.#setPlan(await steps.finalizeInvoice({ ...this.#ref, invoiceId: step.invoiceId, at: step.at }));
      return;
    }
    const end = { ...this.#ref, boundary: step.at };
    const usage = await steps.aggregateUsage(end);
    await steps.createInvoice({ ...end, usage });
    this.#setPlan(await steps.openNextPeriod(end));
    this.#forgetClosedReadings();
  }

  async #fireAlerts(): Promise<void> {
    const customerId = this.#plan?.customerId;
    for (const alertId of [...this.#alerts]) {
      if (customerId !== undefined) {
        await steps.fireAlert({ accountId: this.#ref.accountId, alertId, customerId });
      }
      this.#alerts.delete(alertId);
    }
  }

  async #applyNextChange(): Promise<void> {
    const queued = this.#changes.shift();
    if (queued === undefined) return;
    try {
      this.#setPlan(await commands.applyChange({ ...this.#ref, change: queued.change }));
    } catch (error) {
      queued.outcome.failure = asUpdateFailure(error);
    }
    queued.outcome.done = true;
  }

  #isDue(): boolean {
    const next = this.#plan?.next;
    if (next === null || next === undefined) return false;
    if (this.#plan?.clockNow === null)
      return next.at + this.#plan.spreadMs <= Date.now() || this.#timer.fired;
    return next.at <= this.#now();
  }

  /** Wall time to wake at. A test clock wakes by its update, never by a timer. */
  #wakeAt(): number | null {
    const plan = this.#plan;
    if (plan === null || plan.clockNow !== null || plan.next === null) return null;
    return plan.next.at + plan.spreadMs;
  }

  #now(): number {
    return this.#clockNow ?? Date.now();
  }

  #setPlan(plan: SubscriptionPlan | null): void {
    this.#plan = plan;
    if (plan?.clockNow !== null && plan?.clockNow !== undefined) {
      this.#clockNow = Math.max(plan.clockNow, this.#clockNow ?? 0);
    }
    this.#timer.arm(this.#wakeAt(), plan === null ? '' : timerSummary(plan));
    this.#show();
    if (plan === null) return;
    if (plan.periodEnd === this.#shownPeriodEnd && plan.status === this.#shownStatus) return;
    this.#shownPeriodEnd = plan.periodEnd;
    this.#shownStatus = plan.status;
    upsertSearchAttributes(searchAttributes(this.#ref.accountId, plan));
  }

  #show(): void {
    const readings = [...this.#readings.values()];
    if (this.#plan !== null) setCurrentDetails(currentDetails(this.#plan, readings, this.#events));
  }

  /** A reading of a period that has closed would be shown as the new period's usage. */
  #forgetClosedReadings(): void {
    for (const [meterId, reading] of this.#readings) {
      const open = this.#plan?.items.some(
        (item) => item.meterId === meterId && item.periodStart === reading.periodStart,
      );
      if (open !== true) this.#readings.delete(meterId);
    }
    this.#show();
  }

  #shouldContinueAsNew(): boolean {
    return this.#signals >= SIGNALS_PER_RUN_MAX || workflowInfo().continueAsNewSuggested;
  }

  async #continue(): Promise<never> {
    this.#timer.arm(null, '');
    const next: SubscriptionInput = {
      v: 1,
      accountId: this.#input.accountId,
      subscriptionId: this.#input.subscriptionId,
      carried: {
        watermark: this.#watermark,
        readings: [...this.#readings.values()],
        events: String(this.#events),
        clockNow: this.#clockNow,
      },
    };
    return continueAsNew<typeof subscription>(next);
  }
}

/** What the caller of an update sees: the refusal itself, not the activity that met it. */
function asUpdateFailure(error: unknown): Error {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof ApplicationFailure) return cause;
  return error instanceof Error ? error : new Error(String(error));
}
