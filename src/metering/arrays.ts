import type { Instant } from '../domain/period.js';

/**
 * Array parameters as Postgres reads them, one element a row. The driver's own conversion looks at every element several
 * times; on the way of every event that is a third of the work of this process.
 */

/** Of numbers and the like, which need no quotes. */
export function plainArray<Row>(
  rows: readonly Row[],
  valueOf: (row: Row) => string | number | bigint | null,
): string {
  let text = '{';
  for (let index = 0; index < rows.length; index += 1) {
    if (index > 0) text += ',';
    text += String(valueOf(rows[index] as Row) ?? 'NULL');
  }
  return `${text}}`;
}

/** Of any text. */
export function textArray<Row>(rows: readonly Row[], valueOf: (row: Row) => string): string {
  let text = '{';
  for (let index = 0; index < rows.length; index += 1) {
    if (index > 0) text += ',';
    text += quoted(valueOf(rows[index] as Row));
  }
  return `${text}}`;
}

/** Of JSON texts made by JSON.stringify: with no control character in them, JSON's quoting is that of an array. */
export function jsonArray<Row>(rows: readonly Row[], valueOf: (row: Row) => string): string {
  let text = '{';
  for (let index = 0; index < rows.length; index += 1) {
    if (index > 0) text += ',';
    text += JSON.stringify(valueOf(rows[index] as Row));
  }
  return `${text}}`;
}

function quoted(text: string): string {
  const special = text.includes('"') || text.includes('\\');
  return special ? `"${text.replace(/["\\]/g, '\\$&')}"` : `"${text}"`;
}

/** Instants in the only notation that is exact in any year. */
export function instantArray<Row>(rows: readonly Row[], valueOf: (row: Row) => Instant | null): string {
  let text = '{';
  for (let index = 0; index < rows.length; index += 1) {
    const instant = valueOf(rows[index] as Row);
    if (index > 0) text += ',';
    text += instant === null ? 'NULL' : iso(instant);
  }
  return `${text}}`;
}

const WRITTEN_MAX = 20_000;
let written = new Map<Instant, string>();

/** An instant as Postgres reads it, exact in any year. A batch has few of them, many times over. */
export function iso(instant: Instant): string {
  const known = written.get(instant);
  if (known !== undefined) return known;
  if (written.size >= WRITTEN_MAX) written = new Map();
  const text = new Date(instant).toISOString();
  written.set(instant, text);
  return text;
}
