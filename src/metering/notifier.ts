import {
  claimCustomers,
  type ClaimedCustomer,
  hasDirtyUsage,
  isOfNoConcern,
  releaseClaims,
} from './claims.js';
import { clearUrgent, findDueAlerts, findUrgentOnClock } from './dueAlerts.js';
import { Telling, type NotifierDeps } from './telling.js';

export type { AlertRef, NotifierDeps } from './telling.js';

/** Tells workflows about committed usage. What is to be told is in the database, so nothing is lost with a process. */
export interface Notifier {
  /** Usage has been committed in this process: look now instead of at the next poll. */
  wake(): void;
  /** Resolves once every alert that acknowledged events of this clock's customers have made due is recorded. */
  settle(accountId: string, testClockId: string): Promise<void>;
  /** Stops looking and waits for the signals in flight. */
  stop(): Promise<void>;
}

const POLL_MS = 1000;
/** While there is something to tell, so that a customer's next second is not missed by much. */
const BUSY_POLL_MS = 100;
const GAP_MS = 50;

/** Starts looking for usage to tell about, until `stop`. */
export function startNotifier(deps: NotifierDeps): Notifier {
  return new PollingNotifier(deps);
}

class PollingNotifier implements Notifier {
  readonly #deps: NotifierDeps;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #loop: Promise<void>;
  #stopping = false;
  #awake = false;
  #rouse: (() => void) | null = null;

  constructor(deps: NotifierDeps) {
    this.#deps = deps;
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
    await Promise.all(this.#inFlight);
  }

  async settle(accountId: string, testClockId: string): Promise<void> {
    const { db, fireAlert } = this.#deps;
    const customers = await findUrgentOnClock(db, accountId, testClockId);
    for (const alert of await findDueAlerts(db, customers)) await fireAlert(alert);
    for (const { customerId } of customers) await clearUrgent(db, accountId, customerId);
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      let claimed = 0;
      let busy = false;
      try {
        busy = await hasDirtyUsage(this.#deps.db);
        if (busy) claimed = await this.#claim();
      } catch (error) {
        this.#deps.log.warn({ err: error }, 'the notifier could not look for usage; it tries again');
        busy = false;
      }
      if (claimed === 0 || this.#inFlight.size >= this.#inFlightMax()) {
        await this.#pause(busy ? BUSY_POLL_MS : POLL_MS);
      } else await this.#pause(GAP_MS);
    }
  }

  #inFlightMax(): number {
    return Math.max(1, this.#deps.budgetPerSecond);
  }

  async #claim(): Promise<number> {
    if (this.#inFlight.size >= this.#inFlightMax()) return 0;
    const { customers, watermark } = await claimCustomers(this.#deps.db, this.#deps.budgetPerSecond);
    const unheard = customers.filter(isOfNoConcern);
    if (unheard.length > 0) this.#track(this.#passOver(unheard));
    for (const customer of customers) {
      if (!isOfNoConcern(customer)) this.#track(this.#tell(customer, watermark));
    }
    return customers.length;
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#inFlight.delete(tracked));
    this.#inFlight.add(tracked);
  }

  /** Nobody waits for their usage, so they are done with in one go. */
  async #passOver(customers: readonly ClaimedCustomer[]): Promise<void> {
    const results = customers.map(({ accountId, customerId, series }) => ({
      accountId,
      customerId,
      told: series,
      alertsSignalled: null,
    }));
    try {
      await releaseClaims(this.#deps.db, results);
    } catch (error) {
      this.#deps.log.warn({ err: error }, 'claims could not be given back; they run out by themselves');
    }
  }

  /** Waits, at least a little so that usage can come together, at most until the next poll or `wake`. */
  async #pause(ms: number): Promise<void> {
    await sleep(GAP_MS);
    if (ms <= GAP_MS || this.#awake || this.#stopping) {
      this.#awake = false;
      return;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms - GAP_MS);
      this.#rouse = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#rouse = null;
    this.#awake = false;
  }

  async #tell(customer: ClaimedCustomer, watermark: bigint): Promise<void> {
    const { db, log } = this.#deps;
    const { accountId, customerId } = customer;
    try {
      const telling = new Telling(this.#deps, customer, watermark);
      await telling.run();
      const { told, alertsSignalled } = telling;
      await releaseClaims(db, [{ accountId, customerId, told, alertsSignalled }]);
    } catch (error) {
      log.warn({ err: error, accountId, customerId }, 'usage could not be passed on; it is tried again');
      await releaseClaims(db, [{ accountId, customerId, told: [], alertsSignalled: null }]).catch(
        (failure: unknown) => {
          log.warn(
            { err: failure, accountId, customerId },
            'a claim could not be given back; it runs out by itself',
          );
        },
      );
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
