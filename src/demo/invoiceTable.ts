import type Stripe from 'stripe';
import { formatMoney, formatUnitAmount } from '../domain/currency.js';
import { parseDecimal } from '../domain/decimal.js';
import { dayText, SECOND_MS } from './dates.js';
import { type Column, renderTable, type Row } from './table.js';

const COLUMNS: readonly Column[] = [
  { title: 'Service period', align: 'left' },
  { title: 'Line', align: 'left', maxWidth: 44 },
  { title: 'Quantity', align: 'right' },
  { title: 'Unit price', align: 'right' },
  { title: 'Amount', align: 'right' },
];

/** An invoice with all its lines, and whether the demo's own arithmetic agrees. A string a line. */
export function renderInvoice(
  invoice: Stripe.Invoice,
  lines: readonly Stripe.InvoiceLineItem[],
  customer: string,
  expected: bigint,
): string[] {
  const { currency } = invoice;
  const rows: Row[] = [
    ...lines.map((line) => lineRow(line)),
    null,
    ['', 'Total', '', '', formatMoney(BigInt(invoice.total), currency)],
  ];
  return [
    `Invoice ${invoice.number ?? '(draft)'}  ${invoice.status ?? ''}  ${dayText(invoice.created * SECOND_MS)}  ${customer}`,
    ...renderTable(COLUMNS, rows),
    `  ${verdict(invoice, expected)}`,
    '',
  ];
}

/** Whether the total is what the demo has computed itself. */
export function matches(invoice: Stripe.Invoice, expected: bigint): boolean {
  return BigInt(invoice.total) === expected && invoice.status !== 'draft';
}

function verdict(invoice: Stripe.Invoice, expected: bigint): string {
  const own = formatMoney(expected, invoice.currency);
  return matches(invoice, expected)
    ? `own calculation ${own}: matches`
    : `own calculation ${own}: DOES NOT MATCH`;
}

function lineRow(line: Stripe.InvoiceLineItem): string[] {
  const unit = line.pricing?.unit_amount_decimal ?? null;
  return [
    `${dayText(line.period.start * SECOND_MS)} - ${dayText(line.period.end * SECOND_MS)}`,
    line.description ?? '',
    grouped(String(line.quantity_decimal ?? line.quantity ?? '')),
    unit === null ? '' : formatUnitAmount(parseDecimal(String(unit)), line.currency),
    formatMoney(BigInt(line.amount), line.currency),
  ];
}

/** Thousands separators in the whole part: "12,345.5". */
function grouped(quantity: string): string {
  const [whole = '', fraction] = quantity.split('.');
  const separated = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? separated : `${separated}.${fraction}`;
}
