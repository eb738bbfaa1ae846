import type { Decimal } from '../decimal.js';
import type { Instant } from '../period.js';
import type { Balance } from './balanceTerms.js';
import type { PaidCharge } from './burndown.js';
import type { ChargeKind } from './charge.js';
import type { DraftLine } from './lines.js';
import { isFreeOfCost } from './schedule.js';
import type { Product } from './terms.js';

/** What something has cost before anyone paid: what a balance covers at the balance's price, the rest at list. */
export interface Spend {
  kind: ChargeKind;
  product: Product;
  creditTypeId: string;
  at: Instant;
  amount: Decimal;
  /** Covered by a balance that cost nothing. */
  isFree: boolean;
}

/** The spend of charges that balances have paid for as far as they do. */
export function spendOf({ charge, covered, remainder }: PaidCharge): Spend[] {
  const { kind, product, pricing, window } = charge;
  const common = { kind, product, creditTypeId: pricing.list.creditTypeId, at: window.start };
  return [
    { ...common, amount: remainder.amount, isFree: false },
    ...covered.map(({ draw, amount }) => ({
      ...common,
      amount,
      isFree: isFreeOfCost(draw.balance.invoiceSchedule),
    })),
  ];
}

/** The spend that lines of an invoice show; `balances` are those that it drew on. */
export function spendOfLines(
  lines: readonly DraftLine[],
  products: ReadonlyMap<string, Product>,
  balances: readonly Balance[],
): Spend[] {
  const free = new Set(balances.filter((one) => isFreeOfCost(one.invoiceSchedule)).map(({ id }) => id));
  return lines.flatMap((line) => {
    const { type: kind, window, creditTypeId, total, balance } = line;
    const product = line.productId === null ? undefined : products.get(line.productId);
    if (kind !== 'usage' && kind !== 'subscription' && kind !== 'composite') return [];
    if (product === undefined || window === null) return [];
    const isFree = balance !== null && free.has(balance.id);
    return [{ kind, product, creditTypeId, at: window.start, amount: total, isFree }];
  });
}
