export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
  /** Longer text is wrapped at spaces. */
  readonly maxWidth?: number;
}

/** `null` draws a rule between two groups of rows. */
export type Row = readonly string[] | null;

/** A table in plain ASCII, a string a line. */
export function renderTable(columns: readonly Column[], rows: readonly Row[]): string[] {
  const cells = rows.map(
    (row) => row?.map((cell, index) => wrap(toAscii(cell), columns[index]?.maxWidth)) ?? null,
  );
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...cells.flatMap((row) => row?.[index]?.map((line) => line.length) ?? [])),
  );
  const rule = `+${widths.map((width) => '-'.repeat(width + 2)).join('+')}+`;
  const head = line(
    columns,
    widths,
    columns.map(({ title }) => title),
  );
  const body = cells.flatMap((row) => (row === null ? [rule] : rowLines(columns, widths, row)));
  return [rule, head, rule, ...body, rule];
}

/** Typographic signs that invoice lines carry, as ASCII; anything else stays as it is. */
export function toAscii(text: string): string {
  return text.replaceAll('×', 'x').replace(/[–—−]/g, '-').replaceAll('…', '...').replaceAll('\u00a0', ' ');
}

function rowLines(columns: readonly Column[], widths: readonly number[], row: readonly string[][]): string[] {
  const height = Math.max(1, ...row.map((cell) => cell.length));
  return Array.from({ length: height }, (_, index) =>
    line(
      columns,
      widths,
      row.map((cell) => cell[index] ?? ''),
    ),
  );
}

function line(columns: readonly Column[], widths: readonly number[], texts: readonly string[]): string {
  const padded = columns.map(({ align }, index) => {
    const text = texts[index] ?? '';
    const width = widths[index] ?? 0;
    return align === 'right' ? text.padStart(width) : text.padEnd(width);
  });
  return `| ${padded.join(' | ')} |`;
}

function wrap(text: string, maxWidth = Number.POSITIVE_INFINITY): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const current = lines[lines.length - 1] ?? '';
    const longer = current === '' ? word : `${current} ${word}`;
    if (longer.length <= maxWidth || current === '') lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
