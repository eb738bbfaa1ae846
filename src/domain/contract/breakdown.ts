import { isZero, multiply, ZERO } from '../decimal.js';
import { boundary, type Instant, type Period, periodAt } from '../period.js';
import { computeUsageInvoice, type DraftInvoice, type UsageInvoiceInput } from './draft.js';
import { type DraftLine, totalsByUnit } from './lines.js';

export type WindowSize = 'HOUR' | 'DAY';

/** An invoice's part in one window: its lines keep the invoice's own times of service. */
export interface BreakdownWindow extends Period {
  invoice: DraftInvoice;
}

/** The starts of the whole hours or days in UTC inside the period. */
export function windowInstants(period: Period, size: WindowSize): Instant[] {
  const interval = { unit: 'day', count: 1 } as const;
  const instants: Instant[] = [];
  if (size === 'HOUR') {
    const hour = 3_600_000;
    for (let at = period.start - (period.start % hour) + hour; at < period.end; at += hour) instants.push(at);
    return instants;
  }
  for (let index = 1; ; index += 1) {
    const at = boundary(periodAt(0, interval, period.start).start, interval, index);
    if (at >= period.end) return instants;
    instants.push(at);
  }
}

/**
 * The usage invoice by hour or day: the same computation with the usage cut at every window, so that
 * balances pay in the order of time. Quantities and totals are those of the window; the windows' totals add
 * up to the invoice's, except for lines that no window owns (conversions are made for each window;
 * scheduled charges, which have a date and no time of service, are left out). Usage slices must not be
 * wider than a window. A fee is in the window of its first instant, or in the statement's first or last one
 * when that lies outside. Windows without a line are left out (docs.metronome.com/api-reference, list
 * invoice breakdowns).
 */
export function breakDown(input: Omit<UsageInvoiceInput, 'windows'>, size: WindowSize): BreakdownWindow[] {
  const instants = windowInstants(input.period, size);
  const invoice = computeUsageInvoice({ ...input, windows: instants });
  const starts = [input.period.start, ...instants];
  const windows = starts.map((start, index) => ({ start, end: starts[index + 1] ?? input.period.end }));
  const byWindow = new Map<number, DraftLine[]>();
  for (const line of invoice.lines) {
    if (line.window === null) continue;
    const at = Math.min(Math.max(line.window.start, input.period.start), input.period.end - 1);
    const index = starts.findLastIndex((start) => start <= at);
    const lines = byWindow.get(index);
    if (lines === undefined) byWindow.set(index, [line]);
    else lines.push(line);
  }
  return windows.flatMap((window, index) => {
    const lines = byWindow.get(index);
    if (lines === undefined) return [];
    const all = [...lines, ...conversions(lines, invoice)];
    const total = totalsByUnit(all).get(invoice.creditTypeId) ?? ZERO;
    return [{ ...window, invoice: { ...invoice, lines: all, total } }];
  });
}

/** The conversions of the invoice, for what the window leaves to pay in each custom unit. */
function conversions(lines: readonly DraftLine[], invoice: DraftInvoice): DraftLine[] {
  return invoice.lines
    .filter(({ type }) => type === 'cpu_conversion')
    .flatMap((line) => convertedIn(lines, line));
}

function convertedIn(lines: readonly DraftLine[], conversion: DraftLine): DraftLine[] {
  const unitId = conversion.key.slice('conversion/'.length);
  const quantity = totalsByUnit(lines).get(unitId) ?? ZERO;
  if (isZero(quantity) || conversion.unitPrice === null) return [];
  return [{ ...conversion, quantity, total: multiply(quantity, conversion.unitPrice) }];
}
