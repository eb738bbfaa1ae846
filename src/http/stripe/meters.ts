import {
  createMeter,
  deactivateMeter,
  reactivateMeter,
  renameMeter,
  requireMeter,
} from '../../billing/meters.js';
import { findMeterCursor, findMeters, listMeters } from '../../storage/meters.js';
import { meterObject } from '../../stripe/meter.js';
import { type Endpoint, endpoint } from '../endpoint.js';
import type { Expansion } from '../expand.js';
import { listPage } from '../pagination.js';
import { listParamsWithoutCreated, object, oneOf, text } from '../params.js';

const NAME_LENGTH_MAX = 250;
const KEY_LENGTH_MAX = 100;

const createParams = object({
  customer_mapping: object({
    event_payload_key: text({ max: KEY_LENGTH_MAX }),
    type: oneOf(['by_id']),
  }).optional(),
  default_aggregation: object({ formula: oneOf(['count', 'last', 'sum']) }),
  display_name: text({ max: NAME_LENGTH_MAX }),
  event_name: text({ max: KEY_LENGTH_MAX }),
  event_time_window: oneOf(['day', 'hour']).optional(),
  value_settings: object({ event_payload_key: text({ max: KEY_LENGTH_MAX }) }).optional(),
});

export const metersEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'POST',
    path: '/v1/billing/meters',
    params: createParams,
    async handle(ctx, params) {
      const meter = await createMeter(ctx, {
        displayName: params.display_name,
        eventName: params.event_name,
        formula: params.default_aggregation.formula,
        eventTimeWindow: params.event_time_window ?? null,
        customerKey: params.customer_mapping?.event_payload_key ?? 'stripe_customer_id',
        valueKey: params.value_settings?.event_payload_key ?? 'value',
      });
      return meterObject(meter);
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v1/billing/meters',
    params: listParamsWithoutCreated({ status: oneOf(['active', 'inactive']).optional() }),
    handle({ q, accountId }, params) {
      return listPage(params, {
        url: '/v1/billing/meters',
        noun: 'meter',
        find: (id) => findMeterCursor(q, accountId, id),
        list: (page) => listMeters(q, accountId, { status: params.status }, page),
        render: meterObject,
      });
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v1/billing/meters/:id',
    params: object({}),
    async handle({ q, accountId }, _params, { id = '' }) {
      return meterObject(await requireMeter(q, accountId, id));
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v1/billing/meters/:id',
    params: object({ display_name: text({ max: NAME_LENGTH_MAX }).optional() }),
    async handle(ctx, params, { id = '' }) {
      return meterObject(await renameMeter(ctx, id, params.display_name));
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v1/billing/meters/:id/deactivate',
    params: object({}),
    async handle(ctx, _params, { id = '' }) {
      return meterObject(await deactivateMeter(ctx, id));
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v1/billing/meters/:id/reactivate',
    params: object({}),
    async handle(ctx, _params, { id = '' }) {
      return meterObject(await reactivateMeter(ctx, id));
    },
  }),
];

export const metersExpansion: Expansion = {
  object: 'billing.meter',
  async load({ q, accountId }, ids) {
    const meters = await findMeters(q, accountId, ids);
    return new Map(meters.map((meter) => [meter.id, meterObject(meter)]));
  },
  properties: {},
};
