import { exact } from './check.js';
import { SECOND_MS } from './dates.js';
import type { FileRecord } from './eventsFile.js';
import { UsageError } from './usageError.js';

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
const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d+)?)?)?\s*(Z|UTC|[+-]\d\d:?\d\d)?$/i;
const EPOCH = /^(\d{9,19})(?:\.\d+)?$/;

/** Reads `--map timestamp=COLUMN,value=COLUMN[,customer=…][,identifier=…][,event_name=NAME]`. Throws UsageError. */
export function parseMapping(text: string): Mapping {
  const given = new Map<string, string>();
  for (const part of text.split(',')) {
    const equals = part.indexOf('=');
    const key = part.slice(0, equals).trim();
    const value = part.slice(equals + 1).trim();
    if (equals < 1 || value === '') throw new UsageError(`--map: expected KEY=COLUMN, got '${part}'`);
    if (!KEYS.some((known) => known === key)) {
      throw new UsageError(`--map: '${key}' is none of ${KEYS.join(', ')}`);
    }
    if (given.has(key)) throw new UsageError(`--map: '${key}' is given twice`);
    given.set(key, value);
  }
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

/**
 * ISO 8601 with or without `T` (UTC where no zone is given), or Unix time in seconds, milliseconds, microseconds or
 * nanoseconds by its number of digits. Returns epoch ms cut to the second, or null.
 */
export function parseTime(text: string): number | null {
  const epoch = EPOCH.exec(text);
  if (epoch !== null) return fromEpoch(epoch[1] ?? '');
  const match = ISO.exec(text);
  if (match === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((part: string | undefined) => (part === undefined ? 0 : Number.parseInt(part, 10)));
  const time = Date.UTC(year, month - 1, day, hour, minute, second);
  const read = new Date(time);
  const same = read.getUTCMonth() === month - 1 && read.getUTCDate() === day && read.getUTCHours() === hour;
  if (!same || minute > 59 || second > 59) return null;
  return time - zoneOffset(match[7]);
}

function fromEpoch(digits: string): number {
  const seconds =
    digits.length <= 11 ? digits : digits.slice(0, digits.length <= 14 ? -3 : digits.length <= 17 ? -6 : -9);
  return Number.parseInt(seconds, 10) * SECOND_MS;
}

function zoneOffset(zone: string | undefined): number {
  const match = /^([+-])(\d\d):?(\d\d)$/.exec(zone ?? '');
  if (match === null) return 0;
  const [, sign, hours = '0', minutes = '0'] = match;
  const size = (Number.parseInt(hours, 10) * 60 + Number.parseInt(minutes, 10)) * 60 * SECOND_MS;
  return sign === '-' ? -size : size;
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
