import { createReadStream } from 'node:fs';
import { extname } from 'node:path';
import { UsageError } from '../terminal/usageError.js';

/** A row by column name, or what is wrong with it. `line` is the line that it begins on, from 1. */
export type FileRecord =
  | { readonly line: number; readonly values: ReadonlyMap<string, string> }
  | { readonly line: number; readonly problem: string };

/** A line of NDJSON, or what is wrong with it. */
export type JsonRow =
  | { readonly line: number; readonly object: Readonly<Record<string, unknown>> }
  | { readonly line: number; readonly problem: string };

export interface FileFormat {
  readonly kind: 'csv' | 'ndjson';
  readonly delimiter: string;
}

/**
 * The format of a file by its name, or as named. Throws UsageError when the name is of no format or the delimiter is
 * not one character (`\\t` is a tab).
 */
export function fileFormat(file: string, named: { format?: string; delimiter?: string }): FileFormat {
  const delimiter = named.delimiter === '\\t' ? '\t' : (named.delimiter ?? ',');
  if (delimiter.length !== 1 || /["\r\n]/.test(delimiter))
    throw new UsageError('--delimiter: must be one character');
  const guessed = ['.ndjson', '.jsonl', '.json'].includes(extname(file).toLowerCase()) ? 'ndjson' : 'csv';
  const kind = named.format ?? guessed;
  if (kind !== 'csv' && kind !== 'ndjson') throw new UsageError('--format: must be csv or ndjson');
  return { kind, delimiter };
}

type Fields = { line: number; fields: string[] } | { line: number; problem: string };

/** A longer row is more likely a quote that was never closed. */
const ROW_CHARACTERS_MAX = 1024 * 1024;

/**
 * Reads a file row by row without holding it in memory. Throws UsageError when the file can't be read or lacks one of
 * the columns.
 */
export async function* readRecords(
  file: string,
  format: FileFormat,
  columns: readonly string[],
): AsyncGenerator<FileRecord> {
  const text = readText(file);
  if (format.kind === 'csv') yield* csvRecords(text, format.delimiter, columns);
  else yield* jsonRecords(text, columns);
}

/**
 * The text of a UTF-8 file in pieces, without its byte order mark. `onBytes` is told how much has been read so far.
 * Throws UsageError when the file can't be read.
 */
export function readText(file: string, onBytes?: (read: number) => void): AsyncGenerator<string> {
  return withoutByteOrderMark(readChunks(file, onBytes));
}

/** The rows of a CSV text (RFC 4180: quotes, doubled quotes, line breaks in quotes; LF or CRLF), its header read. */
export async function* csvRecords(
  text: AsyncIterable<string>,
  delimiter: string,
  columns: readonly string[],
): AsyncGenerator<FileRecord> {
  let header: string[] | null = null;
  for await (const row of csvRows(text, delimiter)) {
    if (header === null) {
      if ('problem' in row) throw new UsageError(`the header can't be read: ${row.problem}`);
      header = checkHeader(row.fields, columns);
    } else if ('problem' in row) {
      yield row;
    } else if (row.fields.length === header.length) {
      yield { line: row.line, values: new Map(header.map((name, index) => [name, row.fields[index] ?? ''])) };
    } else {
      yield { line: row.line, problem: `${row.fields.length} fields where the header has ${header.length}` };
    }
  }
  if (header === null) throw new UsageError('the file is empty');
}

/** One JSON object a line. A column may be a path: `payload.tokens`. */
export async function* jsonRecords(
  text: AsyncIterable<string>,
  columns: readonly string[],
): AsyncGenerator<FileRecord> {
  for await (const row of jsonObjects(text)) {
    if ('problem' in row) yield row;
    else yield { line: row.line, values: valuesAt(row.object, columns) };
  }
}

/** The objects themselves. Empty lines are passed over. */
export async function* jsonObjects(text: AsyncIterable<string>): AsyncGenerator<JsonRow> {
  for await (const { line, text: row } of lines(text)) {
    if (row.trim() !== '') yield jsonRow(line, row);
  }
}

function jsonRow(line: number, row: string): JsonRow {
  let parsed: unknown;
  try {
    parsed = JSON.parse(row);
  } catch (error) {
    return { line, problem: `not JSON: ${error instanceof Error ? error.message : String(error)}` };
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    return { line, problem: 'not a JSON object' };
  return { line, object: parsed as Readonly<Record<string, unknown>> };
}

/** The texts and numbers that an object has at these names or paths. */
export function valuesAt(object: object, columns: readonly string[]): Map<string, string> {
  const values = new Map<string, string>();
  for (const column of columns) {
    const found = atPath(object, column);
    if (typeof found === 'string' || typeof found === 'number') values.set(column, String(found));
  }
  return values;
}

function atPath(object: object, path: string): unknown {
  if (Object.hasOwn(object, path)) return (object as Record<string, unknown>)[path];
  let found: unknown = object;
  for (const key of path.split('.')) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined;
    found = (found as Record<string, unknown>)[key];
  }
  return found;
}

function checkHeader(fields: readonly string[], columns: readonly string[]): string[] {
  const header = fields.map((field) => field.trim());
  for (const column of columns) {
    const count = header.filter((name) => name === column).length;
    if (count === 0)
      throw new UsageError(`there is no column '${column}'; the file has ${header.join(', ')}`);
    if (count > 1) throw new UsageError(`there are ${count} columns named '${column}'`);
  }
  return header;
}

/** A row in the making. */
class CsvRow {
  readonly #delimiter: string;
  #line = 1;
  #start = 1;
  #length = 0;
  #fields: string[] = [];
  #field = '';
  #state: 'start' | 'plain' | 'quoted' | 'closed' | 'broken' = 'start';
  #problem = '';

  constructor(delimiter: string) {
    this.#delimiter = delimiter;
  }

  /** Takes the next character; returns the row that it ends. */
  take(character: string): Fields | null {
    this.#length += 1;
    if (this.#length === ROW_CHARACTERS_MAX) this.#break('the row is too long: is a quote never closed?');
    if (character === '\n') this.#line += 1;
    if (this.#state === 'quoted') {
      if (character === '"') this.#state = 'closed';
      else this.#field += character;
      return null;
    }
    if (character === '\n') return this.end();
    if (this.#state === 'broken') return null;
    if (character === this.#delimiter) this.#endField();
    else if (character === '"' && this.#state === 'start') this.#state = 'quoted';
    else if (this.#state === 'closed') this.#afterQuote(character);
    else {
      this.#field += character;
      this.#state = 'plain';
    }
    return null;
  }

  /** The row as far as it has come, and a fresh start. Null for an empty line. */
  end(): Fields | null {
    const line = this.#start;
    if (this.#state === 'quoted') this.#break('a quote is never closed');
    if (this.#state === 'plain' && this.#field.endsWith('\r')) this.#field = this.#field.slice(0, -1);
    const empty = this.#fields.length === 0 && this.#field === '' && this.#state !== 'closed';
    const fields = [...this.#fields, this.#field];
    const broken = this.#state === 'broken' ? this.#problem : null;
    this.#fields = [];
    this.#field = '';
    this.#state = 'start';
    this.#start = this.#line;
    this.#length = 0;
    if (broken !== null) return { line, problem: broken };
    return empty ? null : { line, fields };
  }

  #endField(): void {
    this.#fields.push(this.#field);
    this.#field = '';
    this.#state = 'start';
  }

  #afterQuote(character: string): void {
    if (character === '"') {
      this.#field += '"';
      this.#state = 'quoted';
    } else if (character !== '\r') {
      this.#break('there is text after a closing quote');
    }
  }

  #break(problem: string): void {
    this.#state = 'broken';
    this.#problem = problem;
    this.#field = '';
  }
}

async function* csvRows(text: AsyncIterable<string>, delimiter: string): AsyncGenerator<Fields> {
  const row = new CsvRow(delimiter);
  for await (const chunk of text) {
    for (const character of chunk) {
      const ended = row.take(character);
      if (ended !== null) yield ended;
    }
  }
  const last = row.end();
  if (last !== null) yield last;
}

async function* lines(text: AsyncIterable<string>): AsyncGenerator<{ line: number; text: string }> {
  let rest = '';
  let line = 0;
  for await (const chunk of text) {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) yield { line: (line += 1), text: part };
  }
  yield { line: line + 1, text: rest };
}

async function* withoutByteOrderMark(text: AsyncIterable<string>): AsyncGenerator<string> {
  let first = true;
  for await (const chunk of text) {
    yield first && chunk.startsWith('\ufeff') ? chunk.slice(1) : chunk;
    first = false;
  }
}

async function* readChunks(file: string, onBytes?: (read: number) => void): AsyncGenerator<string> {
  const stream = createReadStream(file, { encoding: 'utf8' });
  try {
    for await (const chunk of stream) {
      onBytes?.(stream.bytesRead);
      yield chunk as string;
    }
  } catch (error) {
    throw new UsageError(`the file can't be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}
