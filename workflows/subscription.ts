import {
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
} from '@temporalio/workflow';
import type { SubscriptionActivities } from '../activities/subscription.js';
import type { SubscriptionChange } from '../src/core.js';
import { DueLoop } from './dueLoop.js';
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
      run.markStale();
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

class SubscriptionRun extends DueLoop<SubscriptionPlan> {
  readonly #ref: { accountId: string; subscriptionId: string };
  #watermark: string;
  #events: bigint;
  #readings: Map<string, MeterReading>;
  #alerts = new Set<string>();
  #changes: QueuedChange[] = [];
  #signals = 0;
  #shownPeriodEnd: number | null | undefined;
  #shownStatus: string | undefined;

  constructor(input: SubscriptionInput) {
    super(input.carried?.clockNow ?? null);
    this.#ref = { accountId: input.accountId, subscriptionId: input.subscriptionId };
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
    return { status: this.plan?.status ?? 'canceled' };
  }

  state(): SubscriptionState {
    return {
      plan: this.plan,
      watermark: this.#watermark,
      readings: [...this.#readings.values()],
      now: this.now,
    };
  }

  protected load(): Promise<SubscriptionPlan | null> {
    return steps.loadPlan(this.#ref);
  }

  protected dueAt({ next }: SubscriptionPlan): number | null {
    return next?.at ?? null;
  }

  protected waitsFor(plan: SubscriptionPlan): string {
    return timerSummary(plan);
  }

  protected override hasCommands(): boolean {
    return this.#alerts.size > 0 || this.#changes.length > 0;
  }

  protected override async runCommand(): Promise<void> {
    if (this.#alerts.size > 0) await this.#fireAlerts();
    else await this.#applyNextChange();
  }

  protected async runStep({ next: step }: SubscriptionPlan): Promise<void> {
    if (step === null) return;
    if (step.kind === 'finalize') {
      this.setPlan(await steps.finalizeInvoice({ ...this.#ref, invoiceId: step.invoiceId, at: step.at }));
      return;
    }
    const end = { ...this.#ref, boundary: step.at };
    const usage = await steps.aggregateUsage(end);
    await steps.createInvoice({ ...end, usage });
    this.setPlan(await steps.openNextPeriod(end));
    this.#forgetClosedReadings();
  }

  async #fireAlerts(): Promise<void> {
    const customerId = this.plan?.customerId;
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
      this.setPlan(await commands.applyChange({ ...this.#ref, change: queued.change }));
    } catch (error) {
      queued.outcome.failure = asUpdateFailure(error);
    }
    queued.outcome.done = true;
  }

  protected override setPlan(plan: SubscriptionPlan | null): void {
    super.setPlan(plan);
    this.#show();
    if (plan === null) return;
    if (plan.periodEnd === this.#shownPeriodEnd && plan.status === this.#shownStatus) return;
    this.#shownPeriodEnd = plan.periodEnd;
    this.#shownStatus = plan.status;
    upsertSearchAttributes(searchAttributes(this.#ref.accountId, plan));
  }

  #show(): void {
    const readings = [...this.#readings.values()];
    if (this.plan !== null) setCurrentDetails(currentDetails(this.plan, readings, this.#events));
  }

  /** A reading of a period that has closed would be shown as the new period's usage. */
  #forgetClosedReadings(): void {
    for (const [meterId, reading] of this.#readings) {
      const open = this.plan?.items.some(
        (item) => item.meterId === meterId && item.periodStart === reading.periodStart,
      );
      if (open !== true) this.#readings.delete(meterId);
    }
    this.#show();
  }

  protected isLong(): boolean {
    return this.#signals >= SIGNALS_PER_RUN_MAX;
  }

  protected continue(clockNow: number | null): Promise<never> {
    return continueAsNew<typeof subscription>({
      v: 1,
      ...this.#ref,
      carried: {
        watermark: this.#watermark,
        readings: [...this.#readings.values()],
        events: String(this.#events),
        clockNow,
      },
    });
  }
}

/** What the caller of an update sees: the refusal itself, not the activity that met it. */
function asUpdateFailure(error: unknown): Error {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof ApplicationFailure) return cause;
  return error instanceof Error ? error : new Error(String(error));
}
