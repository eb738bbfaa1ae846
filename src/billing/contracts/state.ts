import type { Core } from '../../core.js';
import type { LedgerEntry } from '../../domain/contract/balanceTerms.js';
import { type BalanceRecord, type ContractRecord, termsOf } from '../../domain/contract/contract.js';
import { indexRates, type RateIndex } from '../../domain/contract/rateCard.js';
import { type GrantContext, recurringGrants } from '../../domain/contract/recurring.js';
import { withSeats } from '../../domain/contract/seats.js';
import type { PricingUnit, RateCard } from '../../domain/contract/terms.js';
import type { Instant } from '../../domain/period.js';
import { findBalanceEntries, findBalancesOf } from '../../storage/balances.js';
import { findBilledLines, findClosedStatements } from '../../storage/contractInvoices.js';
import { findContractsOf } from '../../storage/contracts.js';
import type { CustomerRecord } from '../../storage/customers.js';
import type { Queryable } from '../../storage/db.js';
import { loadPricingUnits, USD_CREDIT_TYPE_ID } from '../../storage/pricingUnits.js';
import { loadRateCard } from '../../storage/rateCards.js';
import { findLateUsageMarks, type LateUsageMark } from '../../storage/lateUsage.js';
import { type AccountSettings, readSettings } from '../../storage/settings.js';
import { stableId } from './ids.js';

/** A contract with what is known of its invoices. */
export interface OpenContract {
  contract: ContractRecord;
  card: RateCard;
  rates: RateIndex;
  /** The end of the last usage statement that is final; null when none is. */
  closedThrough: Instant | null;
  /** The keys of scheduled lines that are billed, and the invoice of each. */
  billed: ReadonlyMap<string, string | null>;
  /** Null until the contract has had a statement to wait for. */
  late: LateUsageMark | null;
}

/** What a customer has agreed to and what of it is billed, as of an instant; no usage is read. */
export interface ContractState {
  accountId: string;
  customer: CustomerRecord;
  at: Instant;
  graceMs: number;
  /** What becomes of usage of a statement that is final. */
  lateUsage: AccountSettings['lateUsage'];
  units: ReadonlyMap<string, PricingUnit>;
  /** Those that are not archived. */
  contracts: OpenContract[];
  /** All contracts, archived ones too. */
  allContracts: ContractRecord[];
  /** What `balances` is made of. */
  facts: { stored: readonly BalanceRecord[]; entries: ReadonlyMap<string, readonly LedgerEntry[]> };
  /** Every commit and credit with its facts: the stored ones, then the grants of recurring ones made by `at`. */
  balances: BalanceRecord[];
}

/** A card without rates, for a contract that has none: nothing but scheduled charges is billed. */
const NO_CARD: RateCard = { id: '', fiatCreditTypeId: USD_CREDIT_TYPE_ID, fiatPerUnit: new Map(), rates: [] };

const indexes = new WeakMap<RateCard, RateIndex>();

function rateIndexOf(card: RateCard): RateIndex {
  const known = indexes.get(card);
  if (known !== undefined) return known;
  const index = indexRates(card);
  indexes.set(card, index);
  return index;
}

