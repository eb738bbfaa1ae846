import type Metronome from '@metronome/sdk';
import type { TestEngine } from '../support/engine.js';
import { fixedProduct, rateCard, type SoldMetric, sumProduct, unique, unlimitedClocks } from './world.js';

type Terms = Metronome.V1.PackageCreateParams;

/** A rate card to make packages on: calls at a dollar, seats at ten dollars a month, and a fixed product. */
export interface PackageWorld {
  calls: SoldMetric;
  fixed: string;
  seats: string;
  card: string;
  /** A package with the card and these terms. */
  make(terms?: Partial<Terms>): Promise<string>;
  read(packageId: string): Promise<Metronome.V1.PackageRetrieveResponse.Data>;
  contract(customerId: string, contractId: string): Promise<Metronome.ContractV2>;
}

export async function packageWorld(engine: TestEngine): Promise<PackageWorld> {
  const { metronome } = engine;
  await unlimitedClocks(engine);
  const calls = await sumProduct(metronome, 'Calls');
  const fixed = await fixedProduct(metronome, 'Platform');
  const seats = (await metronome.v1.contracts.products.create({ name: 'Seats', type: 'SUBSCRIPTION' })).data
    .id;
  const monthly = { rate_type: 'SUBSCRIPTION', billing_frequency: 'MONTHLY' } as const;
  const card = await rateCard(metronome, [
    { product_id: calls.productId, rate_type: 'FLAT', price: 100 },
    { product_id: seats, ...monthly, price: 1000, quantity: 1, is_prorated: true },
  ]);
  return {
    calls,
    fixed,
    seats,
    card,
    make: async (terms = {}) =>
      (await metronome.v1.packages.create({ name: unique('Starter'), rate_card_id: card, ...terms })).data.id,
    read: async (packageId) => (await metronome.v1.packages.retrieve({ package_id: packageId })).data,
    contract: async (customerId, contractId) =>
      (await metronome.v2.contracts.retrieve({ customer_id: customerId, contract_id: contractId })).data,
  };
}

export const months = (value: number) => ({ unit: 'MONTHS' as const, value });
export const days = (value: number) => ({ unit: 'DAYS' as const, value });

/** An item of an access schedule, in months. */
export const access = (amount: number, from: number, lasting: number) => ({
  amount,
  starting_at_offset: months(from),
  duration: months(lasting),
});

export function dated(amount: number, from: string, to: string) {
  return { schedule_items: [{ amount, starting_at: from, ending_before: to }] };
}
