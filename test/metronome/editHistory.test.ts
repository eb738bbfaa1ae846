import type Metronome from '@metronome/sdk';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestEngine } from '../support/engine.js';
import { rateCard, segment, startWorld, storageContract } from './world.js';

let engine: TestEngine;
let metronome: Metronome;
let fixed: string;

const START = '2024-10-01T00:00:00Z';
const END = '2025-10-01T00:00:00Z';
const NOW = '2024-10-15T00:00:00Z';
const DOLLARS = '2714e483-4ff1-48e4-9e25-ac732e8f24f2';

beforeAll(async () => {
  ({ engine, fixed } = await startWorld());
  ({ metronome } = engine);
});
afterAll(() => engine.stop());

type Edit = Metronome.V2.ContractGetEditHistoryResponse.Data;

it('an edit and the history name everything by the id that the client has for it', async () => {
  const seats = (await metronome.v1.contracts.products.create({ name: 'Seats', type: 'SUBSCRIPTION' })).data
    .id;
  const card = await rateCard(metronome, [
    {
      product_id: seats,
      rate_type: 'SUBSCRIPTION',
      billing_frequency: 'MONTHLY',
      price: 1000,
      quantity: 1,
      is_prorated: false,
    },
  ]);
  const recurring = {
    product_id: fixed,
    priority: 1,
    access_amount: { credit_type_id: DOLLARS, unit_price: 100, quantity: 1 },
    commit_duration: { value: 1 },
    starting_at: START,
  };
  const balance = { product_id: fixed, access_schedule: segment(100, START, END) };
  const { id: customer_id, contractId: contract_id } = await storageContract(engine, 100, {
    rate_card_id: card,
    commits: [{ type: 'PREPAID', ...balance }],
    credits: [balance],
    recurring_commits: [recurring],
    recurring_credits: [recurring],
    subscriptions: [
      {
        subscription_rate: { billing_frequency: 'MONTHLY', product_id: seats },
        collection_schedule: 'ARREARS',
        starting_at: START,
        initial_quantity: 1,
        proration: { invoice_behavior: 'BILL_ON_NEXT_COLLECTION_DATE', is_prorated: false },
      },
    ],
    scheduled_charges: [
      { product_id: fixed, schedule: { schedule_items: [{ amount: 5, timestamp: '2025-01-01T00:00:00Z' }] } },
    ],
  });
  const { data } = await metronome.v2.contracts.retrieve({ customer_id, contract_id });
  const id = (list: readonly { id?: string }[] | undefined) => list?.[0]?.id ?? 'missing';
  // The grants of the recurring ones stand among commits and credits.
  const commit = id(data.commits.filter((one) => one.recurring_commit_id === undefined));
  const credit = id(data.credits?.filter((one) => one.recurring_credit_id === undefined));
  const item = { timestamp: '2025-02-01T00:00:00Z', unit_price: 2.5, quantity: 2 };
  const added = { amount: 7, starting_at: START, ending_before: END };
  const answer = await metronome.v2.contracts.edit({
    customer_id,
    contract_id,
    uniqueness_key: `once-${contract_id}`,
    update_commits: [
      {
        commit_id: commit,
        name: 'Commit',
        access_schedule: { add_schedule_items: [added] },
        invoice_schedule: { add_schedule_items: [item] },
      },
    ],
    update_credits: [{ credit_id: credit, priority: 3 }],
    update_recurring_commits: [
      { recurring_commit_id: id(data.recurring_commits), access_amount: { quantity: 2 }, ending_before: END },
    ],
    update_recurring_credits: [
      { recurring_credit_id: id(data.recurring_credits), access_amount: { unit_price: 0.5 } },
    ],
    update_scheduled_charges: [
      { scheduled_charge_id: id(data.scheduled_charges), invoice_schedule: { add_schedule_items: [item] } },
    ],
    update_subscriptions: [
      {
        subscription_id: id(data.subscriptions),
        quantity_updates: [{ starting_at: NOW, quantity_delta: 2 }],
      },
    ],
    add_overrides: [{ product_id: seats, type: 'MULTIPLIER', multiplier: 0.5, starting_at: NOW }],
    update_contract_name: 'Renamed',
    update_contract_end_date: END,
  });
  const expected: Partial<Edit> = {
    timestamp: NOW,
    update_commits: [
      {
        id: commit,
        name: 'Commit',
        access_schedule: { add_schedule_items: [added] },
        invoice_schedule: { add_schedule_items: [item] },
      },
    ],
    update_credits: [{ id: credit, priority: 3 }],
    update_recurring_commits: [
      { id: id(data.recurring_commits), access_amount: { quantity: 2 }, ending_before: END },
    ],
    update_recurring_credits: [{ id: id(data.recurring_credits), access_amount: { unit_price: 0.5 } }],
    update_scheduled_charges: [
      { id: id(data.scheduled_charges), invoice_schedule: { add_schedule_items: [item] } },
    ],
    update_subscriptions: [
      { id: id(data.subscriptions), quantity_updates: [{ starting_at: NOW, quantity_delta: 2 }] },
    ],
    update_contract_name: 'Renamed',
    update_contract_end_date: END,
  };
  const { add_overrides: overrides, id: editId, ...words } = answer.data.edit ?? {};
  expect(words).toEqual(expected);
  expect(editId).toBe(answer.data.id);
  expect(overrides).toMatchObject([{ created_at: NOW, starting_at: NOW, multiplier: 0.5 }]);
  const history = await metronome.v2.contracts.getEditHistory({ customer_id, contract_id });
  expect(history.data).toEqual([{ ...answer.data.edit, uniqueness_key: `once-${contract_id}` }]);
});