/** Reads the customer's contracts, balances and what of them is billed. `at` decides which grants there are. */
export async function loadContractState(
  q: Queryable,
  _core: Pick<Core, 'now'>,
  accountId: string,
  customer: CustomerRecord,
  at: Instant,
): Promise<ContractState> {
  const allContracts = await findContractsOf(q, accountId, customer.id);
  const live = allContracts.filter(({ archivedAt }) => archivedAt === null);
  const ids = live.map(({ id }) => id);
  const units = await loadPricingUnits(q, accountId);
  const { contractGraceSeconds, lateUsage } = await readSettings(q, accountId);
  // Before any usage: what is noticed after it may be in the usage already, and is looked at once more.
  const marks = await findLateUsageMarks(q, accountId, customer.id);
  const closed = await findClosedStatements(q, accountId, ids);
  const billed = await findBilledLines(q, accountId, ids);
  const contracts: OpenContract[] = [];
  for (const contract of live) {
    const card =
      contract.rateCardId === null
        ? NO_CARD
        : ((await loadRateCard(q, accountId, contract.rateCardId)) ?? NO_CARD);
    contracts.push({
      contract,
      card,
      rates: rateIndexOf(card),
      closedThrough: closed.get(contract.id) ?? null,
      billed: billed.get(contract.id) ?? new Map(),
      late: marks.get(contract.id) ?? null,
    });
  }
  const stored = await findSeatedBalances(q, accountId, customer.id, allContracts);
  const balances = withGrants(accountId, stored, live, units, at);
  const entries = await findBalanceEntries(
    q,
    accountId,
    balances.map(({ id }) => id),
  );
  return {
    accountId,
    customer,
    at,
    graceMs: contractGraceSeconds * 1000,
    lateUsage,
    units,
    contracts,
    allContracts,
    facts: { stored, entries },
    balances: balances.map((balance) => withFacts(balance, entries.get(balance.id))),
  };
}

/** The stored balances, those for seats with what follows from the seats of today. */
async function findSeatedBalances(
  q: Queryable,
  accountId: string,
  customerId: string,
  contracts: readonly ContractRecord[],
): Promise<BalanceRecord[]> {
  const stored = await findBalancesOf(q, accountId, customerId);
  return stored.map((balance) => {
    const contract = contracts.find(({ id }) => id === balance.contractId);
    return contract === undefined ? balance : withSeats(balance, termsOf(contract));
  });
}

/** The state as of an earlier instant, from the same facts: with the grants that were made by then. */
export function stateBefore(state: ContractState, at: Instant): ContractState {
  if (at === state.at) return state;
  if (at > state.at) throw new RangeError('a state does not know the grants after its instant');
  const { accountId, facts, contracts, units } = state;
  const live = contracts.map(({ contract }) => contract);
  const balances = withGrants(accountId, facts.stored, live, units, at);
  return { ...state, at, balances: balances.map((one) => withFacts(one, facts.entries.get(one.id))) };
}

function withGrants(
  accountId: string,
  stored: readonly BalanceRecord[],
  contracts: readonly ContractRecord[],
  units: ReadonlyMap<string, PricingUnit>,
  at: Instant,
): BalanceRecord[] {
  return [...stored, ...grantsOf(accountId, contracts, units, at, new Set(stored.map(({ id }) => id)))];
}

function withFacts(balance: BalanceRecord, facts: readonly LedgerEntry[] | undefined): BalanceRecord {
  return facts === undefined ? balance : { ...balance, entries: [...balance.entries, ...facts] };
}

/** What makes the grants of a contract's recurring commits and credits. */
export function grantContext(
  accountId: string,
  contract: ContractRecord,
  units: ReadonlyMap<string, PricingUnit>,
): GrantContext {
  return { terms: termsOf(contract), units, idOf: (key) => stableId(accountId, `grant/${key}`) };
}

/** The grants that the contracts' recurring commits and credits have made by an instant, those with a row left out. */
export function grantsOf(
  accountId: string,
  contracts: readonly ContractRecord[],
  units: ReadonlyMap<string, PricingUnit>,
  at: Instant,
  stored: ReadonlySet<string>,
): BalanceRecord[] {
  return contracts.flatMap((contract) => {
    const context = grantContext(accountId, contract, units);
    return contract.document.recurring.flatMap((recurring) =>
      recurringGrants(recurring, context, at)
        .filter(({ id }) => !stored.has(id))
        .map(
          (grant): BalanceRecord => ({
            ...grant,
            customerId: contract.customerId,
            givenName: recurring.givenName,
            description: recurring.description,
            customFields: recurring.customFields,
            uniquenessKey: null,
            invoiceContractId: null,
            countsAsDiscounted: false,
            origin: 'recurring',
          }),
        ),
    );
  });
}

/** The commits whose purchases and true-ups the contract's scheduled invoices carry. */
export function invoicedBy(balances: readonly BalanceRecord[], contractId: string): BalanceRecord[] {
  return balances.filter((one) => (one.invoiceContractId ?? one.contractId) === contractId);
}
