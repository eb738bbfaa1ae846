import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestApi } from '../support/api.js';
import { startTestApi } from '../support/api.js';
import { assertStripeShape } from '../support/stripeSchemas.js';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(async () => {
  await api.stop();
});

const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as Record<string, unknown>;

describe('products', () => {
  it('need a name and have every field', async () => {
    const product = await api.stripe.products.create({ name: 'API calls' });
    assertStripeShape('product', product);
    expect(product).toMatchObject({
      object: 'product',
      active: true,
      name: 'API calls',
      default_price: null,
      type: 'service',
      images: [],
      marketing_features: [],
      unit_label: null,
      package_dimensions: null,
      shippable: null,
      url: null,
      metadata: {},
    });
    expect(product.updated).toBe(product.created);
    await expect(api.stripe.products.create({} as never)).rejects.toMatchObject({
      code: 'parameter_missing',
      param: 'name',
      message: 'Missing required param: name.',
    });
  });

  it('keep what they are given, under an id of one’s own', async () => {
    const created = await api.stripe.products.create({
      id: 'prod-own.1',
      name: 'Box',
      type: 'good',
      shippable: true,
      unit_label: 'boxes',
      url: 'https://x.test',
      description: 'A box',
      images: ['https://x.test/1.png'],
      marketing_features: [{ name: 'sturdy' }],
      package_dimensions: { height: 1.5, length: 2, weight: 3.25, width: 4 },
      statement_descriptor: 'BOX',
      tax_code: 'txcd_10000000',
      metadata: { sku: '1' },
    });
    assertStripeShape('product', created);
    expect(plain(await api.stripe.products.retrieve('prod-own.1'))).toEqual(plain(created));
    expect(created.package_dimensions).toEqual({ height: 1.5, length: 2, weight: 3.25, width: 4 });
    await expect(api.stripe.products.create({ id: 'prod-own.1', name: 'again' })).rejects.toMatchObject({
      statusCode: 400,
      code: 'resource_already_exists',
      param: 'id',
    });
    await expect(api.stripe.products.create({ id: 'no spaces', name: 'x' })).rejects.toMatchObject({
      param: 'id',
    });
  });

  it('make their default price inline', async () => {
    const product = await api.stripe.products.create({
      name: 'Seat',
      expand: ['default_price'],
      default_price_data: { currency: 'USD', unit_amount: 900, recurring: { interval: 'month' } },
    });
    expect(product.default_price).toMatchObject({
      object: 'price',
      unit_amount: 900,
      currency: 'usd',
      product: product.id,
      type: 'recurring',
    });
    await expect(
      api.stripe.products.create({ name: 'x', default_price_data: { currency: 'usd' } }),
    ).rejects.toMatchObject({ code: 'parameter_missing', param: 'default_price_data[unit_amount]' });
    expect((await api.stripe.products.list({ limit: 100 })).data.map(({ name }) => name)).not.toContain('x');
  });

  it('change, and tell what they were', async () => {
    const { id } = await api.stripe.products.create({ name: 'Old', description: 'd', unit_label: 'u' });
    const updated = await api.stripe.products.update(id, { name: 'New', unit_label: '', active: false });
    expect(updated).toMatchObject({ name: 'New', unit_label: null, active: false, description: 'd' });
    const [event] = (await api.stripe.events.list({ type: 'product.updated' })).data;
    expect(event?.data.previous_attributes).toMatchObject({ name: 'Old', unit_label: 'u', active: true });
  });

  it('take a default price of their own only', async () => {
    const one = await api.stripe.products.create({ name: 'one' });
    const two = await api.stripe.products.create({ name: 'two' });
    const price = await api.stripe.prices.create({ product: one.id, currency: 'usd', unit_amount: 1 });
    expect((await api.stripe.products.update(one.id, { default_price: price.id })).default_price).toBe(
      price.id,
    );
    for (const default_price of [price.id, 'price_nope']) {
      await expect(api.stripe.products.update(two.id, { default_price })).rejects.toMatchObject({
        statusCode: 400,
        param: 'default_price',
      });
    }
    await expect(api.stripe.prices.update(price.id, { active: false })).rejects.toMatchObject({
      statusCode: 400,
      message: expect.stringContaining('default price of its product') as string,
    });
  });

  it('are deleted only without prices, and their id is free again', async () => {
    await api.stripe.products.create({ id: 'once', name: 'first' });
    const deleted = await api.stripe.products.del('once');
    assertStripeShape('deleted_product', deleted);
    await expect(api.stripe.products.retrieve('once')).rejects.toMatchObject({ statusCode: 404 });
    expect((await api.stripe.products.create({ id: 'once', name: 'second' })).name).toBe('second');
    await api.stripe.prices.create({ product: 'once', currency: 'usd', unit_amount: 1 });
    await expect(api.stripe.products.del('once')).rejects.toMatchObject({
      statusCode: 400,
      message: expect.stringContaining('cannot be deleted') as string,
    });
  });

  it('are listed by their filters', async () => {
    const make = (name: string, more: object) => api.stripe.products.create({ name, ...more });
    const a = await make('filter a', { shippable: true, url: 'https://a.test', type: 'good' });
    const b = await make('filter b', { active: false });
    const ids = [a.id, b.id];
    const named = async (filter: object) =>
      (await api.stripe.products.list({ ids, ...filter })).data.map(({ name }) => name);
    expect(await named({})).toEqual(['filter b', 'filter a']);
    expect(await named({ active: true })).toEqual(['filter a']);
    expect(await named({ shippable: true })).toEqual(['filter a']);
    expect(await named({ url: 'https://a.test' })).toEqual(['filter a']);
    expect(await named({ type: 'service' })).toEqual(['filter b']);
    expect(await named({ created: { lt: a.created } })).toEqual([]);
  });
});
