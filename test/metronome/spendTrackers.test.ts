import type Metronome from '@metronome/sdk';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Prepaid, prepaidCustomer } from '../live/world.js';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { refusal } from './failure.js';
import { fingerprints, quiet } from './fingerprints.js';
import { advance, clockCustomer, send, unlimitedClocks } from './world.js';

let engine: TestEngine;
let metronome: Metronome;

beforeAll(async () => {
  engine = await startTestEngine();
  ({ metronome } = engine);
  await unlimitedClocks(engine);
});
afterAll(() => engine.stop());

const USD = '2714e483-4ff1-48e4-9e25-ac732e8f24f2';

type Tracker = NonNullable<Metronome.V2.ContractEditParams['add_spend_trackers']>[number];
type Specifier = Tracker['applicable_spend_specifiers'][number];

const tracker = (alias: string, more: Partial<Specifier> = {}): Tracker => ({
  alias,
  credit_type_id: USD,
  reset_frequency: 'BILLING_PERIOD',
  applicable_spend_specifiers: [{ spend_type: 'COMMIT_PURCHASE', sources: ['THRESHOLD_RECHARGE'], ...more }],
});

interface ClockPrepaid extends Prepaid {
  clockId: string;
}

/** A customer with 20 dollars prepaid on a clock at the start of May 2026; a unit costs a dollar. */
async function customerInMay(contract: Record<string, unknown> = {}): Promise<ClockPrepaid> {
  const at = '2026-05-01T00:00:00Z';
  const { id, clockId } = await clockCustomer(engine, at);
  const made = await prepaidCustomer(engine, { amount: 2000, customerId: id, startingAt: at, contract });
  return { ...made, clockId };
}

/** Threshold 5 dollars, recharge to 20 (example 6.44). */
const recharge = (fixedProductId: string, cap: number | null) => ({
  is_enabled: true,
  threshold_amount: 500,
  recharge_to_amount: 2000,
  commit: { product_id: fixedProductId, name: 'Top-up' },
  payment_gate_config: { payment_gate_type: 'NONE' as const },
  discount_configuration: {
    payment_fraction: 0.85,
    ...(cap === null ? {} : { cap: { spend_tracker_alias: 'recharges', amount: cap } }),
  },
});

async function use(
  { customerId, eventType, clockId }: ClockPrepaid,
  at: string,
  amount: number,
  then: string,
) {
  await send(engine, customerId, eventType, [{ at, properties: { amount: String(amount) } }]);
  await advance(engine, clockId, then);
}

async function read({ customerId, contractId }: Prepaid) {
  return (await metronome.v2.contracts.retrieve({ customer_id: customerId, contract_id: contractId })).data;
}

async function accumulated(customer: Prepaid): Promise<Record<string, number | undefined>> {
  const trackers = (await read(customer)).spend_trackers ?? [];
  return Object.fromEntries(trackers.map(({ alias, accumulated_spend: spend }) => [alias, spend?.amount]));
}

/** What each recharge gave, what it cost, and whether it counts as discounted. */
async function topUps(customer: Prepaid) {
  return (await read(customer)).commits
    .filter(({ name }) => name === 'Top-up')
    .map((one) => [
      one.access_schedule?.schedule_items[0]?.amount,
      one.invoice_schedule?.schedule_items?.[0]?.amount,
      one.spend_tracker_attributes?.counts_as_discounted ?? false,
    ]);
}

it('a discount on recharges ends with its cap, and begins again in the next billing period (6.43, 6.44, 6.51)', async () => {
  const customer = await customerInMay();
  await metronome.v2.contracts.edit({
    customer_id: customer.customerId,
    contract_id: customer.contractId,
    add_spend_trackers: [
      tracker('recharges'),
      tracker('discounted', { discounted: 'DISCOUNTED_ONLY' }),
      tracker('full price', { discounted: 'UNDISCOUNTED_ONLY' }),
    ],
    add_prepaid_balance_threshold_configuration: recharge(customer.fixedProductId, 2500),
  });
  expect(await accumulated(customer)).toEqual({ recharges: 0, discounted: 0, 'full price': 0 });
  // 20 - 15 dollars is the threshold: each time 15 dollars are bought, for 12.75 at 85 %.
  await use(customer, '2026-05-01T00:00:00Z', 15, '2026-05-03T00:00:00Z');
  expect(await topUps(customer)).toEqual([[1500, 1275, true]]);
  expect((await read(customer)).spend_trackers?.[0]).toEqual({
    ...tracker('recharges', { discounted: 'ANY' }),
    accumulated_spend: {
      amount: 1275,
      period_starting_at: '2026-05-01T00:00:00Z',
      period_ending_before: '2026-06-01T00:00:00Z',
    },
  });
  await use(customer, '2026-05-03T00:00:00Z', 15, '2026-05-05T00:00:00Z');
  expect(await accumulated(customer)).toEqual({ recharges: 2550, discounted: 2550, 'full price': 0 });
  // 25.50 dollars have passed the cap of 25: from now on, the price is whole.
  await use(customer, '2026-05-05T00:00:00Z', 15, '2026-05-07T00:00:00Z');
  expect(await accumulated(customer)).toEqual({ recharges: 4050, discounted: 2550, 'full price': 1500 });
  await use(customer, '2026-05-07T00:00:00Z', 14, '2026-06-02T00:00:00Z');
  expect(await accumulated(customer)).toEqual({ recharges: 0, discounted: 0, 'full price': 0 });
  await use(customer, '2026-06-02T00:00:00Z', 1, '2026-06-03T00:00:00Z');
  expect(await accumulated(customer)).toEqual({ recharges: 1275, discounted: 1275, 'full price': 0 });
  expect(await topUps(customer)).toEqual([
    [1500, 1275, true],
    [1500, 1275, true],
    [1500, 1500, false],
    [1500, 1275, true],
  ]);
});

