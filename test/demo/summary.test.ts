import type Stripe from 'stripe';
import { expect, test } from 'vitest';
import { matches } from '../../src/demo/invoiceTable.js';
import { emptyTally } from '../../src/demo/invoices.js';
import { allMatch, renderSummary } from '../../src/demo/summary.js';

const invoice = (total: number, status: string) => ({ total, status }) as Stripe.Invoice;

test('an invoice matches when it is final and comes to the cent', () => {
  expect(matches(invoice(8169, 'open'), 8169n)).toBe(true);
  expect(matches(invoice(8170, 'open'), 8169n)).toBe(false);
  expect(matches(invoice(8169, 'draft'), 8169n)).toBe(false);
});

test('one invoice that differs spoils the summary, even if the sums agree', () => {
  const right = { invoices: 2, billed: 300n, expected: 300n, mismatches: 0 };
  expect(allMatch(new Map([['Acme', right]]))).toBe(true);
  const swapped = new Map([
    ['Acme', right],
    ['Nimbus', { ...right, mismatches: 2 }],
  ]);
  expect(allMatch(swapped)).toBe(false);
  expect(allMatch(new Map([['Acme', { ...emptyTally(), billed: 1n }]]))).toBe(false);
  expect(renderSummary(swapped, 'usd').filter((line) => line.includes('2 differ'))).toHaveLength(2);
});
