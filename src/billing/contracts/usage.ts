import type { UsageFilter } from '../../domain/contract/contract.js';
import type { BillableMetric, MeteredEvent } from '../../domain/contract/metric.js';
import type { RateCard, UsageSlice } from '../../domain/contract/terms.js';
import type { Instant, Period } from '../../domain/period.js';
import { readUsageSlices, slicesOfEvents } from '../../metering/metrics/slices.js';
import { loadMetrics } from '../../storage/billableMetrics.js';
import { loadProducts } from '../../storage/contractProducts.js';
import type { Queryable } from '../../storage/db.js';
import { customerKeys } from '../../storage/ingestAliases.js';
import { findCountedUsage, type StoredCount } from '../../storage/lateUsage.js';

/** A product as contracts read it. */
export type ContractProduct =
  Awaited<ReturnType<typeof loadProducts>> extends Map<string, infer P> ? P : never;

/** What usage a statement needs. */
export interface UsageRequest {
  usageFilters: readonly UsageFilter[];
  products: ReadonlyMap<string, ContractProduct>;
  period: Period;
  /** Inside the period, ascending. */
  cuts: readonly Instant[];
  /** The customer's now, to which a level that lasts is metered; without it up to the period's end. */
  at?: Instant;
  /** Events that are not stored: alone, or beside those that are. */
  preview?: PreviewEvents;
}

export interface PreviewEvents {
  events: readonly MeteredEvent[];
  mode: 'replace' | 'merge';
}

/** Reads the catalogue and the usage of one customer, each thing once. */
export interface UsageReader {
  /** The products that the card prices, as they are at an instant. */
  products(card: RateCard, at: Instant): Promise<ReadonlyMap<string, ContractProduct>>;
  slices(request: UsageRequest): Promise<UsageSlice[]>;
  /** What invoices have counted of the contract's statements that ended after `after` and by `by`. */
  counted(contractId: string, after: Instant, by: Instant): Promise<StoredCount[]>;
}

const priced = new WeakMap<RateCard, ReadonlySet<string>>();

export function createUsageReader(q: Queryable, accountId: string, customerId: string): UsageReader {
  let keys: Promise<string[]> | null = null;
  let metrics: Promise<BillableMetric[]> | null = null;
  const catalogues = new Map<Instant, Promise<Map<string, ContractProduct>>>();
  return {
    async products(card, at) {
      const loading = catalogues.get(at) ?? loadProducts(q, accountId, at);
      catalogues.set(at, loading);
      const ids = productsOf(card);
      return new Map([...(await loading)].filter(([id]) => ids.has(id)));
    },
    async slices({ usageFilters, products, period, cuts, at, preview }) {
      keys ??= customerKeys(q, accountId, customerId);
      const keyList = await keys;
      metrics ??= loadMetrics(q, accountId);
      const request = {
        usageFilter: usageFilters,
        products: [...products.values()],
        metrics: await metrics,
        period,
        cuts,
        ...(at === undefined ? {} : { at }),
      };
      const { mode, events = [] } = preview ?? {};
      if (mode === 'replace') return slicesOfEvents(request, events);
      return readUsageSlices(q, { ...request, accountId, customerKeys: keyList, extraEvents: events });
    },
    counted: (contractId, after, by) => findCountedUsage(q, { accountId, contractId }, after, by),
  };
}

function productsOf(card: RateCard): ReadonlySet<string> {
  const known = priced.get(card);
  if (known !== undefined) return known;
  const ids = new Set(card.rates.map(({ productId }) => productId));
  priced.set(card, ids);
  return ids;
}
