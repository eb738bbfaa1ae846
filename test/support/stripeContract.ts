import type { DescribedParam } from '../../src/http/describe.js';
import { describeParams } from '../../src/http/describe.js';
import type { Endpoint } from '../../src/http/endpoint.js';
import type { JsonSchema, StripeRequest } from './stripeSchemas.js';

/**
 * How our declared parameters stand to Stripe's, as sentences; empty when they agree. `stricter` are parameters that
 * are required here and not there.
 */
export function contractProblems(
  endpoint: Endpoint,
  request: StripeRequest,
  stricter: readonly string[] = [],
): string[] {
  const problems: string[] = [];
  const unsupported = new Set(endpoint.unsupported);
  const theirs = { ...request.params.properties };
  delete theirs['expand'];
  const schema = { ...request.params, properties: theirs };
  compareProperties(describeParams(endpoint), schema, '', unsupported, problems);
  for (const name of stricter) {
    const index = problems.indexOf(`${name} is optional at Stripe and not here`);
    if (index < 0) problems.push(`${name} need not be listed as stricter`);
    else problems.splice(index, 1);
  }
  for (const name of unsupported)
    problems.push(`${name} is declared unsupported, but Stripe has no such parameter`);
  return problems;
}

/** The file's key for one of our endpoints: `/v1/customers/:id` is `/v1/customers/{customer}` there. */
export function requestOf(
  requests: Record<string, StripeRequest>,
  endpoint: Endpoint,
): [string, StripeRequest] | null {
  const wanted = shapeOf(`${endpoint.method} ${endpoint.path}`);
  return Object.entries(requests).find(([key]) => shapeOf(key) === wanted) ?? null;
}

function shapeOf(key: string): string {
  return key.replace(/\{[^}]+\}|:\w+/g, '{}');
}

function compareProperties(
  ours: Record<string, DescribedParam>,
  theirs: JsonSchema,
  path: string,
  unsupported: Set<string>,
  problems: string[],
): void {
  const named = (name: string) => (path === '' ? name : `${path}.${name}`);
  const required = new Set(theirs.required);
  for (const [name, schema] of Object.entries(theirs.properties ?? {})) {
    const where = named(name);
    const param = ours[name];
    if (unsupported.delete(where)) {
      if (param !== undefined) problems.push(`${where} is both supported and unsupported`);
      continue;
    }
    if (param === undefined) problems.push(`${where} is neither supported nor declared unsupported`);
    else {
      if (param.required !== required.has(name)) {
        problems.push(`${where} is ${required.has(name) ? 'required' : 'optional'} at Stripe and not here`);
      }
      compareParam(param, schema, where, unsupported, problems);
    }
  }
  for (const name of Object.keys(ours)) {
    if (theirs.properties?.[name] === undefined)
      problems.push(`${named(name)} is not a parameter of Stripe's`);
  }
}

function compareParam(
  ours: DescribedParam,
  schema: JsonSchema,
  where: string,
  unsupported: Set<string>,
  problems: string[],
): void {
  const variants = (schema.anyOf ?? [schema]).filter((variant) => !isUnset(variant));
  const object = variants.find(({ properties }) => properties !== undefined);
  const list = variants.find(({ type }) => type === 'array');
  if (ours.properties !== undefined) {
    if (object === undefined) problems.push(`${where} is not a hash at Stripe`);
    else compareProperties(ours.properties, object, where, unsupported, problems);
    return;
  }
  if (ours.item !== undefined) {
    if (list?.items === undefined) problems.push(`${where} is not a list at Stripe`);
    else compareParam(ours.item, list.items, `${where}[]`, unsupported, problems);
    return;
  }
  compareValue(ours, variants, where, problems);
}

/** `{"enum": [""]}` beside other variants, or null: the parameter can be unset. */
function isUnset(schema: JsonSchema): boolean {
  return schema.type === 'null' || (schema.enum?.length === 1 && schema.enum[0] === '');
}

function compareValue(ours: DescribedParam, variants: JsonSchema[], where: string, problems: string[]): void {
  const { value } = ours;
  if (value === undefined) throw new Error(`${where} has no description`);
  const theirs = variants
    .flatMap(({ enum: values }) => values ?? [])
    .filter((word) => word !== '' && word !== null);
  const words = [...(value.values ?? []), ...(value.unsupportedValues ?? []), ...(value.words ?? [])];
  if (theirs.length > 0 || words.length > 0) {
    const missing = theirs.filter((word) => !words.includes(String(word)));
    const invented = words.filter((word) => !theirs.includes(word));
    if (missing.length > 0) problems.push(`${where} lacks ${missing.join(', ')}`);
    if (invented.length > 0) problems.push(`${where} has ${invented.join(', ')}, which Stripe has not`);
  }
  const types = variants.filter((variant) => variant.enum === undefined).map(typeOf);
  if (types.length > 0 && value.kind !== 'enum' && !types.some((type) => KINDS[type]?.includes(value.kind))) {
    problems.push(`${where} is ${value.kind} here and ${types.join(' or ')} at Stripe`);
  }
}

const KINDS: Record<string, readonly string[]> = {
  string: ['text'],
  decimal: ['decimal'],
  integer: ['integer'],
  'unix-time': ['instant'],
  number: ['integer', 'decimal'],
  boolean: ['boolean'],
  object: ['metadata', 'range'],
};

