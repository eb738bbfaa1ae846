import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { Ajv } from 'ajv';
import type { ValidateFunction } from 'ajv';

/** Stripe's published schemas lie beside the project, not in it; without them the tests that need them skip. */

export interface JsonSchema {
  type?: string | string[];
  enum?: (string | boolean | null)[];
  format?: string;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  maxLength?: number;
  additionalProperties?: JsonSchema | boolean;
}

export interface StripeRequest {
  params: JsonSchema;
  response: string;
  /** `Customers.create`; absent where the SDK has no method. */
  sdk?: string;
}

interface SchemaFile {
  objects: Record<string, string>;
  deleted: string[];
  definitions: Record<string, JsonSchema>;
}

const projectRoot = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** The file in the shared data folder (`DURABILL_SHARED`, else `../shared/data`), or null when it isn't there. */
export function sharedFile(name: string): string | null {
  const folders = [process.env['DURABILL_SHARED'], join(projectRoot, '../shared/data')];
  for (const folder of folders) {
    if (folder === undefined || folder === '') continue;
    for (const path of [join(folder, name), join(folder, 'data', name)]) if (existsSync(path)) return path;
  }
  return null;
}

/** Stripe's requests by `METHOD /path`, or null when the file isn't there: then the test skips and says so. */
export function stripeRequests(): Record<string, StripeRequest> | null {
  const path = sharedFile('stripe-requests.json.gz');
  if (path === null) return null;
  return (readGzip(path) as { requests: Record<string, StripeRequest> }).requests;
}

let loaded: { ajv: Ajv; file: SchemaFile } | undefined;
const validators = new Map<string, ValidateFunction>();

/**
 * Fails unless `value` has the shape that Stripe publishes for the object `name` (`customer`, `billing.meter`,
 * `deleted_product`, or `list of price`). Does nothing, after a word on stderr, when the schemas aren't there.
 */
export function assertStripeShape(name: string, value: unknown): void {
  if (name.startsWith('list of ')) {
    assertList(name.slice('list of '.length), value);
    return;
  }
  const validate = validatorOf(name);
  if (validate === null) return;
  // The SDK's Decimal objects go over the wire as strings.
  const wire: unknown = JSON.parse(JSON.stringify(value));
  if (validate(wire)) return;
  const problems = (validate.errors ?? []).map(
    (error) => `${error.instancePath || '/'} ${error.message ?? ''}`,
  );
  throw new Error(`not Stripe's ${name}: ${problems.join('; ')}\n${JSON.stringify(wire, null, 2)}`);
}

/** The properties that Stripe publishes for an object. Empty when the schemas aren't there. */
export function stripeProperties(name: string): string[] {
  const schemas = load();
  return schemas === null ? [] : Object.keys(schemas.file.definitions[name]?.properties ?? {});
}

function assertList(name: string, value: unknown): void {
  const list = value as { object?: unknown; data?: unknown; has_more?: unknown; url?: unknown };
  const isList =
    list.object === 'list' &&
    Array.isArray(list.data) &&
    typeof list.has_more === 'boolean' &&
    typeof list.url === 'string';
  if (!isList) throw new Error(`not a list object: ${JSON.stringify(value)}`);
  for (const item of list.data as unknown[]) assertStripeShape(name, item);
}

function validatorOf(name: string): ValidateFunction | null {
  const known = validators.get(name);
  if (known !== undefined) return known;
  const schemas = load();
  if (schemas === null) return null;
  const definition = schemas.file.objects[name] ?? name;
  if (schemas.file.definitions[definition] === undefined) throw new Error(`Stripe has no object ${name}`);
  const validate = schemas.ajv.compile({ $ref: `stripe#/definitions/${definition}` });
  validators.set(name, validate);
  return validate;
}

function load(): { ajv: Ajv; file: SchemaFile } | null {
  if (loaded !== undefined) return loaded;
  const path = sharedFile('stripe-schemas.json.gz');
  if (path === null) {
    process.stderr.write('stripe-schemas.json.gz is not there: shapes are not checked\n');
    return null;
  }
  const file = readGzip(path) as SchemaFile;
  const ajv = new Ajv({ strict: false, allErrors: true });
  ajv.addFormat('unix-time', {
    type: 'number',
    validate: (value: number) => Number.isInteger(value) && value >= 0,
  });
  ajv.addFormat('decimal', /^-?\d+(\.\d+)?$/);
  ajv.addSchema({ $id: 'stripe', definitions: file.definitions });
  loaded = { ajv, file };
  return loaded;
}

function readGzip(path: string): unknown {
  return JSON.parse(gunzipSync(readFileSync(path)).toString('utf8')) as unknown;
}
