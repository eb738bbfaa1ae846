import { Decimal } from 'decimal.js';

export const Exact = Decimal.clone({ precision: 80 });
export const exact = (value: Decimal.Value): Decimal => new Exact(value);
export const NONE = exact(0);

export interface ModelSegment {
  id: string;
  amount: Decimal;
  start: number;
  end: number;
  /** Manual entries. */
  manual: Decimal;
  /** What a renewal took over. */
  moved: Decimal;
}

export interface ModelGrant {
  /** The engine's id; for what the engine makes by itself, a name that tells what made it. */
  id: string;
  type: 'PREPAID' | 'POSTPAID' | 'CREDIT';
  unit: string;
  priority: number;
  paid: boolean;
  /** Null is the customer's own. */
  contract: string | null;
  /** Null pays for everything. */
  product: string | null;
  /** How much of it a renewal takes over; null for nothing. */
  fraction: Decimal | null;
  isRollover: boolean;
  segments: ModelSegment[];
  born: number;
  /** Of a postpaid commit: when the shortfall is due, and what was billed of it. */
  trueUp: { date: number; billed: Decimal | null; isOff: boolean } | null;
}

export interface ModelPrice {
  unit: string;
  price: Decimal;
}

export interface ModelUse {
  product: string;
  at: number;
  quantity: Decimal;
  /** The statement that has billed it. */
  by?: Statement | undefined;
}

export interface ModelContract {
  id: string;
  start: number;
  end: number | null;
  renewedBy: string | null;
  /** What moves into the renewal is certain. */
  isHandedOver: boolean;
}

export interface Statement {
  contract: string;
  start: number;
  end: number;
  status: 'open' | 'final' | 'void';
  /** By segment: what a final statement has taken. */
  taken: Map<string, Decimal>;
  total: Decimal;
  /** Where its usage was cut when it was closed. */
  cuts: number[];
}

export interface Hold {
  id: string;
  unit: string;
  amount: Decimal;
  expires: number;
}

/** What statements that are not final take, by segment, their totals by start, and what renewals will take over. */
export interface Drafts {
  taken: Map<string, Decimal>;
  totals: Map<number, Decimal>;
  rollovers: ModelGrant[];
}

/** A computation under way: what each segment has left, and all who may pay. */
export interface Purse {
  left: Map<string, Decimal>;
  moved: Map<string, Decimal>;
  rollovers: ModelGrant[];
  asked: Set<string>;
}

export interface ModelTrueUp {
  id: string;
  status: 'DRAFT' | 'FINALIZED';
  total: Decimal;
}

/** A line of a statement that is not paid in full. */
export interface Owed {
  from: number;
  product: string;
  unit: string;
  price: Decimal;
  cost: Decimal;
}

/** What renewals took over first, promises last ("prioritization rules"). */
export function inOrder(grants: readonly ModelGrant[]): { grant: ModelGrant; segment: ModelSegment }[] {
  const rank = (grant: ModelGrant, segment: ModelSegment): number[] => {
    const narrow = grant.product === null ? 1 : 0;
    const level = grant.contract === null ? 1 : 0;
    if (grant.isRollover) return [0, grant.priority, narrow, segment.end, level, grant.born];
    const group = grant.type === 'POSTPAID' ? 2 : 1;
    const paid = grant.paid ? 1 : 0;
    return [group, grant.priority, paid, narrow, segment.end, segment.start, level, grant.born];
  };
  return grants
    .flatMap((grant) => grant.segments.map((segment) => ({ grant, segment, key: rank(grant, segment) })))
    .sort((a, b) => {
      const at = a.key.findIndex((value, index) => value !== b.key[index]);
      return at < 0 ? 0 : (a.key[at] ?? 0) - (b.key[at] ?? 0);
    });
}
