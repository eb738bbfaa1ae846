import { add, type Decimal, isZero, negate, ZERO } from '../decimal.js';
import type { Instant, Period } from '../period.js';
import { type CoveredPart, compareCharges, type PaidCharge } from './burndown.js';
import type { BalanceType } from './balanceTerms.js';
import type { GroupValues, PresentationValues, ProductType, Rate } from './terms.js';
import type { ShownTier } from './tiers.js';

const DAY_MS = 86_400_000;

export type LineType =
  | 'usage'
  | 'subscription'
  | 'composite'
  | 'scheduled'
  | 'commit_purchase'
  | 'applied_commit_or_credit'
  | 'cpu_conversion';

/** One line of an invoice. Amounts and prices are in the stored unit of `creditTypeId`. */
export interface DraftLine {
  /** Stable over recomputations; a UUID is made of it outside. */
  key: string;
  /** `composite` is type `usage` in the API. */
  type: LineType;
  name: string;
  productId: string | null;
  productType: ProductType | null;
  creditTypeId: string;
  /** Null on an application, which has no quantity. */
  quantity: Decimal | null;
  unitPrice: Decimal | null;
  listRate: Rate | null;
  total: Decimal;
  /**
   * The application of a postpaid commit is shown and not counted (docs.metronome.com/api-reference, line
   * items).
   */
  isInTotal: boolean;
  /** Null on a line that has a date and no time of service. */
  period: Period | null;
  /** Where a breakdown puts the line; null for late usage, which is in the breakdown of its own period. */
  window: Period | null;
  pricingGroupValues: GroupValues;
  presentationGroupValues: PresentationValues;
  tier: ShownTier | null;
  /** The commit or credit that pays for, is applied by or is bought with this line. */
  balance: { id: string; segmentId: string | null; type: BalanceType } | null;
  isProrated: boolean;
  /** Whether it is usage of an earlier statement, which was final when it came; `period` is of that one. */
  isLate?: boolean;
  subscriptionId: string | null;
  scheduledChargeId: string | null;
}

/** A line with nothing special about it. */
export const PLAIN_LINE = {
  listRate: null,
  isInTotal: true,
  period: null,
  window: null,
  pricingGroupValues: {},
  presentationGroupValues: {},
  tier: null,
  balance: null,
  isProrated: false,
  subscriptionId: null,
  scheduledChargeId: null,
} as const;

/**
 * The lines of charges in the order in which balances pay for them. For the charges of one kind that start
 * together the covered parts come first, then what was applied, then what is left to pay.
 */
export function linesOf(paid: readonly PaidCharge[]): DraftLine[] {
  const lines: DraftLine[] = [];
  const ordered = paid.toSorted((a, b) => compareCharges(a.charge, b.charge));
  let index = 0;
  while (index < ordered.length) {
    const first = ordered[index];
    if (first === undefined) break;
    const together: PaidCharge[] = [];
    for (let next = ordered[index]; next !== undefined && startsWith(next, first); next = ordered[index]) {
      together.push(next);
      index += 1;
    }
    for (const part of [coveredLines, applicationLines, remainderLine]) {
      for (const paid of together) for (const line of part(paid)) lines.push(line);
    }
  }
  return lines;
}

function startsWith({ charge }: PaidCharge, { charge: first }: PaidCharge): boolean {
  return charge.kind === first.kind && charge.window.start === first.window.start;
}

/** What a line says of its own; the rest is the charge's. */
interface LinePart {
  key: string;
  quantity: Decimal | null;
  unitPrice: Decimal | null;
  total: Decimal;
  tier: ShownTier | null;
  payer: CoveredPart['draw'] | null;
  isApplication: boolean;
}

/** One literal and no spreads: an invoice may have ten thousand of these. */
function lineOf({ charge }: PaidCharge, part: LinePart): DraftLine {
  const { kind, product, pricing } = charge;
  const payer = part.payer?.balance ?? null;
  return {
    key: part.key,
    type: part.isApplication ? 'applied_commit_or_credit' : kind,
    name: part.isApplication && payer !== null ? payer.name : charge.name,
    productId: product.id,
    productType: product.type,
    creditTypeId: payer?.creditTypeId ?? pricing.list.creditTypeId,
    quantity: part.quantity,
    unitPrice: part.unitPrice,
    listRate: part.isApplication ? null : pricing.listRate,
    total: part.total,
    isInTotal: !(part.isApplication && payer?.type === 'POSTPAID'),
    period: charge.period,
    window: charge.isLate === true ? null : charge.window,
    pricingGroupValues: charge.pricingGroupValues,
    presentationGroupValues: charge.presentationGroupValues,
    tier: part.tier,
    balance: payer && { id: payer.id, segmentId: part.payer?.segment.id ?? null, type: payer.type },
    isProrated: charge.isProrated,
    isLate: charge.isLate ?? false,
    subscriptionId: charge.subscriptionId,
    scheduledChargeId: null,
  };
}

const NO_LINES: readonly DraftLine[] = [];

function coveredLines(paid: PaidCharge): readonly DraftLine[] {
  if (paid.covered.length === 0) return NO_LINES;
  return paid.covered.map(({ draw, quantity, unitPrice, amount, tier }) => {
    const key = `${paid.charge.key}/covered/${draw.segment.id}${tier === null ? '' : `/${tier.level}`}`;
    return lineOf(paid, { key, quantity, unitPrice, total: amount, tier, payer: draw, isApplication: false });
  });
}

function applicationLines(paid: PaidCharge): readonly DraftLine[] {
  if (paid.covered.length === 0) return NO_LINES;
  const bySegment = new Map<string, { draw: CoveredPart['draw']; amount: Decimal }>();
  for (const { draw, amount } of paid.covered) {
    const sum = bySegment.get(draw.segment.id)?.amount ?? ZERO;
    bySegment.set(draw.segment.id, { draw, amount: add(sum, amount) });
  }
  return [...bySegment.values()]
    .filter(({ amount }) => !isZero(amount))
    .map(({ draw, amount }) =>
      lineOf(paid, {
        key: `${paid.charge.key}/applied/${draw.segment.id}`,
        quantity: null,
        unitPrice: null,
        total: negate(amount),
        tier: null,
        payer: draw,
        isApplication: true,
      }),
    );
}

function remainderLine(paid: PaidCharge): readonly DraftLine[] {
  const { charge, covered, remainder } = paid;
  if (covered.length > 0 && isZero(remainder.quantity)) return NO_LINES;
  const { quantity, amount: total } = remainder;
  const { key, slice } = charge;
  const { unitPrice, tier } = slice;
  return [lineOf(paid, { key, quantity, unitPrice, total, tier, payer: null, isApplication: false })];
}

/** The sum of the lines that count, by pricing unit. */
export function totalsByUnit(lines: readonly DraftLine[]): Map<string, Decimal> {
  const totals = new Map<string, Decimal>();
  for (const { creditTypeId, total, isInTotal } of lines) {
    if (isInTotal) totals.set(creditTypeId, add(totals.get(creditTypeId) ?? ZERO, total));
  }
  return totals;
}

/** The start of the instant's day in UTC. */
export function dayOf(instant: Instant): number {
  return instant - (((instant % DAY_MS) + DAY_MS) % DAY_MS);
}
