import { type Decimal, parseDecimal, toText } from '../domain/decimal.js';
import type { BillingInterval, Instant } from '../domain/period.js';
import type { Price, Recurring, Tier, TransformQuantity } from '../domain/price.js';
import { type Queryable, timestamp } from './db.js';
import { Conditions, type InstantRange, type Page, type PageCursor, pageSql } from './pages.js';

export interface PriceRecord {
  id: string;
  livemode: boolean;
  createdAt: Instant;
  productId: string;
  active: boolean;
  currency: string;
  scheme: 'per_unit' | 'tiered';
  unitAmount: Decimal | null;
  tiersMode: 'graduated' | 'volume' | null;
  tiers: readonly Tier[] | null;
  transformQuantity: TransformQuantity | null;
  /** null: sold once. */
  recurring: Recurring | null;
  nickname: string | null;
  lookupKey: string | null;
  taxBehavior: 'inclusive' | 'exclusive' | 'unspecified';
  metadata: Record<string, string>;
}

interface StoredTier {
  up_to: string | null;
  unit_amount: string | null;
  flat_amount: string | null;
}

interface PriceRow {
  id: string;
  livemode: boolean;
  createdAt: Instant;
  productId: string;
  active: boolean;
  currency: string;
  scheme: PriceRecord['scheme'];
  unitAmount: string | null;
  tiersMode: PriceRecord['tiersMode'];
  tiers: StoredTier[] | null;
  divideBy: bigint | null;
  divideRound: TransformQuantity['round'] | null;
  intervalUnit: BillingInterval['unit'] | null;
  intervalCount: number | null;
  usageType: Recurring['usageType'] | null;
  meterId: string | null;
  nickname: string | null;
  lookupKey: string | null;
  taxBehavior: PriceRecord['taxBehavior'];
  metadata: Record<string, string>;
}

const COLUMNS = `prices.id, prices.livemode, prices.created_at as "createdAt", prices.product_id as "productId",
  prices.active, prices.currency, prices.billing_scheme as scheme, prices.unit_amount as "unitAmount",
  prices.tiers_mode as "tiersMode", prices.tiers, prices.transform_divide_by as "divideBy",
  prices.transform_round as "divideRound", prices.recurring_interval as "intervalUnit",
  prices.recurring_interval_count as "intervalCount", prices.usage_type as "usageType",
  prices.meter_id as "meterId", prices.nickname, prices.lookup_key as "lookupKey",
  prices.tax_behavior as "taxBehavior", prices.metadata`;

/** Stores a new price. False when the lookup key belongs to another one, and then nothing is stored. */
export async function insertPrice(q: Queryable, accountId: string, price: PriceRecord): Promise<boolean> {
  const { recurring, transformQuantity } = price;
  const rows = await q.query<{ id: string }>(
    `insert into prices (account_id, id, livemode, created_at, product_id, active, currency, billing_scheme,
       unit_amount, tiers_mode, tiers, transform_divide_by, transform_round, recurring_interval,
       recurring_interval_count, usage_type, meter_id, nickname, lookup_key, tax_behavior, metadata)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
     on conflict (account_id, lookup_key) where lookup_key is not null do nothing returning id`,
    [
      accountId,
      price.id,
      price.livemode,
      timestamp(price.createdAt),
      price.productId,
      price.active,
      price.currency,
      price.scheme,
      decimalOrNull(price.unitAmount),
      price.tiersMode,
      price.tiers === null ? null : JSON.stringify(price.tiers.map(storedTier)),
      transformQuantity?.divideBy ?? null,
      transformQuantity?.round ?? null,
      recurring?.interval.unit ?? null,
      recurring?.interval.count ?? null,
      recurring?.usageType ?? null,
      recurring?.meterId ?? null,
      price.nickname,
      price.lookupKey,
      price.taxBehavior,
      JSON.stringify(price.metadata),
    ],
  );
  return rows.length > 0;
}

/** `lock` holds the price's row until the transaction ends. */
export async function findPriceRecord(
  q: Queryable,
  accountId: string,
  id: string,
  lock: 'share' | 'update' | 'none' = 'none',
): Promise<PriceRecord | null> {
  const suffix = lock === 'none' ? '' : ` for ${lock}`;
  const rows = await q.query<PriceRow>(
    `select ${COLUMNS} from prices where account_id = $1 and id = $2${suffix}`,
    [accountId, id],
  );
  return rows[0] === undefined ? null : toRecord(rows[0]);
}

/** The prices with these ids that exist, in no particular order. */
export async function findPriceRecords(
  q: Queryable,
  accountId: string,
  ids: readonly string[],
): Promise<PriceRecord[]> {
  if (ids.length === 0) return [];
  const rows = await q.query<PriceRow>(
    `select ${COLUMNS} from prices where account_id = $1 and id = any($2)`,
    [accountId, ids],
  );
  return rows.map(toRecord);
}

/** The price that has the lookup key, locked. */
export async function findPriceByLookupKey(
  q: Queryable,
  accountId: string,
  lookupKey: string,
): Promise<PriceRecord | null> {
  const rows = await q.query<PriceRow>(
    `select ${COLUMNS} from prices where account_id = $1 and lookup_key = $2 for update`,
    [accountId, lookupKey],
  );
  return rows[0] === undefined ? null : toRecord(rows[0]);
}

/**
 * The prices with these ids as the domain rates them, by id, with the product's name and unit label of now. Ids that
 * don't exist are left out.
 */
