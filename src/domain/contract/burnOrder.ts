import type { Instant } from '../period.js';
import { namedProducts, valueOnlySpecifiers } from './applicability.js';
import { isFreeOfCost } from './schedule.js';
import type { AccessSegment, Balance, SeatShare } from './balanceTerms.js';

/** One segment of one balance, as it stands in the queue of those that pay. */
export interface Draw {
  balance: Balance;
  segment: AccessSegment;
  /** Whose share, where the balance is granted seat by seat. */
  seat: { groupKey: string; share: SeatShare } | null;
}

/** What is available to pay with is kept by this. */
export function drawKey(segmentId: string, seatId?: string): string {
  return seatId === undefined ? segmentId : `${segmentId}/${seatId}`;
}

/** Compares by the first criterion that tells two draws apart. */
type Criterion = (draw: Draw) => number;

const priority: Criterion = ({ balance }) => balance.priority ?? Number.POSITIVE_INFINITY;
const products: Criterion = ({ balance }) => namedProducts(balance.applicability);
const valueSpecifiers: Criterion = ({ balance }) => valueOnlySpecifiers(balance.applicability);
const ending: Criterion = ({ segment }) => segment.endingBefore;
const starting: Criterion = ({ segment }) => segment.startingAt;
const level: Criterion = ({ balance }) => (balance.contractId === null ? 1 : 0);
const created: Criterion = ({ balance }) => balance.createdAt;
const costBasis: Criterion = ({ balance }) => (isFreeOfCost(balance.invoiceSchedule) ? 0 : 1);
const contracts: Criterion = ({ balance }) =>
  balance.contractId !== null ? 1 : (balance.applicableContractIds?.length ?? Number.POSITIVE_INFINITY);

const ROLLOVER_CHAIN = [priority, products, valueSpecifiers, ending, level, created];
const CHAIN = [priority, costBasis, products, valueSpecifiers, ending, starting, contracts, level, created];

/**
 * The segments in the order in which they pay: rolled-over postpaid commits, other rollovers, prepaid
 * commits and credits together, postpaid commits. Priority never crosses these groups. Within one:
 * priority, free before paid, fewest products named, fewest specifiers of values alone, earliest end,
 * earliest start, fewest contracts, the contract's own before the customer's, oldest (docs.metronome.com,
 * "prioritization rules", whose chain leaves out cost and start for rollovers; the last two steps are from
 * the API reference and ours).
 */
export function drawOrder(balances: readonly Balance[]): Draw[] {
  const draws = balances.flatMap((balance) => balance.access.flatMap((segment) => drawsOf(balance, segment)));
  return draws.sort(compareDraws);
}

function drawsOf(balance: Balance, segment: AccessSegment): Draw[] {
  const { shares } = balance;
  if (shares === undefined) return [{ balance, segment, seat: null }];
  const { groupKey, bySeat } = shares;
  return [...bySeat.values()].map((share) => ({ balance, segment, seat: { groupKey, share } }));
}

function compareDraws(a: Draw, b: Draw): number {
  const group = groupOf(a);
  if (group !== groupOf(b)) return group - groupOf(b);
  for (const criterion of group < 2 ? ROLLOVER_CHAIN : CHAIN) {
    const left = criterion(a);
    const right = criterion(b);
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

function groupOf({ balance }: Draw): number {
  const postpaid = balance.type === 'POSTPAID';
  if (balance.rolledOverFrom !== null) return postpaid ? 0 : 1;
  return postpaid ? 3 : 2;
}

/** Whether the segment may pay for something at the instant. */
export function isAccessible(segment: AccessSegment, at: Instant): boolean {
  return segment.startingAt <= at && at < segment.endingBefore;
}
