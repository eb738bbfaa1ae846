import type Metronome from '@metronome/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestEngine } from '../support/engine.js';
import { failure, refusal } from './failure.js';
import { fingerprints, quiet, refusedUnwritten } from './fingerprints.js';
import {
  advance,
  contractAt,
  draftTotal,
  netBalance,
  rateCard,
  segment,
  send,
  startWorld,
  sumProduct,
  usageDrafts,
} from './world.js';

const USD = '2714e483-4ff1-48e4-9e25-ac732e8f24f2';
const MAY = '2024-05-01T00:00:00Z';
const JUNE = '2024-06-01T00:00:00Z';
const JULY = '2024-07-01T00:00:00Z';
const AUGUST = '2024-08-01T00:00:00Z';
const SEPTEMBER = '2024-09-01T00:00:00Z';

type Historical = Metronome.V1.ContractCreateHistoricalInvoicesParams.Invoice;
type Line = Historical['usage_line_items'][number];

let engine: TestEngine;
let fixed: string;

beforeAll(async () => {
  ({ engine, fixed } = await startWorld());
});
afterAll(() => engine.stop());

interface Sold {
  id: string;
  clockId: string;
  contractId: string;
  productId: string;
  eventType: string;
}

/** $3.00 a call, a tenth less from July on, and a credit of $20.00: sold from June, billed here from August. */
async function callsContract(more: Partial<Metronome.V1.ContractCreateParams> = {}): Promise<Sold> {
  const calls = await sumProduct(engine.metronome, 'Calls');
  const card = await rateCard(engine.metronome, [
    { product_id: calls.productId, rate_type: 'FLAT', price: 300 },
  ]);
  const made = await contractAt(engine, '2024-08-15T00:00:00Z', {
    starting_at: JUNE,
    rate_card_id: card,
    usage_statement_schedule: { frequency: 'MONTHLY', invoice_generation_starting_at: AUGUST },
    overrides: [{ type: 'MULTIPLIER', multiplier: 0.9, product_id: calls.productId, starting_at: JULY }],
    credits: [
      { product_id: fixed, name: 'Welcome', priority: 1, access_schedule: segment(2000, JUNE, SEPTEMBER) },
    ],
    ...more,
  });
  return { ...made, ...calls };
}

const span = (from: string, to: string) => ({ inclusive_start_date: from, exclusive_end_date: to });

function month(
  sold: Sold,
  from: string,
  to: string,
  line: Partial<Line>,
  more: Partial<Historical> = {},
): Historical {
  return {
    customer_id: sold.id,
    contract_id: sold.contractId,
    credit_type_id: USD,
    ...span(from, to),
    issue_date: to,
    usage_line_items: [{ product_id: sold.productId, ...span(from, to), ...line }],
    ...more,
  };
}

function create(invoices: Historical[], preview = false) {
  return engine.metronome.v1.contracts.createHistoricalInvoices({ invoices, preview });
}

async function finals(customerId: string): Promise<Metronome.V1.Customers.Invoice[]> {
  const list = await engine.metronome.v1.customers.invoices.list({
    customer_id: customerId,
    status: 'FINALIZED',
  });
  return list.data;
}

const linesOf = ({ line_items: lines }: Metronome.V1.Customers.Invoice) =>
  lines.map(({ type, quantity, unit_price: price, total }) => [type, quantity, price, total]);

