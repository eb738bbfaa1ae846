import { describe, expect, it } from 'vitest';
import {
  alertState,
  alertTransition,
  balanceReading,
  invoiceTotalReading,
  spendReading,
} from '../../../src/domain/contract/alerts.js';
import {
  balanceAt,
  costBasisDiscount,
  ledgerAt,
  ledgerSum,
  ledgerTypeName,
  netBalance,
  rollOver,
  spendableBalance,
  trueUpEntries,
  truncateAccess,
  voidEntries,
  withDeductions,
} from '../../../src/domain/contract/balance.js';
import type { LedgerEntry } from '../../../src/domain/contract/balanceTerms.js';
import {
  checkRecharge,
  rechargeFor,
  type RechargeConfig,
  spendChargeFor,
} from '../../../src/domain/contract/threshold.js';
import { type Decimal, toText } from '../../../src/domain/decimal.js';
import {
  balanceOf,
  dec,
  invoiced,
  invoiceOf,
  iso,
  rateOf,
  segmentOf,
  TOKENS,
  UNITS,
  USD,
  usageProduct,
  used,
  utc,
  ZERO,
} from './builders.js';

const september = segmentOf('10000', '2024-09-01', '2024-10-01', 'September');
const deduction = (amount: string) => ({
  balanceId: 'Credit',
  segmentId: 'September',
  amount: dec(amount),
  invoiceId: 'invoice',
  contractId: 'contract',
  timestamp: utc('2024-10-01'),
});
const manual = (amount: string, timestamp = '2024-09-02'): LedgerEntry => ({
  type: 'MANUAL',
  segmentId: 'September',
  timestamp: utc(timestamp),
  amount: dec(amount),
  invoiceId: null,
  contractId: null,
  newContractId: null,
  reason: 'goodwill',
});
const credit = balanceOf('Credit', '0', { access: [september] });

