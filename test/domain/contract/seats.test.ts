import { describe, expect, it } from 'vitest';
import { balanceAt, ledgerAt, ledgerSum, spendableBalance } from '../../../src/domain/contract/balance.js';
import { recurringGrants } from '../../../src/domain/contract/recurring.js';
import {
  type SeatStep,
  seatCount,
  seatQuantities,
  steppedSeats,
  unassignedSeats,
} from '../../../src/domain/contract/seatChanges.js';
import type { SeatChange, Subscription } from '../../../src/domain/contract/terms.js';
import { toText, ZERO } from '../../../src/domain/decimal.js';
import { contractOf, dec, inputOf, rateOf, UNITS, USD, usageProduct, used, utc } from './builders.js';
import { computeUsageInvoice } from '../../../src/domain/contract/draft.js';
import { withDeductions } from '../../../src/domain/contract/balance.js';

const seatsAt = (date: string, seatIds: string[], unassigned = '0'): SeatChange => ({
  startingAt: utc(date),
  seatIds,
  unassigned: dec(unassigned),
});

/** "date: ids + unassigned", as a person reads a seat plan. */
const shownSeats = (seats: readonly SeatChange[]) =>
  seats.map(
    ({ startingAt, seatIds, unassigned }) =>
      `${new Date(startingAt).toISOString().slice(5, 10)}: ${seatIds.join('')} + ${toText(unassigned)}`,
  );

describe('seats', () => {
  const start = [seatsAt('2025-01-01', ['a', 'b'], '2')];
  const step = (date: string, rest: object) => ({ startingAt: utc(date), ...rest }) as SeatStep;

  it('6.55 fill unassigned seats first, then raise the quantity; one out and one unassigned in keep it', () => {
    const filled = steppedSeats(start, [step('2025-01-10', { kind: 'add_ids', seatIds: ['c', 'a'] })]);
    expect(shownSeats(filled)).toEqual(['01-01: ab + 2', '01-10: abc + 1']);
    const raised = steppedSeats(filled, [step('2025-01-10', { kind: 'add_ids', seatIds: ['d', 'e'] })]);
    expect(shownSeats(raised)).toEqual(['01-01: ab + 2', '01-10: abcde + 0']);
    expect(seatQuantities(raised).map(({ quantity }) => toText(quantity))).toEqual(['4', '5']);
    const swapped = steppedSeats(raised, [
      step('2025-01-12', { kind: 'add_unassigned', quantity: dec('1') }),
      step('2025-01-12', { kind: 'remove_ids', seatIds: ['a', 'nobody'] }),
    ]);
    expect(shownSeats(swapped).at(-1)).toBe('01-12: bcde + 1');
    expect(swapped.map((one) => toText(seatCount(one)))).toEqual(['4', '5', '5']);
  });

  it('keep what is planned for later, each change from its own date on', () => {
    const planned = steppedSeats(start, [step('2025-02-01', { kind: 'remove_ids', seatIds: ['b'] })]);
    const joined = steppedSeats(planned, [
      step('2025-01-15', { kind: 'add_ids', seatIds: ['x', 'y', 'z'] }),
      step('2025-03-01', { kind: 'remove_unassigned', quantity: dec('9') }),
    ]);
    expect(shownSeats(joined)).toEqual([
      '01-01: ab + 2',
      '01-15: abxyz + 0',
      '02-01: axyz + 0',
      '03-01: axyz + 0',
    ]);
    expect(shownSeats(unassignedSeats([{ startingAt: utc('2025-01-01'), quantity: dec('3') }]))).toEqual([
      '01-01:  + 3',
    ]);
  });
});

