import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestEngine } from '../support/engine.js';
import { refusedUnwritten } from './fingerprints.js';
import {
  finalTotals,
  iso,
  quantities,
  seatCatalogue,
  type SeatCatalogue,
  seated,
  START,
  USD,
} from './seatWorld.js';
import { advance, contractAt } from './world.js';

/** Seats by their ids, now, planned and past. */

const NOBODY = '00000000-0000-4000-8000-000000000000';

let catalogue: SeatCatalogue;
let engine: TestEngine;

beforeAll(async () => {
  catalogue = await seatCatalogue();
  ({ engine } = catalogue);
});
afterAll(() => engine.stop());

describe('seats by their ids', () => {
  it('6.55: fill unassigned seats, then raise the quantity; swapping one for an unassigned one keeps it', async () => {
    const customer = await seated(catalogue, { ids: ['ann', 'bob'], unassigned: 2 });
    await advance(engine, customer.clockId, iso('2025-01-11'));
    const at = { starting_at: iso('2025-01-11') };
    await customer.edit({ add_seat_ids: [{ seat_ids: ['cat', 'ann'], ...at }] });
    expect(await quantities(customer)).toEqual([
      ['01-01', 4],
      ['01-11', 4],
    ]);
    await customer.edit({ add_seat_ids: [{ seat_ids: ['dan', 'eve'], ...at }] });
    expect((await quantities(customer)).at(-1)).toEqual(['01-11', 5]);
    await customer.edit({
      remove_seat_ids: [{ seat_ids: ['ann', 'nobody'], ...at }],
      add_unassigned_seats: [{ quantity: 1, ...at }],
    });
    expect((await quantities(customer)).at(-1)).toEqual(['01-11', 5]);
    // The fifth seat for 21 of January's 31 days.
    await expect.poll(() => finalTotals(customer, 'SCHEDULED')).toEqual([4 * 3100, 2100]);
  });

  it('are planned ahead, shown over time, page by page, and with their price', async () => {
    const { metronome } = engine;
    const customer = await seated(catalogue, { ids: ['ann', 'bob'] });
    await customer.edit({ remove_seat_ids: [{ seat_ids: ['bob'], starting_at: iso('2025-03-01') }] });
    await customer.edit({ add_seat_ids: [{ seat_ids: ['cat'], starting_at: iso('2025-02-01') }] });
    await customer.edit({ add_unassigned_seats: [{ quantity: 3, starting_at: iso('2025-04-01') }] });
    const history = { ...customer.params, subscription_id: customer.subscriptionId };
    const pages: unknown[] = [];
    for (let cursor: string | null = null; ; ) {
      const page: Awaited<ReturnType<typeof metronome.v1.contracts.getSubscriptionSeatsHistory>> =
        await metronome.v1.contracts.getSubscriptionSeatsHistory({ ...history, limit: 3, cursor });
      pages.push(...page.data);
      cursor = page.next_page;
      if (cursor === null) break;
    }
    const period = (from: string, to: string | null, ids: string[], total: number) => ({
      starting_at: iso(from),
      ending_before: to === null ? null : iso(to),
      assigned_seat_ids: ids,
      total_quantity: total,
    });
    expect(pages).toEqual([
      period('2025-01-01', '2025-02-01', ['ann', 'bob'], 2),
      period('2025-02-01', '2025-03-01', ['ann', 'bob', 'cat'], 3),
      period('2025-03-01', '2025-04-01', ['ann', 'cat'], 2),
      period('2025-04-01', null, ['ann', 'cat'], 5),
    ]);
    const covering = await metronome.v1.contracts.getSubscriptionSeatsHistory({
      ...history,
      covering_date: '2025-02-10T00:00:00Z',
    });
    expect(covering.data).toEqual([pages[1]]);
    const range = await metronome.v1.contracts.getSubscriptionSeatsHistory({
      ...history,
      starting_at: iso('2025-02-01'),
      ending_before: iso('2025-03-01'),
    });
    expect(range.data).toEqual(pages.slice(1, 3));

    await metronome.v2.contracts.edit({
      ...customer.params,
      add_overrides: [
        {
          type: 'MULTIPLIER',
          multiplier: 0.5,
          starting_at: '2025-02-15T00:00:00Z',
          override_specifiers: [{ product_id: catalogue.seatProduct, billing_frequency: 'MONTHLY' }],
        },
      ],
    });
    await advance(engine, customer.clockId, '2025-03-20T00:00:00Z');
    const { data } = await metronome.v1.contracts.retrieveSubscriptionQuantityHistory(history);
    // The lower price of mid-February waits for March; April is still to come.
    expect(data).toEqual({
      subscription_id: customer.subscriptionId,
      fiat_credit_type_id: USD,
      history: [
        { starting_at: iso('2025-01-01'), data: [{ quantity: 2, unit_price: 3100, total: 6200 }] },
        { starting_at: iso('2025-02-01'), data: [{ quantity: 3, unit_price: 3100, total: 9300 }] },
        { starting_at: iso('2025-03-01'), data: [{ quantity: 2, unit_price: 1550, total: 3100 }] },
      ],
    });
  });

  it('come to a subscription that had a quantity alone: all of them are nobody’s at first', async () => {
    const { metronome } = engine;
    const customer = await contractAt(engine, START, {
      starting_at: START,
      rate_card_id: catalogue.card,
      subscriptions: [
        {
          subscription_rate: { product_id: catalogue.seatProduct, billing_frequency: 'MONTHLY' },
          collection_schedule: 'ADVANCE',
          proration: {},
          initial_quantity: 3,
        },
      ],
    });
    const params = { customer_id: customer.id, contract_id: customer.contractId };
    const { data } = await metronome.v2.contracts.retrieve(params);
    const subscriptionId = data.subscriptions?.[0]?.id ?? '';
    const edit = (change: object) => () =>
      metronome.v2.contracts.edit({
        ...params,
        update_subscriptions: [{ subscription_id: subscriptionId, ...change }],
      });
    const seats = { add_seat_ids: [{ seat_ids: ['ann', 'bob'], starting_at: START }] };
    await refusedUnwritten(engine.db, edit({ seat_updates: seats }), 400, /seat_updates.*SEAT_BASED/);
    const mode = {
      quantity_management_mode_update: {
        quantity_management_mode: 'SEAT_BASED',
        seat_config: { seat_group_key: 'user_id' },
      },
    };
    await edit({ ...mode, seat_updates: seats })();
    const history = await metronome.v1.contracts.getSubscriptionSeatsHistory({
      ...params,
      subscription_id: subscriptionId,
    });
    expect(history.data).toEqual([
      {
        starting_at: iso('2025-01-01'),
        ending_before: null,
        assigned_seat_ids: ['ann', 'bob'],
        total_quantity: 3,
      },
    ]);
    await refusedUnwritten(engine.db, edit(mode), 400, /quantity_management_mode_update.*already/);
    await refusedUnwritten(
      engine.db,
      edit({ quantity_updates: [{ starting_at: START, quantity: 5 }] }),
      400,
      /quantity_updates.*seat_updates/,
    );
  });

  it('are refused cleanly', async () => {
    const customer = await seated(catalogue, { ids: ['ann'], unassigned: 998 });
    const { metronome } = engine;
    const at = { starting_at: iso('2025-01-05') };
    const refused = (call: () => PromiseLike<unknown>, says: RegExp, status = 400) =>
      refusedUnwritten(engine.db, call, status, says);
    await refused(
      () => customer.edit({ add_unassigned_seats: [{ quantity: 2, ...at }] }),
      /seat_updates.*1000 seats/,
    );
    await refused(
      () => customer.edit({ add_unassigned_seats: [{ quantity: 0.5, ...at }] }),
      /seat_updates.*whole/,
    );
    await refused(
      () => customer.edit({ add_seat_ids: [{ seat_ids: ['x'], starting_at: '2024-12-01T00:00:00Z' }] }),
      /seat_updates.*starting_at/,
    );
    const history = { ...customer.params, subscription_id: customer.subscriptionId };
    await refused(
      () => metronome.v1.contracts.getSubscriptionSeatsHistory({ ...history, limit: 11 }),
      /limit/,
    );
    await refused(
      () => metronome.v1.contracts.getSubscriptionSeatsHistory({ ...history, cursor: 'nonsense' }),
      /cursor/,
    );
    await refused(
      () => metronome.v1.contracts.listSeatBalances({ ...customer.params, seat_ids: ['nobody'] }),
      /seat_ids.*nobody/,
    );
    await refused(
      () => metronome.v1.contracts.listSeatBalances({ ...customer.params, subscription_ids: [NOBODY] }),
      /subscription_ids/,
    );
    await refused(
      () =>
        metronome.v1.contracts.retrieveSubscriptionQuantityHistory({ ...history, subscription_id: NOBODY }),
      /subscription/,
      404,
    );
  });
});
