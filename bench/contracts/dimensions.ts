import type { ContractsWorld } from './api.js';
import { type BenchCustomer, createContractCustomer, createPriced, type Priced } from './catalogue.js';
import { BATCH, Owed, sendUses, valueOf } from './load.js';

const CUSTOMERS = 20;
const ROUNDS = 4;

/** Cost of an event with one and with three dimensions and the same number of combinations. */
export interface DimensionCosts {
  readonly eventsEach: number;
  readonly one: { readonly cpuMicros: number; readonly micros: number };
  readonly three: { readonly cpuMicros: number; readonly micros: number };
}

interface Side {
  readonly priced: Priced;
  readonly customers: readonly BenchCustomer[];
  cpuSeconds: number;
  seconds: number;
}

/** The two take turns, so that what else the machine does costs both the same. */
export async function measureDimensions(world: ContractsWorld): Promise<DimensionCosts> {
  const eventsEach = Math.max(BATCH * 2, Math.floor(world.events / 20));
  const sides = [
    await side(world, 'flat', { region: 100 }),
    await side(world, 'cubic', { region: 5, tier: 5, model: 4 }),
  ];
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const one of round % 2 === 0 ? sides : sides.toReversed()) {
      const { priced, customers } = one;
      const spent = await sendUses(
        world,
        priced,
        eventsEach,
        (index) => ({
          customer: customers[index % CUSTOMERS] as BenchCustomer,
          combination: Math.floor(index / CUSTOMERS) % priced.combinations.length,
          value: valueOf(index),
        }),
        new Owed(),
      );
      // The first round makes the series.
      if (round === 0) continue;
      one.cpuSeconds += spent.cpuSeconds;
      one.seconds += spent.seconds;
    }
  }
  const [one, three] = sides.map(({ cpuSeconds, seconds }) => ({
    cpuMicros: (cpuSeconds * 1e6) / (eventsEach * ROUNDS),
    micros: (seconds * 1e6) / (eventsEach * ROUNDS),
  })) as [DimensionCosts['one'], DimensionCosts['three']];
  return { eventsEach: eventsEach * ROUNDS, one, three };
}

async function side(world: ContractsWorld, name: string, sizes: Record<string, number>): Promise<Side> {
  const priced = await createPriced(world, name, sizes);
  const customers: BenchCustomer[] = [];
  for (let index = 0; index < CUSTOMERS; index += 1) {
    customers.push(await createContractCustomer(world, priced.cardId));
  }
  return { priced, customers, cpuSeconds: 0, seconds: 0 };
}
