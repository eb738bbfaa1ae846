import type Metronome from '@metronome/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestEngine } from '../support/engine.js';
import {
  advance,
  clockCustomer,
  contractAt,
  rateCard,
  segment,
  send,
  startWorld,
  storageContract,
  sumProduct,
} from './world.js';

let engine: TestEngine;
let metronome: Metronome;
let fixed: string;

beforeAll(async () => {
  ({ engine, fixed } = await startWorld());
  ({ metronome } = engine);
});
afterAll(() => engine.stop());

type Params = { customer_id: string; contract_id: string };
type Contract = Metronome.ContractV2;

async function read(params: Params, more: { as_of_date?: string; include_balance?: boolean } = {}) {
  return (await metronome.v2.contracts.retrieve({ ...params, ...more })).data;
}

const paramsOf = ({ id, contractId }: { id: string; contractId: string }): Params => ({
  customer_id: id,
  contract_id: contractId,
});

/** Amounts and ends of the commits, by name. */
const grants = ({ commits }: Contract): Record<string, unknown> =>
  Object.fromEntries(
    commits.map(({ name, access_schedule: access }): [string, unknown] => [
      name ?? '',
      access?.schedule_items.map(({ amount, ending_before: end }) => [amount, end.slice(0, 10)]),
    ]),
  );

const commit = (name: string, amount: number, product: string) => ({
  type: 'PREPAID' as const,
  name,
  product_id: product,
  access_schedule: segment(amount, '2024-10-01T00:00:00Z', '2025-10-01T00:00:00Z'),
});

