import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { call, type ContractsWorld } from './api.js';
import {
  type BenchCustomer,
  createContractCustomer,
  createFixedProduct,
  createPriced,
  monthStart,
  type Priced,
} from './catalogue.js';
import { BATCH, Owed, sendUses, valueOf } from './load.js';

const WATCHED = 30;
const LOADED_CUSTOMERS = 20;
const POLL_MS = 20;
const PATIENCE_MS = 30_000;
/** Cents: what is prepaid, where the alarm goes off, where the recharge begins, up to where it goes. */
const PREPAID = 10_000;
const ALARM = 2000;
const THRESHOLD = 1000;
const RECHARGE_TO = 50_000;
/** Units of one cent that leave 500. */
const USED = 9500;

export interface RechargeResult {
  readonly eventsPerSecond: number;
  readonly crossed: number;
  /** Milliseconds from the acknowledgement of the event. */
  readonly alarmMillis: readonly number[];
  readonly commitMillis: readonly number[];
}

/** Balances that fall below alert and recharge threshold one after the other, while others' events pour in. */
export async function measureRecharge(world: ContractsWorld): Promise<RechargeResult> {
  const priced = await createPriced(world, 'burn', { region: 100 });
  const fixed = await createFixedProduct(world);
  const watched: { customer: BenchCustomer; alertId: string }[] = [];
  for (let index = 0; index < WATCHED; index += 1) watched.push(await prepaid(world, priced, fixed));
  const customers: BenchCustomer[] = [];
  for (let index = 0; index < LOADED_CUSTOMERS; index += 1) {
    customers.push(await createContractCustomer(world, priced.cardId));
  }
  world.note('recharges under load');
  const enough = new AbortController();
  let events = 0;
  const begun = performance.now();
  const load = (async () => {
    while (!enough.signal.aborted) {
      const started = performance.now();
      await sendUses(
        world,
        priced,
        2 * BATCH,
        (index) => ({
          customer: customers[index % LOADED_CUSTOMERS] as BenchCustomer,
          combination: Math.floor(index / LOADED_CUSTOMERS) % priced.combinations.length,
          value: valueOf(index),
        }),
        new Owed(),
      );
      events += 2 * BATCH;
      // As long a rest as the work took: half of the top speed.
      await sleep(performance.now() - started);
    }
  })();
  const crossings = [];
  for (const one of watched) {
    const acknowledged = await burn(world, priced, one.customer);
    crossings.push(watch(world, one, acknowledged));
    await sleep(300);
  }
  const found = await Promise.all(crossings);
  enough.abort();
  await load;
  return {
    eventsPerSecond: (events * 1000) / (performance.now() - begun),
    crossed: watched.length,
    alarmMillis: found.flatMap(({ alarm }) => (alarm === null ? [] : [alarm])),
    commitMillis: found.flatMap(({ commit }) => (commit === null ? [] : [commit])),
  };
}

async function prepaid(world: ContractsWorld, priced: Priced, fixed: string) {
  const starting_at = monthStart();
  const item = { amount: PREPAID, starting_at, ending_before: '2100-01-01T00:00:00Z' };
  const customer = await createContractCustomer(world, priced.cardId, {
    commits: [
      { type: 'PREPAID', product_id: fixed, priority: 1, access_schedule: { schedule_items: [item] } },
    ],
    // The price of the first combination is a hundredth of a cent; theirs is a whole one.
    overrides: [
      {
        starting_at,
        product_id: priced.productId,
        type: 'MULTIPLIER',
        multiplier: 100,
      },
    ],
    prepaid_balance_threshold_configuration: {
      is_enabled: true,
      threshold_amount: THRESHOLD,
      recharge_to_amount: RECHARGE_TO,
      commit: { product_id: fixed, name: 'Recharge' },
      payment_gate_config: { payment_gate_type: 'NONE' },
    },
  });
  const { data } = await call<{ data: { id: string } }>(world, '/metronome/v1/alerts/create', {
    alert_type: 'low_remaining_commit_balance_reached',
    name: 'Low',
    threshold: ALARM,
    customer_id: customer.id,
  });
  return { customer, alertId: data.id };
}

/** Sends the event that crosses both; answers when it was acknowledged. */
async function burn(world: ContractsWorld, priced: Priced, { id }: BenchCustomer): Promise<number> {
  await call(world, '/metronome/v1/ingest', [
    {
      transaction_id: randomUUID(),
      customer_id: id,
      event_type: priced.eventName,
      timestamp: new Date().toISOString(),
      properties: { value: String(USED), ...priced.combinations[0]?.values },
    },
  ]);
  return performance.now();
}

async function watch(
  world: ContractsWorld,
  { customer, alertId }: { customer: BenchCustomer; alertId: string },
  acknowledged: number,
): Promise<{ alarm: number | null; commit: number | null }> {
  let alarm: number | null = null;
  let commit: number | null = null;
  const deadline = acknowledged + PATIENCE_MS;
  while ((alarm === null || commit === null) && performance.now() < deadline) {
    if (alarm === null && (await wasTold(world, alertId))) alarm = performance.now() - acknowledged;
    if (commit === null && (await balanceOf(world, customer)) > PREPAID) {
      commit = performance.now() - acknowledged;
    }
    await sleep(POLL_MS);
  }
  return { alarm, commit };
}

/** Whether the alarm is recorded: the recharge may end it at once, so its state would not show. */
async function wasTold(world: ContractsWorld, alertId: string): Promise<boolean> {
  const type = 'alerts.low_remaining_commit_balance_reached';
  const { data } = await call<{ data: { data: { object: { alert_id: string } } }[] }>(
    world,
    `/v1/events?limit=100&type=${type}`,
  );
  return data.some((event) => event.data.object.alert_id === alertId);
}

async function balanceOf(world: ContractsWorld, { id }: BenchCustomer): Promise<number> {
  const path = '/metronome/v1/contracts/customerBalances/getNetBalance';
  return (await call<{ data: { balance: number } }>(world, path, { customer_id: id })).data.balance;
}
