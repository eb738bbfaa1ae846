import type Metronome from '@metronome/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { access, dated, days, months, type PackageWorld, packageWorld } from './packageWorld.js';
import { advance, clockCustomer, netBalance, send } from './world.js';

let engine: TestEngine;
let metronome: Metronome;
let world: PackageWorld;

beforeAll(async () => {
  engine = await startTestEngine();
  ({ metronome } = engine);
  world = await packageWorld(engine);
});
afterAll(() => engine.stop());

const finalized = async (customerId: string) => {
  const all = [];
  const params = { customer_id: customerId, status: 'FINALIZED' };
  for await (const one of metronome.v1.customers.invoices.list(params)) all.push(one);
  return all;
};

const USD = '2714e483-4ff1-48e4-9e25-ac732e8f24f2';

/** Ids are made for each contract; what refers to one by id is told by the order in which ids are met. */
function withoutIds(value: unknown): unknown {
  const { calls, card, fixed, seats } = world;
  const known = new Map<string, string>();
  const text = JSON.stringify(value).replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, (id) => {
    if ([USD, card, calls.productId, fixed, seats].includes(id)) return id;
    if (!known.has(id)) known.set(id, `id ${known.size}`);
    return known.get(id) ?? id;
  });
  return JSON.parse(text);
}

