import type { Product, ProductType, QuantityConversion, QuantityRounding } from '../domain/contract/terms.js';
import { parseDecimal, toText } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';
import { Conditions, type Page, pageSql } from './pages.js';

/** What a version of a product says. */
export interface ProductState {
  name: string;
  tags: string[];
  billableMetricId: string | null;
  pricingGroupKey: string[];
  presentationGroupKey: string[];
  quantityConversion: (QuantityConversion & { name?: string }) | null;
  quantityRounding: QuantityRounding | null;
  compositeProductIds: string[];
  compositeTags: string[];
  compositeScope: 'contract' | 'customer';
  excludeFreeUsage: boolean;
  includeCompositeSpend: boolean;
  sqlGranularity: 'HOUR' | 'SERVICE_PERIOD';
  isRefundable: boolean | null;
  netsuiteItemId: string | null;
  netsuiteOverageItemId: string | null;
}

/** A change from an instant on; what it does not name stays as it was. */
export interface ProductUpdate {
  startingAt: Instant;
  createdAt: Instant;
  change: Partial<ProductState>;
}

export interface ContractProductRecord {
  id: string;
  type: ProductType;
  initial: ProductState;
  /** By start, then in the order they were made. */
  updates: ProductUpdate[];
  customFields: Record<string, string>;
  createdAt: Instant;
  archivedAt: Instant | null;
}

/** A product as contracts read it at an instant. */
export interface LoadedProduct extends Product {
  billableMetricId: string | null;
  /** The metric from each instant on; −Infinity for the first. */
  metricHistory: readonly { startingAt: Instant; billableMetricId: string | null }[];
  sqlGranularity: 'HOUR' | 'SERVICE_PERIOD';
  customFields: Readonly<Record<string, string>>;
  archivedAt: Instant | null;
}

/** How the state is kept: the decimal of a conversion is text. */
type Stored<T> = Omit<T, 'quantityConversion'> & {
  quantityConversion?: { factor: string; operation: 'multiply' | 'divide'; name?: string } | null;
};

interface StoredVersion {
  startingAt: Instant | null;
  createdAt: Instant;
  state: Stored<Partial<ProductState>>;
}

interface Row {
  id: string;
  type: ProductType;
  versions: StoredVersion[];
  customFields: Record<string, string>;
  createdAt: Instant;
  archivedAt: Instant | null;
}

const COLUMNS = `id, type, versions, custom_fields as "customFields", created_at as "createdAt",
  archived_at as "archivedAt"`;

/** The state in force at an instant; the first one holds from the beginning of time. */
export function productAt(product: ContractProductRecord, at: Instant): ProductState {
  let state = product.initial;
  for (const { startingAt, change } of product.updates) {
    if (startingAt <= at) state = { ...state, ...change };
  }
  return state;
}

/** Every product of the account, archived ones too, by id, as it is at the instant. */
export async function loadProducts(
  q: Queryable,
  accountId: string,
  at: Instant,
): Promise<Map<string, LoadedProduct>> {
  const rows = await q.queryNamed<Row>(
    'load_contract_products',
    `select ${COLUMNS} from contract_products where account_id = $1 order by created_at, id`,
    [accountId],
  );
  return new Map(rows.map((row) => [row.id, loadedProduct(toRecord(row), at)] as const));
}

function loadedProduct(product: ContractProductRecord, at: Instant): LoadedProduct {
  const state = productAt(product, at);
  const isComposite = product.type === 'COMPOSITE';
  return {
    id: product.id,
    name: state.name,
    type: product.type,
    tags: state.tags,
    pricingGroupKey: state.pricingGroupKey,
    presentationGroupKey: state.presentationGroupKey,
    quantityConversion: state.quantityConversion,
    quantityRounding: state.quantityRounding,
    composite: isComposite
      ? {
          productIds: state.compositeProductIds,
          tags: state.compositeTags,
          excludeFreeUsage: state.excludeFreeUsage,
          includeCompositeSpend: state.includeCompositeSpend,
          scope: state.compositeScope,
        }
      : null,
    billableMetricId: state.billableMetricId,
    metricHistory: metricHistory(product),
    sqlGranularity: state.sqlGranularity,
    customFields: product.customFields,
    archivedAt: product.archivedAt,
  };
}

