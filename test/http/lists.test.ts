import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestApi } from '../support/api.js';
import { startTestApi } from '../support/api.js';

let api: TestApi;
let ids: string[];

/** Wall time stands still in runs of ten, so that many objects share one `created`. */
let created = 0;
beforeAll(async () => {
  api = await startTestApi({ now: () => Date.UTC(2026, 0, 1) + Math.floor(created / 10) * 1000 });
  ids = [];
  for (let index = 0; index < 25; index += 1) {
    created = index;
    ids.unshift((await api.stripe.customers.create({ name: `n${index}` })).id);
  }
});
afterAll(async () => {
  await api.stop();
});

const page = async (params: object) => {
  const list = await api.stripe.customers.list(params);
  return { ids: list.data.map(({ id }) => id), more: list.has_more, url: list.url };
};

describe('a list', () => {
  it('is newest first, ten at a time', async () => {
    expect(await page({})).toEqual({ ids: ids.slice(0, 10), more: true, url: '/v1/customers' });
    expect(await page({ limit: 100 })).toMatchObject({ ids, more: false });
    expect(await page({ limit: 25 })).toMatchObject({ ids, more: false });
  });

  it('goes on after a cursor and back before one', async () => {
    expect(await page({ limit: 3, starting_after: ids[9] })).toMatchObject({
      ids: ids.slice(10, 13),
      more: true,
    });
    expect(await page({ limit: 3, starting_after: ids[22] })).toMatchObject({
      ids: ids.slice(23),
      more: false,
    });
    expect(await page({ limit: 3, ending_before: ids[9] })).toMatchObject({
      ids: ids.slice(6, 9),
      more: true,
    });
    expect(await page({ limit: 5, ending_before: ids[3] })).toMatchObject({
      ids: ids.slice(0, 3),
      more: false,
    });
    expect(await page({ starting_after: ids[24] })).toMatchObject({ ids: [], more: false });
  });

  it('is walked by the SDK’s auto-pagination, both ways, each object once', async () => {
    const forward: string[] = [];
    for await (const { id } of api.stripe.customers.list({ limit: 7 })) forward.push(id);
    expect(forward).toEqual(ids);
    const backward: string[] = [];
    for await (const { id } of api.stripe.customers.list({ limit: 7, ending_before: ids[24] as string })) {
      backward.push(id);
    }
    expect(backward).toEqual(ids.slice(0, 24).reverse());
  });

  it('goes on although its cursor was deleted meanwhile', async () => {
    const gone = await api.stripe.customers.create({ name: 'gone' });
    await api.stripe.customers.del(gone.id);
    expect((await page({ limit: 2, starting_after: gone.id })).ids).toEqual(ids.slice(0, 2));
  });

  it('is cut by created, to the second', async () => {
    const second = Date.UTC(2026, 0, 1) / 1000 + 1;
    const middle = ids.slice(5, 15);
    expect((await page({ limit: 100, created: second })).ids).toEqual(middle);
    expect((await page({ limit: 100, created: { gte: second, lt: second + 1 } })).ids).toEqual(middle);
    expect((await page({ limit: 100, created: { gt: second - 1, lte: second } })).ids).toEqual(middle);
    expect((await page({ limit: 100, created: { gt: second } })).ids).toEqual(ids.slice(0, 5));
  });

  it.each([
    [
      { limit: 'abc' },
      { code: 'parameter_invalid_integer', message: 'Invalid integer: abc', param: 'limit' },
    ],
    [{ limit: 0 }, { param: 'limit' }],
    [{ limit: 101 }, { param: 'limit' }],
    [
      { starting_after: 'cus_aaa' },
      { code: 'resource_missing', message: "No such customer: 'cus_aaa'", param: 'starting_after' },
    ],
    [{ ending_before: 'cus_aaa' }, { code: 'resource_missing', param: 'ending_before' }],
    [
      { starting_after: 'a', ending_before: 'b' },
      { message: 'Received both starting_after and ending_before parameters. Please pass in only one.' },
    ],
    [{ created: { since: 1 } }, { code: 'parameter_unknown', param: 'created[since]' }],
  ])('refuses %j', async (params, error) => {
    await expect(api.stripe.customers.list(params as never)).rejects.toMatchObject({
      statusCode: 400,
      ...error,
    });
  });
});
