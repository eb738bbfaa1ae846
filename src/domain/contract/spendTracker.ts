import { add, type Decimal, ZERO } from '../decimal.js';
import { invalid } from '../errors.js';
import type { Period } from '../period.js';
import type { BalanceRecord, ContractDocument } from './contract.js';

/** Which purchases of commits a tracker counts; several are alternatives (docs.metronome.com, "spend trackers"). */
export interface SpendSpecifier {
  sources: readonly ('THRESHOLD_RECHARGE' | 'MANUAL')[];
  discounted: 'ANY' | 'DISCOUNTED_ONLY' | 'UNDISCOUNTED_ONLY';
}

/** Adds up what a contract's customer pays for commits, anew in each billing period. */
export interface SpendTracker {
  /** Unique in the contract. */
  alias: string;
  /** The pricing unit of the purchases that are counted. */
  creditTypeId: string;
  specifiers: readonly SpendSpecifier[];
}

/**
 * What the invoices of a period ask for commits that the tracker counts: the price that is paid, after any discount, on
 * the date of the purchase. Grants of recurring commits and roll-overs are bought by nobody and left out.
 */
export function accumulatedSpend(
  tracker: SpendTracker,
  balances: readonly BalanceRecord[],
  contractId: string,
  period: Period,
): Decimal {
  return balances
    .filter((balance) => (balance.invoiceContractId ?? balance.contractId) === contractId)
    .filter((balance) => tracker.specifiers.some((specifier) => counts(specifier, balance)))
    .flatMap(({ invoiceSchedule: schedule }) =>
      schedule === null || schedule.doNotInvoice || schedule.creditTypeId !== tracker.creditTypeId
        ? []
        : schedule.items,
    )
    .filter(({ timestamp }) => period.start <= timestamp && timestamp < period.end)
    .reduce((sum, { amount }) => add(sum, amount), ZERO);
}

function counts({ sources, discounted }: SpendSpecifier, balance: BalanceRecord): boolean {
  const source = sourceOf(balance);
  if (source === null || !sources.includes(source)) return false;
  return discounted === 'ANY' || balance.countsAsDiscounted === (discounted === 'DISCOUNTED_ONLY');
}

/** A postpaid commit is no purchase: its invoice is for what was not used. An edit may store a recurring grant. */
function sourceOf(balance: BalanceRecord): SpendSpecifier['sources'][number] | null {
  const { type, origin, recurringId, archivedAt } = balance;
  if (type !== 'PREPAID' || recurringId !== null || archivedAt !== null) return null;
  if (origin === 'threshold_recharge' || origin === 'spend_threshold') return 'THRESHOLD_RECHARGE';
  return origin === 'request' ? 'MANUAL' : null;
}

/** Refuses (`invalid`) two trackers of one alias, and a discount that ends with a tracker which is not there. */
export function checkSpendTrackers({
  spendTrackers: trackers,
  prepaidThreshold,
  spendThreshold,
}: Pick<ContractDocument, 'spendTrackers' | 'prepaidThreshold' | 'spendThreshold'>): void {
  const aliases = new Set<string>();
  for (const { alias } of trackers) {
    if (aliases.has(alias)) throw invalid(`Invalid 'spend_trackers': the alias '${alias}' is used twice.`);
    aliases.add(alias);
  }
  for (const [name, terms] of [
    ['prepaid_balance_threshold_configuration', prepaidThreshold],
    ['spend_threshold_configuration', spendThreshold],
  ] as const) {
    const alias = terms?.discount?.cap?.spendTrackerAlias;
    if (alias === undefined || aliases.has(alias)) continue;
    throw invalid(
      `Invalid '${name}.discount_configuration.cap.spend_tracker_alias': the contract has no spend tracker '${alias}'.`,
    );
  }
}
