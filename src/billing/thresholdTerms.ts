import type { ContractRecord } from '../domain/contract/contract.js';
import { checkSpendTrackers } from '../domain/contract/spendTracker.js';
import { checkRecharge } from '../domain/contract/threshold.js';
import { decimalFromBigint, ONE } from '../domain/decimal.js';
import { invalid } from '../domain/errors.js';
import type { Queryable } from '../storage/db.js';
import { loadPricingUnits, USD_CREDIT_TYPE_ID } from '../storage/pricingUnits.js';
import { loadRateCard } from '../storage/rateCards.js';

const CENTS = decimalFromBigint(100n);

/**
 * Refuses (`invalid`) discounts that end with no spend tracker of the contract, and a prepaid balance threshold that its contract's rate card cannot price, or below Metronome's
 * minimums: worth 5.00, and recharged by at least 10.00 (docs.metronome.com, "prepaid balance thresholds").
 */
export async function checkThresholdTerms(
  q: Queryable,
  accountId: string,
  { rateCardId, document }: Pick<ContractRecord, 'rateCardId' | 'document'>,
): Promise<void> {
  checkSpendTrackers(document);
  const terms = document.prepaidThreshold;
  if (terms === null) return;
  const card = rateCardId === null ? null : await loadRateCard(q, accountId, rateCardId);
  const fiat = card?.fiatCreditTypeId ?? USD_CREDIT_TYPE_ID;
  const unit = terms.customCreditTypeId ?? fiat;
  const fiatPerUnit = unit === fiat ? ONE : card?.fiatPerUnit.get(unit);
  if (fiatPerUnit === undefined) {
    throw invalid(
      `Invalid 'prepaid_balance_threshold_configuration.custom_credit_type_id': the rate card does not convert ${unit}.`,
    );
  }
  const currency = (await loadPricingUnits(q, accountId)).get(fiat);
  if (currency === undefined) throw new Error(`unknown pricing unit ${fiat}`);
  const { threshold, rechargeTo } = terms;
  checkRecharge({ threshold, rechargeTo, fiatPerUnit }, currency, fiat === USD_CREDIT_TYPE_ID ? CENTS : ONE);
}
