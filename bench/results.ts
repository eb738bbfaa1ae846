/** A table of a section. Cells are texts, ready to be shown. */
export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** One thing that must be reached, with what was measured. `met` is null where it was not measured. */
export interface Goal {
  readonly number: number;
  readonly text: string;
  readonly measured: string;
  readonly met: boolean | null;
}

export interface SectionResult {
  readonly tables: readonly Table[];
  readonly goals: readonly Goal[];
  /** Everything measured, for the JSON. */
  readonly data: unknown;
}

export function rateText(perSecond: number): string {
  return Math.round(perSecond).toLocaleString('en-US');
}

export function millisText(millis: number): string {
  return millis < 10 ? millis.toFixed(2) : millis < 100 ? millis.toFixed(1) : millis.toFixed(0);
}

export function ratioText(ratio: number): string {
  return `${ratio.toFixed(ratio < 10 ? 2 : 0)} ×`;
}

/** A table in Markdown, its columns aligned for reading as plain text. */
export function renderTable({ title, head, rows }: Table): string {
  const widths = head.map((cell, index) =>
    Math.max(cell.length, ...rows.map((row) => (row[index] ?? '').length)),
  );
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, index) => pad(cells[index] ?? '', width, index)).join(' | ')} |`;
  const rule = `|${widths.map((width, index) => (index === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [`### ${title}`, '', line(head), rule, ...rows.map(line)].join('\n');
}

function pad(text: string, width: number, index: number): string {
  return index === 0 ? text.padEnd(width) : text.padStart(width);
}

export function renderGoals(goals: readonly Goal[]): string {
  const word = (met: boolean | null) => (met === null ? 'not measured' : met ? 'reached' : 'MISSED');
  return renderTable({
    title: 'Must reach',
    head: ['goal', 'measured', ''],
    rows: goals.map((goal) => [`${goal.number}. ${goal.text}`, goal.measured, word(goal.met)]),
  });
}
