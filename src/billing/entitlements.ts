import type { Core } from '../core.js';
import { reaches, servesContract } from '../domain/contract/applicability.js';
import { spendableBalance } from '../domain/contract/balance.js';
import type { BalanceRecord } from '../domain/contract/contract.js';
import { isEntitled, overridesFor } from '../domain/contract/overrides.js';
import { covers, rateInForce } from '../domain/contract/rateCard.js';
import type { RateSegment } from '../domain/contract/terms.js';
import { compare, type Decimal, max, subtract, ZERO } from '../domain/decimal.js';
import { notFound } from '../domain/errors.js';
import type { Instant } from '../domain/period.js';
import { sumOpenHolds } from '../storage/authorizations.js';
import { type LoadedProduct, loadProducts } from '../storage/contractProducts.js';
import type { CustomerRecord } from '../storage/customers.js';
import type { Queryable } from '../storage/db.js';
import { USD_CREDIT_TYPE_ID } from '../storage/pricingUnits.js';
import { customerNow } from './clock.js';
import { type OpenInvoices, openInvoices } from './contracts/open.js';
import type { OpenContract } from './contracts/state.js';
import { requireByAnyId } from './thresholdAlerts.js';

/** What a customer has to spend at an instant, read once for any number of questions. */
export interface Purse {
  at: Instant;
  open: OpenInvoices;
  products: ReadonlyMap<string, LoadedProduct>;
  /** Open holds, by pricing unit. */
  held: Map<string, Decimal>;
}

/** What may be spent on a product, or on anything. All amounts are in the stored unit of `creditTypeId`. */
export interface Spendable {
  creditTypeId: string;
  /** False when a product is asked for that no contract sells now. */
  entitled: boolean;
  /** Prepaid commits and credits that are accessible now and reach the product, after all usage so far. */
  balance: Decimal;
  held: Decimal;
  /** What is left for new holds: max(0, balance − held). */
  available: Decimal;
}

/** Reads what a customer has. Usage acknowledged before is in it. */
export async function readPurse(
  q: Queryable,
  core: Pick<Core, 'now'>,
  accountId: string,
  customer: CustomerRecord,
): Promise<Purse> {
  const at = await customerNow(q, core, accountId, customer);
  return {
    at,
    open: await openInvoices(q, core, accountId, customer, { at }),
    products: await loadProducts(q, accountId, at),
    held: await sumOpenHolds(q, accountId, customer.id, at),
  };
}

/**
 * What may be spent. The pricing unit is that of the product's rate; without a product that of the balances, where
 * all that are open now have the same, and US cents otherwise. Every hold of the unit counts, whatever it is for.
 * Throws `not_found` for a product that does not exist.
 */
export function spendable(purse: Purse, productId: string | null): Spendable {
  const { at, open, products, held: holds } = purse;
  const product = productId === null ? null : products.get(productId);
  if (product === undefined) throw notFound('product', productId ?? '', 'product');
  const active = open.state.contracts.filter(({ contract }) => covers(contract, at));
  const selling = product === null ? active : active.filter((one) => sells(one, product, at));
  const balances = open.balances.filter(
    (balance) =>
      product === null ||
      (selling.some(({ contract }) => servesContract(balance, contract.id)) && mayPay(balance, product)),
  );
  const creditTypeId =
    (product === null ? onlyUnit(balances, at) : unitOf(selling, product, at)) ?? USD_CREDIT_TYPE_ID;
  const balance = spendableBalance(balances, creditTypeId, at, ZERO);
  const held = holds.get(creditTypeId) ?? ZERO;
  return {
    creditTypeId,
    entitled: product === null || selling.length > 0,
    balance,
    held,
    available: max(subtract(balance, held), ZERO),
  };
}

/** Group values are not known before usage: a balance that is kept to some of them may pay. */
function mayPay({ applicability }: BalanceRecord, product: LoadedProduct): boolean {
  const specifiers = applicability.specifiers.map((specifier) => ({
    ...specifier,
    pricingGroupValues: {},
    presentationGroupValues: {},
  }));
  return reaches(
    { ...applicability, specifiers },
    { product, pricingGroupValues: {}, presentationGroupValues: {} },
  );
}

function sells(open: OpenContract, product: LoadedProduct, at: Instant): boolean {
  return ratesNow(open, product, at).length > 0;
}

function unitOf(contracts: readonly OpenContract[], product: LoadedProduct, at: Instant): string | null {
  const [rate] = contracts.flatMap((open) => ratesNow(open, product, at));
  return rate?.rate.creditTypeId ?? null;
}

/** The entitled rates in force of a product, for any group values and frequency. */
function ratesNow({ contract, rates }: OpenContract, product: LoadedProduct, at: Instant): RateSegment[] {
  const found: RateSegment[] = [];
  for (const segments of rates.values()) {
    if (segments[0]?.productId !== product.id) continue;
    const segment = rateInForce(segments, at);
    if (segment === null) continue;
    const overrides = overridesFor(contract.document.overrides, {
      product,
      pricingGroupValues: segment.pricingGroupValues,
      presentationGroupValues: {},
      billingFrequency: segment.billingFrequency,
    });
    if (isEntitled(segment, overrides, at)) found.push(segment);
  }
  return found;
}

function onlyUnit(balances: readonly BalanceRecord[], at: Instant): string | null {
  const units = new Set(
    balances
      .filter(({ type, archivedAt }) => type !== 'POSTPAID' && archivedAt === null)
      .filter(({ access }) => access.some((segment) => segment.startingAt <= at && at < segment.endingBefore))
      .map(({ creditTypeId }) => creditTypeId),
  );
  return units.size === 1 ? ([...units][0] ?? null) : null;
}

export interface Entitlement extends Spendable {
  customerId: string;
  allowed: boolean;
  reason: null | 'insufficient_balance' | 'not_entitled';
}

/** Whether a hold of the amount would be granted now: the same answer in one read, and nothing is held. */
export async function checkEntitlement(
  q: Queryable,
  core: Pick<Core, 'now'>,
  accountId: string,
  question: { customer: string; amount: Decimal; productId: string | null },
): Promise<Entitlement> {
  const customer = await requireByAnyId(q, accountId, question.customer, 'customer');
  const found = spendable(await readPurse(q, core, accountId, customer), question.productId);
  const reason = refusalOf(found, question.amount);
  return { ...found, customerId: customer.id, allowed: reason === null, reason };
}

export function refusalOf(found: Spendable, amount: Decimal): Entitlement['reason'] {
  if (!found.entitled) return 'not_entitled';
  return compare(amount, found.available) > 0 ? 'insufficient_balance' : null;
}
