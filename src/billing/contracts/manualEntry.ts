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
  await insertBalanceEntries(tx, accountId, [
    {
      balanceId: balance.id,
      type: 'MANUAL',
      segmentId: segment.id,
      timestamp,
      amount: entry.amount,
      invoiceId: null,
      contractId: balance.contractId,
      newContractId: null,
      reason: entry.reason,
    },
  ]);
  await contractsChanged(tx, core, accountId, customer, now);
}
