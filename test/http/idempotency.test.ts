import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Routes } from '../../src/http/app.js';
import type { RequestContext } from '../../src/http/endpoint.js';
import { endpoint } from '../../src/http/endpoint.js';
import { requestFingerprint, runIdempotently } from '../../src/http/idempotency.js';
import { object, text } from '../../src/http/params.js';
import { stripeRoutes } from '../../src/http/stripe/index.js';
import { decodeForm } from '../../src/http/form.js';
import { insertIdempotentResponse, purgeIdempotencyKeys } from '../../src/storage/idempotency.js';
import type { TestApi } from '../support/api.js';
import { startTestApi } from '../support/api.js';

/** What the endpoints of these tests do while they run. */
let during: (ctx: RequestContext) => Promise<void> = () => Promise.resolve();

const write = async (ctx: RequestContext, name: string) => {
  await ctx.q.query(
    `insert into products (account_id, id, livemode, created_at, updated_at, active, name)
    values ($1, gen_random_uuid()::text, false, now(), now(), true, $2)`,
    [ctx.accountId, name],
  );
  await during(ctx);
  return { object: 'written', name, request: ctx.requestId };
};
const params = object({ name: text() });
const routes: Routes = {
  expansions: stripeRoutes.expansions,
  endpoints: [
    ...stripeRoutes.endpoints,
    endpoint({ method: 'POST', path: '/v1/written', params, handle: (ctx, { name }) => write(ctx, name) }),
    endpoint({
      method: 'POST',
      path: '/v1/repeatable',
      params,
      transactional: false,
      handle: (ctx, { name }) => write(ctx, name),
    }),
    endpoint({
      method: 'POST',
      path: '/v1/own',
      params,
      transactional: false,
      idempotency: 'handler',
      handle: (ctx, { name }) => {
        ctx.markReplayed();
        return write(ctx, name);
      },
    }),
  ],
};

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi({ routes });
});
afterAll(async () => {
  await api.stop();
});

const post = (path: string, key: string, form: string) =>
  api.call('POST', path, { form, headers: { 'idempotency-key': key } });
const rows = async (name: string) =>
  (await api.db.query('select 1 from products where name = $1', [name])).length;
const keys = async (key: string) =>
  (await api.db.query('select 1 from idempotency_keys where key = $1', [key])).length;

describe.each(['/v1/written', '/v1/repeatable'])('an Idempotency-Key on %s', (path) => {
  const named = (name: string) => `${name}${path.replace('/v1/', '-')}`;

  it('makes a retry get the first answer, word for word, and write nothing', async () => {
    const name = named('once');
    const first = await post(path, name, `name=${name}`);
    const second = await post(path, name, `name=${name}`);
    expect(first.status).toBe(200);
    expect(second.text).toBe(first.text);
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    expect(second.headers.get('idempotent-replayed')).toBe('true');
    expect(second.headers.get('idempotency-key')).toBe(name);
    expect(second.headers.get('request-id')).not.toBe(first.headers.get('request-id'));
    expect(await rows(name)).toBe(1);
  });

  it('is refused for other parameters', async () => {
    const name = named('reused');
    await post(path, name, `name=${name}`);
    const { status, json } = await post(path, name, `name=other-${name}`);
    expect(status).toBe(400);
    expect(json.error).toMatchObject({ type: 'idempotency_error' });
    expect(json.error?.['message']).toMatch(
      /^Keys for idempotent requests can only be used with the same parameters/,
    );
    expect(await rows(`other-${name}`)).toBe(0);
  });

  it('is refused while its first request runs', async () => {
    const name = named('flight');
    let enter = () => {};
    let leave = () => {};
    const entered = new Promise<void>((resolve) => {
      enter = resolve;
    });
    const left = new Promise<void>((resolve) => {
      leave = resolve;
    });
    during = () => {
      enter();
      return left;
    };
    const first = post(path, name, `name=${name}`);
    await entered;
    during = () => Promise.resolve();
    const second = await post(path, name, `name=${name}`);
    leave();
    expect(second.status).toBe(409);
    expect(second.headers.get('stripe-should-retry')).toBe('true');
    expect(second.json.error).toMatchObject({ code: 'idempotency_key_in_use' });
    expect((await first).status).toBe(200);
    expect((await post(path, name, `name=${name}`)).headers.get('idempotent-replayed')).toBe('true');
    expect(await rows(name)).toBe(1);
  });

  it('is free again after a refusal of the parameters', async () => {
    const name = named('refused');
    expect((await post(path, name, 'wat=1')).status).toBe(400);
    expect(await keys(name)).toBe(0);
    expect((await post(path, name, `name=${name}`)).status).toBe(200);
  });
});

