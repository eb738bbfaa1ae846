import { randomBytes } from 'node:crypto';
import type Stripe from 'stripe';
import { formatMoney } from '../domain/currency.js';
import { advanceClock, inLanes, sendEvent, type UsageEvent } from './client.js';
import { dayText, HOUR_MS, MINUTE_MS, minuteText, SECOND_MS, unixSeconds } from './dates.js';
import { type BilledCustomer, emptyTally, showInvoice, type Tally } from './invoices.js';
import { Ledger } from './ledger.js';
import { CURRENCY, ensurePlan, type EnsuredPlan, HYBRID, PAY_AS_YOU_GO, type Plan } from './plans.js';
import { progressBar, type Screen } from '../terminal/screen.js';
import { readGrace } from './settings.js';
import { allMatch, renderSummary } from './summary.js';
import {
  boundary,
  boundaryUsage,
  type CustomerIds,
  FORGOTTEN_MONTH,
  forgottenUsage,
  lateUsageOfMonth,
  MONTHS,
  usageOfMonth,
  YEAR_START,
} from './year.js';

export interface DemoResult {
  /** Whether every invoice and everything else came out as expected. */
  readonly ok: boolean;
  readonly customers: readonly BilledCustomer[];
}

const LANES = 24;
const ALERT_AT = 500_000;
const BOUNDARY_MONTH = 3;

/** Two customers, two plans, twelve months, told on the screen. */
export async function tellStory(stripe: Stripe, screen: Screen): Promise<DemoResult> {
  const story = await Story.begin(stripe, screen);
  const started = Date.now();
  await story.showFirstInvoices();
  for (let month = 1; month <= MONTHS; month += 1) await story.liveMonth(month);
  return story.end((Date.now() - started) / SECOND_MS);
}

interface Subscriber extends BilledCustomer {
  readonly plan: Plan;
  readonly tally: Tally;
}

class Story {
  readonly #stripe: Stripe;
  readonly #screen: Screen;
  readonly #clockId: string;
  readonly #graceMs: number;
  readonly #subscribers: readonly Subscriber[];
  readonly #ids: CustomerIds;
  readonly #alertId: string;
  readonly #ledger: Ledger;
  /** Begins every identifier of this run, so that a second run is new usage. */
  readonly #run = randomBytes(6).toString('hex');
  #now = YEAR_START;
  #duplicatesRefused = 0;
  #alertFired = false;

  private constructor(
    stripe: Stripe,
    screen: Screen,
    world: {
      clockId: string;
      graceMs: number;
      subscribers: readonly [Subscriber, Subscriber];
      alertId: string;
    },
  ) {
    this.#stripe = stripe;
    this.#screen = screen;
    this.#clockId = world.clockId;
    this.#graceMs = world.graceMs;
    this.#subscribers = world.subscribers;
    const [acme, nimbus] = world.subscribers;
    this.#ids = { acme: acme.customerId, nimbus: nimbus.customerId };
    this.#alertId = world.alertId;
    const boundaries = Array.from({ length: MONTHS + 2 }, (_, index) => boundary(index));
    this.#ledger = new Ledger(boundaries, world.graceMs);
  }

  static async begin(stripe: Stripe, screen: Screen): Promise<Story> {
    const graceMs = await readGrace(stripe);
    const clock = await stripe.testHelpers.testClocks.create({
      frozen_time: unixSeconds(YEAR_START),
      name: 'Durabill demo',
    });
    screen.print(`The clock stands at ${minuteText(YEAR_START)}.`, '');
    const hybrid = await ensurePlan(stripe, HYBRID);
    const acme = await subscribe(stripe, screen, HYBRID, hybrid, clock.id);
    const nimbus = await subscribe(
      stripe,
      screen,
      PAY_AS_YOU_GO,
      await ensurePlan(stripe, PAY_AS_YOU_GO),
      clock.id,
    );
    const alert = await stripe.billing.alerts.create({
      alert_type: 'usage_threshold',
      title: `${acme.name}: half a million API calls`,
      usage_threshold: {
        gte: ALERT_AT,
        meter: hybrid.meterIds.get('demo_api_calls') ?? '',
        recurrence: 'one_time',
        filters: [{ type: 'customer', customer: acme.customerId }],
      },
    });
    screen.print(`  An alert is set on ${ALERT_AT.toLocaleString('en-US')} API calls of ${acme.name}.`, '');
    return new Story(stripe, screen, {
      clockId: clock.id,
      graceMs,
      subscribers: [acme, nimbus],
      alertId: alert.id,
    });
  }

  /** What is paid in advance is billed the moment a subscription begins. */
  async showFirstInvoices(): Promise<void> {
    for (const subscriber of this.#subscribers) {
      if (subscriber.plan.monthlyFee !== null) await this.#showInvoice(subscriber, 0);
    }
  }