describe('the ledger of a balance', () => {
  it('6.20 is granted, used and expired, and ends at zero', () => {
    const balance = withDeductions(credit, [deduction('6300')]);
    const ledger = ledgerAt(balance, utc('2024-10-02'));
    expect(
      ledger.map(({ type, timestamp, amount }) => [
        ledgerTypeName('CREDIT', type),
        iso(timestamp),
        toText(amount),
      ]),
    ).toEqual([
      ['CREDIT_SEGMENT_START', '2024-09-01', '10000'],
      ['CREDIT_AUTOMATED_INVOICE_DEDUCTION', '2024-10-01', '-6300'],
      ['CREDIT_EXPIRATION', '2024-10-01', '-3700'],
    ]);
    expect(ledgerSum(ledger)).toEqual(ZERO);
  });

  it('counts manual entries, also those of the future, but never below zero', () => {
    const at = utc('2024-09-10');
    const balance = { ...credit, entries: [manual('-2500'), manual('500', '2024-09-20')] };
    expect(toText(balanceAt(balance, at))).toBe('8000');
    expect(balanceAt({ ...credit, entries: [manual('-10001')] }, at)).toEqual(ZERO);
    expect(balanceAt({ ...credit, archivedAt: at }, at)).toEqual(ZERO);
  });

  it('gets back what a voided invoice took', () => {
    const after = withDeductions(credit, [deduction('6300')]);
    const given = voidEntries(after, 'invoice', utc('2024-09-20'));
    const restored = { ...after, entries: [...after.entries, ...given] };
    expect(given.map(({ type, amount }) => [type, toText(amount)])).toEqual([['CREDITED', '6300']]);
    expect(toText(balanceAt(restored, utc('2024-09-25')))).toBe('10000');
  });

  it('6.27 knows the discount in its cost basis', () => {
    const commit = balanceOf('Commit', '1000000', { type: 'PREPAID', ...invoiced('800000') });
    expect(toText(costBasisDiscount(commit))).toBe('200000');
  });

  it('closes a postpaid commit with its true-up', () => {
    const postpaid = withDeductions({ ...credit, type: 'POSTPAID' }, [deduction('6300')]);
    const entries = trueUpEntries(postpaid, 'true-up', utc('2024-10-02'));
    expect(entries.map(({ amount }) => toText(amount))).toEqual(['-3700']);
    const closed = { ...postpaid, entries: [...postpaid.entries, ...entries] };
    expect(ledgerSum(ledgerAt(closed, utc('2024-11-01')))).toEqual(ZERO);
    expect(trueUpEntries(closed, 'again', utc('2024-11-01'))).toEqual([]);
  });

  it.each([
    ['6300', '0.2', '2000'],
    ['9000', '0.2', '1000'],
    ['10000', '0.2', null],
    ['0', '1', '10000'],
  ])('with %s used rolls over %s of the grant at most: %s', (spent, fraction, moved) => {
    const old = withDeductions({ ...credit, rolloverFraction: dec(fraction) }, [deduction(spent)]);
    const at = utc('2024-09-20');
    const target = { contractId: 'new', at, accessUntil: utc('2025-09-20'), balanceId: 'r', segmentId: 's' };
    const result = rollOver(truncateAccess(old, at), target);
    expect(result === null ? null : toText(balanceAt(result.renewed, at))).toBe(moved);
    if (result === null) return;
    const closed = { ...truncateAccess(old, at), entries: [...old.entries, ...result.entries] };
    expect(ledgerSum(ledgerAt(closed, utc('2025-01-01')))).toEqual(ZERO);
    expect(result.renewed.rolledOverFrom).toEqual({ balanceId: 'Credit', contractId: 'contract' });
  });

  it('adds up to a net balance, less holds what may be spent', () => {
    const at = utc('2024-09-10');
    const balances = [
      credit,
      balanceOf('Promise', '700', { type: 'POSTPAID' }),
      balanceOf('Tokens', '5', { creditTypeId: TOKENS }),
    ];
    expect(toText(netBalance(balances, USD, at))).toBe('10700');
    expect(toText(netBalance(balances, USD, at, [{ types: ['CREDIT'], ids: null }]))).toBe('10000');
    expect(toText(netBalance(balances, USD, utc('2024-10-01')))).toBe('700');
    expect(toText(spendableBalance(balances, USD, at, dec('4000')))).toBe('6000');
    expect(spendableBalance(balances, USD, at, dec('99999'))).toEqual(ZERO);
  });
});

describe('thresholds', () => {
  const usd = UNITS.get(USD);
  if (usd === undefined) throw new Error('no USD');
  const config = (
    threshold: string,
    rechargeTo: string,
    fiatPerUnit = '1',
    fraction?: string,
  ): RechargeConfig => ({
    isEnabled: true,
    threshold: dec(threshold),
    rechargeTo: dec(rechargeTo),
    fiatPerUnit: dec(fiatPerUnit),
    discount: fraction === undefined ? null : { paymentFraction: dec(fraction), cap: null },
  });
  const topUp = (terms: RechargeConfig, balance: string) => {
    const result = rechargeFor(terms, dec(balance), usd);
    return result && [toText(result.access), toText(result.invoice)];
  };

  it('6.42 recharges 450 tokens for 45 dollars at a balance of 50', () => {
    expect(topUp(config('50', '500', '10'), '50')).toEqual(['450', '4500']);
    expect(topUp(config('50', '500', '10'), '50.01')).toBeNull();
    expect(topUp({ ...config('50', '500', '10'), isEnabled: false }, '50')).toBeNull();
  });

  it('6.43 sells 100 credits at two for a dollar with 10 % off', () => {
    expect(topUp(config('0', '100', '50'), '0')).toEqual(['100', '5000']);
    expect(topUp(config('0', '100', '50', '0.9'), '0')).toEqual(['100', '4500']);
    expect(topUp(config('0', '10000', '1', '0.85'), '0')).toEqual(['10000', '8500']);
  });

  it('6.44 tops up 15 dollars from 5 to 20, and knows the minimums', () => {
    expect(topUp(config('500', '2000'), '500')).toEqual(['1500', '1500']);
    const check = (threshold: string, to: string) => () =>
      checkRecharge(config(threshold, to), usd, dec('100'));
    expect(check('500', '2100')).not.toThrow();
    expect(check('1000', '2000')).not.toThrow();
    expect(check('1000', '1999')).toThrow('recharge_to_amount');
    expect(check('499', '2100')).toThrow('threshold_amount');
  });

  it('6.51 ends the discount when the tracker has counted to its cap', () => {
    const capped = (accumulated: string): RechargeConfig => ({
      ...config('0', '1000'),
      discount: { paymentFraction: dec('0.9'), cap: { amount: dec('20000'), accumulated: dec(accumulated) } },
    });
    expect(topUp(capped('14253.22'), '0')).toEqual(['1000', '900']);
    expect(topUp(capped('20000'), '0')).toEqual(['1000', '1000']);
  });

  it('charges all accrued spend when it reaches the threshold', () => {
    const terms = { isEnabled: true, threshold: dec('10000'), discount: null };
    expect(spendChargeFor(terms, dec('9999.99'), usd)).toBeNull();
    expect(spendChargeFor(terms, dec('10250.5'), usd)).toEqual({
      access: dec('10250.5'),
      invoice: dec('10251'),
      isDiscounted: false,
    });
  });
});

