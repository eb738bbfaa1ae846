import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestApi } from '../support/api.js';
import { startTestApi } from '../support/api.js';
import { assertStripeShape } from '../support/stripeSchemas.js';

let api: TestApi;
let product: string;
let meter: string;
beforeAll(async () => {
  api = await startTestApi();
  product = (await api.stripe.products.create({ name: 'API calls', unit_label: 'calls' })).id;
  meter = (
    await api.stripe.billing.meters.create({
      display_name: 'Calls',
      event_name: 'calls',
      default_aggregation: { formula: 'sum' },
    })
  ).id;
});
afterAll(async () => {
  await api.stop();
});

const create = (more: object) => api.stripe.prices.create({ currency: 'usd', product, ...more });
const countPrices = async () => (await api.db.query('select 1 from prices')).length;

describe('prices', () => {
  it('licensed: an integer amount has its decimal twin', async () => {
    const price = await create({ unit_amount: 1999, recurring: { interval: 'month', interval_count: 3 } });
    assertStripeShape('price', price);
    expect(price).toMatchObject({
      object: 'price',
      active: true,
      billing_scheme: 'per_unit',
      currency: 'usd',
      product,
      type: 'recurring',
      unit_amount: 1999,
      tiers_mode: null,
      transform_quantity: null,
      tax_behavior: 'unspecified',
      recurring: {
        interval: 'month',
        interval_count: 3,
        usage_type: 'licensed',
        meter: null,
        trial_period_days: null,
      },
    });
    expect(String(price.unit_amount_decimal)).toBe('1999');
    expect(price).not.toHaveProperty('tiers');
  });

  it('metered: twelve decimals are kept exactly, and unit_amount is null when the decimal is not whole', async () => {
    const recurring = { interval: 'month', usage_type: 'metered', meter };
    const price = await create({ unit_amount_decimal: '0.000000000123', recurring });
    expect(price).toMatchObject({ unit_amount: null, recurring: { usage_type: 'metered', meter } });
    expect(String(price.unit_amount_decimal)).toBe('0.000000000123');
    const whole = await create({ unit_amount_decimal: '5.00', recurring });
    expect(whole.unit_amount).toBe(5);
    const raw = await api.call('GET', `/v1/prices/${price.id}`);
    expect(raw.json['unit_amount_decimal']).toBe('0.000000000123');
  });

  it('tiered: tiers show only when they are expanded', async () => {
    const price = await create({
      billing_scheme: 'tiered',
      tiers_mode: 'graduated',
      recurring: { interval: 'month', usage_type: 'metered', meter },
      tiers: [
        { up_to: 1000, unit_amount: 0, flat_amount: 500 },
        { up_to: 50_000, unit_amount_decimal: '0.5' },
        { up_to: 'inf', unit_amount_decimal: '0.25', flat_amount_decimal: '0' },
      ],
      expand: ['tiers', 'currency_options'],
    });
    assertStripeShape('price', price);
    const wire = JSON.parse(JSON.stringify(price.tiers)) as unknown;
    expect(wire).toEqual([
      { up_to: 1000, unit_amount: 0, unit_amount_decimal: '0', flat_amount: 500, flat_amount_decimal: '500' },
      {
        up_to: 50_000,
        unit_amount: null,
        unit_amount_decimal: '0.5',
        flat_amount: null,
        flat_amount_decimal: null,
      },
      {
        up_to: null,
        unit_amount: null,
        unit_amount_decimal: '0.25',
        flat_amount: 0,
        flat_amount_decimal: '0',
      },
    ]);
    expect(price).toMatchObject({ unit_amount: null, unit_amount_decimal: null, tiers_mode: 'graduated' });
    expect(price.currency_options?.['usd']).toMatchObject({ unit_amount: null, tax_behavior: 'unspecified' });
    expect(await api.stripe.prices.retrieve(price.id)).not.toHaveProperty('tiers');
    const listed = await api.stripe.prices.list({ product, expand: ['data.tiers'], limit: 1 });
    expect(listed.data[0]?.tiers).toHaveLength(3);
  });

  it('by the package, one-time, and with a product made on the way', async () => {
    const packaged = await create({
      unit_amount: 10,
      recurring: { interval: 'month', usage_type: 'metered', meter },
      transform_quantity: { divide_by: 60, round: 'up' },
    });
    expect(packaged.transform_quantity).toEqual({ divide_by: 60, round: 'up' });
    const once = await api.stripe.prices.create({
      currency: 'JPY',
      unit_amount: 500,
      product_data: { name: 'Set-up', unit_label: 'x' },
      expand: ['product'],
    });
    expect(once).toMatchObject({
      type: 'one_time',
      recurring: null,
      currency: 'jpy',
      product: { name: 'Set-up' },
    });
  });

  const month = { interval: 'month' };
  const metered = () => ({ interval: 'month', usage_type: 'metered', meter });
  const tiered = (tiers: unknown) => ({ billing_scheme: 'tiered', tiers_mode: 'graduated', tiers });
  const refusals: [string, () => object, string, string?][] = [
    [
      'both amounts',
      () => ({ unit_amount: 1, unit_amount_decimal: '1' }),
      'unit_amount',
      'parameters_exclusive',
    ],
    ['no amount', () => ({}), 'unit_amount', 'parameter_missing'],
    ['a negative amount', () => ({ unit_amount: -1 }), 'unit_amount', 'parameter_invalid_integer'],
    ['a fraction as an integer', () => ({ unit_amount: 1.5 }), 'unit_amount', 'parameter_invalid_integer'],
    ['13 decimals', () => ({ unit_amount_decimal: '0.0000000000001' }), 'unit_amount_decimal'],
    ['1e400', () => ({ unit_amount_decimal: '1e400' }), 'unit_amount_decimal'],
    ['NaN', () => ({ unit_amount_decimal: 'NaN' }), 'unit_amount_decimal'],
    [
      'an empty amount',
      () => ({ unit_amount_decimal: '' }),
      'unit_amount_decimal',
      'parameter_invalid_empty',
    ],
    ['an unknown currency', () => ({ unit_amount: 1, currency: 'zzz' }), 'currency'],
    ['an unknown product', () => ({ unit_amount: 1, product: 'prod_nope' }), 'product', 'resource_missing'],
    ['no product', () => ({ unit_amount: 1, product: undefined }), 'product', 'parameter_missing'],
    [
      'two products',
      () => ({ unit_amount: 1, product_data: { name: 'x' } }),
      'product',
      'parameters_exclusive',
    ],
    [
      'metered without a meter',
      () => ({ unit_amount: 1, recurring: { ...month, usage_type: 'metered' } }),
      'recurring[meter]',
      'parameter_missing',
    ],
    [
      'a meter without metered',
      () => ({ unit_amount: 1, recurring: { ...month, meter } }),
      'recurring[meter]',
    ],
    [
      'an unknown meter',
      () => ({ unit_amount: 1, recurring: { ...metered(), meter: 'mtr_nope' } }),
      'recurring[meter]',
      'resource_missing',
    ],
    [
      'more than three years',
      () => ({ unit_amount: 1, recurring: { interval: 'year', interval_count: 4 } }),
      'recurring[interval_count]',
    ],
    [
      'a bad interval',
      () => ({ unit_amount: 1, recurring: { interval: 'fortnight' } }),
      'recurring[interval]',
    ],
    [
      'a trial',
      () => ({ unit_amount: 1, recurring: { ...month, trial_period_days: 3 } }),
      'recurring[trial_period_days]',
      'parameter_unsupported',
    ],
    ['tiers without tiered', () => ({ unit_amount: 1, tiers: [{ up_to: 'inf', unit_amount: 1 }] }), 'tiers'],
    ['tiers without an end', () => tiered([{ up_to: 10, unit_amount: 1 }]), 'tiers[0][up_to]'],
    [
      'tiers out of order',
      () =>
        tiered([
          { up_to: 10, unit_amount: 1 },
          { up_to: 5, unit_amount: 1 },
          { up_to: 'inf', unit_amount: 1 },
        ]),
      'tiers[1][up_to]',
    ],
    [
      'a tier without an amount',
      () => tiered([{ up_to: 'inf' }]),
      'tiers[0][unit_amount]',
      'parameter_missing',
    ],
    [
      'a tier with both amounts',
      () => tiered([{ up_to: 'inf', unit_amount: 1, unit_amount_decimal: '1' }]),
      'tiers[0][unit_amount]',
      'parameters_exclusive',
    ],
    ['a tier without up_to', () => tiered([{ unit_amount: 1 }]), 'tiers[0][up_to]', 'parameter_missing'],
    [
      'an unknown word in a tier',
      () => tiered([{ up_to: 'inf', unit_amount: 1, colour: 'red' }]),
      'tiers[0][colour]',
      'parameter_unknown',
    ],
    [
      'tiers and an amount',
      () => ({ ...tiered([{ up_to: 'inf', unit_amount: 1 }]), unit_amount: 1 }),
      'unit_amount',
      'parameters_exclusive',
    ],
    [
      'tiered without a mode',
      () => ({ billing_scheme: 'tiered', tiers: [{ up_to: 'inf', unit_amount: 1 }] }),
      'tiers_mode',
      'parameter_missing',
    ],
    [
      'packages with tiers',
      () => ({
        ...tiered([{ up_to: 'inf', unit_amount: 1 }]),
        transform_quantity: { divide_by: 2, round: 'up' },
      }),
      'transform_quantity',
      'parameters_exclusive',
    ],
    [
      'packages of nothing',
      () => ({ unit_amount: 1, transform_quantity: { divide_by: 0, round: 'up' } }),
      'transform_quantity[divide_by]',
    ],
    [
      'other currencies',
      () => ({ unit_amount: 1, currency_options: { eur: { unit_amount: 1 } } }),
      'currency_options',
      'parameter_unsupported',
    ],
  ];
  it.each(refusals)(
    'refuses %s, naming the parameter, and writes nothing',
    async (_what, more, param, code) => {
      const before = await countPrices();
      const attempt = create(more());
      await expect(attempt).rejects.toMatchObject({
        type: 'StripeInvalidRequestError',
        statusCode: 400,
        param,
        ...(code === undefined ? {} : { code }),
      });
      expect(await countPrices()).toBe(before);
    },
  );

  it('refuses an inactive meter, and rolls a product back with its price', async () => {
    const off = await api.stripe.billing.meters.create({
      display_name: 'Off',
      event_name: 'off',
      default_aggregation: { formula: 'sum' },
    });
    await api.stripe.billing.meters.deactivate(off.id);
    const products = async () => (await api.db.query('select 1 from products')).length;
    const before = await products();
    await expect(
      api.stripe.prices.create({
        currency: 'usd',
        unit_amount: 1,
        product_data: { name: 'rolled back' },
        recurring: { interval: 'month', usage_type: 'metered', meter: off.id },
      }),
    ).rejects.toMatchObject({ statusCode: 400, code: 'archived_meter', param: 'recurring[meter]' });
    expect(await products()).toBe(before);
  });

  it('change everything but their money', async () => {
    const { id } = await create({ unit_amount: 7, nickname: 'n' });
    const updated = await api.stripe.prices.update(id, {
      active: false,
      nickname: '',
      metadata: { a: 'b' },
      tax_behavior: 'exclusive',
    });
    expect(updated).toMatchObject({ active: false, nickname: null, metadata: { a: 'b' }, unit_amount: 7 });
    await expect(api.stripe.prices.update(id, { unit_amount: 8 } as never)).rejects.toMatchObject({
      code: 'parameter_unknown',
      param: 'unit_amount',
    });
    await expect(api.stripe.prices.update(id, { tax_behavior: 'inclusive' })).rejects.toMatchObject({
      param: 'tax_behavior',
    });
  });

  it('own their lookup key until it is transferred', async () => {
    const first = await create({ unit_amount: 1, lookup_key: 'standard' });
    await expect(create({ unit_amount: 2, lookup_key: 'standard' })).rejects.toMatchObject({
      code: 'resource_already_exists',
      param: 'lookup_key',
    });
    const second = await create({ unit_amount: 2, lookup_key: 'standard', transfer_lookup_key: true });
    expect((await api.stripe.prices.retrieve(first.id)).lookup_key).toBeNull();
    const found = await api.stripe.prices.list({ lookup_keys: ['standard', 'other'] });
    expect(found.data.map(({ id }) => id)).toEqual([second.id]);
    await expect(api.stripe.prices.update(first.id, { lookup_key: 'standard' })).rejects.toMatchObject({
      param: 'lookup_key',
    });
    await api.stripe.prices.update(first.id, { lookup_key: 'standard', transfer_lookup_key: true });
    expect((await api.stripe.prices.retrieve(second.id)).lookup_key).toBeNull();
  });

  it('are listed by their filters, the active ones unless asked', async () => {
    const own = (await api.stripe.products.create({ name: 'filters' })).id;
    const a = await create({ product: own, unit_amount: 1, recurring: { interval: 'year' } });
    const b = await create({ product: own, unit_amount: 1, currency: 'eur', recurring: metered() });
    const c = await create({ product: own, unit_amount: 1, active: false });
    const ids = async (filter: object) =>
      (await api.stripe.prices.list({ product: own, ...filter })).data.map(({ id }) => id);
    expect(await ids({})).toEqual([b.id, a.id]);
    expect(await ids({ active: false })).toEqual([c.id]);
    expect(await ids({ currency: 'EUR' })).toEqual([b.id]);
    expect(await ids({ recurring: { interval: 'year' } })).toEqual([a.id]);
    expect(await ids({ recurring: { usage_type: 'metered', meter } })).toEqual([b.id]);
    expect(await ids({ type: 'one_time', active: false })).toEqual([c.id]);
    expect(await ids({ type: 'one_time' })).toEqual([]);
  });
});
