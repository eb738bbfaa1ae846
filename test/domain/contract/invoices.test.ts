import { describe, expect, it } from 'vitest';
import { breakDown } from '../../../src/domain/contract/breakdown.js';
import { balanceAt, withDeductions } from '../../../src/domain/contract/balance.js';
import { computeOpenInvoices } from '../../../src/domain/contract/draft.js';
import { toText } from '../../../src/domain/decimal.js';
import {
  balanceOf,
  burned,
  cardOf,
  contractOf,
  flat,
  inputOf,
  invoiced,
  invoiceOf,
  rateOf,
  segmentOf,
  shown,
  shownLines,
  specifierOf,
  TOKENS,
  total,
  usageProduct,
  used,
  utc,
} from './builders.js';

const storage = { products: [usageProduct('Storage')], rates: [rateOf('Storage', '100')] };

describe('a prepaid balance on an invoice', () => {
  it('6.1 splits a line into what is covered, what is applied and what is left', () => {
    const invoice = invoiceOf({
      ...storage,
      usage: [used('Storage', '2024-09-10', '80')],
      balances: [balanceOf('Commit', '5000', { type: 'PREPAID', ...invoiced('5000') })],
    });
    expect(shownLines(invoice)).toEqual([
      'Storage 50 × 100 = 5000 [Commit]',
      'Commit – × – = -5000 [Commit]',
      'Storage 30 × 100 = 3000',
    ]);
    expect(total(invoice)).toBe('3000');
    expect(new Date(invoice.issuedAt).toISOString()).toBe('2024-10-02T00:00:00.000Z');
  });

  it('6.2 uses up the last four dollars', () => {
    const commit = balanceOf('Commit', '400', { type: 'PREPAID' });
    const invoice = invoiceOf({
      ...storage,
      usage: [used('Storage', '2024-09-02', '10')],
      balances: [commit],
    });
    expect(invoice.lines.map((line) => toText(line.total))).toEqual(['400', '-400', '600']);
    expect(total(invoice)).toBe('600');
  });

  it('6.5 pays for the dearer product first', () => {
    const invoice = invoiceOf({
      products: [usageProduct('Data Storage'), usageProduct('Data Reads')],
      rates: [rateOf('Data Storage', '100'), rateOf('Data Reads', '260')],
      usage: [used('Data Storage', '2024-09-10', '10'), used('Data Reads', '2024-09-10', '10')],
      balances: [balanceOf('Commit', '2600')],
    });
    expect(shownLines(invoice)).toEqual([
      'Data Reads 10 × 260 = 2600 [Commit]',
      'Commit – × – = -2600 [Commit]',
      'Data Storage 10 × 100 = 1000',
    ]);
  });

  it('6.6 burns six commits in the order of the chain, one as the other is empty', () => {
    const region = specifierOf({ pricingGroupValues: { region: 'us' } });
    const productAndRegion = specifierOf({ productId: 'Storage', pricingGroupValues: { region: 'us' } });
    const specific = { productIds: [], productTags: [], specifiers: [productAndRegion, region] };
    const until = (id: string, end: string) => ({
      access: [segmentOf('1000000', '2024-01-01', end, `${id} segment`)],
    });
    const paid = { type: 'PREPAID' as const, ...invoiced('1000000') };
    const commits = [
      balanceOf('F', '1', { ...paid, ...until('F', '2025-10-01') }),
      balanceOf('E', '1', { ...paid, applicability: specific, ...until('E', '2026-10-01') }),
      balanceOf('D', '1', { ...paid, applicability: specific, ...until('D', '2025-10-01') }),
      balanceOf('C', '1', {
        ...paid,
        applicability: { productIds: ['Storage'], productTags: [], specifiers: [] },
        ...until('C', '2025-10-01'),
      }),
      balanceOf('B', '1', { type: 'PREPAID', ...until('B', '2025-10-01') }),
      balanceOf('A', '1', { ...paid, priority: 50, ...until('A', '2025-10-01') }),
    ];
    const order: string[] = [];
    for (let filled = 1; filled <= 6; filled += 1) {
      const invoice = invoiceOf({
        products: [usageProduct('Storage', { pricingGroupKey: ['region'] })],
        rates: [rateOf('Storage', '100', { pricingGroupValues: { region: 'us' } })],
        usage: [used('Storage', '2024-09-10', String(filled * 10_000), { region: 'us' })],
        balances: commits,
      });
      order.push(
        Object.keys(burned(invoice))
          .filter((id) => !order.includes(id))
          .join('+'),
      );
    }
    expect(order).toEqual(['A', 'B', 'C', 'D', 'E', 'F']);
  });

  it('6.7 previews 99 units and 5 more against 100 free ones: one free, four to pay', () => {
    const usage = [used('Storage', '2024-09-10', '99'), used('Storage', '2024-09-11', '5')];
    const invoice = invoiceOf({ ...storage, usage, balances: [balanceOf('Free', '10000')] });
    expect(burned(invoice)).toEqual({ Free: '10000' });
    expect(total(invoice)).toBe('400');
  });

  it('6.8 lets each month of a credit expire alone', () => {
    const months = ['2024-10-01', '2024-11-01', '2024-12-01', '2025-01-01'];
    const access = months
      .slice(0, 3)
      .map((from, index) => segmentOf('1000', from, months[index + 1] ?? '', from));
    const credit = balanceOf('Credit', '0', { access });
    const october = invoiceOf({
      ...storage,
      usage: [used('Storage', '2024-10-10', '4')],
      balances: [credit],
      from: '2024-10-01',
      to: '2024-11-01',
    });
    const after = withDeductions(credit, october.deductions);
    expect(toText(balanceAt(after, utc('2024-10-31')))).toBe('600');
    expect(toText(balanceAt(after, utc('2024-11-01')))).toBe('1000');
    expect(toText(balanceAt(after, utc('2025-01-01')))).toBe('0');
  });

  it('6.22 covers only the first half of January, and ends at 459 dollars', () => {
    const credit = balanceOf('Free', '0', {
      access: [segmentOf('50000', '2024-01-01', '2024-01-16', 'half')],
    });
    const scenario = {
      products: [usageProduct('Compute'), usageProduct('Storage')],
      rates: [rateOf('Compute', '100'), rateOf('Storage', '50')],
      usage: [
        used('Compute', '2024-01-05', '360'),
        used('Storage', '2024-01-05', '100'),
        used('Compute', '2024-01-20', '384'),
        used('Storage', '2024-01-20', '150'),
      ],
      balances: [credit],
      from: '2024-01-01',
      to: '2024-02-01',
    };
    const invoice = invoiceOf(scenario);
    expect(invoice.lines.map(({ total }) => toText(total))).toEqual([
      '36000',
      '5000',
      '-36000',
      '-5000',
      '38400',
      '7500',
    ]);
    expect(total(invoice)).toBe('45900');
    expect(burned(invoice)).toEqual({ Free: '41000' });
  });

  it('6.46 burns 100 tokens of 450 and converts the other 350', () => {
    const invoice = invoiceOf({
      products: [usageProduct('Model')],
      rates: [],
      card: cardOf([rateOf('Model', flat('1', TOKENS))], '2.5'),
      usage: [used('Model', '2024-09-10', '450')],
      balances: [balanceOf('Tokens', '100', { creditTypeId: TOKENS }), balanceOf('Dollars', '99999')],
    });
    expect(shownLines(invoice)).toEqual([
      'Model 100 × 1 = 100 [Tokens]',
      'Tokens – × – = -100 [Tokens]',
      'Model 350 × 1 = 350',
      'Tokens conversion 350 × 2.5 = 875',
    ]);
    expect(total(invoice)).toBe('875');
    expect(burned(invoice)).toEqual({ Tokens: '100' });
  });

  it('costs exactly units × price although no decimal ends the quantity that a balance covers', () => {
    const invoice = invoiceOf({
      products: [usageProduct('API')],
      rates: [rateOf('API', '3')],
      usage: [used('API', '2024-09-10', '50')],
      balances: ['A', 'B', 'C'].map((id) => balanceOf(id, '20')),
    });
    const usage = invoice.lines.filter(({ type }) => type === 'usage').map(({ total }) => toText(total));
    expect(usage).toEqual(['20', '20', '20', '90']);
    expect(total(invoice)).toBe('90');
  });

  it('shows a postpaid commit shrink without lowering the total', () => {
    const minimum = balanceOf('Minimum', '5000', { type: 'POSTPAID' });
    const invoice = invoiceOf({
      ...storage,
      usage: [used('Storage', '2024-09-10', '80')],
      balances: [minimum],
    });
    expect(shownLines(invoice)).toEqual([
      'Storage 50 × 100 = 5000 [Minimum]',
      'Minimum – × – = -5000 [Minimum]',
      'Storage 30 × 100 = 3000',
    ]);
    expect(total(invoice)).toBe('8000');
  });
});

