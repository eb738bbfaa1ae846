import { call, type ContractsWorld } from './api.js';
import { type BenchCustomer, createContractCustomer, createPriced } from './catalogue.js';
import { Owed, sendUses, valueOf } from './load.js';

const SPREAD_CUSTOMERS = 100;
const NARROW_LINES = 100;
/** One event in so many is the wide customer's, but always enough for all its combinations. */
const WIDE_SHARE = 20;
const SIZES = { region: 20, tier: 5, model: 100 };
const NARROW_READS = 200;
const WIDE_READS = 20;

export interface DraftReads {
  readonly lines: number;
  /** Milliseconds, in the order of the reads. */
  readonly millis: readonly number[];
  /** CPU time of the engine's process for one read, which a busy machine does not change. */
  readonly cpuMillis: number;
  /** The draft's total and lines are those of our own sum. */
  readonly right: boolean;
}

export interface DraftResult {
  readonly events: number;
  readonly eventsPerSecond: number;
  readonly narrow: DraftReads;
  readonly wide: DraftReads;
}

/** Drafts on a card of 10,000 combinations: one of up to 100 lines, one of all. */
export async function measureDrafts(world: ContractsWorld): Promise<DraftResult> {
  world.note('a rate card of 10,000 combinations');
  const priced = await createPriced(world, 'tokens', SIZES);
  const combinations = priced.combinations.length;
  const wide = await createContractCustomer(world, priced.cardId);
  const spread: BenchCustomer[] = [];
  for (let index = 0; index < SPREAD_CUSTOMERS; index += 1) {
    spread.push(await createContractCustomer(world, priced.cardId));
  }
  const narrow = spread[0] as BenchCustomer;
  const owed = new Owed();
  const wideEvents = Math.max(combinations, Math.floor(world.events / WIDE_SHARE));
  const events = Math.max(world.events, 2 * wideEvents);
  world.note(`${events} events`);
  const all = await sendUses(
    world,
    priced,
    wideEvents,
    (index) => ({ customer: wide, combination: index % combinations, value: valueOf(index) }),
    owed,
  );
  const rest = await sendUses(
    world,
    priced,
    events - wideEvents,
    (index) => {
      const place = index % SPREAD_CUSTOMERS;
      const line = Math.floor(index / SPREAD_CUSTOMERS) % NARROW_LINES;
      return {
        customer: spread[place] as BenchCustomer,
        combination: (place * NARROW_LINES + line) % combinations,
        value: valueOf(index),
      };
    },
    owed,
  );
  world.note('draft reads');
  return {
    events,
    eventsPerSecond: events / (all.seconds + rest.seconds),
    narrow: await readDrafts(world, narrow, owed, NARROW_READS),
    wide: await readDrafts(world, wide, owed, WIDE_READS),
  };
}

interface Drafts {
  readonly data: readonly { total: number; line_items: readonly { type: string }[] }[];
}

async function readDrafts(
  world: ContractsWorld,
  customer: BenchCustomer,
  owed: Owed,
  reads: number,
): Promise<DraftReads> {
  const path = `/metronome/v1/customers/${customer.id}/invoices?status=DRAFT&type=USAGE`;
  const millis: number[] = [];
  let right = true;
  let lines = 0;
  let cpu = 0;
  for (let read = 0; read <= reads; read += 1) {
    const begun = performance.now();
    const { data } = await call<Drafts>(world, path);
    // The first read loads the card, which happens once in the life of a process.
    if (read > 0) millis.push(performance.now() - begun);
    else cpu = world.cpuSeconds();
    const [draft] = data;
    lines = draft?.line_items.length ?? 0;
    const total = BigInt(Math.round((draft?.total ?? 0) * 100));
    right &&= data.length === 1 && lines === owed.lines(customer) && total === owed.amount(customer);
  }
  return { lines, millis, cpuMillis: ((world.cpuSeconds() - cpu) * 1000) / reads, right };
}
