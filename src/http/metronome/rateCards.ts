import type { z } from 'zod';
import {
  archiveRateCard,
  type ConversionInput,
  createRateCard,
  requireRateCard,
  updateRateCard,
} from '../../billing/metronome/rateCards.js';
import type { PricingUnit } from '../../domain/contract/terms.js';
import { ZERO } from '../../domain/decimal.js';
import type { JsonObject } from '../../json.js';
import { loadPricingUnits } from '../../storage/pricingUnits.js';
import { listRateCards, type RateCardRecord } from '../../storage/rateCards.js';
import { aliases, aliasObjects, aliasOf } from './aliases.js';
import { type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { cursorPage, storagePage, storagePageAnswer } from './paging.js';
import { customFields, decimal, list, object, text, uuid } from './params.js';
import { creditType, CREATED_BY, optionalTime, rfc3339 } from './render.js';

const URL = '/v1/contract-pricing/rate-cards';

const conversion = object({
  custom_credit_type_id: uuid(),
  fiat_per_custom_credit: decimal({ above: ZERO }),
});
const conversions = list(conversion, { max: 100 });

const create = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/create`,
  body: object({
    name: text({ max: 500 }),
    description: text({ min: 0 }).optional(),
    fiat_credit_type_id: uuid().optional(),
    credit_type_conversions: conversions.optional(),
    aliases: aliases.optional(),
    custom_fields: customFields().optional(),
  }),
  async handle(ctx, input) {
    const { id } = await createRateCard(ctx, {
      name: input.name,
      description: input.description ?? null,
      fiatCreditTypeId: input.fiat_credit_type_id ?? null,
      conversions: (input.credit_type_conversions ?? []).map(conversionOf),
      aliases: (input.aliases ?? []).map(aliasOf),
      customFields: input.custom_fields ?? {},
    });
    return { data: { id } };
  },
});

const get = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/get`,
  transactional: false,
  body: object({ id: uuid() }),
  async handle({ q, accountId }, { id }) {
    const card = await requireRateCard(q, accountId, id);
    return { data: rateCardObject(card, await loadPricingUnits(q, accountId)) };
  },
});

const listAll = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/list`,
  transactional: false,
  query: object(cursorPage),
  async handle({ q, accountId }, query) {
    const units = await loadPricingUnits(q, accountId);
    const rows = await listRateCards(q, accountId, storagePage(query));
    return storagePageAnswer(rows, query, (card) => rateCardObject(card, units));
  },
});

const update = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/update`,
  body: object({
    rate_card_id: uuid(),
    name: text({ max: 500 }).optional(),
    description: text({ min: 0 }).optional(),
    aliases: aliases.optional(),
    add_credit_type_conversions: conversions.optional(),
  }),
  async handle(ctx, input) {
    await updateRateCard(ctx, input.rate_card_id, {
      name: input.name,
      description: input.description,
      aliases: input.aliases?.map(aliasOf),
      newConversions: (input.add_credit_type_conversions ?? []).map(conversionOf),
    });
    return { data: { id: input.rate_card_id } };
  },
});

const archive = metronomeEndpoint({
  method: 'POST',
  path: `${URL}/archive`,
  body: object({ id: uuid() }),
  async handle(ctx, { id }) {
    await archiveRateCard(ctx, id);
    return { data: { id } };
  },
});

export const rateCardEndpoints: readonly MetronomeEndpoint[] = [create, get, listAll, update, archive];

function conversionOf(input: z.output<typeof conversion>): ConversionInput {
  return { creditTypeId: input.custom_credit_type_id, fiatPerUnit: input.fiat_per_custom_credit };
}

function rateCardObject(card: RateCardRecord, units: ReadonlyMap<string, PricingUnit>): JsonObject {
  return {
    id: card.id,
    name: card.name,
    description: card.description ?? undefined,
    created_at: rfc3339(card.createdAt),
    created_by: CREATED_BY,
    fiat_credit_type: creditType(units, card.fiatCreditTypeId),
    credit_type_conversions:
      card.conversions.length === 0
        ? undefined
        : card.conversions.map(({ creditTypeId, fiatPerUnit }) => ({
            custom_credit_type: creditType(units, creditTypeId),
            fiat_per_custom_credit: fiatPerUnit,
          })),
    aliases: aliasObjects(card.aliases),
    custom_fields: card.customFields,
    archived_at: optionalTime(card.archivedAt),
  };
}
