import type Metronome from '@metronome/sdk';
import { afterAll, beforeAll, it } from 'vitest';
import type { TestEngine } from '../support/engine.js';
import { refusedUnwritten } from './fingerprints.js';
import { access, months, type PackageWorld, packageWorld } from './packageWorld.js';
import { clockCustomer, segment, startWorld, unique } from './world.js';

let engine: TestEngine;
let metronome: Metronome;
let world: PackageWorld;
let fixed: string;
let customerId: string;

const START = '2024-10-01T00:00:00Z';
const END = '2025-10-01T00:00:00Z';

beforeAll(async () => {
  ({ engine, fixed } = await startWorld());
  ({ metronome } = engine);
  world = await packageWorld(engine);
  customerId = (await clockCustomer(engine, START)).id;
  for (const entity of [
    'contract',
    'commit',
    'contract_credit',
    'subscription',
    'scheduled_charge',
    'package_commit',
    'package_credit',
    'package_subscription',
    'package_scheduled_charge',
  ] as const) {
    await metronome.v1.customFields.addKey({ entity, key: 'crm', enforce_uniqueness: true });
  }
});
afterAll(() => engine.stop());

type Fields = Record<string, string>;
type ContractParams = Metronome.V1.ContractCreateParams;

const contract = (terms: Partial<ContractParams>) =>
  metronome.v1.contracts.create({
    customer_id: customerId,
    starting_at: START,
    rate_card_id: world.card,
    ...terms,
  });
const refused = (call: () => PromiseLike<unknown>, entity: string) =>
  refusedUnwritten(engine.db, call, 409, new RegExp(`Another ${entity} has the value`));

const balance = (custom_fields: Fields) => ({
  product_id: fixed,
  access_schedule: segment(100, START, END),
  custom_fields,
});
const commit = (fields: Fields) => ({ type: 'PREPAID' as const, ...balance(fields) });
const seats = (custom_fields: Fields) => ({
  subscription_rate: { billing_frequency: 'MONTHLY' as const, product_id: world.seats },
  collection_schedule: 'ARREARS' as const,
  starting_at: START,
  initial_quantity: 1,
  proration: { invoice_behavior: 'BILL_ON_NEXT_COLLECTION_DATE' as const, is_prorated: false },
  custom_fields,
});
const charge = (custom_fields: Fields) => ({
  product_id: fixed,
  schedule: { schedule_items: [{ amount: 1, timestamp: '2025-01-01T00:00:00Z' }] },
  custom_fields,
});

it('a unique custom field of a contract and of its parts is taken once, however it is made', async () => {
  const made = await contract({
    custom_fields: { crm: '1', note: 'x' },
    commits: [commit({ crm: '1' })],
    credits: [balance({ crm: '1' })],
    subscriptions: [seats({ crm: '1' })],
    scheduled_charges: [charge({ crm: '1' })],
  });
  // Keys that aren't unique, and other values, are free.
  await contract({ custom_fields: { crm: '2', note: 'x' }, commits: [commit({ crm: '2' })] });
  await refused(() => contract({ custom_fields: { crm: '1' } }), 'contract');
  await refused(() => contract({ commits: [commit({ crm: '3' }), commit({ crm: '3' })] }), 'commit');
  const parts = [
    ['commit', { commits: [commit({ crm: '1' })] }, { add_commits: [commit({ crm: '2' })] }],
    ['contract_credit', { credits: [balance({ crm: '1' })] }, { add_credits: [balance({ crm: '1' })] }],
    ['subscription', { subscriptions: [seats({ crm: '1' })] }, { add_subscriptions: [seats({ crm: '1' })] }],
    [
      'scheduled_charge',
      { scheduled_charges: [charge({ crm: '1' })] },
      { add_scheduled_charges: [charge({ crm: '1' })] },
    ],
  ] as const;
  const params = { customer_id: customerId, contract_id: made.data.id };
  for (const [entity, terms, edit] of parts) {
    await refused(() => contract(terms as unknown as Partial<ContractParams>), entity);
    await refused(
      () => metronome.v2.contracts.edit({ ...params, ...structuredClone(edit) } as never),
      entity,
    );
  }
  const more = { customer_id: customerId, priority: 1 };
  const { commits, credits } = metronome.v1.customers;
  await refused(() => commits.create({ ...more, ...commit({ crm: '1' }) }), 'commit');
  await refused(() => credits.create({ ...more, ...balance({ crm: '1' }) }), 'contract_credit');
  await commits.create({ ...more, ...commit({ crm: '4' }) });
  await metronome.v2.contracts.edit({ ...params, add_commits: [commit({ crm: '5' })] });
});

it('a unique custom field of a part of a package is taken once', async () => {
  const parts = (crm: string) => {
    const custom_fields = { crm };
    const { access_schedule: _own, type, ...rest } = commit(custom_fields);
    const granted = { ...rest, access_schedule: { schedule_items: [access(100, 0, 12)] } };
    const { starting_at: _start, ...subscription } = seats(custom_fields);
    const schedule_items = [{ date_offset: months(1), unit_price: 1, quantity: 1 }];
    return {
      package_commit: { commits: [{ type, ...granted }] },
      package_credit: { credits: [granted] },
      package_subscription: { subscriptions: [subscription] },
      package_scheduled_charge: {
        scheduled_charges: [
          { product_id: fixed, name: unique('Charge'), custom_fields, schedule: { schedule_items } },
        ],
      },
    };
  };
  for (const [entity, terms] of Object.entries(parts('1'))) {
    await world.make(terms);
    await refused(() => world.make(terms), entity);
  }
  for (const terms of Object.values(parts('2'))) await world.make(terms);
});
