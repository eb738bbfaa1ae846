import { loadPricingUnits } from '../../storage/pricingUnits.js';
import { type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { cursorPage, pageOf } from './paging.js';
import { object } from './params.js';

const list = metronomeEndpoint({
  method: 'GET',
  path: '/v1/credit-types/list',
  query: object(cursorPage),
  async handle({ q, accountId }, input) {
    const units = [...(await loadPricingUnits(q, accountId)).values()];
    return pageOf(
      units,
      input,
      (unit) => unit.id,
      ({ id, name, isCurrency }) => ({ id, name, is_currency: isCurrency }),
    );
  },
});

export const pricingUnitEndpoints: readonly MetronomeEndpoint[] = [list];
