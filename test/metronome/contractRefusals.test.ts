import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import {
  advance,
  contractAt,
  fixedProduct,
  rateCard,
  segment,
  sumProduct,
  unique,
  unlimitedClocks,
} from './world.js';

let engine: TestEngine;
let fixed: string;
let usage: string;
let card: string;

beforeAll(async () => {
  engine = await startTestEngine();
  await unlimitedClocks(engine);
  fixed = await fixedProduct(engine.metronome, 'Fixed');
  usage = (await sumProduct(engine.metronome, 'Usage')).productId;
  card = await rateCard(engine.metronome, [{ product_id: usage, rate_type: 'FLAT', price: 100 }]);
});
afterAll(() => engine.stop());

const START = '2024-01-01T00:00:00Z';
const NOBODY = '00000000-0000-4000-8000-000000000000';

/** What the tables hold: a refusal must leave it as it was. */
async function written(): Promise<unknown> {
  return engine.db.query(
    `select (select count(*) from contracts)::int as contracts, (select count(*) from balances)::int as balances,
       (select count(*) from contract_edits)::int as edits, (select count(*) from balance_entries)::int as entries,
       (select md5(string_agg(terms::text, '' order by id)) from contracts) as terms`,
  );
}

async function refused(request: () => Promise<unknown>, status: number, message: RegExp): Promise<void> {
  const before = await written();
  await expect(request()).rejects.toMatchObject({
    status,
    message: expect.stringMatching(message) as string,
  });
  expect(await written()).toEqual(before);
}

describe('a contract is refused', () => {
  const create = (customerId: string, terms: object) => () =>
    engine.metronome.v1.contracts.create({ customer_id: customerId, starting_at: START, ...terms });

  it('with its reason and nothing written', async () => {
    const { id } = await contractAt(engine, START, { starting_at: START, rate_card_id: card });
    const commit = (more: object) => ({
      commits: [
        {
          type: 'PREPAID',
          product_id: fixed,
          access_schedule: segment(100, START, '2025-01-01T00:00:00Z'),
          ...more,
        },
      ],
    });
    await refused(create(NOBODY, {}), 404, /customer/);
    await refused(create(id, { rate_card_id: NOBODY }), 404, /rate card/);
    await refused(create(id, { starting_at: '2024-01-01T00:30:00Z' }), 400, /starting_at.*whole hour/);
    await refused(create(id, { ending_before: START }), 400, /ending_before/);
    await refused(
      create(id, commit({ product_id: NOBODY })),
      400,
      /commits\[0\]\.product_id.*no such product/,
    );
    await refused(create(id, commit({ product_id: usage })), 400, /must be a FIXED product/);
    await refused(
      create(id, commit({ access_schedule: segment(-1, START, '2025-01-01T00:00:00Z') })),
      400,
      /too small/,
    );
    await refused(
      create(id, commit({ access_schedule: segment(1, START, '2024-06-01T00:10:00Z') })),
      400,
      /commits\[0\]\.access_schedule\.schedule_items\[0\]\.ending_before.*whole hour/,
    );
    await refused(create(id, commit({ surprise: 1 })), 400, /Unknown field 'commits\[0\]\.surprise'/);
    await refused(create(id, commit({ rollover_fraction: 1.5 })), 400, /rollover_fraction/);
    await refused(create(id, { discounts: [{}] }), 400, /discounts.*not supported/);
    await refused(
      create(id, {
        overrides: [
          {
            starting_at: START,
            product_id: usage,
            overwrite_rate: {
              rate_type: 'TIERED',
              tiers: [
                { size: 5, price: 1 },
                { size: 5, price: 2 },
              ],
            },
          },
        ],
      }),
      400,
      /tiers/,
    );
    const overwrite = { starting_at: START, product_id: usage, overwrite_rate: { rate_type: 'CUSTOM' } };
    await refused(create(id, { overrides: [overwrite] }), 400, /overwrite_rate\.rate_type.*CUSTOM is not/);
    await refused(
      create(id, { overrides: [{ starting_at: START, tiers: [{ multiplier: 0.5 }] }] }),
      400,
      /EXPLICIT/,
    );
    await refused(
      create(id, { transition: { type: 'RENEWAL', from_contract_id: NOBODY } }),
      400,
      /from_contract_id/,
    );
    await refused(
      create(id, {
        commits: [
          {
            type: 'POSTPAID',
            product_id: fixed,
            access_schedule: {
              schedule_items: [
                ...segment(1, START, '2024-02-01T00:00:00Z').schedule_items,
                ...segment(1, '2024-02-01T00:00:00Z', '2024-03-01T00:00:00Z').schedule_items,
              ],
            },
          },
        ],
      }),
      400,
      /exactly one item/,
    );
  });

  it('when its uniqueness key was used, and the client does not try again', async () => {
    const key = unique('key');
    const { id } = await contractAt(engine, START, { starting_at: START, uniqueness_key: key });
    const before = Date.now();
    await refused(create(id, { uniqueness_key: key }), 409, /uniqueness_key/);
    expect(Date.now() - before).toBeLessThan(2000);
  });
});