function metricHistory(product: ContractProductRecord): LoadedProduct['metricHistory'] {
  const history = [{ startingAt: -Infinity, billableMetricId: product.initial.billableMetricId }];
  for (const { startingAt, change } of product.updates) {
    if (change.billableMetricId === undefined) continue;
    if (change.billableMetricId === history.at(-1)?.billableMetricId) continue;
    history.push({ startingAt, billableMetricId: change.billableMetricId });
  }
  return history;
}

export async function insertContractProduct(
  q: Queryable,
  accountId: string,
  product: ContractProductRecord,
): Promise<void> {
  await q.query(
    `insert into contract_products (account_id, id, type, versions, custom_fields, created_at)
     values ($1, $2, $3, $4, $5, $6)`,
    [
      accountId,
      product.id,
      product.type,
      JSON.stringify(storedVersions(product)),
      JSON.stringify(product.customFields),
      timestamp(product.createdAt),
    ],
  );
}

/** Writes versions and archival. The caller holds the row's lock. */
export async function updateContractProduct(
  q: Queryable,
  accountId: string,
  product: ContractProductRecord,
): Promise<void> {
  await q.query(
    'update contract_products set versions = $3, archived_at = $4 where account_id = $1 and id = $2',
    [accountId, product.id, JSON.stringify(storedVersions(product)), timestamp(product.archivedAt)],
  );
}

export async function findContractProduct(
  q: Queryable,
  accountId: string,
  id: string,
  lock: 'none' | 'update' = 'none',
): Promise<ContractProductRecord | null> {
  const suffix = lock === 'none' ? '' : ' for update';
  const rows = await q.query<Row>(
    `select ${COLUMNS} from contract_products where account_id = $1 and id = $2${suffix}`,
    [accountId, id],
  );
  return rows[0] === undefined ? null : toRecord(rows[0]);
}

/** Those of the products that exist. */
export async function findContractProducts(
  q: Queryable,
  accountId: string,
  ids: readonly string[],
): Promise<Map<string, ContractProductRecord>> {
  const rows = await q.query<Row>(
    `select ${COLUMNS} from contract_products where account_id = $1 and id = any($2::uuid[])`,
    [accountId, ids],
  );
  return new Map(rows.map((row) => [row.id, toRecord(row)] as const));
}

export async function listContractProducts(
  q: Queryable,
  accountId: string,
  filter: { archived: boolean | null },
  page: Page,
): Promise<ContractProductRecord[]> {
  const conditions = new Conditions();
  conditions.equal('account_id', accountId);
  if (filter.archived !== null) {
    conditions.where(filter.archived ? 'archived_at is not null' : 'archived_at is null');
  }
  const end = pageSql(conditions, page, 'contract_products');
  const rows = await q.query<Row>(`select ${COLUMNS} from contract_products ${end}`, conditions.values);
  return rows.map(toRecord);
}

function storedVersions(product: ContractProductRecord): StoredVersion[] {
  return [
    { startingAt: null, createdAt: product.createdAt, state: toStored(product.initial) },
    ...product.updates.map(({ startingAt, createdAt, change }) => ({
      startingAt,
      createdAt,
      state: toStored(change),
    })),
  ];
}

function toStored({ quantityConversion, ...rest }: Partial<ProductState>): Stored<Partial<ProductState>> {
  if (quantityConversion === undefined) return rest;
  const conversion =
    quantityConversion === null ? null : { ...quantityConversion, factor: toText(quantityConversion.factor) };
  return { ...rest, quantityConversion: conversion };
}

function fromStored({ quantityConversion, ...rest }: Stored<Partial<ProductState>>): Partial<ProductState> {
  if (quantityConversion === undefined) return rest;
  const conversion =
    quantityConversion === null
      ? null
      : { ...quantityConversion, factor: parseDecimal(quantityConversion.factor) };
  return { ...rest, quantityConversion: conversion };
}

function toRecord({ versions, ...row }: Row): ContractProductRecord {
  const [first, ...later] = versions;
  if (first === undefined) throw new Error(`product ${row.id} has no version`);
  return {
    ...row,
    initial: fromStored(first.state) as ProductState,
    updates: later.map(({ startingAt, createdAt, state }) => ({
      startingAt: startingAt ?? -Infinity,
      createdAt,
      change: fromStored(state),
    })),
  };
}
