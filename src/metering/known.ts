import type { Database } from '../storage/db.js';
import { customerIdOf, type Found, type Meter, type Meters, NOT_MADE, type Target } from './lookUp.js';
import type { PreparedEvent } from './prepare.js';

/** What is remembered counts as long as it is younger than this, and nothing it says has changed. */
const REMEMBERED_MS = 60_000;
/** Changes are kept far longer than anything is remembered. */
const CHANGES_KEPT = '1 hour';
const METERS_MAX = 10_000;
const TARGETS_MAX = 50_000;

/** Accounts, and from which transaction on a change of each may be unseen; by place. */
export interface Since {
  readonly accountIds: readonly string[];
  readonly xmins: readonly string[];
}

/** Recalled instead of looked up: right if nothing of these accounts has changed `since`. */
export interface Recalled {
  readonly found: Found;
  readonly since: Since;
}

interface Remembered {
  /** Of the oldest look-up in it. */
  readonly xmin: string;
  readonly at: number;
  readonly meters: Map<string, Meter>;
  readonly targets: Map<Meter, Map<string, Target>>;
}

/**
 * What look-ups have found. The meters say what to ask for before they have been asked; what comes back is checked
 * against the meters that come with it. Meters with their customers spare the asking: who uses them has the database
 * check, in the transaction that stores the events, that nothing has changed since.
 */
export class Known {
  #meters: Meters = new Map();
  #meterCount = 0;
  readonly #remembered = new Map<string, Remembered>();
  #targetCount = 0;

  /** As it was seen last. */
  meter(accountId: string, eventName: string): Meter | undefined {
    return this.#meters.get(accountId)?.get(eventName);
  }

  learnMeters(meters: Meters): void {
    // Names that nobody uses any more are let go with all the others, now and then.
    if (this.#meterCount > METERS_MAX) {
      this.#meters = new Map();
      this.#meterCount = 0;
    }
    for (const [accountId, ofAccount] of meters) {
      const own = this.#meters.get(accountId) ?? new Map<string, Meter>();
      this.#meters.set(accountId, own);
      for (const [eventName, meter] of ofAccount) {
        if (!own.has(eventName)) this.#meterCount += 1;
        own.set(eventName, meter);
      }
    }
  }

  /**
   * Keeps the customers that a look-up has found on active meters; `xmin` is that of the look-up's snapshot. Meters with
   * an event time window are left out: their events are always stored the careful way.
   */
  remember(targets: Found['targets'], xmin: string): void {
    if (this.#targetCount > TARGETS_MAX) {
      this.#remembered.clear();
      this.#targetCount = 0;
    }
    for (const [meter, ofMeter] of targets) {
      if (!meter.active || meter.eventTimeWindow !== null) continue;
      const account = this.#ofAccount(meter.accountId, xmin);
      // The meter of an older look-up stands for this one; if it is another by now, the check will say so.
      const kept = account.meters.get(meter.eventName) ?? meter;
      account.meters.set(meter.eventName, kept);
      const known = account.targets.get(kept) ?? new Map<string, Target>();
      account.targets.set(kept, known);
      for (const [customerId, target] of ofMeter) {
        // A series that is yet to be made is looked up once more.
        if (known.has(customerId) || target.series.seriesId === NOT_MADE) continue;
        known.set(customerId, { ...target, series: { ...target.series, meter: kept } });
        this.#targetCount += 1;
      }
    }
  }

  /** All that the events refer to, or null if any of it must be looked up. */
  recall(events: readonly PreparedEvent[]): Recalled | null {
    const found: Found = { meters: new Map(), targets: new Map() };
    const xmins: string[] = [];
    for (const prepared of events) {
      const { accountId, event } = prepared;
      if (event.sent !== undefined) return null;
      const account = this.#remembered.get(accountId);
      const meter = account?.meters.get(event.eventName);
      if (account === undefined || meter === undefined) return null;
      const target = account.targets.get(meter)?.get(customerIdOf(prepared, meter));
      if (target === undefined) return null;
      if (found.meters.has(accountId)) continue;
      if (performance.now() - account.at > REMEMBERED_MS) {
        this.#forgetAccount(accountId);
        return null;
      }
      found.meters.set(accountId, account.meters);
      for (const [one, ofMeter] of account.targets) found.targets.set(one, ofMeter);
      xmins.push(account.xmin);
    }
    return { found, since: { accountIds: [...found.meters.keys()], xmins } };
  }

  forget({ accountIds }: Since): void {
    for (const accountId of accountIds) this.#forgetAccount(accountId);
  }

  #forgetAccount(accountId: string): void {
    for (const ofMeter of this.#remembered.get(accountId)?.targets.values() ?? []) {
      this.#targetCount -= ofMeter.size;
    }
    this.#remembered.delete(accountId);
  }

  #ofAccount(accountId: string, xmin: string): Remembered {
    const known = this.#remembered.get(accountId);
    if (known !== undefined) return known;
    const fresh = { xmin, at: performance.now(), meters: new Map(), targets: new Map() };
    this.#remembered.set(accountId, fresh);
    return fresh;
  }
}

/** Removes changes that nobody can have missed any more. */
export async function removeOldChanges(db: Database): Promise<void> {
  await db.query(`delete from metering_changes where changed_at < now() - $1::interval`, [CHANGES_KEPT]);
}
