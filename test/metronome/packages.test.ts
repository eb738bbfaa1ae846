import type Metronome from '@metronome/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { refusal } from './failure.js';
import { fingerprints, quiet } from './fingerprints.js';
import { access, dated, days, months, type PackageWorld, packageWorld } from './packageWorld.js';
import { unique } from './world.js';

let engine: TestEngine;
let metronome: Metronome;
let world: PackageWorld;

beforeAll(async () => {
  engine = await startTestEngine();
  ({ metronome } = engine);
  world = await packageWorld(engine);
});
afterAll(() => engine.stop());

const USD_ID = '2714e483-4ff1-48e4-9e25-ac732e8f24f2';
const newCustomer = async () => (await metronome.v1.customers.create({ name: unique('Buyer') })).data.id;

describe('packages', () => {
  it('are read, listed and archived; contracts go on', async () => {
    const names = [unique('A'), unique('B'), unique('C')];
    const ids: string[] = [];
    for (const name of names) ids.push(await world.make({ name, net_payment_terms_days: 14 }));
    const [first = '', second = '', third = ''] = ids;
    expect(await world.read(first)).toMatchObject({
      id: first,
      name: names[0],
      rate_card_id: world.card,
      net_payment_terms_days: 14,
      usage_statement_schedule: { frequency: 'MONTHLY', day: 'FIRST_OF_MONTH' },
      commits: [],
      overrides: [],
      scheduled_charges: [],
    });
    const customerId = await newCustomer();
    const start = '2026-11-01T00:00:00Z';
    const made = await metronome.v1.contracts.create({
      customer_id: customerId,
      package_id: second,
      starting_at: start,
      uniqueness_key: unique('key'),
    });
    expect((await metronome.v1.packages.archive({ package_id: second })).data.id).toBe(second);
    const listed = async (archive_filter?: 'ARCHIVED' | 'ALL') => {
      const found = [];
      const params = archive_filter === undefined ? {} : { archive_filter };
      for await (const { id } of metronome.v1.packages.list({ limit: 1, ...params })) found.push(id);
      return found.filter((id) => ids.includes(id));
    };
    expect(await listed()).toEqual([third, first]);
    expect(await listed('ARCHIVED')).toEqual([second]);
    expect(await listed('ALL')).toEqual([third, second, first]);
    expect((await world.read(second)).archived_at).toEqual(expect.any(String));
    const again = metronome.v1.contracts.create({
      customer_id: customerId,
      package_id: second,
      starting_at: start,
    });
    expect(await refusal(again)).toContain('404');
    const kept = await metronome.v1.contracts.retrieve({
      customer_id: customerId,
      contract_id: made.data.id,
    });
    expect(kept.data.current).toMatchObject({ package_id: second });
  });

  it('show their terms with ids by which the parts refer to each other', async () => {
    const { calls, fixed, seats } = world;
    const packageId = await world.make({
      subscriptions: [
        {
          subscription_rate: { product_id: seats, billing_frequency: 'MONTHLY' },
          collection_schedule: 'ADVANCE',
          proration: {},
          initial_quantity: 2.5,
          temporary_id: 'team',
        },
      ],
      recurring_credits: [
        {
          product_id: fixed,
          priority: 2,
          access_amount: { unit_price: 50.25, credit_type_id: USD_ID },
          commit_duration: { value: 1 },
          starting_at_offset: days(3),
          subscription_config: {
            subscription_id: 'team',
            apply_seat_increase_config: { is_prorated: true },
          },
        },
      ],
      commits: [
        {
          type: 'PREPAID',
          product_id: fixed,
          temporary_id: 'ramp',
          access_schedule: { schedule_items: [access(1000, 0, 1), access(2000, 1, 1)] },
          invoice_schedule: { schedule_items: [{ date_offset: days(0), unit_price: 1.5, quantity: 2 }] },
        },
      ],
      overrides: [
        {
          type: 'MULTIPLIER',
          multiplier: 0.5,
          starting_at_offset: days(0),
          is_commit_specific: true,
          override_specifiers: [{ product_id: calls.productId, commit_ids: ['ramp'] }],
        },
      ],
    });
    const shown = await world.read(packageId);
    const usd = { id: USD_ID, name: 'USD (cents)' };
    const [commit] = shown.commits;
    expect(commit).toEqual({
      id: expect.any(String) as string,
      type: 'PREPAID',
      product: { id: fixed, name: 'Platform' },
      access_schedule: {
        credit_type: usd,
        schedule_items: [
          { id: expect.any(String) as string, ...access(1000, 0, 1) },
          { id: expect.any(String) as string, ...access(2000, 1, 1) },
        ],
      },
      invoice_schedule: {
        credit_type: usd,
        do_not_invoice: false,
        schedule_items: [
          { id: expect.any(String) as string, date_offset: days(0), unit_price: 1.5, quantity: 2 },
        ],
      },
    });
    expect(shown.overrides[0]?.override_specifiers).toEqual([
      { product_id: calls.productId, commit_template_ids: [commit?.id] },
    ]);
    expect(shown.subscriptions?.[0]).toMatchObject({
      initial_quantity: 2.5,
      proration: { is_prorated: false, invoice_behavior: 'BILL_IMMEDIATELY' },
      subscription_rate: { billing_frequency: 'MONTHLY', product: { id: seats, name: 'Seats' } },
    });
    expect(shown.recurring_credits?.[0]).toMatchObject({
      rate_type: 'LIST_RATE',
      access_amount: { unit_price: 50.25, credit_type_id: USD_ID },
      subscription_config: { subscription_template_id: shown.subscriptions?.[0]?.id },
      starting_at_offset: days(3),
    });
    expect(await world.read(packageId)).toEqual(shown);
  });

  it('know the contracts that were made from them', async () => {
    const packageId = await world.make({ duration: months(1) });
    const made = [];
    for (const starting_at of ['2026-05-01T00:00:00Z', '2026-06-01T00:00:00Z', '2026-07-01T00:00:00Z']) {
      const customer_id = await newCustomer();
      const { data } = await metronome.v1.contracts.create({
        customer_id,
        package_id: packageId,
        starting_at,
      });
      made.push({ customer_id, contract_id: data.id, starting_at });
    }
    const list = async (filter: object = {}) => {
      const found = [];
      const { packages } = metronome.v1;
      const params = { package_id: packageId, limit: 2, ...filter };
      for await (const one of packages.listContractsOnPackage(params)) found.push(one);
      return found.sort((a, b) => a.starting_at.localeCompare(b.starting_at));
    };
    const [may, june, july] = made;
    expect(await list()).toEqual([
      { ...may, ending_before: '2026-06-01T00:00:00Z' },
      { ...june, ending_before: '2026-07-01T00:00:00Z' },
      { ...july, ending_before: '2026-08-01T00:00:00Z' },
    ]);
    const starts = async (filter: object) => (await list(filter)).map((one) => one.starting_at);
    expect(await starts({ covering_date: '2026-06-01T00:00:00Z' })).toEqual([june?.starting_at]);
    expect(await starts({ starting_at: '2026-06-01T00:00:00Z' })).toEqual([
      june?.starting_at,
      july?.starting_at,
    ]);
    await metronome.v1.contracts.archive({
      customer_id: june?.customer_id ?? '',
      contract_id: june?.contract_id ?? '',
      void_invoices: true,
    });
    expect(await starts({ covering_date: '2026-06-15T00:00:00Z' })).toEqual([]);
    const [archived] = await list({ covering_date: '2026-06-15T00:00:00Z', include_archived: true });
    expect(archived?.archived_at).toEqual(expect.any(String));
  });

  it('hand their alias over', async () => {
    const alias = unique('starter');
    const first = await world.make({ aliases: [{ name: alias }], contract_name: 'First' });
    const second = await world.make({
      aliases: [{ name: alias, starting_at: '2026-06-01T00:00:00Z' }],
      contract_name: 'Second',
    });
    expect((await world.read(first)).aliases).toEqual([
      { name: alias, ending_before: '2026-06-01T00:00:00Z' },
    ]);
    const customerId = await newCustomer();
    const nameFrom = async (starting_at: string) => {
      const made = await metronome.v1.contracts.create({
        customer_id: customerId,
        package_alias: alias,
        starting_at,
      });
      return (await world.contract(customerId, made.data.id)).name;
    };
    expect(await nameFrom('2026-05-31T23:00:00Z')).toBe('First');
    expect(await nameFrom('2026-06-01T00:00:00Z')).toBe('Second');
    await world.make({ aliases: [{ name: alias }], contract_name: 'Third' });
    expect((await world.read(second)).aliases).toBeUndefined();
    expect(await nameFrom('2026-06-01T00:00:00Z')).toBe('Third');
  });

  it('ask for one matching billing provider of the customer', async () => {
    const packageId = await world.make({
      billing_provider: 'stripe',
      delivery_method: 'direct_to_billing_provider',
    });
    const customerId = await newCustomer();
    const start = { customer_id: customerId, package_id: packageId, starting_at: '2026-11-01T00:00:00Z' };
    const configure = () =>
      metronome.v1.customers.setBillingConfigurations({
        data: [
          {
            customer_id: customerId,
            billing_provider: 'stripe',
            delivery_method: 'direct_to_billing_provider',
            configuration: { stripe_customer_id: 'cus_1' },
          },
        ],
      });
    expect(await refusal(metronome.v1.contracts.create(start))).toContain('no billing provider');
    await configure();
    const made = await metronome.v1.contracts.create(start);
    const contract = await world.contract(customerId, made.data.id);
    expect(contract.customer_billing_provider_configuration).toMatchObject({ billing_provider: 'stripe' });
    await configure();
    expect(await refusal(metronome.v1.contracts.create(start))).toContain('more than one');
  });
});

