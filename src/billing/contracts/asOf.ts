import type { LedgerEntry } from '../../domain/contract/balanceTerms.js';
import { type BalanceRecord, type ContractRecord, termsOf } from '../../domain/contract/contract.js';
import { withSeats } from '../../domain/contract/seats.js';
import type { Instant } from '../../domain/period.js';
import type { Queryable } from '../../storage/db.js';
import { type EarlierBalance, findBalancesAt, findContractAt } from '../../storage/earlierTerms.js';
import type { OpenInvoices } from './open.js';
import { grantsOf } from './state.js';

/** A contract with its commits and credits as they were. */
export interface EarlierState {
  at: Instant;
  contract: ContractRecord;
  balances: BalanceRecord[];
}

/**
 * The contract as it was at an instant, what happened at it included: its terms before every later change, without the
 * commits, credits and grants that came later. Before it was made, as it was made. The facts of a balance are those
 * dated up to the instant (docs.metronome.com/api-reference, "get a contract (v2)"). Custom fields are those of now.
 */
export async function contractAsOf(
  q: Queryable,
  { state, balances }: Pick<OpenInvoices, 'state' | 'balances'>,
  contract: ContractRecord,
  instant: Instant,
): Promise<EarlierState> {
  const { accountId, units } = state;
  const ref = { accountId, contractId: contract.id };
  const earlier = await findContractAt(q, ref, instant);
  const before: ContractRecord = earlier === null ? contract : { ...contract, ...earlier };
  const changed = await findBalancesAt(q, ref, instant);
  const at = Math.max(instant, contract.createdAt);
  const facts = new Map(balances.map(({ id, entries }) => [id, entries]));
  const stored = balances
    .filter(({ contractId, origin }) => contractId === contract.id && origin !== 'recurring')
    .map((balance) => earlierBalance(balance, changed.get(balance.id), before))
    .filter((balance) => wasThere(balance, at));
  const ids = new Set(stored.map(({ id }) => id));
  const grants = before.archivedAt === null ? grantsOf(accountId, [before], units, at, ids) : [];
  return {
    at,
    contract: before,
    balances: [...stored, ...grants].map((balance) => {
      const entries = [...balance.entries, ...(facts.get(balance.id) ?? []).filter(isFact)];
      return { ...balance, entries: entries.filter(({ timestamp }) => timestamp <= at) };
    }),
  };
}

/** What follows from the seats is computed anew. */
function isFact({ type }: LedgerEntry): boolean {
  return type !== 'SEAT_BASED_ADJUSTMENT';
}

function earlierBalance(
  balance: BalanceRecord,
  earlier: EarlierBalance | undefined,
  contract: ContractRecord,
): BalanceRecord {
  const { shares: _now, ...record } = balance;
  return withSeats({ ...record, ...earlier, entries: [] }, termsOf(contract));
}

/** A grant of a recurring one is made as its access begins. */
function wasThere({ createdAt, recurringId, access }: BalanceRecord, at: Instant): boolean {
  return createdAt <= at && (recurringId === null || access.some(({ startingAt }) => startingAt <= at));
}
