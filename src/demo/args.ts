import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { isSupportedCurrency } from '../domain/currency.js';
import type { Terms } from './check.js';
import { type FileFormat, fileFormat } from '../events-file/records.js';
import { type Mapping, parseMapping } from './eventsMapping.js';
import { parsePrice } from './priceSpec.js';
import { UsageError } from '../terminal/usageError.js';

export interface DemoOptions {
  /** End when the story is told instead of keeping the engine up. */
  readonly exit: boolean;
  readonly dataDir: string;
  /** Null: the engine's default, or a free one. */
  readonly port: string | null;
  /** A running engine to use instead of starting one. */
  readonly remote: { readonly api: string; readonly key: string; readonly temporalUi: string | null } | null;
  readonly events: EventsOptions | null;
}

export interface EventsOptions {
  readonly file: string;
  readonly format: FileFormat;
  readonly mapping: Mapping;
  readonly terms: Terms;
  /** As it was given, to be shown. */
  readonly price: string;
  readonly currency: string;
  readonly customers: number;
}

export const HELP = `npm run demo [-- OPTIONS]

Starts a Durabill of its own and bills two customers for twelve months, or your own usage for as long as it lasts.

  --exit             end when done; without it the engine stays up until Ctrl-C
  --data-dir DIR     where the engine keeps its state (.durabill/demo)
  --port N           port of the API (4000, or a free one when that is taken)
  --api URL --key K  use a running engine instead [--temporal-ui URL for the links]

Your own usage:
  --events FILE      CSV with a header, or NDJSON (.ndjson, .jsonl, .json)
  --map MAP          timestamp=COLUMN[,value=COLUMN][,customer=COLUMN][,identifier=COLUMN][,event_name=NAME]
                     without value every row counts as 1; in NDJSON a column may be a path, like payload.tokens
  --price PRICE      per_unit:0.002 | package:1000=0.03 | graduated:10000=0,inf=0.0012 | volume:…
                     amounts in the currency's main unit; a tier may add a flat fee: 10000=0.001+5
  --currency CODE    usd
  --customers N      without a customer column, rows are spread over N customers by their number (5)
  --format F         csv or ndjson, where the file's name does not tell
  --delimiter C      of CSV (,)
`;

const CUSTOMERS_MAX = 100;
const DEFAULT_CUSTOMERS = '5';
const DEFAULT_PRICE = 'per_unit:0.001';
const ONLY_WITH_EVENTS = ['map', 'price', 'currency', 'customers', 'format', 'delimiter'] as const;

/** The command line, or 'help'. `cwd` is where relative file names start. Throws UsageError. */
export function parseDemoArgs(args: readonly string[], cwd: string): DemoOptions | 'help' {
  const values = readFlags(args);
  if (values.help) return 'help';
  if (values.port !== undefined && !/^\d{1,5}$/.test(values.port))
    throw new UsageError('--port: must be a number');
  const stray = ONLY_WITH_EVENTS.find((name) => values[name] !== undefined);
  if (values.events === undefined && stray !== undefined)
    throw new UsageError(`--${stray} goes with --events`);
  return {
    exit: values.exit,
    dataDir: values['data-dir'],
    port: values.port ?? null,
    remote: remoteOptions(values),
    events: values.events === undefined ? null : eventsOptions(values.events, values, cwd),
  };
}

type Flags = ReturnType<typeof readFlags>;

function readFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: false,
      options: {
        exit: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
        'data-dir': { type: 'string', default: '.durabill/demo' },
        port: { type: 'string' },
        api: { type: 'string' },
        key: { type: 'string' },
        'temporal-ui': { type: 'string' },
        events: { type: 'string' },
        map: { type: 'string' },
        price: { type: 'string' },
        currency: { type: 'string' },
        customers: { type: 'string' },
        format: { type: 'string' },
        delimiter: { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function remoteOptions(values: Flags): DemoOptions['remote'] {
  const { api, key } = values;
  if (api === undefined && key === undefined) return null;
  if (api === undefined || key === undefined) throw new UsageError('--api and --key go together');
  if (!URL.canParse(api) || !/^https?:$/.test(new URL(api).protocol)) {
    throw new UsageError(`--api: '${api}' is not an http URL`);
  }
  return { api, key, temporalUi: values['temporal-ui'] ?? null };
}

function eventsOptions(file: string, values: Flags, cwd: string): EventsOptions {
  if (values.map === undefined) {
    throw new UsageError('--events needs --map timestamp=COLUMN[,value=COLUMN]: which column holds what');
  }
  const currency = (values.currency ?? 'usd').toLowerCase();
  if (!isSupportedCurrency(currency)) throw new UsageError(`--currency: '${currency}' is not a currency`);
  const price = values.price ?? DEFAULT_PRICE;
  return {
    file: resolve(cwd, file),
    format: fileFormat(file, {
      ...(values.format === undefined ? {} : { format: values.format }),
      ...(values.delimiter === undefined ? {} : { delimiter: values.delimiter }),
    }),
    mapping: parseMapping(values.map),
    terms: parsePrice(price, currency),
    price,
    currency,
    customers: customerCount(values.customers ?? DEFAULT_CUSTOMERS),
  };
}

function customerCount(text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number.parseInt(text, 10) : 0;
  if (count >= 1 && count <= CUSTOMERS_MAX) return count;
  throw new UsageError(`--customers: must be between 1 and ${CUSTOMERS_MAX}`);
}
