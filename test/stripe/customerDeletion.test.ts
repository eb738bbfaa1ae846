import { afterEach, beforeEach, expect, it } from 'vitest';
import type { TestApi } from '../support/api.js';
import { startTestApi } from '../support/api.js';

let api: TestApi;
let temporalFails = false;
beforeEach(async () => {
  temporalFails = false;
  api = await startTestApi({
    async onChange({ subscriptionId }) {
      if (temporalFails) throw new Error('Temporal is away');
      await api.db.query(`update subscriptions set status = 'canceled', ended_at = now() where id = $1`, [
        subscriptionId,
      ]);
    },
  });
});
afterEach(async () => {
  await api.stop();
});

async function customerWithSubscriptions(): Promise<string> {
  const { id } = await api.stripe.customers.create();
  for (const [subscription, ended] of [
    ['sub_a', null],
    ['sub_b', null],
    ['sub_over', new Date(0)],
  ] as const) {
    await api.db.query(
      `insert into subscriptions (account_id, id, livemode, created_at, customer_id, status, currency, started_at,
         anchor, ended_at, collection_method)
       values ($1, $2, false, now(), $3, 'active', 'usd', now(), now(), $4, 'charge_automatically')`,
      [api.accountId, subscription, id, ended],
    );
  }
  return id;
}

it('cancels the running subscriptions at once, without a last invoice, and none twice', async () => {
  const id = await customerWithSubscriptions();
  expect(await api.stripe.customers.del(id)).toMatchObject({ id, deleted: true });
  expect(api.changes.map(({ ref }) => ref.subscriptionId).sort()).toEqual(['sub_a', 'sub_b']);
  expect(api.changes[0]?.change).toMatchObject({ type: 'cancel', invoiceNow: false });
  await expect(api.stripe.customers.del(id)).rejects.toMatchObject({ statusCode: 404 });
  expect(api.changes).toHaveLength(2);
});

it('says so when it could not cancel, and takes it up again when it is asked again', async () => {
  const id = await customerWithSubscriptions();
  temporalFails = true;
  await expect(api.stripe.customers.del(id)).rejects.toMatchObject({ statusCode: 500 });
  temporalFails = false;
  expect(await api.stripe.customers.del(id)).toMatchObject({ id, deleted: true });
  const open = await api.db.query('select 1 from subscriptions where ended_at is null');
  expect(open).toEqual([]);
  const events = await api.stripe.events.list({ type: 'customer.deleted' });
  expect(events.data).toHaveLength(1);
  await expect(api.stripe.customers.del(id)).rejects.toMatchObject({ statusCode: 404 });
});
