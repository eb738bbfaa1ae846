import { startTestEngine, type TestEngine } from '../support/engine.js';
import {
  contractAt,
  fixedProduct,
  rateCard,
  send,
  type SoldMetric,
  sumProduct,
  unlimitedClocks,
} from './world.js';

export const USD = '2714e483-4ff1-48e4-9e25-ac732e8f24f2';
export const START = '2025-01-01T00:00:00Z';
export const iso = (day: string) => `${day}T00:00:00Z`;

/** Calls at a dollar each, by user, and seats at $31 a month. */
export interface SeatCatalogue {
  engine: TestEngine;
  fixed: string;
  sold: SoldMetric;
  seatProduct: string;
  card: string;
}

/** An engine with the catalogue. */
export async function seatCatalogue(): Promise<SeatCatalogue> {
  const engine = await startTestEngine();
  await unlimitedClocks(engine);
  const { metronome } = engine;
  const fixed = await fixedProduct(metronome, 'Credit');
  const sold = await sumProduct(metronome, 'Calls', { presentation: ['user_id'] });
  const seat = await metronome.v1.contracts.products.create({ name: 'Seat', type: 'SUBSCRIPTION' });
  const card = await rateCard(metronome, [
    { product_id: sold.productId, rate_type: 'FLAT', price: 100 },
    { product_id: seat.data.id, rate_type: 'FLAT', price: 3100, billing_frequency: 'MONTHLY' },
  ]);
  return { engine, fixed, sold, seatProduct: seat.data.id, card };
}

interface Terms {
  ids: string[];
  unassigned?: number;
  individual?: { prorated: boolean };
  more?: object;
}

/** A contract from 2025 on whose seats cost $31 a month and may have $10 of credit each. */
export async function seated(
  { engine, fixed, sold, seatProduct, card }: SeatCatalogue,
  { ids, unassigned = 0, individual, more = {} }: Terms,
) {
  const customer = await contractAt(engine, START, {
    starting_at: START,
    rate_card_id: card,
    subscriptions: [
      {
        temporary_id: 'seats',
        subscription_rate: { product_id: seatProduct, billing_frequency: 'MONTHLY' },
        collection_schedule: 'ADVANCE',
        proration: { is_prorated: true, invoice_behavior: 'BILL_IMMEDIATELY' },
        quantity_management_mode: 'SEAT_BASED',
        seat_config: {
          seat_group_key: 'user_id',
          initial_seat_ids: ids,
          initial_unassigned_seats: unassigned,
        },
      },
    ],
    ...(individual === undefined
      ? {}
      : {
          recurring_credits: [
            {
              product_id: fixed,
              name: 'Own credit',
              priority: 1,
              access_amount: { unit_price: 1000, credit_type_id: USD },
              commit_duration: { value: 1, unit: 'PERIODS' as const },
              recurrence_frequency: 'MONTHLY' as const,
              starting_at: START,
              subscription_config: {
                subscription_id: 'seats',
                allocation: 'INDIVIDUAL' as const,
                apply_seat_increase_config: { is_prorated: individual.prorated },
              },
            },
          ],
        }),
    ...more,
  });
  const params = { customer_id: customer.id, contract_id: customer.contractId };
  const { data } = await engine.metronome.v2.contracts.retrieve(params);
  const subscriptionId = data.subscriptions?.[0]?.id ?? '';
  return {
    ...customer,
    engine,
    params,
    subscriptionId,
    edit: (seat_updates: object) =>
      engine.metronome.v2.contracts.edit({
        ...params,
        update_subscriptions: [{ subscription_id: subscriptionId, seat_updates }],
      }),
    use: (uses: [at: string, user: string, amount: string][]) =>
      send(
        engine,
        customer.id,
        sold.eventType,
        uses.map(([at, user_id, amount]) => ({ at, properties: { user_id, amount } })),
      ),
  };
}

export type Seated = Awaited<ReturnType<typeof seated>>;

export async function quantities({ engine, params }: Seated): Promise<[string, number][]> {
  const { data } = await engine.metronome.v2.contracts.retrieve(params);
  return (data.subscriptions?.[0]?.quantity_schedule ?? []).map((one) => [
    one.starting_at.slice(5, 10),
    one.quantity,
  ]);
}

/** Balance and what was granted, by seat. */
export async function seatBalances({ engine, params }: Seated, more: object = {}) {
  const { data } = await engine.metronome.v1.contracts.listSeatBalances({ ...params, ...more });
  return data.map(({ seat_id, balances }) => [
    seat_id,
    ...balances.map(({ balance, starting_balance }) => `${balance} of ${starting_balance}`),
  ]);
}

export async function credits({ engine, id }: Seated) {
  const { data } = await engine.metronome.v1.contracts.listBalances({
    customer_id: id,
    include_contract_balances: true,
    include_balance: true,
    include_ledgers: true,
  });
  return data;
}

export const entries = (ledger: readonly { type: string; amount: number }[] | undefined) =>
  (ledger ?? []).map(({ type, amount }) => `${type.replace('CREDIT_', '')} ${amount}`);

export async function finalTotals({ engine, id }: Seated, type: 'USAGE' | 'SCHEDULED'): Promise<number[]> {
  const { data } = await engine.metronome.v1.customers.invoices.list({
    customer_id: id,
    status: 'FINALIZED',
  });
  return data.filter((one) => one.type === type).map(({ total }) => total);
}