describe('a transaction', () => {
  it('that a defect ends leaves neither the write nor the key', async () => {
    during = () => Promise.reject(new Error('in the middle'));
    expect((await post('/v1/written', 'defect', 'name=defect')).status).toBe(500);
    expect(await rows('defect')).toBe(0);
    expect(await keys('defect')).toBe(0);
    during = () => Promise.resolve();
    expect((await post('/v1/written', 'defect', 'name=defect')).status).toBe(200);
    expect(await rows('defect')).toBe(1);
  });

  it('whose connection dies leaves neither, and the retry writes once', async () => {
    during = async (ctx) => {
      const [row] = await ctx.q.query<{ pid: number }>('select pg_backend_pid() as pid');
      await api.db.query('select pg_terminate_backend($1)', [row?.pid]);
    };
    expect((await post('/v1/written', 'killed', 'name=killed')).status).toBe(503);
    during = () => Promise.resolve();
    expect(await rows('killed')).toBe(0);
    const retry = await post('/v1/written', 'killed', 'name=killed');
    expect(retry.status).toBe(200);
    expect(retry.headers.get('idempotent-replayed')).toBeNull();
    expect(await rows('killed')).toBe(1);
  });

  it('that commits although the client never hears of it is not done again', async () => {
    const controller = new AbortController();
    during = () => {
      controller.abort();
      return Promise.resolve();
    };
    const headers = {
      authorization: `Bearer ${api.apiKey}`,
      'idempotency-key': 'unheard',
      'content-type': 'application/x-www-form-urlencoded',
    };
    const lost = fetch(`${api.baseUrl}/v1/written`, {
      method: 'POST',
      headers,
      body: 'name=unheard',
      signal: controller.signal,
    });
    await expect(lost).rejects.toThrow();
    during = () => Promise.resolve();
    await expect.poll(() => rows('unheard')).toBe(1);
    expect((await post('/v1/written', 'unheard', 'name=unheard')).headers.get('idempotent-replayed')).toBe(
      'true',
    );
    expect(await rows('unheard')).toBe(1);
  });

  it('that finds its key taken at the end begins again and replays', async () => {
    const fingerprint = requestFingerprint('POST', '/v1/x', decodeForm('a=1'));
    const request = { accountId: api.accountId, key: 'raced', fingerprint, now: Date.now() };
    let runs = 0;
    const answer = await runIdempotently(api.db, request, async () => {
      runs += 1;
      const winner = { requestSha256: fingerprint, status: 200, body: '{"winner":true}' };
      await insertIdempotentResponse(api.db, api.accountId, 'raced', winner, Date.now());
      return '{"winner":false}';
    });
    expect(answer).toEqual({ status: 200, body: '{"winner":true}', replayed: true });
    expect(runs).toBe(1);
  });
});

describe('keys', () => {
  it('sent by many at once write once; all others are told to wait or get the same answer', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => post('/v1/written', 'many', 'name=many')),
    );
    expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true);
    expect(new Set(answers.filter(({ status }) => status === 200).map(({ text: body }) => body)).size).toBe(
      1,
    );
    expect(await rows('many')).toBe(1);
  });

  it('don’t depend on the order or the encoding of the parameters', async () => {
    const of = (form: string) => requestFingerprint('POST', '/v1/x', decodeForm(form)).toString('hex');
    expect(of('a=1&b[c]=2')).toBe(of('b%5Bc%5D=2&a=1'));
    expect(of('a[0]=1')).toBe(of('a[]=1'));
    expect(of('a=1')).not.toBe(of('a=2'));
    expect(of('a=1')).not.toBe(requestFingerprint('POST', '/v1/y', decodeForm('a=1')).toString('hex'));
    const sdk = await api.stripe.customers.create(
      { name: 'k', metadata: { b: '1', a: '2' } },
      { idempotencyKey: 'sdk' },
    );
    const again = await api.stripe.customers.create(
      { metadata: { a: '2', b: '1' }, name: 'k' },
      { idempotencyKey: 'sdk' },
    );
    expect(again.id).toBe(sdk.id);
  });

  it('are ignored on GET, and must have a sensible length', async () => {
    const headers = { 'idempotency-key': 'get' };
    expect((await api.call('GET', '/v1/customers', { headers })).status).toBe(200);
    expect(await keys('get')).toBe(0);
    expect((await post('/v1/written', 'k'.repeat(256), 'name=x')).status).toBe(400);
  });

  it('are the handler’s own business where it says so', async () => {
    await post('/v1/own', 'own', 'name=own');
    const second = await post('/v1/own', 'own', 'name=own');
    expect(second.headers.get('idempotent-replayed')).toBe('true');
    expect(await keys('own')).toBe(0);
    expect(await rows('own')).toBe(2);
  });

  it('are forgotten after 24 hours and not before', async () => {
    await post('/v1/written', 'old', 'name=old');
    await post('/v1/written', 'young', 'name=young');
    const age = (key: string, hours: number) =>
      api.db.query(
        'update idempotency_keys set created_at = now() - make_interval(hours => $2) where key = $1',
        [key, hours],
      );
    await age('old', 25);
    await age('young', 23);
    expect(await purgeIdempotencyKeys(api.db, Date.now())).toBe(1);
    expect(await keys('old')).toBe(0);
    expect((await post('/v1/written', 'young', 'name=young')).headers.get('idempotent-replayed')).toBe(
      'true',
    );
  });
});
