import { describe, expect, it } from 'vitest';
import { availableBySegment } from '../../../src/domain/contract/balance.js';
import { computeUsageInvoice } from '../../../src/domain/contract/draft.js';
import { roundMoney } from '../../../src/domain/contract/quantity.js';
import { indexRates } from '../../../src/domain/contract/rateCard.js';
import { recurringGrants } from '../../../src/domain/contract/recurring.js';
import { expandSchedule } from '../../../src/domain/contract/schedule.js';
import {
  type ScheduledInvoicesInput,
  scheduledInvoices,
} from '../../../src/domain/contract/scheduledInvoices.js';
import { statementAt, statementsBetween } from '../../../src/domain/contract/statement.js';
import { quantityAt } from '../../../src/domain/contract/subscriptions.js';
import type { Balance } from '../../../src/domain/contract/balanceTerms.js';
import type { ContractTerms, RecurringBalance, Subscription } from '../../../src/domain/contract/terms.js';
import { add, toText } from '../../../src/domain/decimal.js';
import {
  balanceOf,
  cardOf,
  contractOf,
  dec,
  flat,
  inputOf,
  invoiced,
  iso,
  itemOf,
  multiplierOf,
  rateOf,
  segmentOf,
  shown,
  shownLines,
  total,
  TOKENS,
  UNITS,
  USD,
  usageProduct,
  utc,
  ZERO,
} from './builders.js';

const span = ({ start, end }: { start: number; end: number }) => `${iso(start)} to ${iso(end)}`;

describe('usage statements', () => {
  it('6.19 a custom anchor shortens the first statement', () => {
    const terms = contractOf({
      startingAt: utc('2024-09-15'),
      statements: {
        frequency: 'MONTHLY',
        day: 'CUSTOM_DATE',
        anchor: utc('2024-09-10'),
        generationStartingAt: null,
      },
    });
    const statements = statementsBetween(terms, terms.startingAt, utc('2024-11-01'));
    expect(statements.map(span)).toEqual(['2024-09-15 to 2024-10-10', '2024-10-10 to 2024-11-10']);
  });

  it.each([
    ['MONTHLY', 'FIRST_OF_MONTH', ['2024-01-31 to 2024-02-01', '2024-02-01 to 2024-03-01']],
    ['MONTHLY', 'CONTRACT_START', ['2024-01-31 to 2024-02-29', '2024-02-29 to 2024-03-31']],
    ['QUARTERLY', 'FIRST_OF_MONTH', ['2024-01-31 to 2024-04-01', '2024-04-01 to 2024-05-20']],
  ] as const)('%s from %s', (frequency, day, expected) => {
    const terms = contractOf({
      startingAt: utc('2024-01-31'),
      endingBefore: utc('2024-05-20'),
      statements: { frequency, day, anchor: null, generationStartingAt: null },
    });
    expect(statementsBetween(terms, 0, utc('2030-01-01')).map(span).slice(0, 2)).toEqual(expected);
    expect(statementAt(terms, utc('2024-05-20'))).toBeNull();
  });

  it('6.57 makes no statement that ended before generation starts', () => {
    const statements = {
      ...contractOf().statements,
      generationStartingAt: utc('2024-08-01'),
    };
    const terms = contractOf({ startingAt: utc('2024-06-01'), statements });
    expect(statementsBetween(terms, utc('2024-06-01'), utc('2024-08-15')).map(span)).toEqual([
      '2024-08-01 to 2024-09-01',
    ]);
  });
});

