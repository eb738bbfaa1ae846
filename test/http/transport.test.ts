import Stripe from 'stripe';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Routes } from '../../src/http/app.js';
import { endpoint } from '../../src/http/endpoint.js';
import { object, text } from '../../src/http/params.js';
import { stripeRoutes } from '../../src/http/stripe/index.js';
import type { TestApi } from '../support/api.js';
import { startTestApi } from '../support/api.js';

const broken = endpoint({
  method: 'GET',
  path: '/v1/broken',
  params: object({ word: text().optional() }),
  handle: () => Promise.reject(new Error('secret detail')),
});
const routes: Routes = { ...stripeRoutes, endpoints: [...stripeRoutes.endpoints, broken] };

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi({ routes });
});
afterAll(async () => {
  await api.stop();
});

describe('every response', () => {
  it.each([
    ['a success', 'GET', '/v1/customers', 200],
    ['a refusal', 'GET', '/v1/customers?wat=1', 400],
    ['a missing object', 'GET', '/v1/customers/cus_x', 404],
    ['an unknown URL', 'GET', '/v1/nope', 404],
    ['an unknown method', 'PUT', '/v1/customers', 404],
    ['a search, which is not served', 'GET', '/v1/customers/search?query=x', 404],
    ['a malformed URL', 'GET', '/v1/customers/%E0%A4%A', 400],
    ['a NUL in an id', 'GET', '/v1/customers/a%00b', 404],
    ['a defect', 'GET', '/v1/broken', 500],
  ])('to %s is JSON with a request id and a version', async (_what, method, path, status) => {
    const response = await api.call(method, path, { headers: { 'stripe-version': '2026-08-26.dahlia' } });
    expect(response.status).toBe(status);
    expect(response.headers.get('request-id')).toMatch(/^req_/);
    expect(response.headers.get('stripe-version')).toBe('2026-08-26.dahlia');
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    expect('error' in response.json).toBe(status >= 400);
  });

  it('has our own version when none is asked for', async () => {
    expect((await api.call('GET', '/v1/customers')).headers.get('stripe-version')).toBe('2026-10-28.endive');
  });

  it('names an unknown URL', async () => {
    const { json } = await api.call('GET', '/v1/nope');
    expect(json.error).toMatchObject({ type: 'invalid_request_error' });
    expect(json.error?.['message']).toMatch(/^Unrecognized request URL \(GET: \/v1\/nope\)\./);
  });
});

describe('a defect', () => {
  it('is logged under its request id and tells the caller nothing', async () => {
    const response = await api.call('GET', '/v1/broken');
    const requestId = response.headers.get('request-id');
    expect(response.json.error).toMatchObject({ type: 'api_error' });
    expect(response.text).not.toContain('secret detail');
    const line = api.log.find(({ fields }) => 'requestId' in fields && fields.requestId === requestId);
    expect(line).toMatchObject({ level: 'error', fields: { err: expect.any(Error) as Error } });
  });
});

describe('authentication', () => {
  const get = (authorization: string) => api.call('GET', '/v1/customers', { headers: { authorization } });

  it('takes the key as Bearer token or as Basic user name', async () => {
    expect((await get(`Bearer ${api.apiKey}`)).status).toBe(200);
    expect((await get(`bearer ${api.apiKey}`)).status).toBe(200);
    expect((await get(`Basic ${Buffer.from(`${api.apiKey}:`).toString('base64')}`)).status).toBe(200);
  });

  it('refuses a wrong key, showing none of it', async () => {
    const secret = 'sk_test_51WrongKeyNobodyMayRead1234';
    const { status, json, headers } = await get(`Bearer ${secret}`);
    expect(status).toBe(401);
    expect(headers.get('www-authenticate')).toMatch(/^Basic/);
    expect(json.error).toMatchObject({ type: 'invalid_request_error' });
    expect(json.error?.['message']).toMatch(/^Invalid API Key provided: sk_test_\*+1234$/);
    const stripe = new Stripe(secret, {
      host: '127.0.0.1',
      port: Number(new URL(api.baseUrl).port),
      protocol: 'http',
    });
    await expect(stripe.customers.list()).rejects.toMatchObject({ type: 'StripeAuthenticationError' });
  });

  it.each(['', 'Bearer', 'Basic Og==', 'Digest x', 'Basic !!'])(
    'asks for a key when there is none: %s',
    async (value) => {
      const { status, json } = await get(value);
      expect(status).toBe(401);
      expect(json.error?.['message']).toMatch(/^You did not provide an API key/);
    },
  );

  it('comes before anything else is looked at, and nothing is written', async () => {
    const { status } = await api.call('POST', '/v1/customers', {
      form: 'wat=1',
      headers: { authorization: 'Bearer x' },
    });
    expect(status).toBe(401);
  });

  it('is not asked for by the health checks', async () => {
    const headers = { authorization: '' };
    expect((await api.call('GET', '/healthz', { headers })).json).toEqual({ status: 'ok' });
    expect((await api.call('GET', '/readyz', { headers })).json).toMatchObject({
      checks: { database: 'ok' },
    });
  });
});

