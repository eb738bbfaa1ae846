import { v7 as uuidv7 } from 'uuid';
import { BillingError } from '../../domain/errors.js';
import { insertPricingUnit } from '../../storage/pricingUnits.js';
import { type Endpoint, endpoint } from '../endpoint.js';
import { object, text } from '../params.js';

/** Metronome makes custom pricing units in its web application only. */
const create = endpoint({
  method: 'POST',
  path: '/live/v1/pricing_units',
  params: object({ name: text({ max: 100 }) }),
  async handle({ tx, accountId, now }, { name }) {
    const id = uuidv7();
    if (!(await insertPricingUnit(tx, accountId, { id, name, createdAt: now }))) {
      throw new BillingError('conflict', `There is a pricing unit named '${name}' already.`, {
        param: 'name',
      });
    }
    return { id, name, is_currency: false };
  },
});

export const pricingUnitEndpoints: readonly Endpoint[] = [create];