describe('a contract that is made from a package', () => {
  it('has a subscription for a year and a credit for its first three months (example 6.50)', async () => {
    const packageId = await world.make({
      contract_name: 'Starter',
      duration: { unit: 'YEARS', value: 1 },
      subscriptions: [
        {
          subscription_rate: { product_id: world.seats, billing_frequency: 'MONTHLY' },
          collection_schedule: 'ADVANCE',
          proration: { is_prorated: false },
          initial_quantity: 1,
          duration: months(12),
        },
      ],
      recurring_credits: [
        {
          product_id: world.fixed,
          name: 'Welcome',
          priority: 1,
          access_amount: { unit_price: 1000, quantity: 1, credit_type_id: USD },
          commit_duration: { value: 1 },
          recurrence_frequency: 'MONTHLY',
          starting_at_offset: months(0),
          duration: months(3),
          applicable_product_ids: [world.calls.productId],
        },
      ],
    });
    const customer = await clockCustomer(engine, '2025-10-01T00:00:00Z');
    const { data: made } = await metronome.v1.contracts.create({
      customer_id: customer.id,
      package_id: packageId,
      starting_at: '2025-10-01T00:00:00Z',
    });
    expect(await world.contract(customer.id, made.id)).toMatchObject({
      name: 'Starter',
      package_id: packageId,
      rate_card_id: world.card,
      ending_before: '2026-10-01T00:00:00Z',
      subscriptions: [{ starting_at: '2025-10-01T00:00:00Z', ending_before: '2026-10-01T00:00:00Z' }],
      recurring_credits: [{ starting_at: '2025-10-01T00:00:00Z', ending_before: '2026-01-01T00:00:00Z' }],
    });
    await advance(engine, customer.clockId, '2025-12-20T00:00:00Z');
    await send(engine, customer.id, world.calls.eventType, [
      { at: '2025-12-05T00:00:00Z', properties: { amount: '4' } },
    ]);
    expect(await netBalance(engine, customer.id)).toBe(600);
    await advance(engine, customer.clockId, '2026-11-03T00:00:00Z');
    const credits = await metronome.v1.contracts.listBalances({
      customer_id: customer.id,
      include_contract_balances: true,
    });
    const spans = credits.data.flatMap(({ access_schedule: schedule }) =>
      (schedule?.schedule_items ?? []).map(({ starting_at: from, ending_before: to }) => [from, to]),
    );
    expect(spans.sort()).toEqual([
      ['2025-10-01T00:00:00Z', '2025-11-01T00:00:00Z'],
      ['2025-11-01T00:00:00Z', '2025-12-01T00:00:00Z'],
      ['2025-12-01T00:00:00Z', '2026-01-01T00:00:00Z'],
    ]);
    const lines = (await finalized(customer.id)).flatMap((one) => one.line_items);
    const fees = lines.filter(({ type }) => type === 'subscription').map(({ total }) => total);
    expect(fees).toEqual(Array.from({ length: 12 }, () => 1000));
    const totals = (await finalized(customer.id)).map(({ total }) => total);
    // Four calls of December are covered by its credit.
    expect(totals.reduce((sum, total) => sum + total, 0)).toBe(12_000);
  });

  it('counts in months of the calendar, from the 31st on', async () => {
    const packageId = await world.make({
      duration: months(4),
      usage_statement_schedule: { frequency: 'MONTHLY', day: 'CONTRACT_START' },
      commits: [
        {
          type: 'PREPAID',
          product_id: world.fixed,
          name: 'Ramp',
          priority: 1,
          access_schedule: { schedule_items: [access(1000, 0, 1), access(2000, 1, 1), access(3000, 2, 2)] },
          invoice_schedule: {
            schedule_items: [
              { date_offset: months(0), unit_price: 500, quantity: 2 },
              { date_offset: days(28), unit_price: 2000, quantity: 1 },
              { date_offset: months(2), unit_price: 3000, quantity: 1 },
            ],
          },
        },
      ],
    });
    const customer = await clockCustomer(engine, '2026-01-31T00:00:00Z');
    const { data: made } = await metronome.v1.contracts.create({
      customer_id: customer.id,
      package_id: packageId,
      starting_at: '2026-01-31T00:00:00Z',
    });
    const contract = await world.contract(customer.id, made.id);
    expect(contract.ending_before).toBe('2026-05-31T00:00:00Z');
    const [commit] = contract.commits;
    expect(
      commit?.access_schedule?.schedule_items.map((one) => [one.amount, one.starting_at, one.ending_before]),
    ).toEqual([
      [1000, '2026-01-31T00:00:00Z', '2026-02-28T00:00:00Z'],
      [2000, '2026-02-28T00:00:00Z', '2026-03-31T00:00:00Z'],
      [3000, '2026-03-31T00:00:00Z', '2026-05-31T00:00:00Z'],
    ]);
    expect(commit?.invoice_schedule?.schedule_items?.map((one) => [one.timestamp, one.amount])).toEqual([
      ['2026-01-31T00:00:00Z', 1000],
      ['2026-02-28T00:00:00Z', 2000],
      ['2026-03-31T00:00:00Z', 3000],
    ]);
    await advance(engine, customer.clockId, '2026-03-30T12:00:00Z');
    // The last hour of March's segment and the first one of February's own; nothing falls between two segments.
    await send(engine, customer.id, world.calls.eventType, [
      { at: '2026-02-27T23:00:00Z', properties: { amount: '12' } },
      { at: '2026-02-28T00:00:00Z', properties: { amount: '7' } },
      { at: '2026-03-29T00:00:00Z', properties: { amount: '5' } },
    ]);
    // Of March 20 dollars, 12 are used; February is 2 dollars short and its statement is final already.
    expect(await netBalance(engine, customer.id)).toBe(800);
    await advance(engine, customer.clockId, '2026-06-02T00:00:00Z');
    const bought = (await finalized(customer.id))
      .filter(({ type }) => type === 'SCHEDULED')
      .map(({ issued_at: at, total }) => [at, total])
      .sort();
    expect(bought).toEqual([
      ['2026-01-31T00:00:00Z', 1000],
      ['2026-02-28T00:00:00Z', 2000],
      ['2026-03-31T00:00:00Z', 3000],
    ]);
    const statements = (await finalized(customer.id))
      .filter(({ type }) => type === 'USAGE')
      .map(({ start_timestamp: from, end_timestamp: to }) => [from, to])
      .sort();
    expect(statements).toEqual([
      ['2026-01-31T00:00:00Z', '2026-02-28T00:00:00Z'],
      ['2026-02-28T00:00:00Z', '2026-03-31T00:00:00Z'],
      ['2026-03-31T00:00:00Z', '2026-04-30T00:00:00Z'],
      ['2026-04-30T00:00:00Z', '2026-05-31T00:00:00Z'],
    ]);
  });

  it('is the contract that the same terms with dates would make', async () => {
    const shared = {
      net_payment_terms_days: 30,
      multiplier_override_prioritization: 'EXPLICIT' as const,
      scheduled_charges_on_usage_invoices: 'ALL' as const,
    };
    const subscription = {
      subscription_rate: { product_id: world.seats, billing_frequency: 'MONTHLY' as const },
      collection_schedule: 'ADVANCE' as const,
      proration: { is_prorated: true },
      initial_quantity: 3,
      temporary_id: 'team',
    };
    const grant = {
      product_id: world.fixed,
      priority: 2,
      access_amount: { unit_price: 50, credit_type_id: USD },
      commit_duration: { value: 1 },
      subscription_config: { subscription_id: 'team', apply_seat_increase_config: { is_prorated: true } },
      temporary_id: 'grant',
    };
    const postpaid = {
      type: 'POSTPAID' as const,
      product_id: world.fixed,
      name: 'Minimum',
      priority: 9,
      temporary_id: 'minimum',
    };
    const override = {
      type: 'MULTIPLIER' as const,
      multiplier: 0.5,
      priority: 1,
      is_commit_specific: true,
      override_specifiers: [
        { product_id: world.calls.productId, commit_ids: ['minimum'], recurring_commit_ids: ['grant'] },
      ],
    };
    const charge = { product_id: world.fixed, name: 'Set-up' };
    const packageId = await world.make({
      ...shared,
      contract_name: 'Team',
      duration: months(6),
      subscriptions: [{ ...subscription, starting_at_offset: days(14), duration: months(2) }],
      recurring_commits: [{ ...grant, starting_at_offset: days(14) }],
      commits: [{ ...postpaid, access_schedule: { schedule_items: [access(9000, 0, 6)] } }],
      credits: [
        { product_id: world.fixed, access_schedule: { schedule_items: [access(700, 1, 2)] }, priority: 1 },
      ],
      overrides: [{ ...override, starting_at_offset: days(10), duration: { unit: 'WEEKS', value: 3 } }],
      scheduled_charges: [
        {
          ...charge,
          schedule: { schedule_items: [{ date_offset: days(31), unit_price: 250, quantity: 2 }] },
        },
      ],
      usage_statement_schedule: {
        frequency: 'MONTHLY',
        day: 'CONTRACT_START',
        invoice_generation_starting_at_offset: months(1),
      },
    });
    const customer = await clockCustomer(engine, '2026-07-01T00:00:00Z');
    const base = { customer_id: customer.id, starting_at: '2026-07-01T00:00:00Z', custom_fields: { a: 'b' } };
    const packaged = await metronome.v1.contracts.create({ ...base, package_id: packageId });
    const plain = await metronome.v1.contracts.create({
      ...base,
      ...shared,
      name: 'Team',
      rate_card_id: world.card,
      ending_before: '2027-01-01T00:00:00Z',
      subscriptions: [
        { ...subscription, starting_at: '2026-07-15T00:00:00Z', ending_before: '2026-09-15T00:00:00Z' },
      ],
      recurring_commits: [{ ...grant, starting_at: '2026-07-15T00:00:00Z' }],
      commits: [
        { ...postpaid, access_schedule: dated(9000, '2026-07-01T00:00:00Z', '2027-01-01T00:00:00Z') },
      ],
      credits: [
        {
          product_id: world.fixed,
          priority: 1,
          access_schedule: dated(700, '2026-08-01T00:00:00Z', '2026-10-01T00:00:00Z'),
        },
      ],
      overrides: [
        { ...override, starting_at: '2026-07-11T00:00:00Z', ending_before: '2026-08-01T00:00:00Z' },
      ],
      scheduled_charges: [
        {
          ...charge,
          schedule: {
            schedule_items: [{ timestamp: '2026-08-01T00:00:00Z', unit_price: 250, quantity: 2 }],
          },
        },
      ],
      usage_statement_schedule: {
        frequency: 'MONTHLY',
        day: 'CONTRACT_START',
        invoice_generation_starting_at: '2026-08-01T00:00:00Z',
      },
    });
    const [one, other] = [
      await world.contract(customer.id, packaged.data.id),
      await world.contract(customer.id, plain.data.id),
    ];
    expect(one).toMatchObject({ package_id: packageId });
    expect(other).not.toHaveProperty('package_id');
    expect(withoutIds({ ...one, package_id: undefined })).toEqual(withoutIds(other));
    await advance(engine, customer.clockId, '2026-09-20T00:00:00Z');
    const totals = async (contractId: string) =>
      (await finalized(customer.id))
        .filter(({ contract_id: id }) => id === contractId)
        .map(({ type, issued_at: at, total }) => [type, at, total]);
    expect((await totals(packaged.data.id)).length).toBeGreaterThan(2);
    expect(await totals(packaged.data.id)).toEqual(await totals(plain.data.id));
  });
});
