import { type FileRecord, type JsonRow, valuesAt } from '../events-file/records.js';
import { parseTime } from '../events-file/time.js';
import { UsageError } from '../terminal/usageError.js';
import type { Columns } from './args.js';

/** An event as `POST /live/v1/events` takes it, perhaps still without identifier. */
export type WireEvent = Readonly<Record<string, unknown>>;

export type MappedRow =
  | { readonly line: number; readonly event: WireEvent }
  | { readonly line: number; readonly problem: string };

const CUSTOMER_KEY = 'stripe_customer_id';
const VALUE_KEY = 'value';

/** The columns that a file must have to be read with this mapping. */
export function requiredColumns(columns: Columns): string[] {
  const { timestamp, value, customer, identifier, properties } = columns;
  const named = [timestamp, value, customer, identifier].filter((column) => column !== null);
  return [...named, ...(properties ?? [])];
}

/** Whether a line of NDJSON is taken apart by columns instead of being an event already. */
export function isMapped(columns: Columns): boolean {
  return requiredColumns(columns).length > 0;
}

/** A row of CSV, or of NDJSON that is taken apart by columns. Empty cells are left out. */
export function mapRow(record: FileRecord, columns: Columns): MappedRow {
  if ('problem' in record) return record;
  const { line, values } = record;
  const cell = (column: string): string => values.get(column)?.trim() ?? '';
  const timestampColumn = columns.timestamp ?? 'timestamp';
  const time = cell(timestampColumn);
  const instant = time === '' ? null : parseTime(time);
  if (time !== '' && instant === null)
    return { line, problem: `'${time}' in ${timestampColumn} is not a time` };
  const identifierColumn = columns.identifier ?? 'identifier';
  const eventName = columns.eventName ?? cell('event_name');
  if (eventName === '') return { line, problem: 'no event name: the row has none, and --map names none' };
  const payload: Record<string, string> = {};
  const put = (key: string, column: string | null): void => {
    const text = column === null ? '' : cell(column);
    if (text !== '') payload[key] = text;
  };
  const taken = new Set([timestampColumn, identifierColumn, 'event_name', columns.customer, columns.value]);
  for (const column of columns.properties ?? values.keys()) {
    if (!taken.has(column)) put(column, column);
  }
  put(CUSTOMER_KEY, columns.customer);
  put(VALUE_KEY, columns.value);
  const identifier = cell(identifierColumn);
  return {
    line,
    event: {
      event_name: eventName,
      ...(identifier === '' ? {} : { identifier }),
      ...(instant === null ? {} : { timestamp: Math.floor(instant / 1000) }),
      payload,
    },
  };
}

/** A line of NDJSON: an event as it is, or one made of its columns. */
export function mapJsonRow(row: JsonRow, columns: Columns): MappedRow {
  if ('problem' in row) return row;
  const { line, object } = row;
  if (isMapped(columns)) {
    const wanted = [...requiredColumns(columns), 'event_name', 'identifier', 'timestamp'];
    const properties = columns.properties ?? [];
    return mapRow({ line, values: valuesAt(object, wanted) }, { ...columns, properties });
  }
  if (object['event_name'] !== undefined || columns.eventName === null) return { line, event: object };
  return { line, event: { ...object, event_name: columns.eventName } };
}

/** Throws UsageError for a row that nothing sets apart from the same row of another file. */
export function requireTellable(row: { line: number; event: WireEvent }, namespace: string): void {
  const { identifier, timestamp } = row.event;
  if (namespace !== '' || present(identifier) || present(timestamp)) return;
  throw new UsageError(
    `line ${row.line} has neither an identifier nor a time, so the same row in another file could not be told from it: ` +
      'map one of them, or name this file with --namespace',
  );
}

function present(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}
