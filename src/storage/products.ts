import type { Instant } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';
import { Conditions, type InstantRange, type Page, type PageCursor, pageSql } from './pages.js';

/** What a product has that no query of ours joins on, in Stripe's names; absent or null is unset. */
export interface ProductDetails {
  description?: string | null;
  images?: string[];
  marketing_features?: { name: string }[];
  package_dimensions?: { height: number; length: number; weight: number; width: number } | null;
  shippable?: boolean | null;
  statement_descriptor?: string | null;
  tax_code?: string | null;
  tax_details?: { performance_location: string | null; tax_code: string | null } | null;
  type?: 'good' | 'service';
  url?: string | null;
}

export interface ProductRecord {
  id: string;
  livemode: boolean;
  createdAt: Instant;
  updatedAt: Instant;
  active: boolean;
  name: string;
  /** Printed on invoice lines: "5 seats × …". */
  unitLabel: string | null;
  defaultPriceId: string | null;
  details: ProductDetails;
  metadata: Record<string, string>;
}

const COLUMNS = `id, livemode, created_at as "createdAt", updated_at as "updatedAt", active, name,
  unit_label as "unitLabel", default_price_id as "defaultPriceId", details, metadata`;

/** Stores a new product. False when the id is taken; the id of a deleted product is free again. */
export async function insertProduct(
  q: Queryable,
  accountId: string,
  product: ProductRecord,
): Promise<boolean> {
  await q.query('delete from products where account_id = $1 and id = $2 and deleted_at is not null', [
    accountId,
    product.id,
  ]);
  const rows = await q.query<{ id: string }>(
    `insert into products (account_id, id, livemode, created_at, updated_at, active, name, unit_label,
       default_price_id, details, metadata)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (account_id, id) do nothing returning id`,
    [
      accountId,
      product.id,
      product.livemode,
      timestamp(product.createdAt),
      timestamp(product.updatedAt),
      product.active,
      product.name,
      product.unitLabel,
      product.defaultPriceId,
      JSON.stringify(product.details),
      JSON.stringify(product.metadata),
    ],
  );
  return rows.length > 0;
}

/** The product, or null when there's none or it was deleted. `lock` holds its row until the transaction ends. */
export async function findProduct(
  q: Queryable,
  accountId: string,
  id: string,
  lock: 'share' | 'update' | 'none' = 'none',
): Promise<ProductRecord | null> {
  const suffix = lock === 'none' ? '' : ` for ${lock}`;
  const rows = await q.query<ProductRecord>(
    `select ${COLUMNS} from products where account_id = $1 and id = $2 and deleted_at is null${suffix}`,
    [accountId, id],
  );
  return rows[0] ?? null;
}

/** The products with these ids that exist, in no particular order. */
export function findProducts(
  q: Queryable,
  accountId: string,
  ids: readonly string[],
): Promise<ProductRecord[]> {
  return q.query<ProductRecord>(
    `select ${COLUMNS} from products where account_id = $1 and id = any($2) and deleted_at is null`,
    [accountId, ids],
  );
}

export interface ProductFilter {
  active?: boolean | undefined;
  ids?: readonly string[] | undefined;
  shippable?: boolean | undefined;
  type?: string | undefined;
  url?: string | undefined;
  created?: InstantRange | undefined;
}

export function listProducts(
  q: Queryable,
  accountId: string,
  filter: ProductFilter,
  page: Page,
): Promise<ProductRecord[]> {
  const conditions = new Conditions();
  conditions.equal('account_id', accountId);
  conditions.where('deleted_at is null');
  conditions.equal('active', filter.active);
  if (filter.ids !== undefined) conditions.where(`id = any(${conditions.value(filter.ids)})`);
  if (filter.shippable !== undefined) {
    conditions.where(
      `coalesce((details->>'shippable')::boolean, false) = ${conditions.value(filter.shippable)}`,
    );
  }
  conditions.equal(`coalesce(details->>'type', 'service')`, filter.type);
  conditions.equal(`details->>'url'`, filter.url);
  conditions.within('created_at', filter.created);
  const end = pageSql(conditions, page, 'products');
  return q.query<ProductRecord>(`select ${COLUMNS} from products ${end}`, conditions.values);
}

/** Where the product stands in a list, whatever its state. */
export async function findProductCursor(
  q: Queryable,
  accountId: string,
  id: string,
): Promise<PageCursor | null> {
  const rows = await q.query<PageCursor>(
    'select created_at as "createdAt", id from products where account_id = $1 and id = $2',
    [accountId, id],
  );
  return rows[0] ?? null;
}

/** Writes every column that can change. The caller holds the row's lock. */
export async function updateProduct(q: Queryable, accountId: string, product: ProductRecord): Promise<void> {
  await q.query(
    `update products set updated_at = $3, active = $4, name = $5, unit_label = $6, default_price_id = $7,
       details = $8, metadata = $9
     where account_id = $1 and id = $2`,
    [
      accountId,
      product.id,
      timestamp(product.updatedAt),
      product.active,
      product.name,
      product.unitLabel,
      product.defaultPriceId,
      JSON.stringify(product.details),
      JSON.stringify(product.metadata),
    ],
  );
}

export async function hasPrices(q: Queryable, accountId: string, productId: string): Promise<boolean> {
  const rows = await q.query<{ id: string }>(
    'select id from prices where account_id = $1 and product_id = $2 limit 1',
    [accountId, productId],
  );
  return rows.length > 0;
}

export async function markProductDeleted(
  q: Queryable,
  accountId: string,
  id: string,
  at: Instant,
): Promise<void> {
  await q.query('update products set deleted_at = $3, active = false where account_id = $1 and id = $2', [
    accountId,
    id,
    timestamp(at),
  ]);
}
