import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestEngine } from '../support/engine.js';
import { refusedUnwritten } from './fingerprints.js';
import {
  credits,
  entries,
  finalTotals,
  iso,
  seatBalances,
  seatCatalogue,
  type SeatCatalogue,
  seated,
  START,
  USD,
} from './seatWorld.js';
import { advance, contractAt, draftTotal, netBalance, segment, send } from './world.js';

/** A credit of its own for each seat. */

let catalogue: SeatCatalogue;
let engine: TestEngine;

beforeAll(async () => {
  catalogue = await seatCatalogue();
  ({ engine } = catalogue);
});
afterAll(() => engine.stop());

describe('credits of single seats', () => {
  it('are burned by their own seat alone, in drafts, ledgers and balances', async () => {
    const customer = await seated(catalogue, {
      ids: ['ann', 'bob'],
      unassigned: 1,
      individual: { prorated: true },
    });
    await advance(engine, customer.clockId, iso('2025-01-12'));
    await customer.use([
      ['2025-01-10T08:00:00Z', 'ann', '12'],
      ['2025-01-10T08:00:00Z', 'bob', '3'],
      ['2025-01-10T08:00:00Z', 'stranger', '5'],
    ]);
    // Ann's 2 beyond her 10 and the stranger's 5; the unassigned seat has earned nothing. February's fees come too.
    expect(await draftTotal(engine, customer.id)).toBe(200 + 500 + 3 * 3100);
    expect(await seatBalances(customer)).toEqual([
      ['ann', '0 of 1000'],
      ['bob', '700 of 1000'],
    ]);
    expect(await netBalance(engine, customer.id)).toBe(700);
    const [credit] = await credits(customer);
    expect(credit).toMatchObject({
      balance: 700,
      subscription_config: { subscription_id: customer.subscriptionId, allocation: 'INDIVIDUAL' },
    });
    expect(entries(credit?.ledger)).toEqual(['SEGMENT_START 2000', 'AUTOMATED_INVOICE_DEDUCTION -1300']);
  });

  it('come with a seat that joins, go with one that leaves, and are granted anew to those who are there', async () => {
    const { metronome } = engine;
    const customer = await seated(catalogue, {
      ids: ['ann', 'bob'],
      unassigned: 1,
      individual: { prorated: true },
    });
    await advance(engine, customer.clockId, iso('2025-01-11'));
    await customer.edit({ add_seat_ids: [{ seat_ids: ['cat'], starting_at: iso('2025-01-11') }] });
    await customer.edit({ remove_seat_ids: [{ seat_ids: ['bob'], starting_at: iso('2025-01-21') }] });
    await advance(engine, customer.clockId, iso('2025-01-25'));
    await customer.use([
      ['2025-01-10T08:00:00Z', 'cat', '1'],
      ['2025-01-12T08:00:00Z', 'cat', '2'],
      ['2025-01-20T08:00:00Z', 'bob', '4'],
      ['2025-01-22T08:00:00Z', 'bob', '1'],
    ]);
    // 21 of 31 days are 677 cents in whole ones. Cat's call before it joined and Bob's after he left are paid.
    expect(await draftTotal(engine, customer.id)).toBe(100 + 100 + 2 * 3100);
    expect(await seatBalances(customer)).toEqual([
      ['ann', '1000 of 1000'],
      ['cat', '477 of 677'],
    ]);
    expect(await seatBalances(customer, { seat_ids: ['bob'] })).toEqual([['bob', '0 of 1000']]);
    const detailed = await metronome.v1.contracts.listSeatBalances({
      ...customer.params,
      covering_date: iso('2025-01-15'),
      include_credits_and_commits: true,
      include_ledgers: true,
    });
    expect(
      detailed.data.map(({ seat_id, credits: own }) => [seat_id, entries(own?.[0]?.ledger_entries)]),
    ).toEqual([
      ['ann', ['SEGMENT_START 1000']],
      ['bob', ['SEGMENT_START 1000', 'SEAT_BASED_ADJUSTMENT -600', 'AUTOMATED_INVOICE_DEDUCTION -400']],
      ['cat', ['SEAT_BASED_ADJUSTMENT 677', 'AUTOMATED_INVOICE_DEDUCTION -200']],
    ]);
    expect(detailed.data[0]?.credits?.[0]).toMatchObject({
      balance: 1000,
      start_date: iso('2025-01-01'),
      end_date: iso('2025-02-01'),
    });

    await advance(engine, customer.clockId, '2025-02-03T00:00:00Z');
    expect(await finalTotals(customer, 'USAGE')).toEqual([200 + 2 * 3100]);
    const [january, february] = await credits(customer);
    expect(entries(january?.ledger)).toEqual([
      'SEGMENT_START 2000',
      'SEAT_BASED_ADJUSTMENT 677',
      'SEAT_BASED_ADJUSTMENT -600',
      'AUTOMATED_INVOICE_DEDUCTION -600',
      'EXPIRATION -1477',
    ]);
    expect(entries(february?.ledger)).toEqual(['SEGMENT_START 2000']);
    expect(await seatBalances(customer, { covering_date: iso('2025-02-03') })).toEqual([
      ['ann', '1000 of 1000'],
      ['cat', '1000 of 1000'],
    ]);
    const [first, second] = [
      await metronome.v1.contracts.listSeatBalances({ ...customer.params, limit: 1 }),
      await metronome.v1.contracts.listSeatBalances({ ...customer.params, limit: 1 }).then(({ pagination }) =>
        metronome.v1.contracts.listSeatBalances({
          ...customer.params,
          limit: 1,
          cursor: pagination.next_page ?? '',
        }),
      ),
    ];
    expect(first.pagination).toMatchObject({ seats_included: 1, seats_available_for_next_page: 1 });
    expect(second.data.map(({ seat_id }) => seat_id)).toEqual(['cat']);
    expect(second.pagination).toEqual({
      seats_included: 1,
      seats_available_for_next_page: 0,
      next_page: null,
    });

    const usage = (
      await metronome.v1.customers.invoices.list({
        customer_id: customer.id,
        status: 'FINALIZED',
        type: 'USAGE',
      })
    ).data[0]?.id;
    await metronome.v1.invoices.void({ id: usage ?? '' });
    const voided = await metronome.v1.contracts.listSeatBalances({
      ...customer.params,
      covering_date: iso('2025-01-15'),
      include_credits_and_commits: true,
      include_ledgers: true,
    });
    expect(entries(voided.data[2]?.credits?.[0]?.ledger_entries)).toEqual([
      'SEAT_BASED_ADJUSTMENT 677',
      'AUTOMATED_INVOICE_DEDUCTION -200',
      'EXPIRATION -677',
      'CREDITED 200',
    ]);
  });

  it('are whole for a seat that joins where they are not prorated, and corrected by hand seat by seat', async () => {
    const { metronome } = engine;
    const customer = await seated(catalogue, { ids: ['ann'], individual: { prorated: false } });
    await advance(engine, customer.clockId, iso('2025-01-20'));
    await customer.edit({ add_seat_ids: [{ seat_ids: ['bob'], starting_at: iso('2025-01-20') }] });
    expect(await seatBalances(customer)).toEqual([
      ['ann', '1000 of 1000'],
      ['bob', '1000 of 1000'],
    ]);
    const [credit] = await credits(customer);
    const entry = {
      customer_id: customer.id,
      contract_id: customer.contractId,
      id: credit?.id ?? '',
      segment_id: credit?.access_schedule?.schedule_items[0]?.id ?? '',
      reason: 'Goodwill',
      amount: -200,
    };
    await metronome.v1.contracts.addManualBalanceEntry({
      ...entry,
      per_group_amounts: { ann: -300, bob: 100 },
    });
    expect(await seatBalances(customer)).toEqual([
      ['ann', '700 of 1000'],
      ['bob', '1100 of 1000'],
    ]);
    expect(entries((await credits(customer))[0]?.ledger)).toEqual([
      'SEGMENT_START 1000',
      'MANUAL -200',
      'SEAT_BASED_ADJUSTMENT 1000',
    ]);
    const refused = (more: object, says: RegExp) =>
      refusedUnwritten(
        engine.db,
        () => metronome.v1.contracts.addManualBalanceEntry({ ...entry, ...more }),
        400,
        says,
      );
    await refused({}, /per_group_amounts.*required/);
    await refused({ per_group_amounts: { nobody: -200 } }, /per_group_amounts.*nobody/);
    await refused({ per_group_amounts: { ann: -100 } }, /per_group_amounts.*add up/);
    // Stored as it is by the edit, the credit goes on following its seats.
    await metronome.v2.contracts.editCredit({
      customer_id: customer.id,
      credit_id: entry.id,
      name: 'Renamed',
    });
    await customer.edit({ add_seat_ids: [{ seat_ids: ['cat'], starting_at: iso('2025-01-20') }] });
    expect((await seatBalances(customer)).at(-1)).toEqual(['cat', '1000 of 1000']);
    await refusedUnwritten(
      engine.db,
      () =>
        metronome.v2.contracts.editCredit({
          customer_id: customer.id,
          credit_id: entry.id,
          access_schedule: { update_schedule_items: [{ id: entry.segment_id, amount: 1 }] },
        }),
      400,
      /access_schedule/,
    );
  });

  it('count for no threshold, and need seats that have ids', async () => {
    const { metronome } = engine;
    const customer = await seated(catalogue, {
      ids: ['ann', 'bob'],
      individual: { prorated: true },
      more: {
        commits: [
          {
            type: 'PREPAID',
            product_id: catalogue.fixed,
            priority: 50,
            applicable_product_ids: [catalogue.sold.productId],
            access_schedule: segment(600, START, iso('2026-01-01')),
          },
        ],
        prepaid_balance_threshold_configuration: {
          is_enabled: true,
          threshold_amount: 500,
          recharge_to_amount: 2000,
          commit: {
            product_id: catalogue.fixed,
            name: 'Top-up',
            applicable_product_ids: [catalogue.sold.productId],
          },
          payment_gate_config: { payment_gate_type: 'NONE' },
        },
      },
    });
    const alert = await metronome.v1.alerts.create({
      alert_type: 'low_remaining_contract_credit_and_commit_balance_reached',
      name: 'All but seats',
      threshold: 600,
      customer_id: customer.id,
    });
    const state = await metronome.v1.customers.alerts.retrieve({
      customer_id: customer.id,
      alert_id: alert.data.id,
    });
    expect(state.data.customer_status).toBe('in_alarm');
    const topUps = async () =>
      (await credits(customer)).flatMap((one) => (one.name === 'Top-up' ? [one.balance] : []));
    expect(await topUps()).toEqual([]);
    // A stranger eats one dollar of the commit: 500 are left, however much the seats have.
    await send(engine, customer.id, catalogue.sold.eventType, [
      { at: START, properties: { user_id: 'stranger', amount: '1' } },
    ]);
    await expect.poll(topUps).toEqual([1500]);
    const quantityOnly = (allocation: 'INDIVIDUAL', rollover?: number) => () =>
      contractAt(engine, START, {
        starting_at: START,
        rate_card_id: catalogue.card,
        subscriptions: [
          {
            temporary_id: 'seats',
            subscription_rate: { product_id: catalogue.seatProduct, billing_frequency: 'MONTHLY' },
            collection_schedule: 'ADVANCE',
            proration: {},
            ...(rollover === undefined
              ? { initial_quantity: 3 }
              : {
                  quantity_management_mode: 'SEAT_BASED' as const,
                  seat_config: { seat_group_key: 'user_id', initial_seat_ids: [] },
                }),
          },
        ],
        recurring_credits: [
          {
            product_id: catalogue.fixed,
            priority: 1,
            access_amount: { unit_price: 1000, credit_type_id: USD },
            commit_duration: { value: 1 },
            starting_at: START,
            ...(rollover === undefined ? {} : { rollover_fraction: rollover }),
            subscription_config: {
              subscription_id: 'seats',
              allocation,
              apply_seat_increase_config: { is_prorated: true },
            },
          },
        ],
      });
    await expect(quantityOnly('INDIVIDUAL')()).rejects.toThrow(/allocation.*SEAT_BASED/);
    await expect(quantityOnly('INDIVIDUAL', 0.5)()).rejects.toThrow(/rollover_fraction/);
  });
});