it('refuses what no contract could have, and writes nothing', async () => {
  const key = unique('key');
  const packageId = await world.make({ uniqueness_key: key });
  const customerId = await newCustomer();
  const product = { product_id: world.fixed, access_schedule: { schedule_items: [access(1, 0, 1)] } };
  const anyTerms = (terms: object) => metronome.v1.packages.create({ name: 'Bad', ...terms });
  const contract = (more: object) =>
    metronome.v1.contracts.create({
      customer_id: customerId,
      starting_at: '2026-11-01T00:00:00Z',
      package_id: packageId,
      ...more,
    });
  const before = await quiet(engine.db);
  const refused: [() => PromiseLike<unknown>, string][] = [
    [() => anyTerms({ uniqueness_key: key }), '409'],
    [() => anyTerms({ rate_card_id: packageId }), '404'],
    [() => anyTerms({ rate_card_id: world.card, rate_card_alias: 'x' }), 'rate_card_alias'],
    [
      () => anyTerms({ credits: [{ ...product, product_id: world.calls.productId }] }),
      'credits[0].product_id',
    ],
    [() => anyTerms({ duration: { unit: 'HOURS', value: 1 } }), 'duration.unit'],
    [() => anyTerms({ duration: { unit: 'MONTHS', value: 0 } }), 'duration.value'],
    [() => anyTerms({ duration: { unit: 'YEARS', value: 101 } }), "'duration'"],
    [() => anyTerms({ duration: { unit: 'DAYS', value: 1.5 } }), 'duration.value'],
    [() => anyTerms({ starting_at: '2026-01-01T00:00:00Z' }), "Unknown field 'starting_at'"],
    [
      () => anyTerms({ credits: [{ ...product, access_schedule: dated(1, 'x', 'y') }] }),
      'schedule_items[0].starting_at',
    ],
    [
      () => anyTerms({ overrides: [{ starting_at_offset: days(0), override_specifiers: [] }] }),
      'overrides[0]',
    ],
    [
      () =>
        anyTerms({
          overrides: [
            {
              starting_at_offset: days(0),
              type: 'MULTIPLIER',
              multiplier: 1,
              is_commit_specific: true,
              override_specifiers: [{ commit_ids: ['nobody'] }],
            },
          ],
        }),
      'overrides[0].override_specifiers[0].commit_ids',
    ],
    [() => anyTerms({ delivery_method: 'aws_sqs' }), 'delivery_method'],
    [() => contract({ rate_card_id: world.card }), "'rate_card_id'"],
    [() => contract({ commits: [] }), "'commits'"],
    [() => contract({ ending_before: '2027-01-01T00:00:00Z' }), "'ending_before'"],
    [() => contract({ package_alias: 'x' }), "'package_alias'"],
    [() => contract({ package_id: customerId }), '404'],
    [() => contract({ package_id: undefined, package_alias: unique('nobody') }), '404'],
    [() => metronome.v1.packages.retrieve({ package_id: customerId }), '404'],
    [() => metronome.v1.packages.archive({ package_id: customerId }), '404'],
    [() => metronome.v1.packages.listContractsOnPackage({ package_id: customerId }), '404'],
  ];
  for (const [call, words] of refused) expect(await refusal(call())).toContain(words);
  expect(await fingerprints(engine.db)).toEqual(before);
});
