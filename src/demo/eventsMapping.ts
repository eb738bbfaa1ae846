import { exact } from './check.js';
import { parsePairs } from '../events-file/pairs.js';
import type { FileRecord } from '../events-file/records.js';
import { parseTime } from '../events-file/time.js';
import { UsageError } from '../terminal/usageError.js';

/** Which column holds what. */
export interface Mapping {
  readonly timestamp: string;
  /** Null: every row counts as one. */
  readonly value: string | null;
  /** Null: rows are spread over customers by a hash of their number. */
  readonly customer: string | null;
  readonly identifier: string | null;
  /** The meter's event name itself, not a column. */
  readonly eventName: string;
}

/** A row of the user's file as usage. `number` counts good and bad rows from 1; `line` is where it begins. */
export interface MappedRow {
  readonly line: number;
  readonly number: number;
  /** Epoch ms, whole seconds. */
  readonly time: number;
  readonly value: string;
  readonly customer: string;
  readonly identifier: string | null;
}

export interface BadRow {
  readonly line: number;
  readonly problem: string;
}

const KEYS = ['timestamp', 'value', 'customer', 'identifier', 'event_name'] as const;
const DEFAULT_EVENT_NAME = 'demo_file_usage';
const IDENTIFIER_LENGTH_MAX = 60;

/** Reads `--map timestamp=COLUMN,value=COLUMN[,customer=…][,identifier=…][,event_name=NAME]`. Throws UsageError. */
export function parseMapping(text: string): Mapping {
  const given = parsePairs(text, KEYS);
  const timestamp = given.get('timestamp');
  if (timestamp === undefined)
    throw new UsageError('--map: say which column holds the time: timestamp=COLUMN');
  return {
    timestamp,
    value: given.get('value') ?? null,
    customer: given.get('customer') ?? null,
    identifier: given.get('identifier') ?? null,
    eventName: given.get('event_name') ?? DEFAULT_EVENT_NAME,
  };
}

/** The columns that the file must have. */
export function mappedColumns(mapping: Mapping): string[] {
  const { timestamp, value, customer, identifier } = mapping;
  return [timestamp, value, customer, identifier].filter((column) => column !== null);
}

/** A record as usage of one of `customers` customers, or what is wrong with it. */
export function mapRecord(
  mapping: Mapping,
  customers: number,
  record: FileRecord,
  number: number,
): MappedRow | BadRow {
  const { line } = record;
  if ('problem' in record) return record;
  const bad = (problem: string): BadRow => ({ line, problem });
  const cell = (column: string): string => record.values.get(column)?.trim() ?? '';
  const time = parseTime(cell(mapping.timestamp));
  if (time === null) return bad(`'${cell(mapping.timestamp)}' in ${mapping.timestamp} is not a time`);
  const value = mapping.value === null ? '1' : cell(mapping.value);
  if (!isNumber(value)) return bad(`'${value}' in ${String(mapping.value)} is not a number`);
  const customer = mapping.customer === null ? spreadOver(customers, number) : cell(mapping.customer);
  if (customer === '') return bad(`no customer in ${String(mapping.customer)}`);
  const identifier = mapping.identifier === null ? null : cell(mapping.identifier);
  if (identifier === '') return bad(`no identifier in ${String(mapping.identifier)}`);
  if (identifier !== null && identifier.length > IDENTIFIER_LENGTH_MAX) {
    return bad(`the identifier is longer than ${IDENTIFIER_LENGTH_MAX} characters`);
  }
  return { line, number, time, value, customer, identifier };
}

function isNumber(text: string): boolean {
  try {
    exact(text);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** The customer of a row without one: Knuth's multiplicative hash of the row's number. */
function spreadOver(customers: number, number: number): string {
  const hash = Math.imul(number, 2_654_435_761) >>> 0;
  return `Customer ${(hash % customers) + 1}`;
}
