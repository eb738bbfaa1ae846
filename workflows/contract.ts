import {
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
} from '@temporalio/workflow';
import type { ContractActivities } from '../activities/contract.js';
import { DueLoop } from './dueLoop.js';
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
      run.markStale();
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

class ContractRun extends DueLoop<ContractPlan> {
  readonly #ref: { accountId: string; contractId: string };
  #stepsDone = 0;

  constructor({ accountId, contractId, carried }: ContractInput) {
    super(carried?.clockNow ?? null);
    this.#ref = { accountId, contractId };
  }

  state(): ContractWorkflowState {
    return { plan: this.plan, now: this.now };
  }

  protected load(): Promise<ContractPlan | null> {
    return steps.loadContractPlan(this.#ref);
  }

  protected dueAt({ nextDueAt }: ContractPlan): number | null {
    return nextDueAt;
  }

  protected waitsFor({ nextStep }: ContractPlan): string {
    return nextStep;
  }

  protected async runStep({ clockNow, nextDueAt }: ContractPlan): Promise<void> {
    this.#stepsDone += 1;
    // A timer may fire a little before its instant by this machine's clock.
    const now = clockNow === null ? Math.max(Date.now(), nextDueAt ?? 0) : this.now;
    this.setPlan(await steps.runContractStep({ ...this.#ref, now }));
  }

  protected override setPlan(plan: ContractPlan | null): void {
    super.setPlan(plan);
    if (plan === null) return;
    setCurrentDetails(`**Customer** \`${plan.customerId}\` · **next step** ${plan.nextStep}`);
  }

  protected isLong(): boolean {
    return this.#stepsDone >= STEPS_PER_RUN_MAX;
  }

  protected continue(clockNow: number | null): Promise<never> {
    return continueAsNew<typeof contract>({ v: 1, ...this.#ref, carried: { clockNow } });
  }
}
