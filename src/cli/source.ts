import { createHash } from 'node:crypto';
import { csvRecords, jsonObjects, readText } from '../events-file/records.js';
import type { SendOptions } from './args.js';
import { type MappedRow, mapJsonRow, mapRow, requiredColumns, requireTellable } from './mapRow.js';

/** A row of the file, ready to be sent, or what is wrong with it. */
export interface SourceRow {
  readonly line: number;
  /** A line of NDJSON without its end, or null for a row that can't be used. */
  readonly json: string | null;
  readonly problem: string | null;
  /** Stands for this row and all before it. */
  readonly digest: string;
}

const IDENTIFIER_LETTERS = 32;

/**
 * The rows of the file in order. A row without identifier gets one from a hash over it and every row before it: the
 * same file, even when it has grown or was renamed, gives the same identifiers again, while equal rows in one file,
 * or in files that differ before them, stay two. Throws UsageError when the file can't be used.
 */
export async function* readRows(
  options: SendOptions,
  onBytes: (read: number) => void,
): AsyncGenerator<SourceRow> {
  let digest = createHash('sha256').update(options.namespace).digest('base64url');
  for await (const row of mappedRows(options, onBytes)) {
    const content = 'problem' in row ? row.problem : JSON.stringify(row.event);
    digest = createHash('sha256').update(digest).update(content).digest('base64url');
    if ('problem' in row) {
      yield { line: row.line, json: null, problem: row.problem, digest };
      continue;
    }
    requireTellable(row, options.namespace);
    const { identifier } = row.event;
    const json =
      identifier === undefined || identifier === null
        ? JSON.stringify({ ...row.event, identifier: `file_${digest.slice(0, IDENTIFIER_LETTERS)}` })
        : content;
    yield { line: row.line, json, problem: null, digest };
  }
}

async function* mappedRows(
  { file, format, columns }: SendOptions,
  onBytes: (read: number) => void,
): AsyncGenerator<MappedRow> {
  const text = readText(file, onBytes);
  if (format.kind === 'ndjson') {
    for await (const row of jsonObjects(text)) yield mapJsonRow(row, columns);
    return;
  }
  const records = csvRecords(text, format.delimiter, requiredColumns(columns));
  for await (const record of records) yield mapRow(record, columns);
}
