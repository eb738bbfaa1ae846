import { type AccountSettings, readSettings, writeSettings } from '../../storage/settings.js';
import { type Endpoint, endpoint, type JsonObject } from '../endpoint.js';
import { boolean, integer, object, oneOf } from '../params.js';

const URL = '/live/v1/settings';
const GRACE_SECONDS_MAX = 259_200;

const retrieve = endpoint({
  method: 'GET',
  path: URL,
  params: object({}),
  async handle({ q, accountId }) {
    return settingsObject(await readSettings(q, accountId));
  },
});

const update = endpoint({
  method: 'POST',
  path: URL,
  params: object({
    invoice_grace_seconds: integer({ min: 0, max: GRACE_SECONDS_MAX }).optional(),
    contract_grace_seconds: integer({ min: 0, max: GRACE_SECONDS_MAX }).optional(),
    late_usage: oneOf(['bill', 'drop']).optional(),
    unlimited_test_clocks: boolean().optional(),
  }),
  async handle({ q, accountId }, params) {
    const change: Partial<AccountSettings> = {
      ...(params.invoice_grace_seconds === undefined
        ? {}
        : { invoiceGraceSeconds: params.invoice_grace_seconds }),
      ...(params.contract_grace_seconds === undefined
        ? {}
        : { contractGraceSeconds: params.contract_grace_seconds }),
      ...(params.late_usage === undefined ? {} : { lateUsage: params.late_usage }),
      ...(params.unlimited_test_clocks === undefined
        ? {}
        : { unlimitedTestClocks: params.unlimited_test_clocks }),
    };
    return settingsObject(await writeSettings(q, accountId, change));
  },
});

export const settingsEndpoints: readonly Endpoint[] = [retrieve, update];

function settingsObject(settings: AccountSettings): JsonObject {
  return {
    object: 'settings',
    invoice_grace_seconds: settings.invoiceGraceSeconds,
    contract_grace_seconds: settings.contractGraceSeconds,
    late_usage: settings.lateUsage,
    unlimited_test_clocks: settings.unlimitedTestClocks,
  };
}