  async liveMonth(month: number): Promise<void> {
    this.#screen.print(`Month ${month}: ${dayText(boundary(month - 1))} to ${dayText(boundary(month))}`);
    this.#status(month, 'usage comes in');
    await this.#moveTo(boundary(month) - HOUR_MS);
    const usage = usageOfMonth(month, this.#ids, this.#run);
    await inLanes(usage, LANES, (event) => this.#send(event));
    await this.#sendTwice(usage);
    this.#status(month, 'the month ends');
    await this.#moveTo(boundary(month));
    await this.#send(lateUsageOfMonth(month, this.#ids, this.#run));
    if (month === BOUNDARY_MONTH) await this.#send(boundaryUsage(month, this.#ids, this.#run));
    this.#screen.print(`  ${usage.length} events, one sent twice and refused, one late but inside the grace`);
    this.#status(month, 'the invoices are finalized');
    await this.#moveTo(boundary(month) + this.#graceMs + MINUTE_MS);
    await this.#reportAlert();
    for (const subscriber of this.#subscribers) await this.#showInvoice(subscriber, month);
    if (month === FORGOTTEN_MONTH) {
      await this.#send(forgottenUsage(this.#ids, this.#run));
      this.#screen.print('  Usage of this month turns up after its invoice: it goes on the next one.', '');
    }
  }

  async end(seconds: number): Promise<DemoResult> {
    const { length } = this.#subscribers;
    this.#screen.print(
      `Twelve months of ${length} subscriptions took ${seconds.toFixed(1)} s: ${this.#ledger.size} events counted, ` +
        `${this.#duplicatesRefused} duplicates refused.`,
      '',
      ...renderSummary(new Map(this.#subscribers.map(({ name, tally }) => [name, tally])), CURRENCY),
      '',
    );
    await this.#showOpenMonth();
    const tallies = new Map(this.#subscribers.map(({ name, tally }) => [name, tally]));
    if (!this.#alertFired) this.#screen.print('The alert has not fired: THAT IS WRONG.', '');
    const ok = allMatch(tallies) && this.#alertFired && this.#duplicatesRefused === MONTHS;
    return { ok, customers: this.#subscribers };
  }

  /** Some usage of the month that has begun: a preview is an invoice computed now, and Temporal's UI has it too. */
  async #showOpenMonth(): Promise<void> {
    const month = MONTHS + 1;
    for (const event of usageOfMonth(month, this.#ids, this.#run).slice(0, 3)) {
      await this.#send({ ...event, value: '25000', time: boundary(MONTHS) + MINUTE_MS });
    }
    const [acme] = this.#subscribers;
    if (acme === undefined) return;
    const preview = await this.#stripe.invoices.createPreview({ subscription: acme.subscriptionId });
    const expected = this.#ledger.expectedTotal(acme.plan, acme.customerId, month);
    if (BigInt(preview.total) !== expected) acme.tally.mismatches += 1;
    this.#screen.print(
      `Month ${month} has begun. A preview of ${acme.name}'s next invoice says ` +
        `${formatMoney(BigInt(preview.total), CURRENCY)}; own calculation ${formatMoney(expected, CURRENCY)}.`,
      '',
    );
  }

  async #moveTo(instant: number): Promise<void> {
    await advanceClock(this.#stripe, this.#clockId, instant);
    this.#now = instant;
  }

  async #send(event: UsageEvent): Promise<void> {
    const outcome = await sendEvent(this.#stripe, event);
    if (outcome !== 'stored') {
      throw new Error(
        `event ${event.identifier}: ${outcome === 'duplicate' ? 'a duplicate' : outcome.refused}`,
      );
    }
    this.#ledger.record(event, this.#now);
  }

  async #sendTwice([event]: readonly UsageEvent[]): Promise<void> {
    if (event === undefined) return;
    const outcome = await sendEvent(this.#stripe, event);
    if (outcome !== 'duplicate')
      throw new Error(`event ${event.identifier} was sent twice and counted twice`);
    this.#duplicatesRefused += 1;
  }

  async #reportAlert(): Promise<void> {
    if (this.#alertFired) return;
    const { data } = await this.#stripe.events.list({ type: 'billing.alert.triggered', limit: 100 });
    const fired = data.find((event) => {
      const triggered = event.data.object as Stripe.Billing.AlertTriggered;
      return triggered.alert.id === this.#alertId;
    });
    if (fired === undefined) return;
    this.#alertFired = true;
    const { value } = fired.data.object as Stripe.Billing.AlertTriggered;
    this.#screen.print(
      `  ALERT: ${value.toLocaleString('en-US')} API calls (${minuteText(fired.created * SECOND_MS)})`,
    );
  }

  async #showInvoice(subscriber: Subscriber, month: number): Promise<void> {
    const { plan, customerId, tally } = subscriber;
    const expected = this.#ledger.expectedTotal(plan, customerId, month);
    await showInvoice(this.#stripe, this.#screen, subscriber, boundary(month), expected, tally);
  }

  #status(month: number, what: string): void {
    this.#screen.status(`${progressBar(month - 1, MONTHS)} months, ${what}`);
  }
}

async function subscribe(
  stripe: Stripe,
  screen: Screen,
  plan: Plan,
  { priceIds }: EnsuredPlan,
  clockId: string,
): Promise<Subscriber> {
  const customer = await stripe.customers.create({ name: plan.customer, test_clock: clockId });
  const subscription = await stripe.subscriptions.create({
    customer: customer.id,
    items: priceIds.map((price) => ({ price })),
  });
  screen.print(`  ${plan.customer} pays ${plan.summary}.`);
  return {
    name: plan.customer,
    customerId: customer.id,
    subscriptionId: subscription.id,
    plan,
    tally: emptyTally(),
  };
}