describe('the usage invoice as such', () => {
  it('shows an unused product with a line of zero, and says what it could not bill', () => {
    const invoice = invoiceOf({
      products: [usageProduct('Idle'), usageProduct('Regional', { pricingGroupKey: ['region'] })],
      rates: [rateOf('Idle', '100'), rateOf('Regional', '7', { pricingGroupValues: { region: 'eu' } })],
      usage: [used('Regional', '2024-09-10', '3', { region: 'mars' })],
    });
    expect(shownLines(invoice)).toEqual(['Idle 0 × 100 = 0']);
    expect(invoice.unbilled).toMatchObject([{ productId: 'Regional', reason: 'no_rate' }]);
  });

  it('keeps the keys of its lines when usage grows', () => {
    const keys = (quantity: string) =>
      invoiceOf({
        ...storage,
        usage: [used('Storage', '2024-09-10', quantity)],
        balances: [balanceOf('C', '500')],
      }).lines.map(({ key }) => key);
    expect(keys('80')).toEqual(keys('90'));
    expect(new Set(keys('80')).size).toBe(3);
  });

  it('lets the statement in its grace draw before the open one', () => {
    const commit = balanceOf('Commit', '1500');
    const months = (from: string, to: string, at: string) =>
      inputOf({ ...storage, usage: [used('Storage', at, '10')], from, to });
    const { invoices, balances } = computeOpenInvoices(
      [months('2024-09-01', '2024-10-01', '2024-09-20'), months('2024-10-01', '2024-11-01', '2024-10-01')],
      [commit],
    );
    expect(invoices.map(total)).toEqual(['0', '500']);
    expect(balances.map((balance) => toText(balanceAt(balance, utc('2024-10-02'))))).toEqual(['0']);
  });

  it('6.53 breaks down by day with the times of the invoice', () => {
    const regions = usageProduct('Storage', { pricingGroupKey: ['region'] });
    const rates = ['a', 'b', 'c'].map((region) =>
      rateOf('Storage', '100', { pricingGroupValues: { region } }),
    );
    const usage = [
      used('Storage', '2024-10-01T03:00:00Z', '37', { region: 'a' }),
      used('Storage', '2024-10-01T09:00:00Z', '24', { region: 'b' }),
      used('Storage', '2024-10-01T23:00:00Z', '12', { region: 'c' }),
      used('Storage', '2024-10-03', '1', { region: 'a' }),
    ];
    const scenario = { products: [regions], rates, usage, from: '2024-10-01', to: '2024-11-01' };
    const windows = breakDown(inputOf(scenario), 'DAY');
    expect(windows.map(({ start, invoice }) => [new Date(start).getUTCDate(), total(invoice)])).toEqual([
      [1, '7300'],
      [3, '100'],
    ]);
    expect(windows[0]?.invoice.lines.map(({ total }) => toText(total)).toSorted()).toEqual([
      '1200',
      '2400',
      '3700',
    ]);
    expect(windows[0]?.invoice.lines[0]?.period).toEqual({
      start: utc('2024-10-01'),
      end: utc('2024-11-01'),
    });

    const prepaid = balanceOf('Prepaid', '20000', { type: 'PREPAID' });
    const only = breakDown(inputOf({ ...scenario, usage: usage.slice(0, 1), balances: [prepaid] }), 'DAY');
    expect(only.flatMap(({ invoice }) => invoice.lines.map(shown))).toEqual([
      'Storage 37 × 100 = 3700 [Prepaid]',
      'Prepaid – × – = -3700 [Prepaid]',
    ]);
    expect(only.map(({ invoice }) => total(invoice))).toEqual(['0']);
  });

  it('uses a balance of the customer after the equal one of the contract, and none kept to other contracts', () => {
    const customer = balanceOf('Customer', '500', { contractId: null });
    const foreign = balanceOf('Foreign', '500', { contractId: null, applicableContractIds: ['other'] });
    const invoice = invoiceOf({
      ...storage,
      terms: contractOf(),
      usage: [used('Storage', '2024-09-10', '7')],
      balances: [customer, foreign, balanceOf('Own', '500')],
    });
    expect(burned(invoice)).toEqual({ Own: '500', Customer: '200' });
  });
});
