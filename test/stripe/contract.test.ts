import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stripeRoutes } from '../../src/http/stripe/index.js';
import type { TestApi } from '../support/api.js';
import { startTestApi } from '../support/api.js';
import { contractProblems, refusalsOf, requestOf } from '../support/stripeContract.js';
import { stripeRequests } from '../support/stripeSchemas.js';

const requests = stripeRequests();
if (requests === null)
  process.stderr.write('stripe-requests.json.gz is not there: the contract is not checked\n');

const endpoints = stripeRoutes.endpoints.map(
  (endpoint) => [`${endpoint.method} ${endpoint.path}`, endpoint] as const,
);

/** Required here: Stripe takes `customer_account` or `add_invoice_items` in their place, which we don't support. */
const STRICTER: Record<string, readonly string[]> = { 'POST /v1/subscriptions': ['customer', 'items'] };

describe.skipIf(requests === null)('the parameters of', () => {
  it.each(endpoints)('%s are Stripe’s: each supported or refused by name', (name, endpoint) => {
    const found = requestOf(requests ?? {}, endpoint);
    if (found === null) throw new Error('Stripe has no such request');
    expect(contractProblems(endpoint, found[1], STRICTER[name])).toEqual([]);
  });
});

describe('refusals over HTTP', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startTestApi();
  });
  afterAll(async () => {
    await api.stop();
  });

  const rowCounts = async (): Promise<unknown> => {
    const tables = await api.db.query<{ name: string }>(
      `select table_name as name from information_schema.tables
       where table_schema = 'public' and table_type = 'BASE TABLE' order by 1`,
    );
    const counts = tables.map(({ name }) => `select '${name}' as name, count(*)::int as rows from "${name}"`);
    return api.db.query(counts.join(' union all '));
  };

  it.each(endpoints)('of %s name the parameter and write nothing', async (_name, endpoint) => {
    const before = await rowCounts();
    const refusals = refusalsOf(endpoint);
    expect(refusals.length).toBeGreaterThan(0);
    for (const { what, params, param, code } of refusals) {
      const encoded = [...params].map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join('&');
      const path = endpoint.path.replaceAll(/:\w+/g, 'nonexistent');
      const { status, json } =
        endpoint.method === 'POST'
          ? await api.call('POST', path, { form: encoded, headers: { 'idempotency-key': `${path} ${what}` } })
          : await api.call(endpoint.method, `${path}?${encoded}`);
      expect({ what, status, ...json }).toMatchObject({
        what,
        status: 400,
        error: { type: 'invalid_request_error', param, ...(code === undefined ? {} : { code }) },
      });
      expect(json.error?.['message']).not.toBe('');
    }
    expect(await rowCounts()).toEqual(before);
  });

  it.each(endpoints.filter(([, { unsupported }]) => unsupported.length > 0))(
    'of %s say which parameters are not supported yet',
    async (_name, endpoint) => {
      for (const pattern of endpoint.unsupported) {
        const param = pattern
          .replaceAll('[]', '.0')
          .split('.')
          .map((part, index) => (index === 0 ? part : `[${part}]`))
          .join('');
        const path = endpoint.path.replaceAll(/:\w+/g, 'nonexistent');
        const { status, json } =
          endpoint.method === 'POST'
            ? await api.call('POST', path, { form: `${param}=1` })
            : await api.call(endpoint.method, `${path}?${param}=1`);
        expect({ status, ...json }).toMatchObject({
          status: 400,
          error: { code: 'parameter_unsupported', param },
        });
      }
    },
  );
});