describe('a contract as of a date', () => {
  it('is what it was after each of its edits, with its commits, credits, overrides and subscriptions', async () => {
    const customer = await storageContract(engine, 100, {
      commits: [commit('First', 1000, fixed)],
      credits: [
        {
          product_id: fixed,
          name: 'Gift',
          access_schedule: segment(50, '2024-10-01T00:00:00Z', '2025-10-01T00:00:00Z'),
        },
      ],
    });
    const seats = (await metronome.v1.contracts.products.create({ name: 'Seats', type: 'SUBSCRIPTION' })).data
      .id;
    await metronome.v1.contracts.rateCards.rates.add({
      rate_card_id: customer.card,
      product_id: seats,
      rate_type: 'SUBSCRIPTION',
      billing_frequency: 'MONTHLY',
      price: 1000,
      quantity: 1,
      is_prorated: false,
      entitled: true,
      starting_at: '2020-01-01T00:00:00Z',
    });
    const params = paramsOf(customer);
    const made = await read(params);
    const first = made.commits[0];
    const item = first?.access_schedule?.schedule_items[0];

    await advance(engine, customer.clockId, '2024-10-16T00:00:00Z');
    await metronome.v2.contracts.edit({
      ...params,
      add_commits: [commit('Second', 300, fixed)],
      update_commits: [
        {
          commit_id: first?.id ?? '',
          access_schedule: { update_schedule_items: [{ id: item?.id ?? '', amount: 1500 }] },
        },
      ],
      add_overrides: [
        {
          product_id: customer.productId,
          type: 'MULTIPLIER',
          multiplier: 0.5,
          starting_at: '2024-10-16T00:00:00Z',
        },
      ],
      add_subscriptions: [
        {
          name: 'Seats',
          subscription_rate: { billing_frequency: 'MONTHLY', product_id: seats },
          collection_schedule: 'ARREARS',
          starting_at: '2024-10-16T00:00:00Z',
          initial_quantity: 2,
          proration: { invoice_behavior: 'BILL_ON_NEXT_COLLECTION_DATE', is_prorated: false },
        },
      ],
    });
    const edited = await read(params);

    await advance(engine, customer.clockId, '2024-10-17T00:00:00Z');
    const second = edited.commits.find(({ name }) => name === 'Second');
    await metronome.v2.contracts.edit({
      ...params,
      archive_commits: [{ id: second?.id ?? '' }],
      archive_credits: [{ id: edited.credits?.[0]?.id ?? '' }],
      remove_overrides: [{ id: edited.overrides[0]?.id ?? '' }],
      update_subscriptions: [
        {
          subscription_id: edited.subscriptions?.[0]?.id ?? '',
          quantity_updates: [{ starting_at: '2024-10-17T00:00:00Z', quantity: 7 }],
        },
      ],
    });
    await advance(engine, customer.clockId, '2024-10-18T00:00:00Z');
    await metronome.v1.contracts.updateEndDate({ ...params, ending_before: '2025-06-01T00:00:00Z' });
    const ended = await read(params);
    await advance(engine, customer.clockId, '2024-10-19T00:00:00Z');

    expect(await read(params, { as_of_date: '2024-10-15T23:59:59Z' })).toEqual(made);
    expect(grants(made)).toEqual({ First: [[1000, '2025-10-01']] });
    expect(await read(params, { as_of_date: '2024-10-16T00:00:00Z' })).toEqual(edited);
    expect(await read(params, { as_of_date: '2024-10-16T23:00:00Z' })).toEqual(edited);
    expect(grants(edited)).toEqual({ First: [[1500, '2025-10-01']], Second: [[300, '2025-10-01']] });
    expect(edited.overrides).toHaveLength(1);

    const archived = await read(params, { as_of_date: '2024-10-17T12:00:00Z' });
    expect(archived.ending_before).toBeUndefined();
    expect(grants(archived)['First']).toEqual([[1500, '2025-10-01']]);
    expect(archived.commits.map(({ name, archived_at: at }) => [name, at])).toEqual([
      ['First', undefined],
      ['Second', '2024-10-17T00:00:00Z'],
    ]);
    expect(archived.credits?.[0]?.archived_at).toBe('2024-10-17T00:00:00Z');
    expect(archived.overrides).toEqual([]);
    expect(archived.subscriptions?.[0]?.quantity_schedule.map(({ quantity }) => quantity)).toEqual([2, 7]);

    expect(await read(params, { as_of_date: '2024-10-18T00:00:00Z' })).toEqual(ended);
    expect(ended.ending_before).toBe('2025-06-01T00:00:00Z');
    expect(grants(ended)['First']).toEqual([[1500, '2025-06-01']]);
    expect(await read(params, { as_of_date: '2030-01-01T00:00:00Z' })).toEqual(await read(params));
    // Before it was made it is shown as it was made, and so is it in the first version of the API.
    expect(await read(params, { as_of_date: '2020-01-01T00:00:00Z' })).toEqual(made);
    const v1 = await metronome.v1.contracts.retrieve(params);
    expect(v1.data.initial.commits.map(({ name, access_schedule: access }) => [name, access])).toEqual([
      ['First', first?.access_schedule],
    ]);
    expect(v1.data.initial.overrides).toEqual([]);
  });

  it('has the grants of recurring commits that had begun, with the terms of that time', async () => {
    const customer = await contractAt(engine, '2024-10-01T00:00:00Z', {
      starting_at: '2024-10-01T00:00:00Z',
      rate_card_id: await rateCard(metronome, []),
      recurring_commits: [
        {
          product_id: fixed,
          name: 'Monthly',
          priority: 1,
          access_amount: { credit_type_id: DOLLARS, unit_price: 100, quantity: 10 },
          commit_duration: { value: 1 },
          starting_at: '2024-10-01T00:00:00Z',
        },
      ],
    });
    const params = paramsOf(customer);
    await advance(engine, customer.clockId, '2024-11-20T00:00:00Z');
    const recurring = (await read(params)).recurring_commits?.[0]?.id ?? '';
    const november = (await read(params)).commits[1];
    await metronome.v2.contracts.editCommit({
      customer_id: customer.id,
      commit_id: november?.id ?? '',
      description: 'Renamed',
      access_schedule: {
        update_schedule_items: [{ id: november?.access_schedule?.schedule_items[0]?.id ?? '', amount: 1300 }],
      },
    });
    await advance(engine, customer.clockId, '2024-11-21T00:00:00Z');
    await metronome.v2.contracts.edit({
      ...params,
      update_recurring_commits: [{ recurring_commit_id: recurring, access_amount: { quantity: 20 } }],
    });
    await advance(engine, customer.clockId, '2024-12-15T00:00:00Z');

    const amounts = async (at?: string) =>
      (await read(params, at === undefined ? {} : { as_of_date: at })).commits
        .map(({ description, access_schedule: access }) => ({ description, ...access?.schedule_items[0] }))
        .sort((one, other) => (one.starting_at ?? '').localeCompare(other.starting_at ?? ''))
        .map(({ amount, description }) => [amount, description]);
    expect(await amounts('2024-10-20T00:00:00Z')).toEqual([[1000, undefined]]);
    expect(await amounts('2024-11-19T00:00:00Z')).toEqual([
      [1000, undefined],
      [1000, undefined],
    ]);
    expect(await amounts('2024-11-20T00:00:00Z')).toEqual([
      [1000, undefined],
      [1300, 'Renamed'],
    ]);
    expect((await amounts()).map(([amount]) => amount)).toEqual([1000, 1300, 2000]);
    const before = await read(params, { as_of_date: '2024-11-20T12:00:00Z' });
    expect(before.recurring_commits?.[0]?.access_amount.quantity).toBe(10);
    expect((await read(params)).recurring_commits?.[0]?.access_amount.quantity).toBe(20);
  });

  it('has balances by what their ledgers had until then', async () => {
    const customer = await storageContract(engine, 100, { commits: [commit('First', 1000, fixed)] });
    const params = paramsOf(customer);
    await send(engine, customer.id, customer.eventType, [
      { at: '2024-10-10T00:00:00Z', properties: { amount: '3' } },
    ]);
    await advance(engine, customer.clockId, '2024-11-15T00:00:00Z');
    await send(engine, customer.id, customer.eventType, [
      { at: '2024-11-10T00:00:00Z', properties: { amount: '2' } },
    ]);
    const balance = async (at?: string) =>
      (await read(params, { include_balance: true, ...(at === undefined ? {} : { as_of_date: at }) }))
        .commits[0]?.balance;
    expect(await balance()).toBe(1000 - 300 - 200);
    expect(await balance('2024-11-10T00:00:00Z')).toBe(1000 - 300);
    expect(await balance('2024-10-20T00:00:00Z')).toBe(1000);
  });
});

const DOLLARS = '2714e483-4ff1-48e4-9e25-ac732e8f24f2';

describe('contracts of one second', () => {
  it('are listed in the order in which they were made', async () => {
    const customer = await clockCustomer(engine, '2024-10-01T00:00:00Z');
    const { productId } = await sumProduct(metronome, 'Calls');
    const card = await rateCard(metronome, [{ product_id: productId, rate_type: 'FLAT', price: 1 }]);
    const ids: string[] = [];
    for (const day of ['03', '01', '01', '02', '01', '01', '01', '03']) {
      const made = await metronome.v1.contracts.create({
        customer_id: customer.id,
        starting_at: `2024-10-${day}T00:00:00Z`,
        rate_card_id: card,
      });
      ids.push(made.data.id);
    }
    const v2 = await metronome.v2.contracts.list({ customer_id: customer.id });
    expect(v2.data.map(({ id }) => id)).toEqual(ids);
    const v1 = await metronome.v1.contracts.list({ customer_id: customer.id });
    expect(v1.data.map(({ id }) => id)).toEqual(ids);
  });
});
