import type { MeterEventsBatch } from '../../workflows/messages.js';
import type { Log, SubscriptionRef } from '../core.js';
import { toText } from '../domain/decimal.js';
import { BillingError } from '../domain/errors.js';
import type { Database } from '../storage/db.js';
import { CLAIM_SECONDS, type ClaimedCustomer, type ClaimedSubscription, concerned } from './claims.js';
import { clearUrgent, type DueAlert, findDueAlerts } from './dueAlerts.js';
import { type UsageReading, readUsages } from './usage.js';

export interface AlertRef {
  accountId: string;
  alertId: string;
  customerId: string;
}

export interface NotifierDeps {
  readonly db: Database;
  readonly log: Log;
  /** Signals a second for the whole installation, whatever the number of notifiers. */
  readonly budgetPerSecond: number;
  /**
   * Hands a batch to the subscription's workflow. Rejects with a `not_found` BillingError or Temporal's
   * WorkflowNotFoundError when no such workflow runs; any other failure is tried again.
   */
  readonly signal: (ref: SubscriptionRef, batch: MeterEventsBatch) => Promise<void>;
  /** Records an alert whose threshold was passed; repeatable. */
  readonly fireAlert: (ref: AlertRef) => Promise<void>;
}

const SIGNAL_DEADLINE_MS = (CLAIM_SECONDS / 2) * 1000;
/** A workflow that was told of an alert and has not recorded it by then is not waited for. */
const ALERT_PATIENCE_MS = 200;

/** Tells the subscriptions of one claimed customer, and sees to its due alerts. */
export class Telling {
  readonly #deps: NotifierDeps;
  readonly #customer: ClaimedCustomer;
  readonly #watermark: bigint;
  readonly #failedMeters = new Set<string>();
  #signalled: Record<string, number> = {};

  constructor(deps: NotifierDeps, customer: ClaimedCustomer, watermark: bigint) {
    this.#deps = deps;
    this.#customer = customer;
    this.#watermark = watermark;
  }

  /** The series that every subscription concerned has been told of. */
  get told(): ClaimedCustomer['series'] {
    return this.#customer.series.filter((series) => !this.#failedMeters.has(series.meterId));
  }

  /** Alerts that are in a workflow's hands; null when alerts were not looked at. */
  get alertsSignalled(): Readonly<Record<string, number>> | null {
    return this.#customer.urgent ? this.#signalled : null;
  }

  async run(): Promise<void> {
    const customer = this.#customer;
    const due = customer.urgent ? await findDueAlerts(this.#deps.db, [customer]) : [];
    const handed = new Map<ClaimedSubscription, DueAlert[]>();
    const own: DueAlert[] = [];
    for (const alert of due) {
      const since = customer.alertsSignalled[alert.alertId];
      const subscription = customer.subscriptions.find(({ items }) =>
        items.some((item) => item.meterId === alert.meterId),
      );
      if (subscription === undefined || (since !== undefined && Date.now() - since > ALERT_PATIENCE_MS)) {
        own.push(alert);
      } else if (since !== undefined) this.#signalled[alert.alertId] = since;
      else handed.set(subscription, [...(handed.get(subscription) ?? []), alert]);
    }
    const receivers = new Set([...concerned(customer), ...handed.keys()]);
    // Before anybody is signalled: where a workflow has not done it, signals take their time too.
    for (const alert of own) await this.#deps.fireAlert(alert);
    await this.#signalAll([...receivers], handed);
    if (customer.urgent) await clearUrgent(this.#deps.db, customer.accountId, customer.customerId);
  }

  async #signalAll(
    subscriptions: readonly ClaimedSubscription[],
    handed: ReadonlyMap<ClaimedSubscription, DueAlert[]>,
  ): Promise<void> {
    const { accountId, customerId } = this.#customer;
    const queries = subscriptions.flatMap(({ items }) => items.map((item) => ({ ...item, customerId })));
    const readings = await readUsages(this.#deps.db, accountId, queries);
    let next = 0;
    await Promise.all(
      subscriptions.map((subscription) => {
        const own = readings.slice(next, next + subscription.items.length);
        next += subscription.items.length;
        return this.#signalOne(subscription, own, handed.get(subscription) ?? []);
      }),
    );
  }

  async #signalOne(
    subscription: ClaimedSubscription,
    readings: readonly UsageReading[],
    alerts: readonly DueAlert[],
  ): Promise<void> {
    const { accountId, subscriptionId } = subscription;
    const { log, signal, fireAlert } = this.#deps;
    try {
      const told = withDeadline(
        signal({ accountId, subscriptionId }, this.#batchFor(subscription, readings, alerts)),
      );
      // A signal that takes long means a server with a backlog; the workflow would come to the alert later still.
      if (alerts.length > 0 && !(await settlesWithin(told, ALERT_PATIENCE_MS))) {
        for (const alert of alerts) await fireAlert(alert);
      }
      await told;
      for (const { alertId } of alerts) this.#signalled[alertId] = Date.now();
    } catch (error) {
      if (isGone(error)) {
        log.warn({ accountId, subscriptionId }, 'no workflow runs for a subscription that has usage');
        for (const alert of alerts) await fireAlert(alert);
        return;
      }
      log.warn(
        { err: error, accountId, subscriptionId },
        'a subscription could not be told of usage; tried again',
      );
      for (const { meterId } of subscription.items) this.#failedMeters.add(meterId);
    }
  }

  #batchFor(
    subscription: ClaimedSubscription,
    readings: readonly UsageReading[],
    alerts: readonly DueAlert[],
  ): MeterEventsBatch {
    const meters = new Set(subscription.items.map((item) => item.meterId));
    const news = this.#customer.series.filter((series) => meters.has(series.meterId));
    return {
      watermark: this.#watermark.toString(),
      events: news.reduce((sum, series) => sum + series.news, 0n).toString(),
      readings: subscription.items.map(({ meterId, period }, index) => ({
        meterId,
        periodStart: period.start,
        value: toText((readings[index] as UsageReading).value),
      })),
      alertIds: alerts.map((alert) => alert.alertId),
    };
  }
}

function isGone(error: unknown): boolean {
  if (error instanceof BillingError) return error.kind === 'not_found';
  return error instanceof Error && error.name === 'WorkflowNotFoundError';
}

async function settlesWithin(work: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const settled = work.then(
    () => true,
    () => true,
  );
  const inTime = await Promise.race([settled, patience]);
  clearTimeout(timer);
  return inTime;
}

/** A signal that comes through after all does no harm, but the claim must not outlive its time. */
async function withDeadline(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer within ${SIGNAL_DEADLINE_MS} ms`));
    }, SIGNAL_DEADLINE_MS);
  });
  try {
    await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
