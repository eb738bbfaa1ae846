import { notFound } from '../../domain/errors.js';
import { findPriceRecords } from '../../storage/prices.js';
import {
  findSubscription,
  findSubscriptionItem,
  listSubscriptionItems,
  type SubscriptionItemRecord,
} from '../../storage/subscriptions.js';
import { subscriptionItemObject } from '../../stripe/subscription.js';
import { type Endpoint, endpoint, type JsonObject, type RequestContext } from '../endpoint.js';
import type { Expansion } from '../expand.js';
import { listPage } from '../pagination.js';
import { listParamsWithoutCreated, object, text } from '../params.js';

const URL = '/v1/subscription_items';

const list = endpoint({
  method: 'GET',
  path: URL,
  params: listParamsWithoutCreated({ subscription: text() }),
  async handle(ctx, params) {
    const { q, accountId } = ctx;
    if ((await findSubscription(q, accountId, params.subscription)) === null) {
      throw notFound('subscription', params.subscription, 'subscription');
    }
    const rendered = new Map<string, JsonObject>();
    return listPage(params, {
      url: URL,
      noun: 'subscription item',
      find: async (id) => {
        const item = await findSubscriptionItem(q, accountId, id);
        return item?.subscriptionId === params.subscription ? { createdAt: item.createdAt, id } : null;
      },
      list: async (page) => {
        const items = await listSubscriptionItems(q, accountId, params.subscription, page);
        const objects = await render(ctx, items);
        items.forEach((item, index) => rendered.set(item.id, objects[index] ?? {}));
        return items;
      },
      render: (item) => rendered.get(item.id) ?? {},
    });
  },
});

const retrieve = endpoint({
  method: 'GET',
  path: `${URL}/:id`,
  params: object({}),
  async handle(ctx, _params, { id = '' }) {
    const item = await findSubscriptionItem(ctx.q, ctx.accountId, id);
    if (item === null) throw notFound('subscription_item', id, 'item');
    const [rendered] = await render(ctx, [item]);
    return rendered ?? {};
  },
});

export const subscriptionItemsEndpoints: readonly Endpoint[] = [list, retrieve];

export const subscriptionItemsExpansion: Expansion = {
  object: 'subscription_item',
  properties: { discounts: 'none' },
};

async function render(
  { q, accountId }: RequestContext,
  items: readonly SubscriptionItemRecord[],
): Promise<JsonObject[]> {
  const prices = await findPriceRecords(q, accountId, [...new Set(items.map((item) => item.priceId))]);
  const pricesById = new Map(prices.map((price) => [price.id, price]));
  return items.map((item) => {
    const price = pricesById.get(item.priceId);
    if (price === undefined) throw new Error(`price ${item.priceId} of a subscription item does not exist`);
    return subscriptionItemObject(item, price);
  });
}
