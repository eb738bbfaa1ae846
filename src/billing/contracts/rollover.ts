import type { Balance } from '../../domain/contract/balanceTerms.js';
import type { BalanceRecord, ContractRecord } from '../../domain/contract/contract.js';
import { rollOver } from '../../domain/contract/balance.js';
import type { Instant } from '../../domain/period.js';
import { stableId } from './ids.js';
import type { ContractState } from './state.js';

/** What a renewal takes over of one balance, as long as the contract before it is not final. */
export interface PendingRollover {
  fromContractId: string;
  balance: BalanceRecord;
  entries: { balanceId: string; entry: Balance['entries'][number] }[];
}

/**
 * What renewals that have begun by `until` take over from contracts that are not final through their end. Later nothing
 * moves any more: a void gives back to the old contract alone. `done` keeps those that were asked for before.
 */
export function pendingRollovers(
  state: ContractState,
  balances: readonly BalanceRecord[],
  until: Instant,
  done: Set<string>,
  handOver: string | undefined,
): PendingRollover[] {
  const pending: PendingRollover[] = [];
  for (const { contract } of state.contracts) {
    if (contract.startingAt > until || done.has(contract.id)) continue;
    done.add(contract.id);
    for (const { fromContractId, toContractId } of contract.document.transitions) {
      if (toContractId !== contract.id) continue;
      if (isClosed(state, fromContractId) && fromContractId !== handOver) continue;
      pending.push(...rolloversOf(state, balances, fromContractId, contract));
    }
  }
  return pending;
}

/** Whether the contract's last statement is final. */
function isClosed(state: ContractState, contractId: string): boolean {
  const open = state.contracts.find(({ contract }) => contract.id === contractId);
  const end = open?.contract.endingBefore ?? null;
  return end !== null && open?.closedThrough != null && open.closedThrough >= end;
}

function rolloversOf(
  state: ContractState,
  balances: readonly BalanceRecord[],
  fromContractId: string,
  renewal: ContractRecord,
): PendingRollover[] {
  const known = new Set(balances.map(({ id }) => id));
  return balances
    .filter(({ contractId }) => contractId === fromContractId)
    .flatMap((balance) => {
      const balanceId = stableId(state.accountId, `rollover/${renewal.id}/${balance.id}`);
      if (known.has(balanceId)) return [];
      const moved = rollOver(balance, {
        contractId: renewal.id,
        at: renewal.startingAt,
        accessUntil: renewal.endingBefore ?? renewal.startingAt + longestSegment(balance),
        balanceId,
        segmentId: stableId(state.accountId, `rollover/${renewal.id}/${balance.id}/segment`),
      });
      if (moved === null) return [];
      const record: BalanceRecord = {
        ...balance,
        ...moved.renewed,
        uniquenessKey: null,
        invoiceContractId: null,
        origin: 'rollover',
      };
      const entries = moved.entries.map((entry) => ({ balanceId: balance.id, entry }));
      return [{ fromContractId, balance: record, entries }];
    });
}

/** An open-ended renewal keeps what it takes over for as long as the grant lasted before. */
function longestSegment({ access }: Balance): number {
  return Math.max(...access.map(({ startingAt, endingBefore }) => endingBefore - startingAt));
}

export function applyRollover(
  balances: readonly BalanceRecord[],
  rollover: PendingRollover,
): BalanceRecord[] {
  const changed = balances.map((balance) => {
    const own = rollover.entries.filter(({ balanceId }) => balanceId === balance.id);
    return own.length === 0
      ? balance
      : { ...balance, entries: [...balance.entries, ...own.map(({ entry }) => entry)] };
  });
  return [...changed, rollover.balance];
}
