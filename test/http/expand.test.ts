import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stripeRoutes } from '../../src/http/stripe/index.js';
import type { TestApi } from '../support/api.js';
import { startTestApi } from '../support/api.js';

let api: TestApi;
let product: string;
let price: string;
beforeAll(async () => {
  api = await startTestApi();
  const created = await api.stripe.products.create({
    name: 'P',
    default_price_data: { currency: 'usd', unit_amount: 5 },
  });
  product = created.id;
  price = created.default_price as string;
});
afterAll(async () => {
  await api.stop();
});

describe('expand', () => {
  it('puts the object in the place of its id, several levels deep', async () => {
    const read = await api.stripe.prices.retrieve(price, { expand: ['product.default_price.product'] });
    expect(read).toMatchObject({
      product: { id: product, default_price: { id: price, product: { id: product } } },
    });
  });

  it('works on create, on update, and on the elements of a list in few statements', async () => {
    for (let index = 0; index < 5; index += 1) {
      await api.stripe.prices.create({ product, currency: 'usd', unit_amount: index, expand: ['product'] });
    }
    const list = await api.stripe.prices.list({ expand: ['data.product', 'data.tiers'] });
    expect(list.data.map(({ product: expanded }) => (expanded as { name: string }).name)).toEqual(
      Array(6).fill('P'),
    );
    const updated = await api.stripe.prices.update(price, { nickname: 'x', expand: ['product'] });
    expect(updated.product).toMatchObject({ id: product });
  });

  it('reveals what is hidden', async () => {
    const customer = await api.stripe.customers.create({ expand: ['subscriptions', 'sources', 'tax_ids'] });
    expect(customer.subscriptions).toMatchObject({ object: 'list', data: [], has_more: false });
    expect(customer.subscriptions?.url).toBe(`/v1/customers/${customer.id}/subscriptions`);
    expect(await api.stripe.customers.retrieve(customer.id)).not.toHaveProperty('subscriptions');
  });

  it('leaves null where there is nothing to expand', async () => {
    const customer = await api.stripe.customers.create({ expand: ['test_clock', 'default_source'] });
    expect(customer).toMatchObject({ test_clock: null, default_source: null });
  });

  it('takes a test clock', async () => {
    const clock = await api.stripe.testHelpers.testClocks.create({ frozen_time: 1_900_000_000 });
    const customer = await api.stripe.customers.create({ test_clock: clock.id, expand: ['test_clock'] });
    expect(customer.test_clock).toMatchObject({
      object: 'test_helpers.test_clock',
      frozen_time: 1_900_000_000,
    });
  });

  it.each([
    ['metadata', 'This property cannot be expanded (metadata).'],
    ['nickname', 'This property cannot be expanded (nickname).'],
    ['aplication', "This property cannot be expanded because it doesn't exist: aplication."],
    ['product.nope', "This property cannot be expanded because it doesn't exist: product.nope."],
    ['product.name', 'This property cannot be expanded (product.name).'],
    ['recurring.meter', 'This property cannot be expanded (recurring.meter).'],
    ['a.b.c.d.e', 'You cannot expand more than 4 levels of a property. [Property: a.b.c.d.e]'],
  ])('refuses %s', async (path, message) => {
    const recurring = await api.stripe.prices.create({
      product,
      currency: 'usd',
      unit_amount: 1,
      recurring: { interval: 'month' },
    });
    await expect(api.stripe.prices.retrieve(recurring.id, { expand: [path] })).rejects.toMatchObject({
      statusCode: 400,
      param: 'expand',
      message,
    });
  });

  it('that fails undoes the write', async () => {
    const count = async () => (await api.db.query('select 1 from products')).length;
    const before = await count();
    await expect(api.stripe.products.create({ name: 'x', expand: ['nope'] })).rejects.toMatchObject({
      param: 'expand',
    });
    expect(await count()).toBe(before);
  });

  it('can load everything that is declared to be expandable', () => {
    const loadable = new Set(
      stripeRoutes.expansions.filter(({ load }) => load !== undefined).map(({ object }) => object),
    );
    const targets = stripeRoutes.expansions.flatMap(({ object, properties }) =>
      Object.entries(properties)
        .filter(([, target]) => typeof target === 'string' && target !== 'none')
        .map(([name, target]) => [`${object}.${name}`, target as string] as const),
    );
    expect(targets.length).toBeGreaterThan(5);
    expect(targets.filter(([, target]) => !loadable.has(target))).toEqual([]);
  });
});
