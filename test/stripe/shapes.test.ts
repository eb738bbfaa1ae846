import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestApi } from '../support/api.js';
import { startTestApi } from '../support/api.js';
import { assertStripeShape, stripeProperties } from '../support/stripeSchemas.js';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(async () => {
  await api.stop();
});

/** What real answers leave out unless it's asked for or set. */
const MAY_BE_ABSENT: Record<string, readonly string[]> = {
  customer: [
    ...['business_name', 'individual_name', 'cash_balance', 'invoice_credit_balance'],
    ...['sources', 'subscriptions', 'tax', 'tax_ids'],
  ],
  price: ['currency_options', 'tiers'],
  product: [],
  'billing.meter': [],
  event: ['account', 'context'],
};

it('objects carry every field that Stripe publishes, null where it does not apply', async () => {
  const product = await api.stripe.products.create({ name: 'P' });
  const objects = {
    customer: await api.stripe.customers.create(),
    product,
    price: await api.stripe.prices.create({ product: product.id, currency: 'usd', unit_amount: 1 }),
    'billing.meter': await api.stripe.billing.meters.create({
      display_name: 'M',
      event_name: 'm',
      default_aggregation: { formula: 'count' },
    }),
    event: (await api.stripe.events.list({ limit: 1 })).data[0],
  };
  for (const [name, object] of Object.entries(objects)) {
    assertStripeShape(name, object);
    const absent = MAY_BE_ABSENT[name] ?? [];
    const missing = stripeProperties(name).filter(
      (property) => !absent.includes(property) && !Object.hasOwn(object ?? {}, property),
    );
    expect({ name, missing }).toEqual({ name, missing: [] });
  }
});