it('a tracker counts what is bought by hand, by the date and at the price of the purchase', async () => {
  const purchase = (timestamp: string, amount: number) => ({ timestamp, amount });
  const commit = (product_id: string, items: object[], more: object = {}) => ({
    type: 'PREPAID',
    product_id,
    access_schedule: {
      schedule_items: [
        { amount: 9999, starting_at: '2026-05-01T00:00:00Z', ending_before: '2027-05-01T00:00:00Z' },
      ],
    },
    invoice_schedule: { schedule_items: items },
    ...more,
  });
  const { data: product } = await metronome.v1.contracts.products.create({ name: 'Fee', type: 'FIXED' });
  const customer = await customerInMay({
    spend_trackers: [
      tracker('recharges'),
      tracker('by hand', { sources: ['MANUAL'] }),
      tracker('cheap', { sources: ['MANUAL', 'THRESHOLD_RECHARGE'], discounted: 'DISCOUNTED_ONLY' }),
    ],
    commits: [
      commit(product.id, [
        purchase('2026-05-01T00:00:00Z', 1425.5),
        purchase('2026-05-31T23:00:00Z', 100),
        purchase('2026-06-01T00:00:00Z', 7000),
      ]),
      commit(product.id, [purchase('2026-05-10T00:00:00Z', 33)], {
        spend_tracker_attributes: { counts_as_discounted: true },
      }),
    ],
    recurring_commits: [
      {
        product_id: product.id,
        priority: 5,
        access_amount: { unit_price: 100, quantity: 1, credit_type_id: USD },
        invoice_amount: { unit_price: 77, quantity: 1, credit_type_id: USD },
        commit_duration: { value: 1 },
        recurrence_frequency: 'MONTHLY',
        starting_at: '2026-05-01T00:00:00Z',
      },
    ],
  });
  const [granted] = (await read(customer)).recurring_commits ?? [];
  // A postpaid commit is invoiced for what was not used; a grant stays one when an edit has made a commit of it.
  await metronome.v2.contracts.edit({
    customer_id: customer.customerId,
    contract_id: customer.contractId,
    update_recurring_commits: [
      { recurring_commit_id: granted?.id ?? '', access_amount: { unit_price: 200 } },
    ],
    add_commits: [
      {
        type: 'POSTPAID',
        product_id: product.id,
        access_schedule: {
          schedule_items: [
            { amount: 50, starting_at: '2026-05-01T00:00:00Z', ending_before: '2026-05-20T00:00:00Z' },
          ],
        },
        invoice_schedule: { schedule_items: [purchase('2026-05-20T00:00:00Z', 50)] },
      },
    ],
  });
  expect(await accumulated(customer)).toEqual({ recharges: 0, 'by hand': 1558.5, cheap: 33 });
  await advance(engine, customer.clockId, '2026-06-15T00:00:00Z');
  expect(await accumulated(customer)).toEqual({ recharges: 0, 'by hand': 7000, cheap: 0 });
});

it('trackers are archived, and refused where they make no sense, with nothing written', async () => {
  const customer = await customerInMay({ spend_trackers: [tracker('recharges'), tracker('other')] });
  const edit = (more: object) =>
    metronome.v2.contracts.edit({
      customer_id: customer.customerId,
      contract_id: customer.contractId,
      ...more,
    });
  await edit({ add_prepaid_balance_threshold_configuration: recharge(customer.fixedProductId, 100) });
  await edit({ archive_spend_trackers: ['other'] });
  expect(Object.keys(await accumulated(customer))).toEqual(['recharges']);
  const { specifiers, ...rest } = { ...tracker('new'), specifiers: [] };
  const bad = (more: object) => () => edit({ add_spend_trackers: [{ ...rest, ...more }] });
  const before = await quiet(engine.db);
  const refused: [() => PromiseLike<unknown>, string][] = [
    [() => edit({ archive_spend_trackers: ['nobody'] }), '404'],
    [() => edit({ archive_spend_trackers: ['recharges'] }), 'cap.spend_tracker_alias'],
    [() => edit({ add_spend_trackers: [tracker('recharges')] }), "'spend_trackers'"],
    [bad({ credit_type_id: customer.customerId }), 'add_spend_trackers[0].credit_type_id'],
    [bad({ reset_frequency: 'NEVER' }), 'add_spend_trackers[0].reset_frequency'],
    [bad({ applicable_spend_specifiers: specifiers }), 'add_spend_trackers[0].applicable_spend_specifiers'],
    [bad({ accumulated_spend: {} }), 'add_spend_trackers[0].accumulated_spend'],
    [
      () =>
        edit({
          update_prepaid_balance_threshold_configuration: {
            discount_configuration: {
              payment_fraction: 0.5,
              cap: { spend_tracker_alias: 'other', amount: 1 },
            },
          },
        }),
      'prepaid_balance_threshold_configuration.discount_configuration.cap.spend_tracker_alias',
    ],
    [
      () =>
        metronome.v1.packages.create({
          name: 'Bad',
          spend_threshold_configuration: {
            ...recharge(customer.fixedProductId, 1),
            recharge_to_amount: undefined,
          } as never,
        }),
      'spend_threshold_configuration.discount_configuration.cap.spend_tracker_alias',
    ],
  ];
  for (const [call, words] of refused) expect(await refusal(call())).toContain(words);
  expect(await fingerprints(engine.db)).toEqual(before);
});
