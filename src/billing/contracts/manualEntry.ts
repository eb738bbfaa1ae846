import type { BalanceRecord } from '../../domain/contract/contract.js';
import { isIndividual } from '../../domain/contract/seatLedger.js';
import type { Decimal } from '../../domain/decimal.js';
import { invalid, notFound } from '../../domain/errors.js';
import type { Instant } from '../../domain/period.js';
import { insertBalanceEntries } from '../../storage/balances.js';
import type { ContractChange } from './create.js';
import { contractsChanged } from './plan.js';
import { loadContractState } from './state.js';

export interface ManualEntry {
  balanceId: string;
  segmentId: string;
  /** Null for a balance of the customer. */
  contractId: string | null;
  amount: Decimal;
  reason: string;
  /** Null is the start of the segment. */
  timestamp: Instant | null;
  /** What each seat gets of it, where the balance is granted seat by seat; else none. */
  bySeat: ReadonlyMap<string, Decimal>;
}

/** Adds a manual entry to a segment of a commit or credit; it counts at once, whatever its date. */
export async function addManualEntry(change: ContractChange, entry: ManualEntry): Promise<void> {
  const { tx, core, accountId, customer, now } = change;
  const state = await loadContractState(tx, core, accountId, customer, now);
  const balance = state.balances.find(({ id }) => id === entry.balanceId);
  if (balance === undefined || balance.archivedAt !== null)
    throw notFound('commit or credit', entry.balanceId, 'id');
  if (entry.contractId !== null && balance.contractId !== entry.contractId) {
    throw invalid("Invalid 'contract_id': the commit or credit is not of that contract.");
  }
  const segment = balance.access.find(({ id }) => id === entry.segmentId);
  if (segment === undefined) throw notFound('segment', entry.segmentId, 'segment_id');
  const timestamp = entry.timestamp ?? segment.startingAt;
  if (timestamp < segment.startingAt || timestamp > segment.endingBefore) {
    throw invalid("Invalid 'timestamp': must be within the segment.");
  }
  checkSeats(balance, entry.bySeat);
  const fact = {
    balanceId: balance.id,
    type: 'MANUAL' as const,
    segmentId: segment.id,
    timestamp,
    amount: entry.amount,
    invoiceId: null,
    contractId: balance.contractId,
    newContractId: null,
    reason: entry.reason,
  };
  const parts = [...entry.bySeat].map(([seatId, amount]) => ({ ...fact, seatId, amount }));
  await insertBalanceEntries(tx, accountId, parts.length > 0 ? parts : [fact]);
  await contractsChanged(tx, core, accountId, customer, now);
}

function checkSeats(balance: BalanceRecord, bySeat: ManualEntry['bySeat']): void {
  const individual = isIndividual(balance);
  if (individual !== bySeat.size > 0) {
    throw invalid(
      individual
        ? "Invalid 'per_group_amounts': is required for what single seats have."
        : "Invalid 'per_group_amounts': the commit or credit is not granted seat by seat.",
    );
  }
  const stranger = [...bySeat.keys()].find((seatId) => balance.shares?.bySeat.has(seatId) !== true);
  if (stranger !== undefined) {
    throw invalid(`Invalid 'per_group_amounts': seat ${stranger} has no share of the commit or credit.`);
  }
}