describe('historical invoices', () => {
  it('are priced by the contract, and drafts begin with August (6.57)', async () => {
    const sold = await callsContract();
    await send(engine, sold.id, sold.eventType, [
      { at: '2024-07-20T00:00:00Z', properties: { amount: '1000' } },
      { at: '2024-08-10T00:00:00Z', properties: { amount: '4' } },
    ]);
    expect(await finals(sold.id)).toEqual([]);
    const asked = [
      month(sold, JULY, AUGUST, { quantity: 20 }),
      month(
        sold,
        JUNE,
        JULY,
        { quantity: 10 },
        { billable_status: 'unbillable', custom_fields: { po: '7' } },
      ),
    ];
    const before = await quiet(engine.db);
    const preview = await create(asked, true);
    expect(await fingerprints(engine.db)).toEqual(before);
    const made = await create(asked);
    // June: 10 at 300, less the credit of 2,000. July: 20 at 270, nothing left of the credit.
    for (const { data } of [preview, made]) {
      expect(data.map(({ total }) => total)).toEqual([5400, 1000]);
      expect(data.map(linesOf)).toEqual([
        [['usage', 20, 270, 5400]],
        [
          ['usage', 6.66666666666666666667, 300, 2000],
          ['applied_commit_or_credit', undefined, undefined, -2000],
          ['usage', 3.33333333333333333333, 300, 1000],
        ],
      ]);
    }
    expect(preview.data.map(({ status }) => status)).toEqual(['DRAFT', 'DRAFT']);
    expect(made.data.map(({ status }) => status)).toEqual(['FINALIZED', 'FINALIZED']);
    const listed = await finals(sold.id);
    expect(listed).toEqual(made.data.toReversed());
    expect(listed[0]).toMatchObject({
      type: 'USAGE',
      billable_status: 'unbillable',
      custom_fields: { po: '7' },
      start_timestamp: '2024-06-01T00:00:00Z',
      end_timestamp: '2024-07-01T00:00:00Z',
      issued_at: '2024-07-01T00:00:00Z',
    });
    expect(await netBalance(engine, sold.id)).toBe(0);
    const drafts = await usageDrafts(engine, sold.id);
    expect(drafts.map(({ start_timestamp: from, total }) => [from, total])).toEqual([
      ['2024-08-01T00:00:00Z', 4 * 270],
    ]);
    await advance(engine, sold.clockId, '2024-09-03T00:00:00Z');
    expect((await finals(sold.id)).map(({ total }) => total)).toEqual([1000, 5400, 1080]);
    // An event of the last imported day: nothing of that time is billed but what was given.
    const late = { at: '2024-07-31T12:00:00Z', properties: { amount: '50' } };
    await send(engine, sold.id, sold.eventType, [late]);
    await advance(engine, sold.clockId, '2024-10-03T00:00:00Z');
    expect((await finals(sold.id)).map(({ total }) => total)).toEqual([1000, 5400, 1080, 0]);
  });

  it('are imported once for a time, however many ask at once', async () => {
    const sold = await callsContract();
    const june = month(sold, JUNE, JULY, { quantity: 10 });
    const tries = await Promise.allSettled(Array.from({ length: 4 }, () => create([june])));
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect((await finals(sold.id)).map(({ total }) => total)).toEqual([1000]);
    await refusedUnwritten(engine.db, () => create([june]), 409, /invoices\[0\].*bills that time already/);
    const partOfIt = month(sold, '2024-06-10T00:00:00Z', '2024-06-11T00:00:00Z', { quantity: 1 });
    const july = month(sold, JULY, AUGUST, { quantity: 1 });
    await refusedUnwritten(engine.db, () => create([july, partOfIt]), 409, /invoices\[1\]/);
    await refusedUnwritten(engine.db, () => create([july, july]), 409, /invoices\[1\].*invoices\[0\]/);
    expect((await finals(sold.id)).map(({ total }) => total)).toEqual([1000]);
  });

  it('give back what they took when they are void, and are made anew from their quantities', async () => {
    const sold = await callsContract();
    const [first] = (await create([month(sold, JUNE, JULY, { quantity: 5 })])).data;
    expect([first?.total, await netBalance(engine, sold.id)]).toEqual([0, 500]);
    await engine.metronome.v1.invoices.void({ id: first?.id ?? '' });
    expect(await netBalance(engine, sold.id)).toBe(2000);
    const anew = await engine.metronome.v1.invoices.regenerate({ id: first?.id ?? '' });
    const [second] = await finals(sold.id);
    expect([second?.id, second?.total]).toEqual([anew.data?.id, 0]);
    expect(second?.regenerated_from_invoice_id).toBe(first?.id);
    expect(await netBalance(engine, sold.id)).toBe(500);
    await engine.metronome.v1.invoices.void({ id: second?.id ?? '' });
    await create([month(sold, JUNE, JULY, { quantity: 8 })]);
    expect((await finals(sold.id)).map(({ total }) => total)).toEqual([400]);
    const again = engine.metronome.v1.invoices.regenerate({ id: second?.id ?? '' });
    expect((await failure(again)).status).toBe(409);
  });

  it('count tiers over their subtotals, group by group, and break down by day', async () => {
    const storage = await sumProduct(engine.metronome, 'Storage', {
      pricing: ['region'],
      presentation: ['team'],
    });
    const tiers = [{ size: 10, price: 100 }, { price: 50 }];
    const card = await rateCard(engine.metronome, [
      { product_id: storage.productId, rate_type: 'TIERED', tiers, pricing_group_values: { region: 'eu' } },
      { product_id: storage.productId, rate_type: 'FLAT', price: 7, pricing_group_values: { region: 'us' } },
    ]);
    const sold = await callsContract({ rate_card_id: card, overrides: [], credits: [] });
    const day = (date: string, next: string, quantity: number) => ({ ...span(date, next), quantity });
    const eu: Line = {
      product_id: storage.productId,
      ...span(JUNE, JULY),
      pricing_group_values: { region: 'eu' },
      presentation_group_values: { team: 'a' },
      subtotals_with_quantity: [
        day('2024-06-02T00:00:00Z', '2024-06-03T00:00:00Z', 6),
        day('2024-06-01T00:00:00Z', '2024-06-02T00:00:00Z', 8),
      ],
    };
    const us: Line = {
      product_id: storage.productId,
      ...span(JUNE, JULY),
      pricing_group_values: { region: 'us' },
      quantity: 3,
    };
    const june = month(sold, JUNE, JULY, {}, { breakdown_granularity: 'DAY', usage_line_items: [eu, us] });
    const [invoice] = (await create([june])).data;
    // 14 in the first region: 10 at 100 and 4 at 50. 3 at 7 in the other.
    expect(invoice?.total).toBe(1000 + 200 + 21);
    const breakdowns = await engine.metronome.v1.customers.invoices.listBreakdowns({
      customer_id: sold.id,
      starting_on: JUNE,
      ending_before: JULY,
      window_size: 'DAY',
    });
    expect(
      breakdowns.data.map(({ breakdown_start_timestamp: from, total }) => [from.slice(0, 10), total]),
    ).toEqual([
      ['2024-06-01', 800 + 21],
      ['2024-06-02', 200 + 200],
    ]);
  });

  it('draw on balances by their time, not in the order asked for', async () => {
    const sold = await callsContract({ overrides: [] });
    const { data } = await create([
      month(sold, JULY, AUGUST, { quantity: 5 }),
      month(sold, JUNE, JULY, { quantity: 5 }),
    ]);
    // The credit of 2,000 covers June's 1,500 and 500 of July's.
    expect(data.map(({ total }) => total)).toEqual([1000, 0]);
    expect(await draftTotal(engine, sold.id)).toBe(0);
  });

  it('take what is left when an earlier time comes later, and so do its days', async () => {
    const sold = await callsContract({ overrides: [] });
    await create([month(sold, JULY, AUGUST, { quantity: 5 })]);
    const days = [
      { ...span('2024-06-04T00:00:00Z', '2024-06-05T00:00:00Z'), quantity: 1 },
      { ...span('2024-06-05T00:00:00Z', '2024-06-06T00:00:00Z'), quantity: 3 },
    ];
    const { data } = await create([month(sold, JUNE, JULY, { subtotals_with_quantity: days })]);
    // July took 1,500 of 2,000; June's 1,200 get the rest, the first day's 300 and 200 of the second one's 900.
    expect(data.map(({ total }) => total)).toEqual([700]);
    const breakdowns = await engine.metronome.v1.customers.invoices.listBreakdowns({
      customer_id: sold.id,
      starting_on: JUNE,
      ending_before: JULY,
    });
    expect(breakdowns.data.map(({ total }) => total)).toEqual([0, 700]);
  });

  it('settle what rolls over where the last time of the old contract is imported', async () => {
    const old = await callsContract({
      ending_before: AUGUST,
      overrides: [],
      credits: [
        {
          product_id: fixed,
          priority: 1,
          rollover_fraction: 1,
          access_schedule: segment(2000, JUNE, AUGUST),
        },
      ],
    });
    await engine.metronome.v1.contracts.create({
      customer_id: old.id,
      starting_at: AUGUST,
      transition: { type: 'RENEWAL', from_contract_id: old.contractId },
    });
    expect(await netBalance(engine, old.id)).toBe(2000);
    await create([month(old, JULY, AUGUST, { quantity: 5 })]);
    expect(await netBalance(engine, old.id)).toBe(500);
    // What has moved is the renewal's for good.
    const { data } = await create([month(old, JUNE, JULY, { quantity: 1 })]);
    expect(data.map(({ total }) => total)).toEqual([300]);
    expect(await netBalance(engine, old.id)).toBe(500);
  });
});

