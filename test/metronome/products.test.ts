import type Metronome from '@metronome/sdk';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadProducts } from '../../src/storage/contractProducts.js';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { refusal } from './failure.js';

let engine: TestEngine;
let products: Metronome['v1']['contracts']['products'];
let metric: string;
let plainMetric: string;

beforeAll(async () => {
  engine = await startTestEngine();
  products = engine.metronome.v1.contracts.products;
  const filters = ['gb', 'region', 'cloud', 'project'].map((name) => ({ name, exists: true }));
  const make = (group_keys: string[][]) =>
    engine.metronome.v1.billableMetrics.create({
      name: 'Storage',
      aggregation_type: 'SUM',
      aggregation_key: 'gb',
      property_filters: filters,
      group_keys,
    });
  metric = (await make([['region', 'cloud', 'project'], ['region']])).data.id;
  plainMetric = (await make([])).data.id;
});
afterAll(() => engine.stop());

it('a product reads as it was made', async () => {
  const { data } = await products.create({
    name: 'Storage',
    type: 'usage' as 'USAGE',
    billable_metric_id: metric,
    tags: ['infra'],
    pricing_group_key: ['cloud', 'region'],
    presentation_group_key: ['project'],
    quantity_conversion: { conversion_factor: 1024, operation: 'divide' as 'DIVIDE', name: 'GB to TB' },
    quantity_rounding: { rounding_method: 'ROUND_UP', decimal_places: 2 },
    custom_fields: { sku: '1' },
  });
  const { data: read } = await products.retrieve({ id: data.id });
  expect(read).toMatchObject({
    id: data.id,
    type: 'USAGE',
    archived_at: null,
    updates: [],
    custom_fields: { sku: '1' },
    current: {
      name: 'Storage',
      billable_metric_id: metric,
      tags: ['infra'],
      pricing_group_key: ['cloud', 'region'],
      presentation_group_key: ['project'],
      quantity_conversion: { conversion_factor: 1024, operation: 'DIVIDE', name: 'GB to TB' },
      quantity_rounding: { rounding_method: 'ROUND_UP', decimal_places: 2 },
      created_by: expect.any(String) as string,
    },
  });
  expect(read.initial).toEqual(read.current);
});

it('changes from an instant on, in the past or the future, and swaps its metric', async () => {
  const { data } = await products.create({ name: 'One', type: 'USAGE', billable_metric_id: metric });
  const hour = 3_600_000;
  const now = Date.now() - (Date.now() % hour);
  const at = (hours: number) => new Date(now + hours * hour).toISOString();
  await products.update({ product_id: data.id, starting_at: at(24), name: 'Three', tags: ['later'] });
  await products.update({
    product_id: data.id,
    starting_at: at(-24),
    name: 'Two',
    billable_metric_id: plainMetric,
    quantity_rounding: null,
  });
  const { data: read } = await products.retrieve({ id: data.id });
  expect([read.initial.name, read.current.name, read.current.billable_metric_id]).toEqual([
    'One',
    'Two',
    plainMetric,
  ]);
  expect(read.updates.map(({ name, tags }) => [name, tags])).toEqual([
    ['Two', undefined],
    ['Three', ['later']],
  ]);
  const nameAt = async (hours: number) =>
    (await loadProducts(engine.db, engine.accountId, now + hours * hour)).get(data.id);
  expect([(await nameAt(-25))?.name, (await nameAt(-24))?.name, (await nameAt(24))?.name]).toEqual([
    'One',
    'Two',
    'Three',
  ]);
  expect((await nameAt(24))?.metricHistory).toEqual([
    { startingAt: -Infinity, billableMetricId: metric },
    { startingAt: now - 24 * hour, billableMetricId: plainMetric },
  ]);
});

it('is listed and archived', async () => {
  const { data } = await products.create({ name: 'Fee', type: 'FIXED' });
  const { data: pro } = await products.create({ name: 'Help', type: 'PROFESSIONAL_SERVICE' });
  expect((await products.retrieve({ id: pro.id })).data.type).toBe('PRO_SERVICE');
  await products.archive({ product_id: data.id });
  const ids = async (archive_filter?: 'ARCHIVED' | 'NOT_ARCHIVED' | 'ALL') => {
    const found = [];
    const query = archive_filter === undefined ? {} : { archive_filter };
    for await (const { id } of products.list({ limit: 1, ...query })) found.push(id);
    return found;
  };
  expect(await ids()).not.toContain(data.id);
  expect(await ids('ARCHIVED')).toEqual([data.id]);
  expect(await ids('ALL')).toEqual(expect.arrayContaining([data.id, pro.id]));
  const late = products.update({ product_id: data.id, starting_at: '2030-01-01T00:00:00Z', name: 'X' });
  expect(await refusal(late)).toContain('is archived');
});

it('is refused where it makes no sense', async () => {
  const make = (body: object) => refusal(products.create({ name: 'Bad', type: 'USAGE', ...body }));
  expect(await make({})).toContain("'billable_metric_id': is required");
  expect(await make({ billable_metric_id: crypto.randomUUID() })).toMatch(/^404 No such billable metric/);
  expect(await make({ billable_metric_id: metric, pricing_group_key: ['region', 'cloud'] })).toContain(
    'is none',
  );
  expect(await make({ billable_metric_id: plainMetric, pricing_group_key: ['region'] })).toContain('is none');
  expect(await make({ type: 'FIXED', billable_metric_id: metric })).toContain(
    'applies to USAGE products only',
  );
  expect(await make({ type: 'COMPOSITE' })).toContain('composite_product_ids');
  expect(await make({ type: 'COMPOSITE', composite_product_ids: [crypto.randomUUID()] })).toMatch(/^404/);
  expect(await make({ billable_metric_id: metric, price: 5 })).toBe("400 Unknown field 'price'.");
  const zero = { conversion_factor: 0, operation: 'DIVIDE' };
  expect(await make({ billable_metric_id: metric, quantity_conversion: zero })).toContain(
    'conversion_factor',
  );
  const { data } = await products.create({ name: 'P', type: 'FIXED' });
  const offHour = products.update({ product_id: data.id, starting_at: '2030-01-01T00:30:00Z', name: 'X' });
  expect(await refusal(offHour)).toBe("400 Invalid 'starting_at': must be on a whole hour.");
  expect(await refusal(products.retrieve({ id: crypto.randomUUID() }))).toMatch(/^404 No such product/);
});