describe('a credit of single seats', () => {
  const plan: Subscription = {
    id: 'seats',
    name: 'Seats',
    productId: 'Seat',
    frequency: 'MONTHLY',
    collection: 'ADVANCE',
    proration: { isProrated: true, behavior: 'BILL_IMMEDIATELY', rounding: null },
    placement: 'ON_USAGE_INVOICE',
    anchor: null,
    startingAt: utc('2024-09-01'),
    endingBefore: null,
    quantities: [],
    seatGroupKey: 'user',
    seats: [
      seatsAt('2024-09-01', ['a', 'b'], '1'),
      seatsAt('2024-09-16', ['a', 'b', 'c']),
      seatsAt('2024-09-21', ['b', 'c']),
      seatsAt('2024-09-26', ['a', 'b', 'c']),
    ],
  };
  const terms = contractOf({ startingAt: utc('2024-09-01'), subscriptions: [plan] });
  const [grant] = recurringGrants(
    {
      id: 'recurring',
      type: 'CREDIT',
      name: 'Own credit',
      productId: 'Credit',
      priority: 1,
      access: { creditTypeId: USD, unitPrice: dec('1000'), quantity: null },
      invoice: null,
      durationPeriods: 1,
      frequency: 'MONTHLY',
      startingAt: utc('2024-09-01'),
      endingBefore: null,
      proration: 'FIRST_AND_LAST',
      accessRounding: null,
      invoiceRounding: null,
      rateType: 'LIST_RATE',
      rolloverFraction: null,
      applicability: { productIds: [], productTags: [], specifiers: [] },
      subscription: { subscriptionId: 'seats', prorateIncreases: true },
      allocation: 'INDIVIDUAL',
      createdAt: 0,
    },
    { terms, units: UNITS, idOf: (key) => key },
    utc('2024-09-02'),
  );
  if (grant === undefined) throw new Error('no grant');
  const at = (date: string, user: string | null, units: string) =>
    used('API', `${date}T10:00:00Z`, units, {}, { user });
  const draft = (usage: ReturnType<typeof at>[]) =>
    computeUsageInvoice(
      inputOf({
        products: [usageProduct('API', { presentationGroupKey: ['user'] })],
        rates: [rateOf('API', '100')],
        usage,
        balances: [grant],
        terms: { subscriptions: [plan] },
      }),
    );

  it('is burned only by usage that names the seat while it is assigned', () => {
    const invoice = draft([
      at('2024-09-05', 'a', '8'),
      at('2024-09-05', 'b', '3'),
      at('2024-09-05', 'c', '1'),
      at('2024-09-17', 'c', '6'),
      at('2024-09-22', 'a', '2'),
      at('2024-09-27', 'stranger', '4'),
      at('2024-09-27', null, '5'),
    ]);
    // c joined for half of the month: 500 of its 600. Nothing pays for a while it is gone, c before it joined, others.
    expect(invoice.deductions.map(({ seatId, amount }) => `${seatId} ${toText(amount)}`).sort()).toEqual([
      'a 800',
      'b 300',
      'c 500',
    ]);
    expect(toText(invoice.total)).toBe('1300');
  });

  it('shows what the seats have that are assigned, and its ledger adds up to it at any time', () => {
    const after = withDeductions(
      grant,
      draft([at('2024-09-05', 'a', '4'), at('2024-09-17', 'c', '1')]).deductions,
    );
    const left = (date: string) => toText(balanceAt(after, utc(date)));
    // a 600 and b 1,000; then c 400; then without a; then a again.
    expect(['2024-09-10', '2024-09-18', '2024-09-22', '2024-09-28', '2024-10-01'].map(left)).toEqual([
      '1600',
      '2000',
      '1400',
      '2000',
      '0',
    ]);
    for (const date of ['2024-09-18', '2024-09-22', '2024-09-28', '2024-10-01']) {
      expect(ledgerSum(ledgerAt(after, utc(date)))).toEqual(balanceAt(after, utc(date)));
    }
    const ledger = ledgerAt(after, utc('2024-09-22')).map(({ type, amount }) => `${type} ${toText(amount)}`);
    expect(ledger).toEqual([
      'SEGMENT_START 2000',
      'SEAT_BASED_ADJUSTMENT 500',
      'SEAT_BASED_ADJUSTMENT -600',
      'AUTOMATED_INVOICE_DEDUCTION -500',
    ]);
    expect(spendableBalance([after], USD, utc('2024-09-10'), ZERO)).toEqual(ZERO);
  });
});
