import { v7 as uuidv7 } from 'uuid';
import type { PricingUnit } from '../../domain/contract/terms.js';
import { type Decimal, toText } from '../../domain/decimal.js';
import { BillingError, invalid, notFound } from '../../domain/errors.js';
import type { Queryable } from '../../storage/db.js';
import { loadPricingUnits, USD_CREDIT_TYPE_ID } from '../../storage/pricingUnits.js';
import { findRateCard, type RateCardRecord, saveRateCard } from '../../storage/rateCards.js';
import type { ChangeContext } from '../catalogue.js';
import { type AliasInput, aliasesWith } from './aliases.js';
import { checkCustomFields } from './customFields.js';

export interface ConversionInput {
  creditTypeId: string;
  fiatPerUnit: Decimal;
}

export interface NewRateCard {
  name: string;
  description: string | null;
  fiatCreditTypeId: string | null;
  conversions: readonly ConversionInput[];
  aliases: readonly AliasInput[];
  customFields: Record<string, string>;
}

export interface RateCardChange {
  name?: string | undefined;
  description?: string | undefined;
  /** All of them, in place of those before. */
  aliases?: readonly AliasInput[] | undefined;
  newConversions: readonly ConversionInput[];
}

/** Throws `not_found`. */
export async function requireRateCard(
  q: Queryable,
  accountId: string,
  id: string,
  lock: 'none' | 'update' = 'none',
): Promise<RateCardRecord> {
  const card = await findRateCard(q, accountId, id, lock);
  if (card === null) throw notFound('rate card', id, 'rate_card_id');
  return card;
}

/** Makes a rate card in a currency, USD unless said otherwise (docs.metronome.com/api-reference, "create a rate card"). */
export async function createRateCard(ctx: ChangeContext, input: NewRateCard): Promise<RateCardRecord> {
  const { tx, accountId } = ctx;
  const units = await loadPricingUnits(tx, accountId);
  const fiatCreditTypeId = input.fiatCreditTypeId ?? USD_CREDIT_TYPE_ID;
  const fiat = units.get(fiatCreditTypeId);
  if (fiat === undefined) throw notFound('credit type', fiatCreditTypeId, 'fiat_credit_type_id');
  if (!fiat.isCurrency) throw invalid("Invalid 'fiat_credit_type_id': must be a currency.");
  await checkCustomFields(tx, accountId, 'rate_card', input.customFields);
  const at = ctx.core.now();
  const card: RateCardRecord = {
    id: uuidv7(),
    name: input.name,
    description: input.description,
    fiatCreditTypeId,
    conversions: conversionsWith([], input.conversions, units),
    aliases: aliasesWith([], input.aliases, at),
    customFields: input.customFields,
    createdAt: at,
    archivedAt: null,
  };
  await saveRateCard(tx, accountId, card);
  return card;
}

/** Changes what is named. Conversions are only added: what was priced in a unit stays priced. */
export async function updateRateCard(ctx: ChangeContext, id: string, change: RateCardChange): Promise<void> {
  const { tx, accountId } = ctx;
  const card = await requireOpenRateCard(ctx, id);
  const units = await loadPricingUnits(tx, accountId);
  await saveRateCard(tx, accountId, {
    ...card,
    name: change.name ?? card.name,
    description: change.description ?? card.description,
    conversions: conversionsWith(card.conversions, change.newConversions, units),
    aliases:
      change.aliases === undefined ? card.aliases : aliasesWith(card.aliases, change.aliases, ctx.core.now()),
  });
}

/** An archived card takes no new contracts and rates; contracts that have it go on. */
export async function archiveRateCard(ctx: ChangeContext, id: string): Promise<void> {
  const card = await requireRateCard(ctx.tx, ctx.accountId, id, 'update');
  if (card.archivedAt !== null) return;
  await saveRateCard(ctx.tx, ctx.accountId, { ...card, archivedAt: ctx.core.now() });
}

/** The card, locked, for a change to it or its rates. */
export async function requireOpenRateCard(ctx: ChangeContext, id: string): Promise<RateCardRecord> {
  const card = await requireRateCard(ctx.tx, ctx.accountId, id, 'update');
  if (card.archivedAt !== null) throw invalid(`Rate card ${id} is archived.`);
  return card;
}

function conversionsWith(
  before: RateCardRecord['conversions'],
  added: readonly ConversionInput[],
  units: ReadonlyMap<string, PricingUnit>,
): RateCardRecord['conversions'] {
  const conversions = [...before];
  for (const { creditTypeId, fiatPerUnit } of added) {
    const unit = units.get(creditTypeId);
    if (unit === undefined) throw notFound('credit type', creditTypeId, 'custom_credit_type_id');
    if (unit.isCurrency) throw invalid("Invalid 'custom_credit_type_id': must be a custom pricing unit.");
    if (conversions.some((known) => known.creditTypeId === creditTypeId)) {
      throw new BillingError('conflict', `The rate card converts the credit type ${creditTypeId} already.`);
    }
    conversions.push({ creditTypeId, fiatPerUnit: toText(fiatPerUnit) });
  }
  return conversions;
}