describe('an import that does not fit', () => {
  it('is refused by the field at fault, and nothing is written', async () => {
    const sold = await callsContract();
    const other = await sumProduct(engine.metronome, 'Not on the card', { pricing: ['region'] });
    const june = (line: Partial<Line>, more: Partial<Historical> = {}) => month(sold, JUNE, JULY, line, more);
    const one = { quantity: 1 };
    const unknown = '00000000-0000-4000-8000-000000000000';
    const cases: [Historical, number, RegExp][] = [
      [month(sold, AUGUST, '2024-08-10T00:00:00Z', one), 400, /exclusive_end_date.*own statements begin/],
      [month(sold, MAY, JUNE, one), 400, /inclusive_start_date.*before the contract's start/],
      [month(sold, JULY, SEPTEMBER, one), 400, /exclusive_end_date.*future/],
      [month(sold, JULY, JUNE, one), 400, /exclusive_end_date/],
      [june(one, { issue_date: SEPTEMBER }), 400, /issue_date.*future/],
      [june(one, { contract_id: unknown }), 404, /contract/],
      [june(one, { customer_id: 'nobody' }), 404, /customer/],
      [june(one, { credit_type_id: unknown }), 400, /credit_type_id/],
      [june({}), 400, /quantity and subtotals_with_quantity/],
      [june({ quantity: -1 }), 400, /quantity/],
      [june({ ...one, exclusive_end_date: AUGUST }), 400, /usage_line_items\[0\]\.exclusive_end_date/],
      [june({ ...one, product_id: unknown }), 404, /product/],
      [june({ ...one, product_id: fixed }), 400, /product_id.*no usage product/],
      [june({ ...one, product_id: other.productId }), 400, /pricing_group_values\.region.*required/],
      [
        june({ ...one, product_id: other.productId, pricing_group_values: { region: 'eu' } }),
        400,
        /has no price/,
      ],
      [june({ ...one, pricing_group_values: { region: 'eu' } }), 400, /region.*no group key/],
      [
        june(
          { subtotals_with_quantity: [{ ...span(JUNE, JULY), quantity: 1 }] },
          { breakdown_granularity: 'DAY' },
        ),
        400,
        /subtotals_with_quantity\[0\].*more than one DAY/,
      ],
    ];
    const before = await quiet(engine.db);
    for (const [invoice, status, says] of cases) {
      const said = await refusal(create([invoice]));
      expect(said).toMatch(new RegExp(`^${status} .*${says.source}`, 's'));
    }
    expect(await fingerprints(engine.db)).toEqual(before);
  });
});
