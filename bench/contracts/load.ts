import { randomBytes } from 'node:crypto';
import { callEvents, type ContractsWorld } from './api.js';
import { type BenchCustomer, monthStart, type Priced } from './catalogue.js';

export const BATCH = 10_000;
const CONNECTIONS = 2;
const VALUES = 97;
const DAY_MS = 86_400_000;

/** One event to be: who used how much of which combination. */
export interface Use {
  readonly customer: BenchCustomer;
  readonly combination: number;
  readonly value: number;
}

/** What each customer owes by a sum of our own, in hundredths of a cent, and the combinations it has used. */
export class Owed {
  readonly #amounts = new Map<string, bigint>();
  readonly #used = new Map<string, Set<number>>();

  add(priced: Priced, { customer, combination, value }: Use): void {
    const price = priced.combinations[combination]?.price ?? 0n;
    this.#amounts.set(customer.id, this.amount(customer) + price * BigInt(value));
    const used = this.#used.get(customer.id) ?? new Set<number>();
    this.#used.set(customer.id, used.add(combination));
  }

  amount({ id }: BenchCustomer): bigint {
    return this.#amounts.get(id) ?? 0n;
  }

  lines({ id }: BenchCustomer): number {
    return this.#used.get(id)?.size ?? 0;
  }
}

/** Sends so many events, their times spread over this month so far. `use` says what the event of a number is. */
export async function sendUses(
  world: ContractsWorld,
  priced: Priced,
  count: number,
  use: (index: number) => Use,
  owed: Owed,
): Promise<{ seconds: number; cpuSeconds: number }> {
  const from = Date.parse(monthStart());
  const span = Math.max(1, Math.min(Date.now() - from, 30 * DAY_MS) - 60_000);
  const run = randomBytes(6).toString('hex');
  const fragments = priced.combinations.map(({ values }) => JSON.stringify(values).slice(1));
  const started = performance.now();
  const cpu = world.cpuSeconds();
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const first = next;
      next = Math.min(count, first + BATCH);
      const lines: string[] = [];
      for (let index = first; index < next; index += 1) {
        const one = use(index);
        owed.add(priced, one);
        const at = Math.floor((from + (span * index) / count) / 1000);
        lines.push(
          `{"event_name":"${priced.eventName}","identifier":"${run}-${index}","timestamp":${at},"payload":` +
            `{"stripe_customer_id":"${one.customer.stripeId}","value":"${one.value}",` +
            `${fragments[one.combination] ?? '}'}}`,
        );
      }
      await callEvents(world, lines);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, lane));
  return { seconds: (performance.now() - started) / 1000, cpuSeconds: world.cpuSeconds() - cpu };
}

export const valueOf = (index: number): number => 1 + (index % VALUES);
