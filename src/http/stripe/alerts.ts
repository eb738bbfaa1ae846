import { archiveAlert, createAlert, requireAlert, switchAlert } from '../../billing/alerts.js';
import { decimalFromBigint } from '../../domain/decimal.js';
import { invalid } from '../../domain/errors.js';
import { findAlertCursor, listAlerts } from '../../storage/alerts.js';
import { alertObject } from '../../stripe/alert.js';
import { type Endpoint, endpoint } from '../endpoint.js';
import type { Expansion } from '../expand.js';
import { listPage } from '../pagination.js';
import { array, bigintParam, listParamsWithoutCreated, object, oneOf, text } from '../params.js';

const TITLE_LENGTH_MAX = 256;
const FILTERS_MAX = 1;

const usageThreshold = object({
  filters: array(object({ customer: text().optional(), type: oneOf(['customer']) }), {
    max: FILTERS_MAX,
  }).optional(),
  gte: bigintParam({ min: 1n }),
  meter: text(),
  recurrence: oneOf(['one_time']),
});

const createParams = object({
  alert_type: oneOf(['usage_threshold']),
  title: text({ max: TITLE_LENGTH_MAX }),
  usage_threshold: usageThreshold.optional(),
});

const CUSTOMER_PARAM = 'usage_threshold[filters][0][customer]';

export const alertsEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'POST',
    path: '/v1/billing/alerts',
    params: createParams,
    async handle(ctx, params) {
      const threshold = params.usage_threshold;
      if (threshold === undefined) throw missing('usage_threshold');
      const [filter] = threshold.filters ?? [];
      if (filter !== undefined && filter.customer === undefined) throw missing(CUSTOMER_PARAM);
      const alert = await createAlert(
        ctx,
        {
          title: params.title,
          meterId: threshold.meter,
          customerId: filter?.customer ?? null,
          threshold: decimalFromBigint(threshold.gte),
        },
        { meter: 'usage_threshold[meter]', customer: CUSTOMER_PARAM },
      );
      return alertObject(alert);
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v1/billing/alerts',
    params: listParamsWithoutCreated({
      alert_type: oneOf(['usage_threshold']).optional(),
      meter: text().optional(),
    }),
    handle({ q, accountId }, params) {
      return listPage(params, {
        url: '/v1/billing/alerts',
        noun: 'alert',
        find: (id) => findAlertCursor(q, accountId, id),
        list: (page) => listAlerts(q, accountId, { meterId: params.meter }, page),
        render: alertObject,
      });
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v1/billing/alerts/:id',
    params: object({}),
    async handle({ q, accountId }, _params, { id = '' }) {
      return alertObject(await requireAlert(q, accountId, id));
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v1/billing/alerts/:id/activate',
    params: object({}),
    async handle({ tx, accountId }, _params, { id = '' }) {
      return alertObject(await switchAlert(tx, accountId, id, 'active'));
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v1/billing/alerts/:id/deactivate',
    params: object({}),
    async handle({ tx, accountId }, _params, { id = '' }) {
      return alertObject(await switchAlert(tx, accountId, id, 'inactive'));
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v1/billing/alerts/:id/archive',
    params: object({}),
    async handle({ tx, accountId }, _params, { id = '' }) {
      return alertObject(await archiveAlert(tx, accountId, id));
    },
  }),
];

function missing(param: string): Error {
  return invalid(`Missing required param: ${param}.`, { code: 'parameter_missing', param });
}

export const alertsExpansion: Expansion = {
  object: 'billing.alert',
  properties: { 'usage_threshold.meter': 'billing.meter' },
};
