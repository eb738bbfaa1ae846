import { type Decimal, decimalFromBigint, parseDecimal, toText, ZERO } from '../domain/decimal.js';
import { type BillableItem, type ComputedInvoice, computeInvoice } from '../domain/invoice.js';
import type { InvoiceRecipe, RecipeItem } from '../domain/invoiceRecipe.js';
import type { Instant, Period } from '../domain/period.js';
import type { Price } from '../domain/price.js';
import type { Fraction } from '../domain/proration.js';
import { readUsages } from '../metering/usage.js';
import { type BilledUsage, findBilledUsage } from '../storage/billedUsage.js';
import type { Queryable } from '../storage/db.js';
import { loadPrices } from '../storage/prices.js';

/** What was metered for one item over one period. */
export interface ItemUsage {
  subscriptionItemId: string;
  periodStart: Instant;
  meterId: string;
  /** Exact decimal text; may be negative. */
  value: string;
}

export interface ComputedRecipe extends ComputedInvoice {
  /** The metered quantities behind the lines, by item and period. */
  billables: BillableItem[];
}

/** Events are accepted up to 35 days back; a day more leaves room for the clock of whoever sent them. */
export const LATE_USAGE_REACH_MS = 36 * 24 * 3600 * 1000;

/**
 * Computes lines and totals from the usage known now. `usage`, when given, stands for the reading of the recipe's
 * own periods; late usage is always read.
 */
export async function computeRecipe(
  q: Queryable,
  accountId: string,
  recipe: InvoiceRecipe,
  customerBalance: bigint,
  usage: readonly ItemUsage[] | null = null,
): Promise<ComputedRecipe> {
  const itemIds = recipe.items
    .filter((item) => item.quantity === null)
    .map((item) => item.subscriptionItemId);
  const late =
    recipe.lateUsageSince === null
      ? []
      : withoutOwnPeriods(await findBilledUsage(q, accountId, itemIds, recipe.lateUsageSince), recipe);
  const priceIds = [...recipe.items, ...late].map((item) => item.priceId);
  const prices = await loadPrices(q, accountId, [...new Set(priceIds)]);
  const own = usage ?? (await readItemUsage(q, accountId, recipe.customerId, recipe.items, prices));
  const lateUsage = await readItemUsage(q, accountId, recipe.customerId, late, prices);
  const billables = [
    ...late.map((billed) => lateBillable(billed, prices, lateUsage)),
    ...recipe.items.map((item) => ownBillable(item, prices, own)),
  ];
  return { ...computeInvoice({ currency: recipe.currency, items: billables, customerBalance }), billables };
}

/** The metered quantities of these items' periods, in one read. Licensed items have none. */
export async function readItemUsage(
  q: Queryable,
  accountId: string,
  customerId: string,
  items: readonly { subscriptionItemId: string; priceId: string; period: Period }[],
  prices: ReadonlyMap<string, Price>,
): Promise<ItemUsage[]> {
  const metered = items.flatMap((item) => {
    const meterId = priceOf(prices, item.priceId).recurring?.meterId ?? null;
    return meterId === null ? [] : [{ item, meterId }];
  });
  if (metered.length === 0) return [];
  const readings = await readUsages(
    q,
    accountId,
    metered.map(({ item, meterId }) => ({ meterId, customerId, period: item.period })),
  );
  return metered.map(({ item, meterId }, index) => ({
    subscriptionItemId: item.subscriptionItemId,
    periodStart: item.period.start,
    meterId,
    value: toText(readings[index]?.value ?? ZERO),
  }));
}

/** A licensed item's line for a period, prorated where the period is shorter than its interval. */
export function licensedItem(
  item: { id: string; priceId: string; quantity: bigint | null },
  period: Period,
  proration: Fraction | null,
): RecipeItem {
  return {
    subscriptionItemId: item.id,
    priceId: item.priceId,
    period,
    quantity: String(item.quantity ?? 1n),
    proration:
      proration === null
        ? null
        : { numerator: String(proration.numerator), denominator: String(proration.denominator) },
  };
}

/** A metered item's line for an elapsed period. */
export function meteredItem(item: { id: string; priceId: string }, period: Period): RecipeItem {
  return { subscriptionItemId: item.id, priceId: item.priceId, period, quantity: null, proration: null };
}

function withoutOwnPeriods(billed: readonly BilledUsage[], recipe: InvoiceRecipe): BilledUsage[] {
  return billed.filter(
    (row) =>
      !recipe.items.some(
        (item) =>
          item.subscriptionItemId === row.subscriptionItemId && item.period.start === row.period.start,
      ),
  );
}

function ownBillable(
  item: RecipeItem,
  prices: ReadonlyMap<string, Price>,
  usage: readonly ItemUsage[],
): BillableItem {
  return {
    subscriptionItemId: item.subscriptionItemId,
    price: priceOf(prices, item.priceId),
    quantity: item.quantity === null ? usageOf(usage, item) : decimalFromBigint(BigInt(item.quantity)),
    period: item.period,
    proration:
      item.proration === null
        ? null
        : {
            numerator: BigInt(item.proration.numerator),
            denominator: BigInt(item.proration.denominator),
          },
    alreadyBilled: null,
  };
}

function lateBillable(
  billed: BilledUsage,
  prices: ReadonlyMap<string, Price>,
  usage: readonly ItemUsage[],
): BillableItem {
  return {
    subscriptionItemId: billed.subscriptionItemId,
    price: priceOf(prices, billed.priceId),
    quantity: usageOf(usage, billed),
    period: billed.period,
    proration: null,
    alreadyBilled: { amount: billed.amount, quantity: billed.quantity },
  };
}

function usageOf(usage: readonly ItemUsage[], item: { subscriptionItemId: string; period: Period }): Decimal {
  const reading = usage.find(
    (candidate) =>
      candidate.subscriptionItemId === item.subscriptionItemId && candidate.periodStart === item.period.start,
  );
  if (reading === undefined) {
    throw new Error(`no usage was read for ${item.subscriptionItemId} from ${String(item.period.start)}`);
  }
  return parseDecimal(reading.value);
}

export function priceOf(prices: ReadonlyMap<string, Price>, id: string): Price {
  const price = prices.get(id);
  if (price === undefined) throw new Error(`price ${id} of a billed item does not exist`);
  return price;
}
