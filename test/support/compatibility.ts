import { type DescribedParam, describeParams } from '../../src/http/describe.js';
import type { Endpoint } from '../../src/http/endpoint.js';
import type { StripeRequest } from './stripeSchemas.js';
import { requestOf } from './stripeContract.js';

export const GENERATED_FROM =
  '<!-- Generated from here on: npx vitest run test/stripe/compatibility.test.ts -u -->';

/**
 * The tables of docs/compatibility.md: what is served with which parameters, and what of the resources in Stripe's
 * billing API is not.
 */
export function compatibilityTables(
  endpoints: readonly Endpoint[],
  requests: Record<string, StripeRequest>,
): string {
  const served = new Set<string>();
  const sections = new Map<string, string[]>();
  for (const endpoint of endpoints) {
    const found = requestOf(requests, endpoint);
    if (found === null) throw new Error(`Stripe has no ${endpoint.method} ${endpoint.path}`);
    const [key, request] = found;
    served.add(key);
    const resource = resourceOf(request);
    sections.set(resource, [...(sections.get(resource) ?? []), rowOf(endpoint, request)]);
  }
  const tables = [...sections]
    .sort(([a], [b]) => compare(a, b))
    .map(([resource, rows]) => tableOf(resource, rows));
  return ['## Served', '', ...tables, '## Not served', '', notServed(served, requests), ''].join('\n');
}

function tableOf(resource: string, rows: readonly string[]): string {
  const head = '| method | request | parameters | known, refused by name |\n|---|---|---|---|';
  return `### ${resource}\n\n${head}\n${rows.join('\n')}\n`;
}

function rowOf(endpoint: Endpoint, request: StripeRequest): string {
  const method = methodOf(request);
  const supported = namesOf(describeParams(endpoint), '');
  const unsupported = [...endpoint.unsupported, ...unsupportedValues(describeParams(endpoint), '')];
  const cell = (names: readonly string[]) => (names.length === 0 ? '–' : [...names].sort(compare).join(' '));
  const url = `\`${endpoint.method} ${endpoint.path.replaceAll(/:(\w+)/g, '{$1}')}\``;
  return `| ${method} | ${url} | ${cell(supported.map(quoted))} | ${cell(unsupported.map(quoted))} |`;
}

/** Top-level names; required ones carry an asterisk. */
function namesOf(params: Record<string, DescribedParam>, prefix: string): string[] {
  return Object.entries(params).map(([name, { required }]) => `${prefix}${name}${required ? '*' : ''}`);
}

/** `payment_behavior=default_incomplete` for each value that is known and refused. */
function unsupportedValues(params: Record<string, DescribedParam>, path: string): string[] {
  return Object.entries(params).flatMap(([name, param]) => {
    const where = path === '' ? name : `${path}.${name}`;
    const own = (param.value?.unsupportedValues ?? []).map((value) => `${where}=${value}`);
    const nested = param.properties === undefined ? [] : unsupportedValues(param.properties, where);
    const items =
      param.item?.properties === undefined ? [] : unsupportedValues(param.item.properties, `${where}[]`);
    return [...own, ...nested, ...items];
  });
}

function notServed(served: ReadonlySet<string>, requests: Record<string, StripeRequest>): string {
  const missing = new Map<string, string[]>();
  for (const [key, request] of Object.entries(requests)) {
    if (served.has(key)) continue;
    const resource = resourceOf(request);
    const method = request.sdk === undefined ? `\`${key}\`` : methodOf(request);
    missing.set(resource, [...(missing.get(resource) ?? []), method]);
  }
  const rows = [...missing]
    .sort(([a], [b]) => compare(a, b))
    .map(([resource, methods]) => `| ${resource} | ${methods.sort(compare).join(', ')} |`);
  return `| resource | methods |\n|---|---|\n${rows.join('\n')}`;
}

function resourceOf(request: StripeRequest): string {
  return request.sdk?.split('.').slice(0, -1).join('.') ?? 'not in the SDK';
}

function methodOf(request: StripeRequest): string {
  return request.sdk?.split('.').at(-1) ?? '';
}

function quoted(name: string): string {
  return `\`${name}\``;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
