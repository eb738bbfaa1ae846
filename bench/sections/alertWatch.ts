import { setTimeout as sleep } from 'node:timers/promises';
import { type Latencies, latenciesOf } from '../stats.js';
import { type BenchMeter, inLanes, type World } from '../world.js';

/** Beyond what the load sends to one customer. */
const THRESHOLD = 1_000_000_000_000;
const POLL_MS = 20;
const PATIENCE_MS = 30_000;

export interface AlertLatencies {
  readonly crossed: number;
  readonly recorded: number;
  /** From the acknowledgement of the event that crossed the threshold until the alert's event could be read. */
  readonly latencies: Latencies;
}

/** One alert for each of some customers, crossed one after the other by an event that is big enough. */
export class AlertWatch {
  readonly #world: World;
  readonly #meter: BenchMeter;
  readonly #customers: readonly string[];
  readonly #acknowledged = new Map<string, number>();
  readonly #recorded = new Map<string, number>();

  static async open(world: World, meter: BenchMeter, customers: readonly string[]): Promise<AlertWatch> {
    await inLanes(customers.length, (index) =>
      world.stripe.billing.alerts.create({
        title: `Benchmark ${index}`,
        alert_type: 'usage_threshold',
        usage_threshold: {
          meter: meter.id,
          gte: THRESHOLD,
          recurrence: 'one_time',
          filters: [{ type: 'customer', customer: customers[index] ?? '' }],
        },
      }),
    );
    return new AlertWatch(world, meter, customers);
  }

  private constructor(world: World, meter: BenchMeter, customers: readonly string[]) {
    this.#world = world;
    this.#meter = meter;
    this.#customers = customers;
  }

  /** Crosses all of them within the span and waits until every alert is recorded or it is hopeless. */
  async crossOneByOne(spanMs: number): Promise<AlertLatencies> {
    let crossing = true;
    const watching = this.#watch(() => crossing);
    for (const customer of this.#customers) {
      await this.#world.stripe.billing.meterEvents.create({
        event_name: this.#meter.eventName,
        payload: { stripe_customer_id: customer, value: String(THRESHOLD) },
      });
      this.#acknowledged.set(customer, performance.now());
      await sleep(spanMs / this.#customers.length);
    }
    crossing = false;
    await watching;
    const millis = [...this.#recorded].map(([customer, at]) => at - (this.#acknowledged.get(customer) ?? at));
    return {
      crossed: this.#acknowledged.size,
      recorded: this.#recorded.size,
      latencies: latenciesOf(millis.map((one) => Math.max(0, one))),
    };
  }

  async #watch(crossing: () => boolean): Promise<void> {
    let deadline = Number.POSITIVE_INFINITY;
    while (this.#recorded.size < this.#customers.length && performance.now() < deadline) {
      await this.#look();
      await sleep(POLL_MS);
      if (!crossing() && deadline === Number.POSITIVE_INFINITY) deadline = performance.now() + PATIENCE_MS;
    }
  }

  async #look(): Promise<void> {
    const { data } = await this.#world.stripe.events.list({ type: 'billing.alert.triggered', limit: 100 });
    const now = performance.now();
    const known = new Set(this.#customers);
    for (const event of data) {
      const { customer } = event.data.object as unknown as { customer: string };
      if (known.has(customer) && !this.#recorded.has(customer)) this.#recorded.set(customer, now);
    }
  }
}
