import { formatMoney } from '../domain/currency.js';
import type { Tally } from './invoices.js';
import { renderTable, type Row } from './table.js';

/** All customers' invoices in one table, with the sum of them. A string a line. */
export function renderSummary(tallies: ReadonlyMap<string, Tally>, currency: string): string[] {
  const all = [...tallies.values()];
  const rows: Row[] = [
    ...[...tallies].map(([name, tally]) => summaryRow(name, tally, currency)),
    null,
    summaryRow('Together', together(all), currency),
  ];
  return renderTable(
    [
      { title: 'Customer', align: 'left' },
      { title: 'Invoices', align: 'right' },
      { title: 'Billed', align: 'right' },
      { title: 'Own calculation', align: 'right' },
      { title: '', align: 'left' },
    ],
    rows,
  );
}

/** Whether every invoice came to what the demo expected. */
export function allMatch(tallies: ReadonlyMap<string, Tally>): boolean {
  return [...tallies.values()].every((tally) => tally.mismatches === 0 && tally.billed === tally.expected);
}

function summaryRow(name: string, tally: Tally, currency: string): string[] {
  const { invoices, billed, expected, mismatches } = tally;
  return [
    name,
    String(invoices),
    formatMoney(billed, currency),
    formatMoney(expected, currency),
    mismatches === 0 ? 'matches' : `${mismatches} differ`,
  ];
}

function together(tallies: readonly Tally[]): Tally {
  return {
    invoices: tallies.reduce((sum, tally) => sum + tally.invoices, 0),
    billed: tallies.reduce((sum, tally) => sum + tally.billed, 0n),
    expected: tallies.reduce((sum, tally) => sum + tally.expected, 0n),
    mismatches: tallies.reduce((sum, tally) => sum + tally.mismatches, 0),
  };
}
