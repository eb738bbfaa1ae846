import type { ContractsWorld } from './api.js';
import {
  type BenchCustomer,
  createContractCustomer,
  createPlainCustomer,
  createPriced,
  createUnpriced,
  type Priced,
} from './catalogue.js';
import { BATCH, Owed, sendUses, valueOf } from './load.js';

const CUSTOMERS = 20;
const ROUNDS = 4;

export interface EventCost {
  /** Of the engine's process. */
  readonly cpuMicros: number;
  /** By the clock, with everything else that has to be done. */
  readonly micros: number;
}

/** Cost of an event with one and with three dimensions and the same number of combinations. */
export interface DimensionCosts {
  readonly eventsEach: number;
  readonly one: EventCost;
  readonly three: EventCost;
}

interface Side {
  readonly priced: Priced;
  readonly customers: readonly BenchCustomer[];
  cpuSeconds: number;
  seconds: number;
}

const THREE = { region: 5, tier: 5, model: 4 };

/**
 * What the same events cost where no metric counts and no contract watches them. To be measured before the account has
 * either.
 */
export async function measurePlain(world: ContractsWorld): Promise<EventCost> {
  const priced = await createUnpriced(world, 'plain', THREE);
  const customers: BenchCustomer[] = [];
  for (let index = 0; index < CUSTOMERS; index += 1) customers.push(await createPlainCustomer(world));
  const plain = { priced, customers, cpuSeconds: 0, seconds: 0 };
  for (let round = 0; round <= ROUNDS; round += 1) await sendRound(world, plain, round);
  return costOf(world, plain);
}

/** The two take turns, so that what else the machine does costs both the same. */
export async function measureDimensions(world: ContractsWorld): Promise<DimensionCosts> {
  const one = await side(world, 'flat', { region: 100 });
  const three = await side(world, 'cubic', THREE);
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const next of round % 2 === 0 ? [one, three] : [three, one]) await sendRound(world, next, round);
  }
  return { eventsEach: eventsOf(world) * ROUNDS, one: costOf(world, one), three: costOf(world, three) };
}

/** The first round makes the series, and does not count. */
async function sendRound(world: ContractsWorld, to: Side, round: number): Promise<void> {
  const { priced, customers } = to;
  const spent = await sendUses(
    world,
    priced,
    eventsOf(world),
    (index) => ({
      customer: customers[index % CUSTOMERS] as BenchCustomer,
      combination: Math.floor(index / CUSTOMERS) % priced.combinations.length,
      value: valueOf(index),
    }),
    new Owed(),
  );
  if (round === 0) return;
  to.cpuSeconds += spent.cpuSeconds;
  to.seconds += spent.seconds;
}

function eventsOf(world: ContractsWorld): number {
  return Math.max(BATCH * 2, Math.floor(world.events / 20));
}

function costOf(world: ContractsWorld, { cpuSeconds, seconds }: Side): EventCost {
  const events = eventsOf(world) * ROUNDS;
  return { cpuMicros: (cpuSeconds * 1e6) / events, micros: (seconds * 1e6) / events };
}

async function side(world: ContractsWorld, name: string, sizes: Record<string, number>): Promise<Side> {
  const priced = await createPriced(world, name, sizes);
  const customers: BenchCustomer[] = [];
  for (let index = 0; index < CUSTOMERS; index += 1) {
    customers.push(await createContractCustomer(world, priced.cardId));
  }
  return { priced, customers, cpuSeconds: 0, seconds: 0 };
}
