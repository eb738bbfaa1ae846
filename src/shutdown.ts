import type { Logger } from './logging.js';

interface Step {
  readonly name: string;
  readonly run: () => Promise<void> | void;
}

/** What has to be undone when the process ends: last started, first stopped. */
export class Shutdown {
  private readonly logger: Logger;
  private readonly steps: Step[] = [];
  private running: Promise<boolean> | null = null;

  constructor(logger: Logger) {
    this.logger = logger;
  }

  /** Whether it has begun. */
  get begun(): boolean {
    return this.running !== null;
  }

  /** Adds what stops something just started. When the shutdown has begun meanwhile, it is stopped at once. */
  async add(name: string, run: () => Promise<void> | void): Promise<void> {
    this.steps.push({ name, run });
    if (this.begun) await this.runSteps();
  }

  /** Runs every step once, in reverse order; one that fails does not keep the others. True when none failed. */
  run(): Promise<boolean> {
    this.running ??= this.runSteps();
    return this.running;
  }

  private async runSteps(): Promise<boolean> {
    let clean = true;
    for (let step = this.steps.pop(); step !== undefined; step = this.steps.pop()) {
      const started = Date.now();
      try {
        await step.run();
        this.logger.debug({ step: step.name, millis: Date.now() - started }, 'stopped');
      } catch (error) {
        clean = false;
        this.logger.error({ step: step.name, err: error }, 'did not stop cleanly');
      }
    }
    return clean;
  }
}