describe('recurring schedules', () => {
  const year = { startingAt: utc('2024-11-01'), endingBefore: utc('2025-11-01'), quantity: dec('1') };

  it('6.17 charges a platform fee every quarter', () => {
    const items = expandSchedule(
      { ...year, frequency: 'QUARTERLY', unitPrice: dec('100000'), distribution: 'EACH' },
      0,
    );
    expect(items.map(({ timestamp, amount }) => `${iso(timestamp)} ${toText(amount)}`)).toEqual([
      '2024-11-01 100000',
      '2025-02-01 100000',
      '2025-05-01 100000',
      '2025-08-01 100000',
    ]);
  });

  it.each([
    ['DIVIDED_ROUNDED', '333', '334'],
    ['DIVIDED', '333.33333333333333333333', '333.33333333333333333334'],
  ] as const)('%s shares add up to the amount', (distribution, first, last) => {
    const nine = { ...year, endingBefore: utc('2025-02-01'), quantity: dec('2') };
    const items = expandSchedule({ ...nine, frequency: 'MONTHLY', unitPrice: dec('500'), distribution }, 0);
    expect(items.map(({ amount }) => toText(amount))).toEqual([first, first, last]);
    expect(items.reduce((sum, { amount }) => add(sum, amount), ZERO)).toEqual(dec('1000'));
  });
});

const seatPlan: Subscription = {
  id: 'seats',
  name: 'Seats',
  productId: 'Seat',
  frequency: 'ANNUAL',
  collection: 'ADVANCE',
  proration: { isProrated: true, behavior: 'BILL_IMMEDIATELY', rounding: null },
  placement: 'ON_USAGE_INVOICE',
  anchor: null,
  startingAt: utc('2025-06-01'),
  endingBefore: null,
  quantities: [
    { startingAt: utc('2025-06-01'), quantity: dec('4') },
    { startingAt: utc('2025-07-03'), quantity: dec('5') },
    { startingAt: utc('2025-07-20'), quantity: dec('3') },
  ],
};

const recurringOf = (more: Partial<RecurringBalance> = {}): RecurringBalance => ({
  id: 'monthly',
  type: 'CREDIT',
  name: 'Monthly credit',
  productId: 'Credit',
  priority: 1,
  access: { creditTypeId: USD, unitPrice: dec('1000'), quantity: dec('1') },
  invoice: null,
  durationPeriods: 1,
  frequency: null,
  startingAt: utc('2025-10-01'),
  endingBefore: null,
  proration: 'FIRST_AND_LAST',
  accessRounding: null,
  invoiceRounding: null,
  rateType: 'LIST_RATE',
  rolloverFraction: null,
  applicability: { productIds: [], productTags: [], specifiers: [] },
  subscription: null,
  createdAt: 0,
  ...more,
});

function grants(recurring: RecurringBalance, terms: ContractTerms, through: string): string[] {
  const context = { terms, units: UNITS, idOf: (key: string) => key };
  return recurringGrants(recurring, context, utc(through)).map(({ access: [segment] }) =>
    segment === undefined
      ? 'none'
      : `${toText(segment.amount)}: ${iso(segment.startingAt)} to ${iso(segment.endingBefore)}`,
  );
}

describe('recurring credits', () => {
  const terms = contractOf({ startingAt: utc('2025-06-01'), subscriptions: [seatPlan] });

  it('6.50 come for three months, the last one to 2026', () => {
    const recurring = recurringOf({ endingBefore: utc('2026-01-01') });
    expect(grants(recurring, terms, '2027-01-01')).toEqual([
      '1000: 2025-10-01 to 2025-11-01',
      '1000: 2025-11-01 to 2025-12-01',
      '1000: 2025-12-01 to 2026-01-01',
    ]);
  });

  it.each([
    ['FIRST_AND_LAST', ['452', '1000', '333']],
    ['FIRST', ['452', '1000', '1000']],
    ['LAST', ['1000', '1000', '333']],
    ['NONE', ['1000', '1000', '1000']],
  ] as const)('%s: cut periods get their exact share in whole cents', (proration, amounts) => {
    const recurring = recurringOf({
      proration,
      startingAt: utc('2025-10-18'),
      endingBefore: utc('2025-12-11'),
    });
    const cut = grants({ ...recurring, endingBefore: utc('2025-12-11T08:00:00Z') }, terms, '2027-01-01');
    expect(cut.map((grant) => grant.split(':')[0])).toEqual(amounts);
  });

  it('with a frequency count from their own start, and may last several periods', () => {
    const recurring = recurringOf({
      frequency: 'MONTHLY',
      startingAt: utc('2025-10-18'),
      durationPeriods: 2,
    });
    expect(grants(recurring, { ...terms, endingBefore: utc('2026-01-01') }, '2025-12-20')).toEqual([
      '1000: 2025-10-18 to 2025-12-18',
      '1000: 2025-11-18 to 2026-01-01',
      '452: 2025-12-18 to 2026-01-01',
    ]);
  });

  it('6.47 pool 100 credits for each seat, 93.55 more for one added on 3 July', () => {
    const recurring = recurringOf({
      access: { creditTypeId: TOKENS, unitPrice: dec('100'), quantity: null },
      startingAt: utc('2025-06-01'),
      subscription: { subscriptionId: 'seats', prorateIncreases: true },
    });
    const made = recurringGrants(recurring, { terms, units: UNITS, idOf: (key) => key }, utc('2025-08-01'));
    const left = made.flatMap((balance) => [...availableBySegment([balance]).values()]).map(toText);
    expect(left).toEqual(['400', '493.55', '300']);
    expect(made[1]?.entries.map(({ type, amount }) => [type, toText(amount)])).toEqual([
      ['SEAT_BASED_ADJUSTMENT', '93.55'],
    ]);
  });
});

