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

const create = (event_name: string, more: object = {}) =>
  api.stripe.billing.meters.create({
    display_name: `Meter of ${event_name}`,
    event_name,
    default_aggregation: { formula: 'sum' },
    ...more,
  });

describe('billing meters', () => {
  it('have Stripe’s defaults', async () => {
    const meter = await create('requests');
    assertStripeShape('billing.meter', meter);
    expect(meter).toMatchObject({
      object: 'billing.meter',
      status: 'active',
      event_time_window: null,
      customer_mapping: { event_payload_key: 'stripe_customer_id', type: 'by_id' },
      value_settings: { event_payload_key: 'value' },
      status_transitions: { deactivated_at: null },
    });
    const custom = await create('tokens', {
      default_aggregation: { formula: 'last' },
      event_time_window: 'day',
      value_settings: { event_payload_key: 'n' },
      customer_mapping: { event_payload_key: 'who', type: 'by_id' },
    });
    expect(await api.stripe.billing.meters.retrieve(custom.id)).toMatchObject({
      default_aggregation: { formula: 'last' },
      event_time_window: 'day',
      value_settings: { event_payload_key: 'n' },
      customer_mapping: { event_payload_key: 'who' },
    });
  });

  it('own their event name while they are active, whoever asks at the same time', async () => {
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => create('contested')));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await expect(create('contested')).rejects.toMatchObject({
      statusCode: 400,
      code: 'resource_already_exists',
      param: 'event_name',
    });
  });

  it('only change their display name', async () => {
    const meter = await create('renamed');
    const renamed = await api.stripe.billing.meters.update(meter.id, { display_name: 'Better' });
    expect(renamed.display_name).toBe('Better');
    await expect(
      api.stripe.billing.meters.update(meter.id, { event_name: 'other' } as never),
    ).rejects.toMatchObject({ code: 'parameter_unknown', param: 'event_name' });
    const [event] = (await api.stripe.events.list({ type: 'billing.meter.updated' })).data;
    expect(event?.data.previous_attributes).toMatchObject({ display_name: 'Meter of renamed' });
  });

  it('are deactivated and reactivated, repeatably, with an event each', async () => {
    const meter = await create('switched');
    const off = await api.stripe.billing.meters.deactivate(meter.id);
    expect(off.status).toBe('inactive');
    expect(off.status_transitions.deactivated_at).toBeTypeOf('number');
    expect((await api.stripe.billing.meters.deactivate(meter.id)).status).toBe('inactive');
    const successor = await create('switched');
    await expect(api.stripe.billing.meters.reactivate(meter.id)).rejects.toMatchObject({
      param: 'event_name',
    });
    await api.stripe.billing.meters.deactivate(successor.id);
    const on = await api.stripe.billing.meters.reactivate(meter.id);
    expect(on).toMatchObject({ status: 'active', status_transitions: { deactivated_at: null } });
    const types = await api.db.query<{ type: string }>(
      'select type from events where object_id = $1 order by id',
      [meter.id],
    );
    expect(types.map(({ type }) => type)).toEqual([
      'billing.meter.created',
      'billing.meter.deactivated',
      'billing.meter.reactivated',
    ]);
  });

  it('are listed by status', async () => {
    const off = await api.stripe.billing.meters.deactivate((await create('listed')).id);
    const inactive = await api.stripe.billing.meters.list({ status: 'inactive', limit: 100 });
    assertStripeShape('list of billing.meter', inactive);
    expect(inactive.data.map(({ id }) => id)).toContain(off.id);
    const active = await api.stripe.billing.meters.list({ status: 'active', limit: 100 });
    expect(active.data.map(({ id }) => id)).not.toContain(off.id);
  });

  it('are refused in Stripe’s words when something is wrong', async () => {
    await expect(api.stripe.billing.meters.retrieve('mtr_nope')).rejects.toMatchObject({
      statusCode: 404,
      code: 'resource_missing',
      message: "No such meter: 'mtr_nope'",
    });
    await expect(create('x', { default_aggregation: { formula: 'max' } })).rejects.toMatchObject({
      param: 'default_aggregation[formula]',
      message: 'Invalid default_aggregation[formula]: must be one of count, last, or sum',
    });
    await expect(create('e'.repeat(101))).rejects.toMatchObject({ param: 'event_name', statusCode: 400 });
  });
});