describe('an edit is refused', () => {
  it('where it would change what is final', async () => {
    const customer = await contractAt(engine, START, {
      starting_at: START,
      rate_card_id: card,
      commits: [
        {
          type: 'PREPAID',
          product_id: fixed,
          access_schedule: segment(1000, START, '2025-01-01T00:00:00Z'),
          invoice_schedule: { schedule_items: [{ amount: 1000, timestamp: START }] },
        },
      ],
    });
    const { metronome } = engine;
    await advance(engine, customer.clockId, '2024-02-05T00:00:00Z');
    const params = { customer_id: customer.id, contract_id: customer.contractId };
    const { data } = await metronome.v2.contracts.retrieve(params);
    const [commit] = data.commits;
    const item = commit?.invoice_schedule?.schedule_items?.[0];
    expect(item?.invoice_id).toMatch(/^[0-9a-f-]{36}$/);
    const edit = (change: object) => () => metronome.v2.contracts.edit({ ...params, ...change });
    const schedule = (invoice_schedule: object) => ({
      update_commits: [{ commit_id: commit?.id ?? '', invoice_schedule }],
    });
    await refused(edit(schedule({ remove_schedule_items: [{ id: item?.id }] })), 400, /finalized/);
    await refused(edit(schedule({ update_schedule_items: [{ id: item?.id, amount: 1 }] })), 400, /finalized/);
    await refused(edit({ archive_commits: [{ id: commit?.id }] }), 400, /finalized/);
    await refused(edit({ update_contract_end_date: '2024-01-15T00:00:00Z' }), 400, /finalized invoice/);
    await refused(edit({ remove_overrides: [{ id: NOBODY }] }), 404, /override/);
    await refused(edit({ update_commits: [{ commit_id: NOBODY }] }), 404, /commit/);
    await refused(
      () => metronome.v1.contracts.updateEndDate({ ...params, ending_before: '2024-01-15T00:00:00Z' }),
      400,
      /finalized invoice/,
    );
    const key = unique('edit');
    await metronome.v2.contracts.edit({ ...params, uniqueness_key: key, update_contract_name: 'Named' });
    await refused(edit({ uniqueness_key: key, update_contract_name: 'Again' }), 409, /uniqueness_key/);
    await metronome.v2.contracts.edit({
      ...params,
      update_contract_end_date: '2024-01-15T00:00:00Z',
      allow_contract_ending_before_finalized_invoice: true,
    });
    const other = await contractAt(engine, START, { starting_at: START });
    await refused(
      () => metronome.v2.contracts.edit({ customer_id: other.id, contract_id: customer.contractId }),
      404,
      /contract/,
    );
  });

  it('and a contract is archived with its invoices', async () => {
    const { metronome } = engine;
    const customer = await contractAt(engine, START, { starting_at: START, rate_card_id: card });
    await advance(engine, customer.clockId, '2024-02-05T00:00:00Z');
    const params = { customer_id: customer.id, contract_id: customer.contractId };
    await metronome.v1.contracts.archive({ ...params, void_invoices: true });
    const { data } = await metronome.v1.customers.invoices.list({ customer_id: customer.id });
    expect(data.map(({ status }) => status)).toEqual(['VOID']);
    expect((await metronome.v2.contracts.list({ customer_id: customer.id })).data).toEqual([]);
    await refused(() => metronome.v1.contracts.archive({ ...params, void_invoices: true }), 400, /archived/);
    await advance(engine, customer.clockId, '2024-04-05T00:00:00Z');
    expect((await metronome.v1.customers.invoices.list({ customer_id: customer.id })).data).toHaveLength(1);
  });
});