describe('alerts', () => {
  const state = (
    type: Parameters<typeof balanceReading>[0],
    threshold: string,
    reading: Decimal | null | undefined,
  ) => alertState({ type, status: 'enabled', threshold: dec(threshold) }, reading);

  it('6.52 spend counts usage before commits, and no purchases', () => {
    const invoice = invoiceOf({
      products: [usageProduct('API')],
      rates: [rateOf('API', '100')],
      usage: [used('API', '2024-09-10', '7000')],
      balances: [balanceOf('Commit', '300000')],
    });
    const spend = spendReading([invoice], USD);
    expect(spend).toEqual(dec('700000'));
    expect(state('spend_threshold_reached', '1000000', spend)).toBe('ok');
    expect(state('spend_threshold_reached', '700000', spend)).toBe('in_alarm');
    expect(invoiceTotalReading([invoice], ['USAGE'])).toEqual(dec('400000'));
    expect(invoiceTotalReading([invoice], ['SCHEDULED'])).toBeNull();
  });

  it.each([
    ['low_remaining_contract_credit_balance_reached', '3700', 'in_alarm'],
    ['low_remaining_contract_credit_balance_reached', '3699.99', 'ok'],
    ['low_remaining_contract_credit_percentage_reached', '37', 'in_alarm'],
    ['low_remaining_contract_credit_percentage_reached', '36', 'ok'],
    ['low_remaining_days_for_contract_credit_segment_reached', '7', 'in_alarm'],
    ['low_remaining_days_for_contract_credit_segment_reached', '6', 'ok'],
    ['low_remaining_commit_balance_reached', '99999', 'ok'],
  ] as const)('%s at %s is %s', (type, threshold, expected) => {
    const balances = [withDeductions(credit, [deduction('6300')])];
    expect(state(type, threshold, balanceReading(type, balances, USD, utc('2024-09-24')))).toBe(expected);
  });

  it('is evaluating before the first reading, null when archived, and tells alarms from recoveries', () => {
    const type = 'usage_threshold_reached';
    expect(state(type, '1', undefined)).toBe('evaluating');
    expect(alertState({ type, status: 'archived', threshold: ZERO }, dec('5'))).toBeNull();
    expect(alertTransition('evaluating', 'in_alarm')).toBe('reached');
    expect(alertTransition('in_alarm', 'in_alarm')).toBeNull();
    expect(alertTransition('in_alarm', 'ok')).toBe('resolved');
  });
});
