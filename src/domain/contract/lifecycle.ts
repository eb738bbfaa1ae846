import type { Instant } from '../period.js';
import type { BalanceRecord, ContractRecord } from './contract.js';

/** Something that happens to a contract, a commit or a credit at an instant, by itself or by its being made. */
export interface LifecycleEvent {
  /** As in `contract.start`, `commit.segment.end`. */
  type: string;
  at: Instant;
  contractId: string | null;
  balance: BalanceRecord | null;
  segmentIndex: number | null;
}

/**
 * What happens to these in `[from, to]`, in order of time (docs.metronome.com, "system notifications"). A recurring
 * commit's grants are made as their access begins. What is archived neither starts nor ends any more.
 */
export function lifecycleEvents(
  contracts: readonly ContractRecord[],
  balances: readonly BalanceRecord[],
  from: Instant,
  to: Instant,
): LifecycleEvent[] {
  return [...contracts.flatMap(eventsOfContract), ...balances.flatMap(eventsOfBalance)]
    .filter(({ at }) => from <= at && at <= to)
    .sort((a, b) => a.at - b.at);
}

/** When something of this happens next after an instant; null for never. */
export function nextLifecycleEvent(
  contracts: readonly ContractRecord[],
  balances: readonly BalanceRecord[],
  after: Instant,
): Instant | null {
  const [next] = lifecycleEvents(contracts, balances, after + 1, Number.POSITIVE_INFINITY);
  return next?.at ?? null;
}

/** The earliest that happens to these, at most `now`: from there on somebody may have to be told. */
export function firstLifecycleEvent(
  contracts: readonly ContractRecord[],
  balances: readonly BalanceRecord[],
  now: Instant,
): Instant {
  const [first] = lifecycleEvents(contracts, balances, Number.NEGATIVE_INFINITY, now);
  return first?.at ?? now;
}

function eventsOfContract(contract: ContractRecord): LifecycleEvent[] {
  const { createdAt, startingAt, endingBefore, archivedAt } = contract;
  const event = (what: string, at: Instant): LifecycleEvent => ({
    type: `contract.${what}`,
    at,
    contractId: contract.id,
    balance: null,
    segmentIndex: null,
  });
  const lived = [event('start', startingAt)];
  if (endingBefore !== null) lived.push(event('end', endingBefore));
  return [
    event('create', createdAt),
    ...lived.filter(({ at }) => archivedAt === null || at < archivedAt),
    ...(archivedAt === null ? [] : [event('archive', archivedAt)]),
  ];
}

function eventsOfBalance(balance: BalanceRecord): LifecycleEvent[] {
  const { type, access, archivedAt, recurringId, createdAt, contractId } = balance;
  const noun = type === 'CREDIT' ? 'credit' : 'commit';
  const event = (what: string, at: Instant, segmentIndex: number | null = null): LifecycleEvent => ({
    type: `${noun}.${what}`,
    at,
    contractId,
    balance,
    segmentIndex,
  });
  const lived = access.flatMap(({ startingAt, endingBefore }, index) => [
    event('segment.start', startingAt, index),
    event('segment.end', endingBefore, index),
  ]);
  return [
    // Also of a grant that an edit has stored: it was told of when its access began.
    event('create', recurringId === null ? createdAt : (access[0]?.startingAt ?? createdAt)),
    ...lived.filter(({ at }) => archivedAt === null || at < archivedAt),
    ...(archivedAt === null ? [] : [event('archive', archivedAt)]),
  ];
}
