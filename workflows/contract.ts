import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ContractActivities } from '../activities/contract.js';
import { DueTimer } from './dueTimer.js';
import {
  CLOCK_ADVANCED_UPDATE,
  type ClockAdvancedResult,
  type ContractInput,
  type ContractPlan,
  type ContractWorkflowState,
  STATE_QUERY,
  WAKE_SIGNAL,
} from './messages.js';

export const wakeContract = defineSignal(WAKE_SIGNAL);
export const contractClockAdvanced = defineUpdate<ClockAdvancedResult, [{ now: number }]>(
  CLOCK_ADVANCED_UPDATE,
);
export const contractState = defineQuery<ContractWorkflowState>(STATE_QUERY);

/** As for subscriptions: each step is one transaction on our database, and what is due must happen. */
const steps = proxyLocalActivities<ContractActivities>({
  startToCloseTimeout: '60 seconds',
  localRetryThreshold: '10 seconds',
  retry: { initialInterval: '250 ms', maximumInterval: '30 seconds' },
});

/** A run's history stays far from the server's limits. */
const STEPS_PER_RUN_MAX = 500;

/** The whole life of one contract: statements become final after their grace, scheduled invoices on their dates. */
export async function contract(input: ContractInput): Promise<void> {
  const run = new ContractRun(input);
  setHandler(
    wakeContract,
    () => {
      run.stale = true;
    },
    {
      description: 'Read the contract again from the database',
    },
  );
  setHandler(contractClockAdvanced, ({ now }) => run.moveClock(now), {
    description: 'The test clock has moved; returns once everything due is done',
  });
  setHandler(contractState, () => run.state(), { description: 'What the contract waits for' });
  await run.live();
}

class ContractRun {
  stale = true;
  readonly #input: ContractInput;
  readonly #ref: { accountId: string; contractId: string };
  readonly #timer = new DueTimer();
  #plan: ContractPlan | null = null;
  #clockNow: number | null;
  #stepsDone = 0;

  constructor(input: ContractInput) {
    this.#input = input;
    this.#ref = { accountId: input.accountId, contractId: input.contractId };
    this.#clockNow = input.carried?.clockNow ?? null;
  }

  async moveClock(now: number): Promise<ClockAdvancedResult> {
    this.#clockNow = Math.max(now, this.#clockNow ?? now);
    // The clock asks because the database says something is due: if this picture disagrees, it is out of date.
    if (!this.#isDue()) this.stale = true;
    await condition(() => !this.#hasWork());
    return { nextDueAt: this.#plan?.nextDueAt ?? null };
  }

  state(): ContractWorkflowState {
    return { plan: this.#plan, now: this.#clockNow ?? Date.now() };
  }

  async live(): Promise<void> {
    for (;;) {
      await this.#work();
      if (this.#plan === null || this.#plan.nextDueAt === null) break;
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

  async #answerLateCommands(): Promise<void> {
    for (;;) {
      await condition(() => this.#hasWork() || allHandlersFinished());
      if (!this.#hasWork()) return;
      await this.#work();
    }
  }

  async #work(): Promise<void> {
    while (this.#hasWork()) {
      if (this.stale) {
        this.stale = false;
        this.#setPlan(await steps.loadContractPlan(this.#ref));
      } else {
        this.#stepsDone += 1;
        this.#setPlan(await steps.runContractStep({ ...this.#ref, now: this.#now() }));
      }
    }
  }

  #hasWork(): boolean {
    return this.stale || this.#isDue();
  }

  #isDue(): boolean {
    const plan = this.#plan;
    if (plan === null || plan.nextDueAt === null) return false;
    if (plan.clockNow === null) return plan.nextDueAt + plan.spreadMs <= Date.now() || this.#timer.fired;
    return plan.nextDueAt <= this.#now();
  }

  #now(): number {
    if (this.#plan?.clockNow === null) return Math.max(Date.now(), this.#plan.nextDueAt ?? 0);
    return this.#clockNow ?? Date.now();
  }

  #setPlan(plan: ContractPlan | null): void {
    this.#plan = plan;
    if (plan?.clockNow !== null && plan?.clockNow !== undefined) {
      this.#clockNow = Math.max(plan.clockNow, this.#clockNow ?? 0);
    }
    const onWallTime = plan !== null && plan.clockNow === null && plan.nextDueAt !== null;
    this.#timer.arm(onWallTime ? (plan.nextDueAt ?? 0) + plan.spreadMs : null, plan?.nextStep ?? '');
    if (plan !== null)
      setCurrentDetails(`**Customer** \`${plan.customerId}\` · **next step** ${plan.nextStep}`);
  }

  #shouldContinueAsNew(): boolean {
    return this.#stepsDone >= STEPS_PER_RUN_MAX || workflowInfo().continueAsNewSuggested;
  }

  async #continue(): Promise<never> {
    this.#timer.arm(null, '');
    return continueAsNew<typeof contract>({
      v: 1,
      accountId: this.#input.accountId,
      contractId: this.#input.contractId,
      carried: { clockNow: this.#clockNow },
    });
  }
}
