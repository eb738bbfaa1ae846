import type { Core } from '../core.js';
import {
  claimChecks,
  type CustomerCheck,
  findPendingOnClock,
  hasChecks,
  releaseCheck,
} from '../storage/customerChecks.js';
import { lookAtCustomer } from './watch.js';

/** Looks at customers whose usage or terms have changed. What is to be done is in the database. */
export interface Watcher {
  /** Something was committed in this process: look now instead of at the next poll. */
  wake(): void;
  /** Resolves once everything asked for about this clock's customers has been looked at. */
  settle(accountId: string, testClockId: string): Promise<void>;
  /** Stops looking and waits for what is under way. */
  stop(): Promise<void>;
}

const POLL_MS = 250;
const GAP_MS = 20;
/** Customers at a time; each holds a connection. */
const PARALLEL = 3;
const BATCH = 12;
/** A top-up that usage has eaten already asks for another look; a tiny one against much usage shall not hold a clock. */
const SETTLE_ROUNDS_MAX = 200;

/** Starts looking, until `stop`. Several processes share the work. */
export function startWatcher(core: Core): Watcher {
  return new PollingWatcher(core);
}

class PollingWatcher implements Watcher {
  readonly #core: Core;
  readonly #loop: Promise<void>;
  #stopping = false;
  #awake = false;
  #rouse: (() => void) | null = null;

  constructor(core: Core) {
    this.#core = core;
    this.#loop = this.#run();
  }

  wake(): void {
    this.#awake = true;
    this.#rouse?.();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#rouse?.();
    await this.#loop;
  }

  async settle(accountId: string, testClockId: string): Promise<void> {
    for (let round = 0; round < SETTLE_ROUNDS_MAX; round += 1) {
      const pending = await findPendingOnClock(this.#core.db, accountId, testClockId);
      if (pending.length === 0) return;
      for (const check of pending) await lookAtCustomer(this.#core, check);
    }
    this.#core.log.warn({ accountId, testClockId }, 'a threshold is reached again after every top-up');
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      let busy = false;
      try {
        const { db } = this.#core;
        busy = await hasChecks(db, this.#core.now());
        if (busy) await this.#look(await claimChecks(db, this.#core.now(), BATCH));
      } catch (error) {
        this.#core.log.warn({ err: error }, 'balances could not be looked at; it is tried again');
      }
      await this.#pause(busy ? GAP_MS : POLL_MS);
    }
  }

  async #look(checks: CustomerCheck[]): Promise<void> {
    const queue = [...checks];
    const work = async () => {
      for (let check = queue.shift(); check !== undefined; check = queue.shift()) await this.#lookAt(check);
    };
    await Promise.all(Array.from({ length: Math.min(PARALLEL, queue.length) }, work));
  }

  async #lookAt(check: CustomerCheck): Promise<void> {
    try {
      await lookAtCustomer(this.#core, check);
    } catch (error) {
      const { accountId, customerId } = check;
      this.#core.log.warn({ err: error, accountId, customerId }, 'a customer could not be looked at');
      await releaseCheck(this.#core.db, check);
    }
  }

  async #pause(ms: number): Promise<void> {
    if (this.#stopping) return;
    if (!this.#awake || ms <= GAP_MS) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#rouse = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#rouse = null;
    this.#awake = false;
  }
}