function scheduled(
  terms: ContractTerms,
  balances: Balance[] = [],
  more: Partial<ScheduledInvoicesInput> = {},
) {
  const rates = [rateOf('Seat', '10000', { billingFrequency: 'ANNUAL' })];
  return scheduledInvoices({
    terms,
    rates: indexRates(cardOf(rates)),
    products: new Map([['Seat', usageProduct('Seat', { type: 'SUBSCRIPTION' })]]),
    units: UNITS,
    balances,
    from: utc('2020-01-01'),
    to: utc('2026-01-01'),
    idOf: (key) => key,
    ...more,
  });
}

describe('scheduled invoices', () => {
  const fee = {
    id: 'fee',
    name: 'Platform fee',
    productId: 'Fee',
    creditTypeId: USD,
    items: [itemOf('one', '2024-11-01', '100000'), itemOf('two', '2025-02-01', '100000')],
  };

  it('6.12 invoices the larger commit at once, beside what was invoiced before', () => {
    const items = [itemOf('first', '2025-01-01', '10000000'), itemOf('added', '2025-07-01', '10000000')];
    const commit = balanceOf('Commit', '0', {
      type: 'PREPAID',
      access: [segmentOf('20000000', '2025-01-01', '2027-01-01')],
      invoiceSchedule: { creditTypeId: USD, items, doNotInvoice: false },
    });
    const invoices = scheduled(contractOf(), [commit]);
    expect(invoices.map((one) => `${iso(one.issuedAt)} ${total(one)}`)).toEqual([
      '2025-01-01 10000000',
      '2025-07-01 10000000',
    ]);
    expect(invoices[0]?.lines[0]).toMatchObject({ type: 'commit_purchase', balance: { id: 'Commit' } });
  });

  it('6.17 puts a purchase and a charge of the same instant on one invoice', () => {
    const commit = balanceOf('Commit', '1000000', { type: 'PREPAID', ...invoiced('1000000', '2024-11-01') });
    const invoices = scheduled(contractOf({ scheduledCharges: [fee] }), [commit]);
    expect(invoices.map((one) => [iso(one.issuedAt), one.lines.length, total(one)])).toEqual([
      ['2024-11-01', 2, '1100000'],
      ['2025-02-01', 1, '100000'],
    ]);
    expect(new Set(invoices.map(({ invoiceId }) => invoiceId)).size).toBe(2);
  });

  it('joins the usage statement that ends on the day, where the contract wants it', () => {
    const terms = contractOf({ scheduledCharges: [fee], consolidatesScheduledCharges: true });
    const input = inputOf({ products: [], rates: [], usage: [], from: '2024-10-01', to: '2024-11-01' });
    expect(shownLines(computeUsageInvoice({ ...input, terms }))).toEqual([
      'Platform fee 1 × 100000 = 100000',
    ]);
    expect(scheduled(terms)).toEqual([]);
    const late = scheduled(terms, [], { missedChargeItems: new Set(['one']) });
    expect(late.map((one) => iso(one.issuedAt))).toEqual(['2024-11-01']);
  });

  it('true up each monthly minimum by itself, less what usage has burned', () => {
    const month = (name: string, from: string, to: string, burned: string) =>
      balanceOf(name, '0', {
        type: 'POSTPAID',
        access: [segmentOf('1000', from, to, name)],
        ...invoiced('1000', to),
        entries: [
          {
            type: 'AUTOMATED_INVOICE_DEDUCTION',
            segmentId: name,
            timestamp: utc(to),
            amount: dec(`-${burned}`),
            invoiceId: 'i',
            contractId: 'contract',
            newContractId: null,
            reason: null,
          },
        ],
      });
    const minimums = [
      month('January', '2024-01-01', '2024-02-01', '400'),
      month('February', '2024-02-01', '2024-03-01', '1000'),
      month('March', '2024-03-01', '2024-04-01', '999.5'),
    ];
    const invoices = scheduled(contractOf(), minimums);
    expect(invoices.map((one) => `${iso(one.issuedAt)} ${total(one)}`)).toEqual([
      '2024-02-01 600',
      '2024-04-01 0.5',
    ]);
  });
});

