import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { refusal } from './failure.js';
import { quiet } from './fingerprints.js';
import { contractAt, rateCard, send, sumProduct, unique, unlimitedClocks, usageDrafts } from './world.js';

let engine: TestEngine;

beforeAll(async () => {
  engine = await startTestEngine();
  await unlimitedClocks(engine);
});
afterAll(() => engine.stop());

const AT = '2024-10-10T05:00:00Z';

async function sold(productId: string, price: object) {
  const card = await rateCard(engine.metronome, [{ product_id: productId, ...price } as never]);
  return contractAt(engine, '2024-10-15T00:00:00Z', {
    starting_at: '2024-10-01T00:00:00Z',
    rate_card_id: card,
  });
}

type Groups = { key: string; value?: string }[];

/** Makes an alert, and reads its state for the customer. */
async function alarm(customerId: string, threshold: number, groups: Groups, asked?: Groups) {
  const { alerts, customers } = engine.metronome.v1;
  const { data } = await alerts.create({
    alert_type: 'spend_threshold_reached',
    name: 'Spend of a group',
    threshold,
    customer_id: customerId,
    group_values: groups,
  });
  const { data: read } = await customers.alerts.retrieve({
    customer_id: customerId,
    alert_id: data.id,
    ...(asked === undefined ? {} : { group_values: asked as { key: string; value: string }[] }),
  });
  await alerts.archive({ id: data.id });
  return read.customer_status;
}

describe('a spend alert on a group', () => {
  it('counts tiers anew for each value, though no line shows the key', async () => {
    const product = await sumProduct(engine.metronome, 'Calls');
    const { id } = await sold(product.productId, {
      rate_type: 'TIERED',
      tiers: [{ size: 5, price: 0 }, { price: 100 }],
    });
    await send(engine, id, product.eventType, [
      { at: AT, properties: { amount: '8', team: 'a', city: 'Rome' } },
      { at: AT, properties: { amount: '7', team: 'b', city: 'Rome' } },
      { at: AT, properties: { amount: '50' } },
    ]);
    // Together they cost 60 × 100, team a alone (8 − 5) × 100, team b (7 − 5) × 100, Rome (15 − 5) × 100.
    expect((await usageDrafts(engine, id))[0]?.total).toBe(6000);
    expect(await alarm(id, 300, [{ key: 'team', value: 'a' }])).toBe('in_alarm');
    expect(await alarm(id, 301, [{ key: 'team', value: 'a' }])).toBe('ok');
    expect(await alarm(id, 200, [{ key: 'team', value: 'b' }])).toBe('in_alarm');
    expect(await alarm(id, 201, [{ key: 'team', value: 'b' }])).toBe('ok');
    expect(await alarm(id, 1000, [{ key: 'city', value: 'Rome' }])).toBe('in_alarm');
    expect(await alarm(id, 1001, [{ key: 'city', value: 'Rome' }])).toBe('ok');
    expect(await alarm(id, 301, [{ key: 'city' }, { key: 'team' }])).toBe('ok');
    expect(await alarm(id, 6000, [])).toBe('in_alarm');
    // A key without a value watches each value by itself: neither their sum nor what has none.
    expect(await alarm(id, 300, [{ key: 'team' }])).toBe('in_alarm');
    expect(await alarm(id, 301, [{ key: 'team' }])).toBe('ok');
    expect(await alarm(id, 300, [{ key: 'team' }], [{ key: 'team', value: 'a' }])).toBe('in_alarm');
    expect(await alarm(id, 300, [{ key: 'team' }], [{ key: 'team', value: 'b' }])).toBe('ok');
    expect(
      await refusal(alarm(id, 1, [{ key: 'team', value: 'a' }], [{ key: 'team', value: 'b' }])),
    ).toContain("400 Invalid 'group_values': ");
  });

  it('rounds quantities and takes maxima for each value', async () => {
    const { metronome } = engine;
    const eventType = unique('peak');
    const metric = await metronome.v1.billableMetrics.create({
      name: eventType,
      aggregation_type: 'MAX',
      aggregation_key: 'amount',
      event_type_filter: { in_values: [eventType] },
      property_filters: [{ name: 'amount', exists: true }],
    });
    const product = await metronome.v1.contracts.products.create({
      name: 'Peak',
      type: 'USAGE',
      billable_metric_id: metric.data.id,
      quantity_rounding: { rounding_method: 'ROUND_UP', decimal_places: 0 },
    });
    const { id } = await sold(product.data.id, { rate_type: 'FLAT', price: 100 });
    await send(engine, id, eventType, [
      { at: AT, properties: { amount: '2.5', team: 'a' } },
      { at: AT, properties: { amount: '8.5', team: 'b' } },
      { at: AT, properties: { amount: '1', team: 'a' } },
    ]);
    expect((await usageDrafts(engine, id))[0]?.total).toBe(900);
    expect(await alarm(id, 300, [{ key: 'team', value: 'a' }])).toBe('in_alarm');
    expect(await alarm(id, 301, [{ key: 'team', value: 'a' }])).toBe('ok');
    expect(await alarm(id, 900, [{ key: 'team', value: 'b' }])).toBe('in_alarm');
  });

  it('is refused beyond three different keys of a customer', async () => {
    const { metronome } = engine;
    const product = await sumProduct(metronome, 'Keys');
    const price = { rate_type: 'FLAT', price: 100 };
    const [one, other] = [await sold(product.productId, price), await sold(product.productId, price)];
    const make = (customerId: string | null, keys: string[]) =>
      metronome.v1.alerts.create({
        alert_type: 'spend_threshold_reached',
        name: 'Keys',
        threshold: 1,
        ...(customerId === null ? {} : { customer_id: customerId }),
        group_values: keys.map((key) => ({ key, value: 'x' })),
      });
    await make(one.id, ['k1', 'k2']);
    await make(other.id, ['k9']);
    const { data: everybody } = await make(null, ['k1', 'k3']);
    const before = await quiet(engine.db);
    const message = /^400 Invalid 'group_values': the alerts of a customer may have at most 3 different keys/;
    expect(await refusal(make(one.id, ['k4']))).toMatch(message);
    expect(await refusal(make(null, ['k5']))).toMatch(message);
    expect(await refusal(make(other.id, ['k1', 'k1']))).toContain('twice');
    expect(await quiet(engine.db)).toEqual(before);
    await make(one.id, ['k2', 'k3']);
    await metronome.v1.alerts.archive({ id: everybody.id });
    await make(other.id, ['k7', 'k8']);
  });
});