describe('bodies', () => {
  it('are forms, or JSON, with the query beneath them', async () => {
    const form = await api.call('POST', '/v1/customers', { form: 'name=Form&metadata[a]=1' });
    expect(form.json).toMatchObject({ name: 'Form', metadata: { a: '1' } });
    const json = await api.call('POST', '/v1/customers?name=query&email=q%40x.test', {
      json: { name: 'Json', metadata: { a: 1 }, balance: -5 },
    });
    expect(json.json).toMatchObject({ name: 'Json', email: 'q@x.test', metadata: { a: '1' }, balance: -5 });
  });

  it('that are too large are refused before they are read', async () => {
    const { status, json } = await api.call('POST', '/v1/customers', {
      form: `name=${'x'.repeat(1_100_000)}`,
    });
    expect(status).toBe(413);
    expect(json.error).toMatchObject({ code: 'request_too_large', type: 'invalid_request_error' });
  });

  it.each([
    ['malformed JSON', { form: '{', headers: { 'content-type': 'application/json' } }],
    ['another content type', { form: 'x', headers: { 'content-type': 'text/xml' } }],
    ['malformed percent-encoding', { form: 'name=%' }],
    ['a NUL character', { form: 'name=a%00b' }],
    ['half a surrogate pair', { json: { name: '\ud800' } }],
    ['a NUL in metadata', { json: { metadata: { a: '\u0000' } } }],
    ['half a surrogate pair as a key of metadata', { json: { metadata: { '\udfff': 'a' } } }],
    ['a hash for a string', { form: 'name[a]=b' }],
    ['a prototype', { json: JSON.parse('{"__proto__":{"name":"x"}}') as object }],
    ['a key with brackets', { json: { metadata: { 'a[b]': 'c' } } }],
  ])('with %s are refused, and nothing is written', async (_what, options) => {
    const count = async () => (await api.db.query('select 1 from customers')).length;
    const before = await count();
    const { status, json } = await api.call('POST', '/v1/customers', options);
    expect(status).toBe(400);
    expect(json.error).toMatchObject({ type: 'invalid_request_error' });
    expect(await count()).toBe(before);
  });
});

describe('refusals', () => {
  const post = async (form: string) =>
    (await api.call('POST', '/v1/customers', { form })).json.error as object;

  it('come one at a time, always in the same order: unknown, missing, invalid', async () => {
    const path = '/v1/billing/meters';
    const both = await api.call('POST', path, { form: 'zeta=1&alpha=2&event_time_window=year' });
    expect(both.json.error).toEqual({
      code: 'parameter_unknown',
      doc_url: 'https://stripe.com/docs/error-codes/parameter-unknown',
      message: 'Received unknown parameter: zeta',
      param: 'zeta',
      type: 'invalid_request_error',
    });
    const missing = await api.call('POST', path, { form: 'event_time_window=year&display_name=x' });
    expect(missing.json.error).toMatchObject({
      code: 'parameter_missing',
      message: 'Missing required param: default_aggregation.',
      param: 'default_aggregation',
    });
    const nested = await api.call('POST', path, { form: 'default_aggregation[nope]=1&event_name=x' });
    expect(nested.json.error).toMatchObject({ param: 'default_aggregation[nope]' });
  });

  it('use Stripe’s words', async () => {
    expect(await post('name=x&balance=abc')).toMatchObject({
      code: 'parameter_invalid_integer',
      message: 'Invalid integer: abc',
      param: 'balance',
    });
    expect(await post('tax_exempt=maybe')).toEqual({
      message: 'Invalid tax_exempt: must be one of none, exempt, or reverse',
      param: 'tax_exempt',
      type: 'invalid_request_error',
    });
    expect(await post('source=tok_visa')).toMatchObject({ code: 'parameter_unsupported', param: 'source' });
    expect(await post('invoice_settings[default_payment_method]=pm_1')).toMatchObject({
      code: 'parameter_unsupported',
      param: 'invoice_settings[default_payment_method]',
    });
    expect(await post('shipping[name]=&shipping[address][city]=x')).toMatchObject({
      code: 'parameter_invalid_empty',
      param: 'shipping[name]',
    });
    expect(await post('invoice_settings=x')).toEqual({
      message: 'Invalid object',
      param: 'invoice_settings',
      type: 'invalid_request_error',
    });
    expect(await post('preferred_locales=x')).toMatchObject({
      message: 'Invalid array',
      param: 'preferred_locales',
    });
    expect(await post(`name=${'n'.repeat(257)}`)).toMatchObject({
      code: 'parameter_invalid_string_length',
      param: 'name',
    });
    expect(await post('balance=99999999999999999999')).toMatchObject({ param: 'balance' });
    expect(await post('expand[]=')).toMatchObject({ param: 'expand[0]' });
  });
});