describe('subscriptions', () => {
  const terms = contractOf({ startingAt: utc('2025-06-01'), subscriptions: [seatPlan] });

  it('6.47 charge the first year in advance, and an added seat at once for the rest of it', () => {
    const invoices = scheduled(terms);
    expect(invoices.map((one) => [iso(one.issuedAt), ...one.lines.map(shown)])).toEqual([
      ['2025-06-01', 'Seats 4 × 10000 = 40000'],
      ['2025-07-03', 'Seats 1 × 9123 = 9123'],
    ]);
  });

  it('collect the next period on the statement that ends when it begins', () => {
    const plan = { ...seatPlan, frequency: 'MONTHLY' as const, quantities: seatPlan.quantities.slice(0, 1) };
    const input = inputOf({
      products: [usageProduct('Seat', { type: 'SUBSCRIPTION' })],
      rates: [rateOf('Seat', flat('1000'), { billingFrequency: 'MONTHLY' })],
      usage: [],
      from: '2025-06-01',
      to: '2025-07-01',
    });
    const overrides = [multiplierOf('0.9', { startingAt: utc('2025-07-02') })];
    const draft = computeUsageInvoice({ ...input, terms: { ...terms, overrides, subscriptions: [plan] } });
    expect(draft.lines.map((line) => [shown(line), iso(line.period?.start ?? 0)])).toEqual([
      ['Seats 4 × 1000 = 4000', '2025-07-01'],
    ]);
    const arrears = { ...plan, collection: 'ARREARS' as const };
    const late = computeUsageInvoice({ ...input, terms: { ...terms, subscriptions: [arrears] } });
    expect(late.lines.map((line) => [shown(line), iso(line.period?.start ?? 0)])).toEqual([
      ['Seats 4 × 1000 = 4000', '2025-06-01'],
    ]);
  });

  it('6.13 the quantity of an instant is the last change before it', () => {
    const quantities = [
      { startingAt: utc('2025-06-01'), quantity: dec('10') },
      { startingAt: utc('2025-07-01'), quantity: dec('12') },
      { startingAt: utc('2025-07-01'), quantity: dec('11') },
    ];
    expect(quantityAt(quantities, utc('2025-06-30'))).toEqual(dec('10'));
    expect(quantityAt(quantities, utc('2025-07-01'))).toEqual(dec('11'));
  });

  it.each([
    ['1234', '1200'],
    ['1250', '1300'],
  ])('6.58 rounds %s cents half up to whole dollars: %s', (amount, expected) => {
    expect(toText(roundMoney(dec(amount), { method: 'HALF_UP', places: -2 }))).toBe(expected);
  });
});