function typeOf(schema: JsonSchema): string {
  if (schema.format === 'decimal' || schema.format === 'unix-time') return schema.format;
  const type = Array.isArray(schema.type) ? schema.type.find((name) => name !== 'null') : schema.type;
  return type ?? 'unknown';
}

/** A request that each of our endpoints must refuse, and how. */
export interface Refusal {
  what: string;
  params: Params;
  /** In bracket form. */
  param: string;
  code?: string;
}

export type Params = Map<string, string>;

/** Every refusal that follows from the declared parameters: unknown, missing, of a wrong type, not in the enum. */
export function refusalsOf(endpoint: Endpoint): Refusal[] {
  const described = describeParams(endpoint);
  const complete = sample(described, '');
  const refusals: Refusal[] = [unknown('')];
  visit(described, '', (param, name) => {
    const merge = (...entries: [string, string][]): Params => {
      const kept = [...complete, ...chainSample(described, name)];
      return new Map([...kept.filter(([key]) => !isInside(key, name)), ...entries]);
    };
    if (param.required) {
      const code = 'parameter_missing';
      const params = new Map(merge());
      const parent = name.slice(0, Math.max(0, name.lastIndexOf('[')));
      if (parent === '' || [...params.keys()].some((key) => isInside(key, parent))) {
        refusals.push({ what: `no ${name}`, params, param: name, code });
      }
    }
    if (param.properties !== undefined) {
      refusals.push({ ...unknown(name), params: merge([`${name}[durabill_unknown]`, '1']) });
      refusals.push({ what: `${name} is no hash`, params: merge([name, 'text']), param: name });
    } else if (param.item !== undefined) {
      refusals.push({ what: `${name} is no list`, params: merge([name, 'text']), param: name });
    } else {
      for (const [what, key, value] of wrongValues(param, name)) {
        refusals.push({ what, params: merge([key, value]), param: name });
      }
    }
  });
  return refusals;
}

function unknown(path: string): Refusal {
  const param = path === '' ? 'durabill_unknown' : `${path}[durabill_unknown]`;
  return { what: `unknown ${param}`, params: new Map([[param, '1']]), param, code: 'parameter_unknown' };
}

function wrongValues(param: DescribedParam, name: string): [string, string, string][] {
  switch (param.value?.kind) {
    case 'integer':
    case 'instant':
    case 'decimal':
      return [
        [`${name} is no number`, name, 'abc'],
        [`${name} is beyond any number`, name, '1e400'],
      ];
    case 'boolean':
      return [[`${name} is no boolean`, name, 'maybe']];
    case 'enum':
      return [[`${name} is not in the enum`, name, 'durabill_nonsense']];
    case 'text':
      return [[`${name} is no text`, `${name}[a]`, 'b']];
    case 'metadata':
      return [[`${name} is no hash`, name, 'text']];
    case 'range':
      return [[`${name} is no range`, name, 'abc']];
    case undefined:
      throw new Error(`${name} has no description`);
  }
}

function visit(
  described: Record<string, DescribedParam>,
  path: string,
  report: (param: DescribedParam, name: string) => void,
): void {
  for (const [key, param] of Object.entries(described)) {
    const name = path === '' ? key : `${path}[${key}]`;
    report(param, name);
    if (param.properties !== undefined) visit(param.properties, name, report);
    if (param.item === undefined) continue;
    report({ ...param.item, required: false }, `${name}[0]`);
    if (param.item.properties !== undefined) visit(param.item.properties, `${name}[0]`, report);
  }
}

/** Values for everything that is required. */
function sample(described: Record<string, DescribedParam>, path: string): [string, string][] {
  return Object.entries(described).flatMap(([key, param]) =>
    param.required ? sampleOf(param, path === '' ? key : `${path}[${key}]`) : [],
  );
}

/** What must come along so that `name` is looked at: the required ones of each hash on the way to it. */
function chainSample(described: Record<string, DescribedParam>, name: string): [string, string][] {
  const samples: [string, string][] = [];
  let properties: Record<string, DescribedParam> | undefined = described;
  let path = '';
  for (const part of name.replaceAll(']', '').split('[').slice(0, -1)) {
    let param: DescribedParam | undefined = properties?.[part];
    path = path === '' ? part : `${path}[${part}]`;
    if (part === '0') param = undefined;
    if (param?.item !== undefined) {
      properties = param.item.properties;
      if (properties !== undefined) samples.push(...sample(properties, `${path}[0]`));
    } else if (param !== undefined) {
      properties = param.properties;
      if (properties !== undefined) samples.push(...sample(properties, path));
    }
  }
  return samples;
}

function sampleOf(param: DescribedParam, name: string): [string, string][] {
  if (param.properties !== undefined) {
    const required = sample(param.properties, name);
    const [first] = Object.entries(param.properties);
    return required.length > 0 || first === undefined ? required : sampleOf(first[1], `${name}[${first[0]}]`);
  }
  if (param.item !== undefined) {
    return sampleOf(param.item, `${name}[0]`);
  }
  switch (param.value?.kind) {
    case 'enum':
      return [[name, param.value.values?.[0] ?? '']];
    case 'boolean':
      return [[name, 'true']];
    case 'text':
      return [[name, 'x']];
    case 'metadata':
      return [[`${name}[key]`, 'x']];
    default:
      return [[name, '1']];
  }
}

function isInside(key: string, name: string): boolean {
  return key === name || key.startsWith(`${name}[`);
}
