import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parsePairs } from '../events-file/pairs.js';
import { type FileFormat, fileFormat } from '../events-file/records.js';
import { UsageError } from '../terminal/usageError.js';

export interface SendOptions {
  /** Absolute. */
  readonly file: string;
  readonly format: FileFormat;
  readonly columns: Columns;
  readonly api: string;
  readonly key: string;
  /** Where it is noted how far the file has been sent. */
  readonly stateFile: string;
  /** Begin at the first row whatever is noted. */
  readonly restart: boolean;
  /** Part of the identifiers of rows that have none. */
  readonly namespace: string;
  readonly batch: number;
  /** Requests at a time. */
  readonly connections: number;
  /** How long the server may be away. */
  readonly patienceMs: number;
  readonly json: boolean;
}

/** Where an event's parts are in a row. Null: in the row's own place, see `mapRow`. */
export interface Columns {
  readonly timestamp: string | null;
  readonly value: string | null;
  readonly customer: string | null;
  readonly identifier: string | null;
  /** The name itself, for rows that don't name their event. */
  readonly eventName: string | null;
  /** What else goes into the payload; null for all of a CSV row. */
  readonly properties: readonly string[] | null;
}

export const HELP = `durabill events send FILE [OPTIONS]

Sends usage events from a file, as many times as you like: every row counts once.

  --api URL          the engine (DURABILL_API, or http://127.0.0.1:4000)
  --key KEY          a secret API key (DURABILL_KEY)
  --format F         csv or ndjson, where the file's name does not tell (.ndjson, .jsonl, .json, else csv)
  --delimiter C      of CSV (,)
  --map MAP          timestamp=COLUMN,value=COLUMN,customer=COLUMN,identifier=COLUMN,event_name=NAME, each
                     where the file calls it otherwise; in NDJSON a column may be a path, like usage.tokens
  --properties A,B   what else goes into the payload (CSV: every other column; mapped NDJSON: nothing)
  --namespace TEXT   sets rows without identifier and time apart from the same rows of another file
  --batch N          events a request, at most 10000 (5000)
  --connections N    requests at a time (2)
  --patience S       seconds the engine may be away before the command gives up (300)
  --state FILE       where it is noted how far the file has been sent (FILE.durabill-state.json)
  --restart          begin at the first row again
  --json             the result as one line of JSON on stdout

A CSV column event_name, identifier or timestamp is that part of the event; the others are its payload, which names the
customer (stripe_customer_id) and the value (value). A line of NDJSON is an event as POST /live/v1/events takes it.
A row without identifier gets one from what it says and what comes before it, so a second run finds it stored.

exit code: 0 all rows are stored, 1 some were refused (they are listed), 2 the command line, the file or the key can't
be used, 3 the engine was away for too long (run it again: it goes on where it was), 130 interrupted (the same)
`;

const KEYS = ['timestamp', 'value', 'customer', 'identifier', 'event_name'];
const BATCH_MAX = 10_000;
const CONNECTIONS_MAX = 32;
const PATIENCE_MAX = 86_400;
const DEFAULT_API = 'http://127.0.0.1:4000';

/** The command line after the program's name, or 'help'. `cwd` is where relative names start. Throws UsageError. */
export function parseCommand(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  cwd: string,
): SendOptions | 'help' {
  const { values, positionals } = readFlags(args);
  if (values.help || positionals.length === 0 || positionals.join(' ') === 'help') return 'help';
  const [noun, verb, file, ...rest] = positionals;
  if (noun !== 'events' || verb !== 'send') {
    throw new UsageError(
      `'${positionals.slice(0, 2).join(' ')}' is no command; there is: durabill events send FILE`,
    );
  }
  if (file === undefined || rest.length > 0) throw new UsageError('name one file: durabill events send FILE');
  const path = resolve(cwd, file);
  const { format, delimiter } = values;
  return {
    file: path,
    format: fileFormat(file, {
      ...(format === undefined ? {} : { format }),
      ...(delimiter === undefined ? {} : { delimiter }),
    }),
    columns: columnsOf(values.map, values.properties),
    api: apiUrl(values.api ?? nonEmpty(env['DURABILL_API']) ?? DEFAULT_API),
    key: keyOf(values.key ?? nonEmpty(env['DURABILL_KEY'])),
    stateFile: values.state === undefined ? `${path}.durabill-state.json` : resolve(cwd, values.state),
    restart: values.restart,
    namespace: values.namespace ?? '',
    batch: wholeNumber('batch', values.batch ?? '5000', BATCH_MAX),
    connections: wholeNumber('connections', values.connections ?? '2', CONNECTIONS_MAX),
    patienceMs: wholeNumber('patience', values.patience ?? '300', PATIENCE_MAX) * 1000,
    json: values.json,
  };
}

function readFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: true,
      options: {
        api: { type: 'string' },
        key: { type: 'string' },
        format: { type: 'string' },
        delimiter: { type: 'string' },
        map: { type: 'string' },
        properties: { type: 'string' },
        namespace: { type: 'string' },
        batch: { type: 'string' },
        connections: { type: 'string' },
        patience: { type: 'string' },
        state: { type: 'string' },
        restart: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function columnsOf(map: string | undefined, properties: string | undefined): Columns {
  const given = map === undefined ? new Map<string, string>() : parsePairs(map, KEYS);
  return {
    timestamp: given.get('timestamp') ?? null,
    value: given.get('value') ?? null,
    customer: given.get('customer') ?? null,
    identifier: given.get('identifier') ?? null,
    eventName: given.get('event_name') ?? null,
    properties: properties === undefined ? null : properties.split(',').map((name) => name.trim()),
  };
}

function apiUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new UsageError(`--api: '${text}' is not an http URL`);
  }
  return text.replace(/\/+$/, '');
}

function keyOf(key: string | undefined): string {
  if (key === undefined) throw new UsageError('no API key: give --key KEY or set DURABILL_KEY');
  return key;
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function wholeNumber(name: string, text: string, max: number): number {
  const value = /^\d{1,6}$/.test(text) ? Number.parseInt(text, 10) : 0;
  if (value < 1 || value > max) throw new UsageError(`--${name}: must be between 1 and ${max}`);
  return value;
}