export async function loadPrices(
  q: Queryable,
  accountId: string,
  ids: readonly string[],
): Promise<Map<string, Price>> {
  if (ids.length === 0) return new Map();
  const rows = await q.query<PriceRow & { productName: string; unitLabel: string | null }>(
    `select ${COLUMNS}, products.name as "productName", products.unit_label as "unitLabel"
     from prices join products on products.account_id = prices.account_id and products.id = prices.product_id
     where prices.account_id = $1 and prices.id = any($2)`,
    [accountId, ids],
  );
  return new Map(rows.map((row) => [row.id, toPrice(toRecord(row), row.productName, row.unitLabel)]));
}

/** Which of these prices can no longer be sold. */
export async function findInactivePrices(
  q: Queryable,
  accountId: string,
  ids: readonly string[],
): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const rows = await q.query<{ id: string }>(
    'select id from prices where account_id = $1 and id = any($2) and not active',
    [accountId, ids],
  );
  return new Set(rows.map((row) => row.id));
}

/** A stored price as the domain rates it. */
export function toPrice(record: PriceRecord, productName: string, unitLabel: string | null): Price {
  return {
    id: record.id,
    productId: record.productId,
    productName,
    unitLabel,
    currency: record.currency,
    recurring: record.recurring,
    scheme: record.scheme,
    unitAmount: record.unitAmount,
    tiersMode: record.tiersMode,
    tiers: record.tiers,
    transformQuantity: record.transformQuantity,
  };
}

export interface PriceFilter {
  active?: boolean | undefined;
  currency?: string | undefined;
  productId?: string | undefined;
  type?: 'one_time' | 'recurring' | undefined;
  lookupKeys?: readonly string[] | undefined;
  interval?: string | undefined;
  meterId?: string | undefined;
  usageType?: string | undefined;
  created?: InstantRange | undefined;
}

export async function listPrices(
  q: Queryable,
  accountId: string,
  filter: PriceFilter,
  page: Page,
): Promise<PriceRecord[]> {
  const conditions = new Conditions();
  conditions.equal('account_id', accountId);
  conditions.equal('active', filter.active);
  conditions.equal('currency', filter.currency);
  conditions.equal('product_id', filter.productId);
  conditions.equal('recurring_interval', filter.interval);
  conditions.equal('meter_id', filter.meterId);
  conditions.equal('usage_type', filter.usageType);
  if (filter.type === 'one_time') conditions.where('recurring_interval is null');
  if (filter.type === 'recurring') conditions.where('recurring_interval is not null');
  if (filter.lookupKeys !== undefined)
    conditions.where(`lookup_key = any(${conditions.value(filter.lookupKeys)})`);
  conditions.within('created_at', filter.created);
  const end = pageSql(conditions, page, 'prices');
  const rows = await q.query<PriceRow>(`select ${COLUMNS} from prices ${end}`, conditions.values);
  return rows.map(toRecord);
}

/** Where the price stands in a list, whatever its state. */
export async function findPriceCursor(
  q: Queryable,
  accountId: string,
  id: string,
): Promise<PageCursor | null> {
  const rows = await q.query<PageCursor>(
    'select created_at as "createdAt", id from prices where account_id = $1 and id = $2',
    [accountId, id],
  );
  return rows[0] ?? null;
}

/** Writes what can change: never the money. The caller holds the row's lock and has freed the lookup key. */
export async function updatePrice(q: Queryable, accountId: string, price: PriceRecord): Promise<void> {
  await q.query(
    `update prices set active = $3, nickname = $4, lookup_key = $5, tax_behavior = $6, metadata = $7
     where account_id = $1 and id = $2`,
    [
      accountId,
      price.id,
      price.active,
      price.nickname,
      price.lookupKey,
      price.taxBehavior,
      JSON.stringify(price.metadata),
    ],
  );
}

function toRecord(row: PriceRow): PriceRecord {
  return {
    id: row.id,
    livemode: row.livemode,
    createdAt: row.createdAt,
    productId: row.productId,
    active: row.active,
    currency: row.currency,
    scheme: row.scheme,
    unitAmount: parseOrNull(row.unitAmount),
    tiersMode: row.tiersMode,
    tiers: row.tiers === null ? null : row.tiers.map(toTier),
    transformQuantity: toTransform(row),
    recurring: toRecurring(row),
    nickname: row.nickname,
    lookupKey: row.lookupKey,
    taxBehavior: row.taxBehavior,
    metadata: row.metadata,
  };
}

function toTransform(row: PriceRow): TransformQuantity | null {
  if (row.divideBy === null || row.divideRound === null) return null;
  return { divideBy: row.divideBy, round: row.divideRound };
}

function toRecurring(row: PriceRow): Recurring | null {
  if (row.intervalUnit === null || row.intervalCount === null || row.usageType === null) return null;
  return {
    interval: { unit: row.intervalUnit, count: row.intervalCount },
    usageType: row.usageType,
    meterId: row.meterId,
  };
}

function toTier(stored: StoredTier): Tier {
  return {
    upTo: stored.up_to === null ? null : BigInt(stored.up_to),
    unitAmount: parseOrNull(stored.unit_amount),
    flatAmount: parseOrNull(stored.flat_amount),
  };
}

function storedTier(tier: Tier): StoredTier {
  return {
    up_to: tier.upTo === null ? null : tier.upTo.toString(),
    unit_amount: decimalOrNull(tier.unitAmount),
    flat_amount: decimalOrNull(tier.flatAmount),
  };
}

function parseOrNull(text: string | null): Decimal | null {
  return text === null ? null : parseDecimal(text);
}

function decimalOrNull(value: Decimal | null): string | null {
  return value === null ? null : toText(value);
}
