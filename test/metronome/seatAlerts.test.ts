import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestEngine } from '../support/engine.js';
import { refusedUnwritten } from './fingerprints.js';
import { seatCatalogue, type Seated, seated, START } from './seatWorld.js';
import { advance } from './world.js';

/** Alerts on what single seats have left. */

let engine: TestEngine;
let customer: Seated;

const TYPE = 'low_remaining_seat_balance_reached';

beforeAll(async () => {
  const catalogue = await seatCatalogue();
  ({ engine } = catalogue);
  customer = await seated(catalogue, { ids: ['ann', 'bob'], individual: { prorated: true } });
});
afterAll(() => engine.stop());

async function alertOn(threshold: number, seat?: string, more: object = {}): Promise<string> {
  const { data } = await engine.metronome.v1.alerts.create({
    alert_type: TYPE,
    name: `Below ${threshold}`,
    threshold,
    customer_id: customer.id,
    seat_filter: { seat_group_key: 'user_id', ...(seat === undefined ? {} : { seat_group_value: seat }) },
    ...more,
  });
  return data.id;
}

async function statusOf(alertId: string, seat?: string): Promise<string | null> {
  const { data } = await engine.metronome.v1.customers.alerts.retrieve({
    customer_id: customer.id,
    alert_id: alertId,
    ...(seat === undefined ? {} : { seat_filter: { seat_group_key: 'user_id', seat_group_value: seat } }),
  });
  return data.customer_status;
}

/** [reached or resolved, seat, what it had] in the order in which it was told. */
async function told(alertId: string): Promise<unknown[]> {
  const { data } = await engine.stripe.events.list({ limit: 100 });
  return data
    .map(({ type, data: { object } }) => ({
      type: type,
      object: object as unknown as Record<string, unknown>,
    }))
    .filter(({ object }) => object['alert_id'] === alertId)
    .reverse()
    .map(({ type, object }) => [
      type.replace(`alerts.${TYPE}`, '') || 'reached',
      (object['seat_filter'] as { seat_group_value: string }).seat_group_value,
      object['remaining_balance'],
    ]);
}

describe('an alert on the balance of seats', () => {
  it('is told of for each seat as usage arrives, seats come and go, and the month turns', async () => {
    const any = await alertOn(300);
    const bobs = await alertOn(300, 'bob');
    expect(await statusOf(any)).toBe('ok');
    await customer.use([[START, 'stranger', '50']]);
    await customer.use([[START, 'ann', '7']]);
    await expect.poll(() => statusOf(any)).toBe('in_alarm');
    expect([await statusOf(any, 'ann'), await statusOf(any, 'bob'), await statusOf(bobs)]).toEqual([
      'in_alarm',
      'ok',
      'ok',
    ]);
    await customer.use([[START, 'bob', '8']]);
    await expect.poll(() => statusOf(bobs)).toBe('in_alarm');
    expect(await told(any)).toEqual([
      ['reached', 'ann', 300],
      ['reached', 'bob', 200],
    ]);
    expect(await told(bobs)).toEqual([['reached', 'bob', 200]]);

    // Bob's share goes with him; a seat that joins on the 29th gets 3 of 31 days, less than the threshold.
    await advance(engine, customer.clockId, '2025-01-29T00:00:00Z');
    await customer.edit({
      remove_seat_ids: [{ seat_ids: ['bob'], starting_at: '2025-01-29T00:00:00Z' }],
      add_seat_ids: [{ seat_ids: ['cat'], starting_at: '2025-01-29T00:00:00Z' }],
    });
    await expect.poll(() => statusOf(bobs)).toBe('ok');
    await expect.poll(async () => (await told(any)).at(-1)).toEqual(['reached', 'cat', 97]);
    await advance(engine, customer.clockId, '2025-02-01T01:00:00Z');
    expect(await statusOf(any)).toBe('ok');
    expect((await told(any)).slice(3)).toEqual([
      ['_resolved', 'ann', 1000],
      ['_resolved', 'cat', 1000],
    ]);
    expect(await told(bobs)).toEqual([['reached', 'bob', 200]]);
  });

  it('is seen when it is made, shows its filter, and asks for one', async () => {
    const { metronome } = engine;
    const high = await alertOn(1000, 'ann');
    expect(await statusOf(high)).toBe('in_alarm');
    const quiet = await alertOn(1000, 'ann', { evaluate_on_create: false });
    expect(await statusOf(quiet)).toBe('in_alarm');
    expect([await told(high), await told(quiet)]).toEqual([[['reached', 'ann', 1000]], []]);
    const listed = await metronome.v1.customers.alerts.list({ customer_id: customer.id });
    expect(listed.data.find(({ alert }) => alert.id === high)?.alert).toMatchObject({
      type: TYPE,
      seat_filter: { seat_group_key: 'user_id', seat_group_value: 'ann' },
    });
    const refused = (call: () => PromiseLike<unknown>, says: RegExp) =>
      refusedUnwritten(engine.db, call, 400, says);
    await refused(() => alertOn(1, undefined, { seat_filter: undefined }), /seat_filter.*required/);
    await refused(
      () => alertOn(1, 'ann', { alert_type: 'low_remaining_commit_balance_reached' }),
      /seat_filter.*only/,
    );
    await refused(() => statusOf(high, 'bob'), /seat_filter/);
  });
});
