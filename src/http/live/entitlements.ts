import { checkEntitlement } from '../../billing/entitlements.js';
import { sign, toText } from '../../domain/decimal.js';
import { invalid } from '../../domain/errors.js';
import { type Endpoint, endpoint } from '../endpoint.js';
import { decimal, object, text } from '../params.js';
import { uuidParam } from './liveParams.js';

const retrieve = endpoint({
  method: 'GET',
  path: '/live/v1/entitlements',
  params: object({ customer: text({ max: 128 }), amount: decimal(), product: uuidParam().optional() }),
  async handle({ q, core, accountId }, { customer, amount, product }) {
    if (sign(amount) < 0) throw invalid('Invalid amount: must not be negative', { param: 'amount' });
    const found = await checkEntitlement(q, core, accountId, {
      customer,
      amount,
      productId: product ?? null,
    });
    return {
      object: 'entitlement',
      customer: found.customerId,
      allowed: found.allowed,
      reason: found.reason,
      balance: toText(found.balance),
      held: toText(found.held),
      available: toText(found.available),
      credit_type_id: found.creditTypeId,
    };
  },
});

export const entitlementEndpoints: readonly Endpoint[] = [retrieve];
