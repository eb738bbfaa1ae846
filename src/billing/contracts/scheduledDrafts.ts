import { type BalanceRecord, type ContractRecord, termsOf } from '../../domain/contract/contract.js';
import type { DraftInvoice } from '../../domain/contract/draft.js';
import { chargeStatement, scheduledInvoices } from '../../domain/contract/scheduledInvoices.js';
import { billingPeriods } from '../../domain/contract/subscriptions.js';
import type { Instant } from '../../domain/period.js';
import { stableId } from './ids.js';
import { type ContractState, invoicedBy, type OpenContract } from './state.js';
import type { UsageReader } from './usage.js';

/** The scheduled invoices of a contract that are still to come, on the balances after its usage drafts. */
export async function scheduledDrafts(
  state: ContractState,
  open: OpenContract,
  balances: readonly BalanceRecord[],
  reader: UsageReader,
): Promise<DraftInvoice[]> {
  const { contract, card, rates, billed } = open;
  const terms = termsOf(contract);
  const issued = new Set(billed.values());
  return scheduledInvoices({
    terms,
    rates,
    products: await reader.products(card, state.at),
    units: state.units,
    balances: invoicedBy(balances, contract.id),
    from: contract.startingAt - CENTURY_MS,
    to: Number.MAX_SAFE_INTEGER,
    feesTo: feesUntil(contract, state.at),
    missedChargeItems: missedCharges(open),
    issueDates: contract.document.issueDates,
    isBilled: (key) => billed.has(key),
    idOf: (key) => freeId(state.accountId, key, issued),
  });
}

const CENTURY_MS = 100 * 366 * 86_400_000;

/** Something added on the date of an invoice that is final gets a second invoice of that date. */
function freeId(accountId: string, key: string, issued: ReadonlySet<string | null>): string {
  for (let copy = 1; ; copy += 1) {
    const id = stableId(accountId, copy === 1 ? key : `${key}/${copy}`);
    if (!issued.has(id)) return id;
  }
}

/** Fees are shown up to the next date of each subscription. */
function feesUntil(contract: ContractRecord, at: Instant): Instant {
  const terms = termsOf(contract);
  const ends = terms.subscriptions.flatMap((subscription) => {
    const from = Math.max(at, subscription.startingAt, contract.startingAt);
    return billingPeriods(subscription, terms, from, from + 1).map(({ end }) => end + 1);
  });
  return Math.max(at + 1, ...ends);
}

/** Charges of a consolidating contract whose statement became final without them. */
export function missedCharges({ contract, closedThrough, billed }: OpenContract): Set<string> {
  if (!contract.document.consolidatesScheduledCharges || closedThrough === null) return new Set();
  const terms = termsOf(contract);
  const missed = terms.scheduledCharges.flatMap(({ items }) =>
    items.filter((item) => {
      const statement = chargeStatement(terms, item);
      return statement !== null && statement.end <= closedThrough && !billed.has(`scheduled/${item.id}`);
    }),
  );
  return new Set(missed.map(({ id }) => id));
}
